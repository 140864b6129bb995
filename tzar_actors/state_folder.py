"""What lies in a fleet's state folder and belongs to whoever holds it: its lock, its journal, the ports it listened on.

One at a time holds it: a supervisor, or a command that does by hand what a supervisor would do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from filelock import FileLock, Timeout

from tzar_actors.client.fleet import ACCESS_FILE
from tzar_actors.errors import LockedError, SupervisorError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_actors.settings import Settings

__all__ = ["JOURNAL_FILE", "held", "ports"]

JOURNAL_FILE: Final = "journal.sqlite"
_LOCK_S: Final = 0.5


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Nobody else holds the folder meanwhile.

    Raises:
        LockedError: somebody does; it says who.
    """
    # Whoever looks whether a supervisor runs holds the lock for a moment: that alone refuses nobody.
    lock = FileLock(state_dir / "lock", timeout=_LOCK_S)
    try:
        lock.acquire(poll_interval=0.02)
    except Timeout as error:
        raise LockedError(
            f"another supervisor runs on {state_dir}: {_holder(state_dir)}. Connect to it, stop it, or use another"
            " fleet.state_dir"
        ) from error
    try:
        yield
    finally:
        lock.release()


def ports(settings: Settings) -> tuple[int, int]:
    """Where the supervisor listens for control and for blobs; 0: on any that is free.

    They are those of its last start, where the settings leave the choice: agents that run dial them.
    """
    control, blob = settings.fleet.port, settings.fleet.blob_port
    try:
        kept = TrainerAccess.load(settings.state_dir / ACCESS_FILE)
    except SupervisorError:
        return control, blob
    return control or int(kept.endpoint.rpartition(":")[2]), blob or int(kept.blobs.rpartition(":")[2])


def _holder(state_dir: Path) -> str:
    try:
        pid = TrainerAccess.load(state_dir / ACCESS_FILE).pid
    except SupervisorError:
        return "one that is just starting"
    return f"process {pid}" if psutil.pid_exists(pid) else "one that is just starting, or a `tzar vm` command"
