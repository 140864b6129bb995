"""How long the things that a VM does may take."""

from dataclasses import dataclass

__all__ = ["VmLimits"]


@dataclass(frozen=True, slots=True)
class VmLimits:
    """How long things may take, in seconds.

    Args:
        boot_timeout_s: from the delivered identity to the hello.
        silence_s: without a word until the game is given to another VM.
        reconnect_grace_s: from the silence or the broken connection until the VM counts as failed.
        settle_s: of work after which earlier failures are forgotten.
    """

    boot_timeout_s: float
    silence_s: float
    reconnect_grace_s: float
    settle_s: float
