"""A channel: one open line to one PowerShell on a host. How it is made differs by transport; what is said does not."""

from typing import Protocol

from hyperv.lane_rules import Trouble
from hyperv.messages import Line, read_errors

__all__ = ["Channel", "ChannelError", "ended"]


class ChannelError(Exception):
    """A channel met trouble. The text holds no credentials and nothing of what was sent."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble
        self.text = text


def ended(exit_code: int | None, stderr: bytes) -> ChannelError:
    """The error that a PowerShell has ended, with what it wrote last."""
    story = read_errors(stderr)
    return ChannelError(
        Trouble.GONE, f"its PowerShell ended with exit code {exit_code}" + (f": {story}" if story else "")
    )


class Channel(Protocol):
    """Lines to and from one PowerShell. Used by one thread at a time, but for `close`, which any thread may call.

    Every method may raise `ChannelError`. After `CUT` the PowerShell may be alive: `resume` makes a new connection to
    it, and what was on its way may be lost in either direction.
    """

    @property
    def operations(self) -> int:
        """How many operations the host counts as open until this channel is closed."""
        ...

    def send(self, line: Line, timeout_s: float) -> None:
        """Sends a line; it may have arrived even when this fails."""
        ...

    def receive(self, timeout_s: float) -> Line | None:
        """The next line, or None when there was none within `timeout_s` seconds."""
        ...

    def resume(self) -> None:
        """A new connection to the same PowerShell. What was received of a line is dropped."""
        ...

    def close(self, timeout_s: float) -> None:
        """Ends the PowerShell, whatever it does, and lets go of all that the host keeps for it."""
        ...
