"""What is to be done about a VM: a total table over what is desired, what was observed, where its agent stands."""

from enum import StrEnum
from typing import Final

__all__ = ["NEXT", "Action", "AgentPhase", "Desired", "Observed"]


class Desired(StrEnum):
    """The power state that we want of a VM."""

    RUNNING = "running"
    OFF = "off"
    GONE = "gone"


class Observed(StrEnum):
    """What the driver last said of the VM. `stale`: it runs, but as another incarnation, or another
    machine, than the journal's last."""

    ABSENT = "absent"
    OFF = "off"
    CHANGING = "changing"
    RUNNING = "running"
    STALE = "stale"
    UNKNOWN = "unknown"


class AgentPhase(StrEnum):
    """Where the agent of the current incarnation stands."""

    UNSEEN = "unseen"  # this supervisor has just begun: the VM may run from before
    NONE = "none"  # there is none, and none is wanted of what runs now
    BOOTING = "booting"  # its identity is delivered, its hello is awaited
    READY = "ready"  # it said hello, and has not been given up
    LEAVING = "leaving"  # its VM was told to go off: whatever the agent does now is no failure
    FAILED = "failed"  # the VM failed: nothing is done until its supervisor has said how it comes back


class Action(StrEnum):
    """The next thing to do."""

    NOTHING = "nothing"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    KILL = "kill"
    REMOVE = "remove"
    ADOPT = "adopt"  # it runs from before: its agent's hello is awaited
    FORGET = "forget"  # it went off as was wanted: there is no agent any more
    FAIL = "fail"  # it ended by itself: its supervisor is asked


_N, _CREATE, _START, _STOP, _KILL = Action.NOTHING, Action.CREATE, Action.START, Action.STOP, Action.KILL
_REMOVE, _ADOPT, _FORGET, _FAIL = Action.REMOVE, Action.ADOPT, Action.FORGET, Action.FAIL

# Unknown changes nothing, whatever is desired; neither does a VM that is on its way.
_ROWS: Final[dict[Desired, dict[Observed, tuple[Action, Action, Action, Action, Action, Action]]]] = {
    #                       unseen    none      booting   ready     leaving   failed
    Desired.RUNNING: {
        Observed.ABSENT:   (_CREATE,  _CREATE,  _FAIL,    _FAIL,    _CREATE,  _N),
        Observed.OFF:      (_START,   _START,   _FAIL,    _FAIL,    _START,   _N),
        Observed.CHANGING: (_N,       _N,       _N,       _N,       _N,       _N),
        Observed.RUNNING:  (_ADOPT,   _KILL,    _N,       _N,       _KILL,    _N),
        Observed.STALE:    (_KILL,    _KILL,    _FAIL,    _FAIL,    _KILL,    _N),
        Observed.UNKNOWN:  (_N,       _N,       _N,       _N,       _N,       _N),
    },
    Desired.OFF: {
        Observed.ABSENT:   (_N,       _N,       _FORGET,  _FORGET,  _FORGET,  _N),
        Observed.OFF:      (_N,       _N,       _FORGET,  _FORGET,  _FORGET,  _N),
        Observed.CHANGING: (_N,       _N,       _N,       _N,       _N,       _N),
        Observed.RUNNING:  (_STOP,    _KILL,    _STOP,    _STOP,    _STOP,    _KILL),
        Observed.STALE:    (_STOP,    _KILL,    _STOP,    _STOP,    _STOP,    _KILL),
        Observed.UNKNOWN:  (_N,       _N,       _N,       _N,       _N,       _N),
    },
    Desired.GONE: {
        Observed.ABSENT:   (_N,       _N,       _FORGET,  _FORGET,  _FORGET,  _N),
        Observed.OFF:      (_REMOVE,  _REMOVE,  _FORGET,  _FORGET,  _FORGET,  _REMOVE),
        Observed.CHANGING: (_N,       _N,       _N,       _N,       _N,       _N),
        Observed.RUNNING:  (_KILL,    _KILL,    _KILL,    _KILL,    _KILL,    _KILL),
        Observed.STALE:    (_KILL,    _KILL,    _KILL,    _KILL,    _KILL,    _KILL),
        Observed.UNKNOWN:  (_N,       _N,       _N,       _N,       _N,       _N),
    },
}  # fmt: skip

NEXT: Final[dict[tuple[Desired, Observed, AgentPhase], Action]] = {
    (desired, observed, phase): action
    for desired, rows in _ROWS.items()
    for observed, row in rows.items()
    for phase, action in zip(AgentPhase, row, strict=True)
}
