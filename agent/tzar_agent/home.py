"""The agent's own folder: where its identity comes in, and where it keeps what must outlive it."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from tzar_agent.machine import virtual_machine_id
from tzar_agent.protocol.identity import Identity, IdentityError

__all__ = ["Home"]

_SETTLED_S = 1.0
_NAMED_S = 10.0  # a VM that was cloned bears the name of its template until its host has told it its own


class Home:
    """The folder given by `--home`; it is made when missing.

    Args:
        folder: `identity.json` comes in here; `agent.log`, `outbox`, `cache/` and `work/` lie here.
        machine_id: asks which virtual machine this is; None: that is not known.
    """

    def __init__(self, folder: Path, machine_id: Callable[[], str | None] = virtual_machine_id) -> None:
        self.folder = folder.absolute()
        self.identity = self.folder / "identity.json"
        self.log = self.folder / "agent.log"
        self.outbox = self.folder / "outbox"
        self.cache = self.folder / "cache"
        self.work = self.folder / "work"
        self._machine_id = machine_id
        self._doubted: tuple[str, float] | None = None  # an identity of another machine, and since when it lies there
        self.folder.mkdir(parents=True, exist_ok=True)

    def has_identity(self) -> bool:
        """Whether an identity has come in."""
        return self.identity.exists()

    def take_identity(self) -> Identity | None:
        """Reads the identity that has come in, and removes it; None: there is none, or it is not whole yet.

        One that is none, and has not changed for a second, is removed as well, and the log says what is wrong. So is
        one that names another machine than this, ten seconds after it was first seen.
        """
        try:
            text = self.identity.read_text(encoding="utf-8")
            changed_at = self.identity.stat().st_mtime
        except (OSError, UnicodeDecodeError):
            return None  # none yet; or whoever writes it is at it (Windows: has it open)
        identity = None
        try:
            identity = Identity.from_json(text)
        except IdentityError as error:
            if abs(time.time() - changed_at) < _SETTLED_S:
                return None
            logger.error("{}: {}. It is removed; deliver another", self.identity, error)
        if identity is not None and identity.machine_id is not None and not self._is_this(identity.machine_id):
            if not self._is_doubted_for_long(text):
                return None
            logger.error(
                "{}: it is for machine {}, and this is {}. It is removed; deliver one that is for this machine",
                self.identity,
                identity.machine_id,
                self._machine_id() or "not known",
            )
            identity = None
        self._doubted = None
        self.identity.unlink(missing_ok=True)
        return identity

    def _is_this(self, machine_id: str) -> bool:
        return machine_id.casefold() == (self._machine_id() or "").casefold()

    def _is_doubted_for_long(self, text: str) -> bool:
        now = time.monotonic()  # not the file's time: the clock is set while the VM boots
        if self._doubted is None or self._doubted[0] != text:
            self._doubted = text, now
        return now - self._doubted[1] >= _NAMED_S

    def clear_work(self) -> None:
        """Removes what evaluator processes of before left in their folders."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)
