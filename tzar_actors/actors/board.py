"""What is known of the fleet right now, for those who ask: the actors write their part, the dispatcher answers."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Board", "VmRow"]


@dataclass(slots=True)
class VmRow:
    """One VM, as `status` shows it."""

    vm: str
    host: str
    state: str = "unknown"  # off, booting, idle, playing, away, failed, quarantined
    incarnation: int = 0
    pid: int | None = None  # of its agent
    attempt: str | None = None
    evaluation: str | None = None
    game: int | None = None
    games_played: int = 0
    failures: int = 0
    detail: str = ""
    is_held: bool = False  # a person stopped it


@dataclass(slots=True)
class Board:
    """The whole fleet, as `status` shows it."""

    fleet: str
    epoch: int
    pid: int
    vms: dict[str, VmRow] = field(default_factory=dict)
    trainers: int = 0
    evaluations_open: int = 0
    games_queued: int = 0
    games_running: int = 0
    attempts_lost: int = 0
    results_dropped: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    is_draining: bool = False
    hosts: dict[str, str] = field(default_factory=dict)  # what is wrong with each; "": nothing
    alarm: str = ""  # why nothing is played, though games wait

    def snapshot(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {**asdict(self), "vms": [asdict(row) for row in self.vms.values()]}
