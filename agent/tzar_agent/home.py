"""The agent's own folder: where its identity comes in, and where it keeps what must outlive it."""

import shutil
import time
from pathlib import Path

from loguru import logger

from tzar_agent.protocol.identity import Identity, IdentityError

__all__ = ["Home"]

_SETTLED_S = 1.0


class Home:
    """The folder given by `--home`; it is made when missing.

    Args:
        folder: `identity.json` comes in here; `agent.log`, `outbox`, `cache/` and `work/` lie here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.identity = self.folder / "identity.json"
        self.log = self.folder / "agent.log"
        self.outbox = self.folder / "outbox"
        self.cache = self.folder / "cache"
        self.work = self.folder / "work"
        self.folder.mkdir(parents=True, exist_ok=True)

    def has_identity(self) -> bool:
        """Whether an identity has come in."""
        return self.identity.exists()

    def take_identity(self) -> Identity | None:
        """Reads the identity that has come in, and removes it; None: there is none, or it is not whole yet.

        One that is none, and has not changed for a second, is removed as well, and the log says what is wrong.
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
        self.identity.unlink(missing_ok=True)
        return identity

    def clear_work(self) -> None:
        """Removes what evaluator processes of before left in their folders."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)
