"""What the sent functions declare: their parameters, read from the texts as a lane sends them.

So the fake binds against just what PowerShell would bind against, and cannot fall behind it. It reads the manner in
which these functions are written, one parameter a line, and no more; what it does not understand is an error.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Function", "Parameter", "UnreadableError", "read_functions"]


class UnreadableError(ValueError):
    """A declaration that this module cannot read."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Args:
        name: without its dollar sign.
        type: as it is written, as `string[]`.
        is_mandatory: whether it must be given.
        in_set: the parameter set that it belongs to; "": all.
        takes_empty: whether a mandatory text may be empty.
        checks: what validates it: the attribute's name and the text of its arguments.
        default: what it is when it is not given; None: nothing.
    """

    name: str
    type: str
    is_mandatory: bool = False
    in_set: str = ""
    takes_empty: bool = False
    checks: tuple[tuple[str, str], ...] = ()
    default: str | int | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """One function that may be called.

    Args:
        name: its name.
        parameters: by name.
        default_set: the parameter set that is meant when the given parameters leave it open; "": there are no sets.
        takes_what_if: whether it has -WhatIf.
    """

    name: str
    parameters: Mapping[str, Parameter]
    default_set: str
    takes_what_if: bool


_FUNCTION = re.compile(r"^function (?P<name>[A-Za-z]+-[A-Za-z]+) \{$(?P<body>.*?)^\}$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(
    r"^    \[CmdletBinding\((?P<binding>[^)]*)\)\]\n    param\(\n(?P<lines>.*?)^    \)$", re.MULTILINE | re.DOTALL
)
_LINE = re.compile(r"(?P<attributes>\[.*\]) \$(?P<name>\w+)(?: = (?P<default>.+?))?,?")


def read_functions(source: str) -> dict[str, Function | None]:
    """The functions that a script defines, by name; None for one that only others call.

    Raises:
        UnreadableError: a declaration that cannot be read.
    """
    found: dict[str, Function | None] = {}
    for match in _FUNCTION.finditer(source):
        name, head = match["name"], _HEAD.search(match["body"])
        found[name] = None
        if head is not None:
            binding = head["binding"]
            default_set = re.search(r"DefaultParameterSetName = '(\w+)'", binding)
            parameters = [_parameter(name, line.strip()) for line in head["lines"].splitlines()]
            found[name] = Function(
                name,
                {parameter.name: parameter for parameter in parameters},
                default_set[1] if default_set else "",
                "SupportsShouldProcess" in binding,
            )
    return found


def _parameter(function: str, line: str) -> Parameter:
    match = _LINE.fullmatch(line)
    if match is None:
        raise UnreadableError(f"{function}: the fake host cannot read this parameter: {line}")
    is_mandatory, in_set, kind = False, "", ""
    checks = []
    for attribute in _attributes(match["attributes"]):
        name, bracket, arguments = attribute.partition("(")
        arguments = arguments.removesuffix(")").strip()
        match name:
            case "Parameter":
                is_mandatory = "Mandatory" in arguments
                named = re.search(r"ParameterSetName = '(\w+)'", arguments)
                in_set = named[1] if named else ""
            case _ if bracket:
                checks.append((name, arguments))
            case _:
                kind = name
    return Parameter(
        match["name"],
        kind,
        is_mandatory,
        in_set,
        takes_empty=("AllowEmptyString", "") in checks,
        checks=tuple(check for check in checks if check[0] != "AllowEmptyString"),
        default=_default(function, match["default"]),
    )


def _attributes(text: str) -> Iterator[str]:
    """`[a] [b('[x]')]` as `a` and `b('[x]')`: brackets nest, and count for nothing within quotes."""
    depth, begin, is_quoted = 0, 0, False
    for at, character in enumerate(text):
        if character == "'":
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif character == "[":
            begin = begin if depth else at + 1
            depth += 1
        elif character == "]":
            depth -= 1
            if not depth:
                yield text[begin:at]


def _default(function: str, text: str | None) -> str | int | None:
    if text is None:
        return None
    if quoted := re.fullmatch(r"'([^']*)'", text):
        return quoted[1]
    if re.fullmatch(r"\d+", text):
        return int(text)
    raise UnreadableError(f"{function}: the fake host cannot read the default value {text}")
