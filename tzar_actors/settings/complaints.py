"""What is wrong with a configuration, in words: the key, what is allowed there, and the nearest known name."""

import difflib
import json
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

from tzar_actors.settings.section import fields_in_order

__all__ = ["allowed", "complaints", "nearest"]

Node: TypeAlias = "type[BaseModel] | dict[str, type[BaseModel]] | None"


def nearest(name: str, known: Iterable[str], form: str = "{}") -> str:
    """ "; the nearest known is X", or nothing where none is near. `form` is how X is written."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; the nearest known is {form.format(near[0])}" if near else ""


def allowed(schema: Mapping[str, Any]) -> str:
    """In words, what the JSON Schema of one value allows."""
    if "x-allowed" in schema:
        return str(schema["x-allowed"])
    if "anyOf" in schema:
        return " or ".join(allowed(branch) for branch in schema["anyOf"] if branch.get("type") != "null")
    if "const" in schema:
        return _shown(schema["const"])
    if "enum" in schema:
        return ", ".join(_shown(value) for value in schema["enum"])
    match schema.get("type"):
        case "integer":
            return "an integer" + _range(schema)
        case "number":
            return "a number" + _range(schema)
        case "boolean":
            return "true or false"
        case "array":
            return f"a list; each {allowed(schema['items'])}"
        case "string":
            return {"path": "a path"}.get(schema.get("format", ""), "a text" if schema.get("minLength") else "text")
        case _:
            return "a table"


def complaints(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One line for each thing that is wrong in what `root` was to be made of."""
    return [_complaint(detail, root) for detail in error.errors(include_url=False)]


def _complaint(detail: Mapping[str, Any], root: type[BaseModel]) -> str:
    key, parent, name, node = _find(detail["loc"], root)
    kind = detail["type"]
    if kind == "value_error":
        return f"{key}: {detail['ctx']['error']}"
    if kind == "extra_forbidden" and parent is not None:
        known = fields_in_order(parent)
        return f"{key}: unknown key{nearest(name, known) or _elsewhere(name, root)}; allowed: {', '.join(known)}"
    if kind in ("union_tag_not_found", "union_tag_invalid") and isinstance(node, dict):
        tags = ", ".join(_shown(tag) for tag in node)
        if kind == "union_tag_not_found":
            return f"{key}.kind: is missing; allowed: {tags}"
        given = str(detail["ctx"]["tag"])
        return f"{key}.kind: {_shown(given)} is unknown{nearest(given, node)}; allowed: {tags}"
    schema = parent.model_json_schema()["properties"].get(name, {}) if parent is not None else {}
    if isinstance(detail["loc"][-1], int):
        schema = schema.get("items", schema)
    allows = allowed(schema)
    if kind == "missing":
        return f"{key}: is missing; allowed: {allows}"
    near = nearest(detail["input"], schema.get("enum", ())) if isinstance(detail["input"], str) else ""
    return f"{key}: {_shown(detail['input'])} is not allowed{near}; allowed: {allows}"


def _find(place: Iterable[int | str], root: type[BaseModel]) -> tuple[str, type[BaseModel] | None, str, Node]:
    """The dotted key of a place in pydantic's words, the model that holds it, its name there, and what it is."""
    key, name = "", ""
    parent: type[BaseModel] | None = None
    node: Node = root
    for part in place:
        if isinstance(part, int):
            key += f"[{part}]"
        elif isinstance(node, dict):
            node = node[part]  # the kind of a union's member is no key of the file
        elif part != "[key]":
            key += f".{part}" if key else part
            if node is not None:
                parent, name = node, part
                field = node.model_fields.get(part)
                node = _node(field.annotation) if field else None
    return key, parent, name, node


def _node(annotation: Any) -> Node:
    models = list(_models(annotation))
    if len(models) > 1:
        return {model.model_fields["kind"].default: model for model in models}
    return models[0] if models else None


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        if argument is not NoneType:
            yield from _models(argument)


def _elsewhere(name: str, root: type[BaseModel]) -> str:
    """Where a key belongs that was written into the wrong section."""
    for section, field in root.model_fields.items():
        for model in _models(field.annotation):
            if name in model.model_fields:
                return f"; it belongs into the section {section}"
    return ""


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f" of at least {low:g}"
    if (above := schema.get("exclusiveMinimum")) is not None:
        return f" above {above:g}"
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
