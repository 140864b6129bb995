"""How the agent is told to end."""

import signal
import sys
from types import FrameType

from tzar_agent.wakeup import Mailbox

__all__ = ["StopSignal"]


class StopSignal:
    """Whether the agent was told to end: by SIGTERM or Ctrl-C, on Windows by Ctrl-Break as well."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.is_wanted = False
        # Python runs handlers between instructions of this thread: the byte that ends its wait must come from C.
        signal.set_wakeup_fd(mailbox.writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._told)
        signal.signal(signal.SIGINT, self._told)
        if sys.platform == "win32":
            signal.signal(signal.SIGBREAK, self._told)

    def _told(self, number: int, frame: FrameType | None) -> None:
        self.is_wanted = True
