"""The fake host's state on disk, so that it outlives the process that has it, as a host outlives its supervisor."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hyperv.fake.drive import Drive
from hyperv.fake.machines import State

__all__ = ["load", "save"]

_ADAPTER: TypeAdapter[State] = TypeAdapter(State)
_UPLOADS = "\\_upload\\"


def load(file: Path) -> State:
    """The state that was saved; none was: that of a new host. Raises `OSError`, and `ValueError` when it is damaged."""
    try:
        return _ADAPTER.validate_json(file.read_bytes())
    except FileNotFoundError:
        return State()
    except ValidationError as error:
        raise ValueError(f"{file} cannot be read: {error.error_count()} errors") from error


def save(file: Path, state: State) -> None:
    """Replaces what was saved. What was uploaded and not yet removed is left out: it may be large. Raises `OSError`."""
    files = {path: one for path, one in state.drive.files.items() if _UPLOADS not in path}
    state = replace(state, drive=Drive(files, state.drive.folders))
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(_ADAPTER.dump_json(state))
    new.replace(file)
