"""What all sections of the settings have in common, and the types of their values."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "Name", "Port", "Seconds", "Section", "Text", "allowing", "beneath", "fields_in_order"]


class Section(BaseModel):
    """One table of the configuration: it never changes, and takes no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def allowing(text: str) -> dict[str, Any]:
    """Extra JSON Schema with which a field says in words what it allows, where its schema alone says it badly."""
    return {"x-allowed": text}


# Numbers are strict: a quoted number is a slip of the pen, and is not guessed at.
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1)]
Port: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=65535)]
Seconds: TypeAlias = Annotated[float, Field(strict=True, gt=0)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
# Names become names of folders and of VMs, also where upper and lower case are the same.
Name: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        json_schema_extra=allowing("lower-case letters, digits and dashes, 40 at most"),
    ),
]


def fields_in_order(model: type[BaseModel]) -> list[str]:
    """The names of a section's values: its own ones first, then those that it shares with others of its kind."""
    own = model.__annotations__
    return sorted(model.model_fields, key=lambda name: name not in own)


def beneath(folder: Path, path: Path | str) -> Path:
    """`path`, taken from `folder` if it is relative. Links are kept: a virtual environment's Python is one."""
    return folder.absolute() / path
