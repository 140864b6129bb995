"""`docs/configuration.md`, made from the models: a table for each section."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tzar_actors.settings.complaints import allowed
from tzar_actors.settings.section import fields_in_order
from tzar_actors.settings.settings import Settings
from tzar_actors.settings.template import evaluator_models

__all__ = ["configuration_page"]

_HEAD = """\
# Configuration

This page is made from the settings' models. Change those, then run
`python -m tzar_actors.settings docs/configuration.md`, `tzar config init config/local.toml --force` and
`tzar config init config/hyperv.toml --driver hyperv --force`.

A fleet is configured by one TOML file, checked whole before anything starts: an unknown key, a wrong type or a missing
evaluator is an error that names the file, the key, what is allowed and the nearest known name. Everything has a default
but the evaluator. Relative paths begin at the folder of the file.

    tzar config init fleet.toml       # writes a whole, commented file, and the JSON Schema for editors beside it
    tzar config check fleet.toml      # says what it comes to, or what is wrong with it (exit code 2)
"""


def configuration_page() -> str:
    """The page, in Markdown."""
    defaults = Settings()
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        if name == "evaluator":
            parts += _evaluators(field)
        elif name == "hosts":
            host = defaults.hosts[0]
            parts.append(_section("[[hosts]]", (type(host).__doc__ or "").split("\n")[0], type(host)))
            for inner in type(host).model_fields:
                if isinstance(table := getattr(host, inner), BaseModel):
                    parts.append(_section(f"[hosts.{inner}]", type(table).__doc__ or "", type(table)))
        else:
            model = type(getattr(defaults, name))
            parts.append(_section(f"[{name}]", model.__doc__ or "", model))
    return "\n".join(parts)


def _evaluators(field: FieldInfo) -> Iterator[str]:
    first, *_ = models = evaluator_models()
    shared = [name for name in first.model_fields if name not in first.__annotations__]
    yield f"## [evaluator]\n\n{field.description} `launch(evaluator=...)` gives a Python one as well.\n"
    yield "For every kind:\n\n" + _table(first, shared)
    for model in models:
        kind = model.model_fields["kind"].default
        yield f'### kind = "{kind}"\n\n{(model.__doc__ or "").strip()}\n\n{_table(model, model.__annotations__)}'


def _section(title: str, text: str, model: type[BaseModel]) -> str:
    names = [name for name in fields_in_order(model) if not _is_table(model.model_fields[name])]
    return f"## {title}\n\n{text.strip()}\n\n{_table(model, names)}"


def _table(model: type[BaseModel], names: Iterable[str]) -> str:
    properties = model.model_json_schema()["properties"]
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for name in names:
        field = model.model_fields[name]
        cells = (f"`{name}`", allowed(properties[name]), _default(name, field), field.description or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required() or name == "kind":  # the kind is what tells the models apart
        return "*needed*"
    value: Any = field.get_default(call_default_factory=True)
    return "" if value is None else f"`{json.dumps(value)}`"


def _is_table(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
