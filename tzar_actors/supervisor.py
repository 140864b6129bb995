"""The process that `launch` starts: `python -m tzar_actors.supervisor SETTINGS.json`.

It says on its standard output, in one JSON line, that it is ready or why it is not, and then nothing more.
"""

import json
import os
import sys
from pathlib import Path

from tzar_actors.app import supervise
from tzar_actors.errors import LockedError, TzarError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_actors.settings import Settings

__all__ = ["EXIT_FAILED", "EXIT_LOCKED", "main"]

EXIT_FAILED = 70
EXIT_LOCKED = 73


def main(settings_file: str) -> int:
    """Runs a supervisor with the settings in `settings_file`. Returns the process's exit code."""
    try:
        settings = Settings.model_validate_json(Path(settings_file).read_text(encoding="utf-8"))
        supervise(settings, console=False, on_ready=_say_ready)
    except TzarError as error:
        _say({"error": str(error)})
        print(error, file=sys.stderr)  # noqa: T201 - its standard error is a file that people read
        return EXIT_LOCKED if isinstance(error, LockedError) else EXIT_FAILED
    return 0


def _say_ready(access: TrainerAccess) -> None:
    _say({"ready": access.pid})


def _say(message: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
        # Who reads it may go away; nothing more is said, so nothing can fail for that.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except OSError:
        return  # nobody listens any more: the supervisor runs on, and others find it by its access file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
