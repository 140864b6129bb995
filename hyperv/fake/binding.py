"""Parameter binding as PowerShell does it: names, types, validation, sets, and what is mandatory.

It is stricter in one thing: PowerShell reads a number in a text and writes a number as one, and this refuses both.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hyperv.fake.declared import Function, Parameter
from hyperv.fake.records import Record, ScriptError

__all__ = ["Given", "bind"]

_NAMESPACE = "System.Management.Automation."
_HRESULT = -2146233087
_SCRIPTS: dict[str, Callable[[Any], bool]] = {"{ $_ -ge 32 -and $_ % 2 -eq 0 }": lambda n: n >= 32 and n % 2 == 0}


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of a call, with the defaults of those that were not given.

    Args:
        values: by name; None for what has neither value nor default.
        what_if: whether it is only to be shown what would be done.
    """

    values: Mapping[str, Any]
    what_if: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def bind(function: Function, arguments: Mapping[str, Any]) -> Given:
    """Binds what a request gives to what a function declares. None is not given.

    Raises:
        ScriptError: it cannot be bound, with PowerShell's own record.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    what_if = False
    if function.takes_what_if and "WhatIf" in given:
        what_if = bool(_converted(function, Parameter("WhatIf", "switch"), given.pop("WhatIf")))
    values: dict[str, Any] = {name: _unset(parameter) for name, parameter in function.parameters.items()}
    names = {name.lower(): name for name in function.parameters}
    for name, value in given.items():
        if name.lower() not in names:
            raise _refused(
                function,
                "NamedParameterNotFound",
                "InvalidArgument",
                f"A parameter cannot be found that matches parameter name '{name}'.",
            )
        parameter = function.parameters[names[name.lower()]]
        converted = _converted(function, parameter, value)
        for check, text in parameter.checks:
            _validate(function, parameter, converted, check, text)
        _require_filled(function, parameter, converted)
        values[parameter.name] = converted
    _require_mandatory(function, {names[name.lower()] for name in given})
    return Given(values, what_if)


def _unset(parameter: Parameter) -> Any:
    if parameter.default is not None:
        return parameter.default
    # What PowerShell makes of nothing in a typed variable.
    return {"string": "", "string[]": [], "int": 0, "long": 0, "double": 0.0, "switch": False}[parameter.type]


def _converted(function: Function, parameter: Parameter, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match parameter.type:
        case "string" if isinstance(value, str):
            return value
        case "string[]" if isinstance(value, str):
            return [value]
        case "string[]" if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return value
        case "switch" if isinstance(value, bool):
            return value
        case "double" if is_number:
            return float(value)
        case "int" if is_number and value == int(value) and -(2**31) <= value < 2**31:
            return int(value)
        case "long" if is_number and value == int(value) and -(2**63) <= value < 2**63:
            return int(value)
    raise _refused(
        function,
        "ParameterArgumentTransformationError",
        "InvalidData",
        f"Cannot process argument transformation on parameter '{parameter.name}'. "
        f'Cannot convert value "{value}" to type "{parameter.type}".',
        "ParameterBindingArgumentTransformationException",
    )


def _validate(function: Function, parameter: Parameter, value: Any, check: str, text: str) -> None:
    match check:
        case "ValidatePattern":
            is_good = re.search(text.strip("'"), value, re.IGNORECASE) is not None
        case "ValidateRange":
            least, most = (float(number) for number in text.split(","))
            is_good = least <= value <= most
        case "ValidateLength":
            least, most = (float(number) for number in text.split(","))
            is_good = least <= len(value) <= most
        case "ValidateCount":
            least, most = (float(number) for number in text.split(","))
            is_good = least <= len(value) <= most
        case "ValidateSet":
            is_good = str(value).lower() in [one.strip(" '").lower() for one in text.split(",")]
        case "ValidateNotNullOrEmpty":
            is_good = bool(value) and (isinstance(value, str) or all(value))
        case "ValidateScript" if text in _SCRIPTS:
            is_good = _SCRIPTS[text](value)
        case _:
            raise NotImplementedError(f"{function.name}: the fake host does not know [{check}({text})]")
    if not is_good:
        raise _refused(
            function,
            "ParameterArgumentValidationError",
            "InvalidData",
            f"Cannot validate argument on parameter '{parameter.name}'. The argument \"{value}\" is refused by "
            f"{check}({text}). Supply an argument that is not and then try the command again.",
            "ParameterBindingValidationException",
        )


def _require_filled(function: Function, parameter: Parameter, value: Any) -> None:
    """A mandatory text may not be empty, unless it is said that it may."""
    if not parameter.is_mandatory or parameter.takes_empty:
        return
    if value == "" or (isinstance(value, list) and "" in value):
        kind, what = "EmptyString", "string"
    elif value == []:
        kind, what = "EmptyArray", "array"
    else:
        return
    raise _refused(
        function,
        f"ParameterArgumentValidationError{kind}NotAllowed",
        "InvalidData",
        f"Cannot bind argument to parameter '{parameter.name}' because it is an empty {what}.",
        "ParameterBindingValidationException",
    )


def _require_mandatory(function: Function, given: set[str]) -> None:
    sets = {function.parameters[name].in_set for name in given} - {""}
    if len(sets) > 1:
        raise _refused(
            function,
            "AmbiguousParameterSet",
            "InvalidArgument",
            "Parameter set cannot be resolved using the specified named parameters. One or more parameters issued "
            "cannot be used together or an insufficient number of parameters were provided.",
        )
    chosen = sets or {function.default_set}
    missing = [
        parameter.name
        for parameter in function.parameters.values()
        if parameter.is_mandatory and parameter.name not in given and parameter.in_set in chosen | {""}
    ]
    if missing:
        raise _refused(
            function,
            "MissingMandatoryParameter",
            "InvalidArgument",
            f"Cannot process command because of one or more missing mandatory parameters: {' '.join(missing)}.",
        )


def _refused(
    function: Function, error_id: str, category: str, message: str, exception: str = "ParameterBindingException"
) -> ScriptError:
    return ScriptError(
        Record(
            message,
            id=f"{error_id},{function.name}",
            category=category,
            exception=_NAMESPACE + exception,
            hresult=_HRESULT,
            cmdlet=function.name,
        )
    )
