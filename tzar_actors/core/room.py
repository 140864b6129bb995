"""When there is too little room for new work. What was accepted goes on in any case: it needs little more."""

from dataclasses import dataclass, replace

__all__ = ["Room"]

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Room:
    """What is known of the room on the disk of the state folder.

    Args:
        low_bytes: with less free than this, nothing new is taken; it is again when there is a quarter more.
        spool_limit_bytes: how much the spool may hold; when it holds more, no further large genome is taken until a
            twentieth of it is free.
        is_low: the disk is short of room.
        spool_is_full: the spool holds as much as it may.
    """

    low_bytes: int
    spool_limit_bytes: int
    is_low: bool = False
    spool_is_full: bool = False

    def disk_seen(self, free_bytes: int) -> "Room":
        """So much is free on the disk."""
        enough = self.low_bytes + self.low_bytes // 4 if self.is_low else self.low_bytes
        return replace(self, is_low=free_bytes < enough)

    def spool_seen(self, held_bytes: int) -> "Room":
        """So much lies in the spool, after what nobody needs was removed."""
        most = self.spool_limit_bytes - self.spool_limit_bytes // 20 if self.spool_is_full else self.spool_limit_bytes
        return replace(self, spool_is_full=held_bytes > most)

    def ran_out(self) -> "Room":
        """A write found the disk full, whatever was seen before."""
        return replace(self, is_low=True)

    def shortage(self, *, needs_spool: bool) -> tuple[str, str] | None:
        """Why a new evaluation may not come in, as a code and a reason; None: it may.

        Args:
            needs_spool: its genome lies in the spool.
        """
        if self.is_low:
            return (
                "disk_full",
                f"the disk of the state folder has less than {self.low_bytes // _MIB} MiB free (limits.disk_low_mib)."
                " What was accepted is played on; make room there, and submit it again",
            )
        if needs_spool and self.spool_is_full:
            return (
                "spool_full",
                f"the spool holds {self.spool_limit_bytes // _MIB} MiB of genomes that open evaluations need or that"
                " just came (limits.spool_gib); submit it again when some of them have ended",
            )
        return None
