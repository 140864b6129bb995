"""Reads the settings from a TOML file, and sees to the evaluator, which a program may give in the file's place."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tzar_actors.errors import ConfigError
from tzar_actors.settings.evaluators import Evaluator, PythonEvaluator
from tzar_actors.settings.settings import Settings

__all__ = ["load", "require_evaluator", "with_evaluator"]


def load(path: Path | str) -> Settings:
    """The settings in the TOML file at `path`; its relative paths are taken from the folder it lies in.

    A file without `[evaluator]` is loaded too, since `with_evaluator` can give one: ask `require_evaluator`.

    Raises:
        ConfigError: there is no such file, it is not TOML (with the line), or values in it are wrong (with their keys).
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors put a mark first
        mapping = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file. Write one with: tzar config init {path}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 at byte {error.start}. Save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    return Settings.from_mapping(mapping, folder=path.absolute().parent, source=str(path))


def with_evaluator(settings: Settings, evaluator: str, path: Sequence[Path | str] = (".",)) -> Settings:
    """The settings with a Python function as their evaluator. Limits that they set for evaluators stay.

    Args:
        settings: what the evaluator is put into, in place of the one they may have.
        evaluator: "module:function".
        path: folders to import it from, relative to the current one; not used when they had a Python evaluator already.
            Guests with a file system of their own look in the agent's folder too.

    Raises:
        ConfigError: `evaluator` has another form.
    """
    before = settings.evaluator
    entries = [str(entry) for entry in path]
    if settings.has_guest_paths:
        entries = list(dict.fromkeys([*entries, "."]))
    values: dict[str, Any] = {"path": entries}
    if before is not None:
        kept = set(PythonEvaluator.model_fields) if isinstance(before, PythonEvaluator) else _LIMITS
        values |= before.model_dump(mode="json", include=kept)
    values |= {"kind": "python", "target": evaluator}
    hosts = [host.model_dump() for host in settings.hosts]  # they say where its folders are
    changed = Settings.from_mapping({"evaluator": values, "hosts": hosts}, source="launch(evaluator=...)").evaluator
    return settings.model_copy(update={"evaluator": changed})


def require_evaluator(settings: Settings, source: Path | str = "the configuration") -> Evaluator:
    """The evaluator of the settings.

    Raises:
        ConfigError: they have none; the text names `source`, the file they came from, and what to write there.
    """
    if settings.evaluator is None:
        raise ConfigError(
            f"{source}: evaluator: is missing; allowed: a section [evaluator] with kind = "
            '"python", "worker", "command" or "inline", or launch(evaluator="module:function")'
        )
    return settings.evaluator


_LIMITS = {"time_limit_s", "stall_s", "max_attempts", "time_out_votes"}
