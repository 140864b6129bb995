"""A whole, commented configuration file and the JSON Schema beside it, both made from the models.

So the file that users begin with can neither lack a setting nor say an old default.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tzar_actors.settings.complaints import allowed
from tzar_actors.settings.evaluators import Evaluator
from tzar_actors.settings.hyperv_host import HyperVHost
from tzar_actors.settings.section import fields_in_order
from tzar_actors.settings.sections import Host
from tzar_actors.settings.settings import Settings

__all__ = ["DRIVERS", "SCHEMA_NAME", "configuration_toml", "evaluator_models", "schema_json"]

# Those with a table of their own: a fake has none.
DRIVERS = tuple(name for name in get_args(Host.model_fields["driver"].annotation) if name in Host.model_fields)
SCHEMA_NAME = "tzar.schema.json"

_TARGET = "my_game:play"
# Guests of a Hyper-V host reach no loopback address; and its firewall lets them in on ports that are known before.
_OF_FLEET: dict[str, dict[str, Any]] = {
    "hyperv": {"listen": HyperVHost.model_fields["host_address"].default, "port": 5555, "blob_port": 5556}
}
_WHERE_IT_LISTENS = {
    "hyperv": (
        "It listens on the Hyper-V host's own address on the VMs' switch (hosts.hyperv.host_address), for a supervisor"
        " that runs on that host; `tzar host init` makes the address, and lets the guests in on these two ports. For"
        ' a supervisor on another machine: listen = "0.0.0.0" here, and below in [[hosts]] advertise, in'
        " [hosts.hyperv] address and nat = true."
    )
}


def configuration_toml(driver: str = "local") -> str:
    """A configuration with one host of `driver`, every setting in it with its default and what it allows.

    The evaluator, which has no default, is the Python function `my_game:play`: the one thing to change. With a driver
    whose guests reach no loopback address, the supervisor listens where they do.
    """
    defaults = Settings()
    lines = [
        f"#:schema {SCHEMA_NAME}",
        *_comment(
            "A fleet's configuration. Every value here is the default, but for the evaluator's target"
            f"{_except(driver)}; what is left out stays at its default. A line that begins with # is a setting that is"
            " not there by default, with an example."
        ),
        "# Relative paths begin at the folder of this file. Check it with: tzar config check FILE",
    ]
    for name, field in Settings.model_fields.items():
        lines.append("")
        if name == "evaluator":
            lines += _evaluators()
        elif name == "hosts":
            host = Host.model_validate({"driver": driver})
            lines += [*_comment(f"{field.description} Each has such a section."), "[[hosts]]", *_values(Host, host)]
            lines += ["", *_comment(Host.model_fields[driver].description or ""), f"[hosts.{driver}]"]
            lines += _values(type(getattr(host, driver)), getattr(host, driver))
        else:
            section, description = getattr(defaults, name), field.description or ""
            if name == "fleet" and driver in _OF_FLEET:
                section = section.model_copy(update=_OF_FLEET[driver])
                description += f" {_WHERE_IT_LISTENS[driver]}"
            lines += [*_comment(description), f"[{name}]", *_values(type(section), section)]
    return "\n".join(lines) + "\n"


def schema_json() -> str:
    """The JSON Schema of the configuration, with which editors complete and check it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    schema["title"] = "Configuration of a tzar-actors fleet"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def evaluator_models() -> tuple[type[BaseModel], ...]:
    """The models of `[evaluator]`, one for each kind."""
    models: tuple[type[BaseModel], ...] = get_args(get_args(Evaluator)[0])
    return models


def _except(driver: str) -> str:
    *others, last = _OF_FLEET.get(driver, {}) or [""]
    return f" and for {', '.join(others)} and {last}" if last else ""


def _evaluators() -> Iterator[str]:
    yield from _comment(Settings.model_fields["evaluator"].description or "")
    first, *others = evaluator_models()
    yield "[evaluator]"
    yield from _values(first, first.model_validate({"target": _TARGET}))
    for model in others:
        yield ""
        yield from _comment(f"In its place: {(model.__doc__ or '').strip()}")
        yield "# [evaluator]"
        for name in model.__annotations__:
            value, is_default = _value(model.model_fields[name])
            yield f"# {name} = {_toml(value)}" if is_default else f"# {name} = {_toml(value)}  # for example"


def _values(model: type[BaseModel], section: BaseModel) -> Iterator[str]:
    properties = model.model_json_schema()["properties"]
    for name in fields_in_order(model):
        value, field = getattr(section, name), model.model_fields[name]
        if isinstance(value, BaseModel):
            continue  # a table of its own, which comes after the values
        yield from _comment(f"{_sentence(field)} ({allowed(properties[name])})")
        yield f"# {name} = {_toml(_example(field))}" if value is None else f"{name} = {_toml(value)}"


def _value(field: FieldInfo) -> tuple[Any, bool]:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if default is None or (field.examples and not default):
        return _example(field), False
    return default, True


def _example(field: FieldInfo) -> Any:
    return field.examples[0] if field.examples else _TARGET


def _sentence(field: FieldInfo) -> str:
    return (field.description or "").removesuffix(".")


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, 110):
        yield f"# {line}"


def _toml(value: Any) -> str:
    match value:
        case Mapping():
            inner = ", ".join(f"{_key(str(key))} = {_toml(entry)}" for key, entry in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(_toml(entry) for entry in value)}]"
        case bool() | int() | float():
            return json.dumps(value)
        case _:  # a JSON string is a TOML basic string as well
            return json.dumps(str(value), ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
