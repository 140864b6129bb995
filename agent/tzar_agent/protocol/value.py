"""Frozen dataclasses with slots that are made quickly: every message, event and command is one."""

from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

__all__ = ["value"]

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True)
def value(cls: type[Class]) -> type[Class]:
    """`dataclass(frozen=True, slots=True)`, with an `__init__` of half its cost.

    A frozen class's own `__init__` goes by `object.__setattr__` for each field; this one calls the slots' setters.
    All fields take part in it, by position or by name.

    Args:
        cls: the class. It may have a `__post_init__`.

    Raises:
        TypeError: a field is for keywords alone, or is no part of `__init__`.
    """
    made = dataclass(frozen=True, slots=True)(cls)
    scope: dict[str, Any] = {"MISSING": MISSING}
    arguments, body = ["self"], []
    for i, field in enumerate(fields(made)):  # type: ignore[arg-type]  # `dataclass` is not seen through here
        if not field.init or field.kw_only:
            raise TypeError(f"{cls.__name__}.{field.name}: a value's fields are all given by position or by name")
        scope[f"set{i}"] = getattr(made, field.name).__set__
        arguments.append(_argument(field, i, scope))
        if field.default_factory is not MISSING:
            body.append(f"if {field.name} is MISSING: {field.name} = make{i}()")
        body.append(f"set{i}(self, {field.name})")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    source = "\n ".join([f"def __init__({', '.join(arguments)}):", *(body or ["pass"])])
    exec(source, scope)  # the source comes from our own classes alone
    init = scope["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = made.__init__.__annotations__
    made.__init__ = init  # type: ignore[method-assign]  # that is what this function is for
    return made


def _argument(field: "Field[Any]", i: int, scope: dict[str, Any]) -> str:
    if field.default is not MISSING:
        scope[f"default{i}"] = field.default
        return f"{field.name}=default{i}"
    if field.default_factory is not MISSING:
        scope[f"make{i}"] = field.default_factory
        return f"{field.name}=MISSING"
    return field.name
