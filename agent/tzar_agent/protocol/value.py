"""Frozen dataclasses with slots that are made quickly: every message, event and command is one.

A frozen dataclass's own `__init__` goes by `object.__setattr__` for each field, and its methods are compiled for each
class: with some hundred classes that is a good part of the time in which a process starts. Here only `__init__` is
compiled, and it calls the slots' setters.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

__all__ = ["value"]

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True)
def value(cls: type[Class]) -> type[Class]:
    """What `dataclass(frozen=True, slots=True)` makes of a class, made and called at half the cost.

    All fields take part in `__init__`, by position or by name.

    Args:
        cls: the class. It may have a `__post_init__`, and methods of its own in place of those made here.

    Raises:
        TypeError: a field is for keywords alone, or is no part of `__init__`.
    """
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    of_class = fields(made)
    made.__dataclass_params__.frozen = True  # what else asks, a frozen subclass for one, is told the truth
    made.__init__ = _init(made, of_class)
    for name, method in _methods(of_class).items():
        if name not in cls.__dict__:
            setattr(made, name, method)
    if made.__hash__ is None:  # a class with an `__eq__` of its own has lost it
        made.__hash__ = _methods(of_class)["__hash__"]
    return made  # type: ignore[no-any-return]  # it is the class, and made here


def _init(made: Any, of_class: "tuple[Field[Any], ...]") -> Callable[..., None]:
    scope: dict[str, Any] = {"MISSING": MISSING}
    arguments, body = ["self"], []
    for i, field in enumerate(of_class):
        if not field.init or field.kw_only:
            raise TypeError(f"{made.__name__}.{field.name}: a value's fields are all given by position or by name")
        scope[f"set{i}"] = getattr(made, field.name).__set__
        arguments.append(_argument(field, i, scope))
        if field.default_factory is not MISSING:
            body.append(f"if {field.name} is MISSING: {field.name} = make{i}()")
        body.append(f"set{i}(self, {field.name})")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    source = "\n ".join([f"def __init__({', '.join(arguments)}):", *(body or ["pass"])])
    exec(source, scope)  # the source comes from our own classes alone
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in of_class} | {"return": None}
    return init


def _argument(field: "Field[Any]", i: int, scope: dict[str, Any]) -> str:
    if field.default is not MISSING:
        scope[f"default{i}"] = field.default
        return f"{field.name}=default{i}"
    if field.default_factory is not MISSING:
        scope[f"make{i}"] = field.default_factory
        return f"{field.name}=MISSING"
    return field.name


def _methods(of_class: "tuple[Field[Any], ...]") -> dict[str, Callable[..., Any]]:
    """The methods of a frozen dataclass of these fields, but for `__init__`."""
    names = tuple(field.name for field in of_class)
    shown = tuple(field.name for field in of_class if field.repr)
    compared = _getter(tuple(field.name for field in of_class if field.compare))

    def represent(self: Any) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({inside})"

    def equal(self: Any, other: object) -> Any:
        return compared(self) == compared(other) if type(other) is type(self) else NotImplemented

    def hashed(self: Any) -> int:
        return hash(compared(self))

    def get_state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def set_state(self: Any, state: list[Any]) -> None:
        for name, content in zip(names, state, strict=True):
            object.__setattr__(self, name, content)

    return {
        "__repr__": represent,
        "__eq__": equal,
        "__hash__": hashed,
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
        "__getstate__": get_state,
        "__setstate__": set_state,
    }


def _getter(names: tuple[str, ...]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _refuse_to_set(self: Any, name: str, content: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
