"""A simulated VM: its boots, its disk, its hangs, and what excuses it when the supervisor gives it up."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from tzar_actors.simulation.agenda import Appointment
from tzar_actors.simulation.guest import Guest
from tzar_actors.simulation.surroundings import Surroundings
from tzar_agent.protocol.identity import Identity
from tzar_agent.protocol.messages import Result

if TYPE_CHECKING:
    from tzar_actors.simulation.laws import Laws

__all__ = ["Machine"]

_BOOT_S: Final = (5.0, 25.0)
_SLOWER: Final = (2.0, 6.0)  # a slow boot takes that many times as long
_EXCUSED_S: Final = 900.0  # the longest way from a fault to its being noticed is a game's limit and what follows it
_BLAMED: Final = 3  # faults in a row, for which the supervisor may blame the VM
_CHRONIC: Final = 0.3  # of sick VMs are not healed by a new disk


class Machine:
    """One VM.

    Args:
        surroundings: the world's shared parts.
        vm: its name.
        host: its host's name.
        laws: are told of each boot.
        pids: numbers for processes.
    """

    def __init__(self, surroundings: Surroundings, vm: str, host: str, laws: "Laws", pids: "count[int]") -> None:
        self.vm = vm
        self.host = host
        self.kept: dict[str, Result] = {}  # on its disk
        self.guest: Guest | None = None
        self.is_frozen = False
        self.is_cut = False
        self.is_sick = False
        self._is_chronic = False
        self.is_on = False
        self.booted_at = 0.0
        self.excused_until = 0.0
        self.excuse_is = ""
        self._world = surroundings
        self.laws = laws
        self._pids = pids
        self._boot: Appointment | None = None
        self._put_off: list[Callable[[], None]] = []
        self._freezes = 0
        self._faults = 0  # of the evaluator, since it last scored

    def excuse(self, reason: str, for_s: float = _EXCUSED_S) -> None:
        """Something happened to it for which the supervisor may give it up, for so long."""
        self.excused_until, self.excuse_is = max(self.excused_until, self._world.now + for_s), reason

    def keep(self, result: Result) -> None:
        """Its agent writes a result down."""
        self.kept[result.attempt] = result
        if result.status == "scored":
            self._faults = 0
        elif result.status == "fault":
            self._faults += 1
            if self._faults >= _BLAMED:
                self.excuse("one genome after the other failed there")

    def put_off(self, callback: Callable[[], None]) -> None:
        """It hangs: `callback` is called when it goes on."""
        self._put_off.append(callback)

    # --- what its driver does

    def started(self, identity: Identity) -> None:
        """It boots, and has its identity."""
        world = self._world
        self.laws.booted(self.vm, identity)
        self.is_on, self.booted_at = True, world.now
        seconds = world.rng.uniform(*_BOOT_S)
        if world.happens(world.faults.slow_boot):
            world.befall("slow boot", self.vm)
            self.excuse("a slow boot")
            seconds *= world.rng.uniform(*_SLOWER)
        if self.is_sick or world.happens(world.faults.endless_boot):
            world.befall("endless boot", self.vm)
            self.excuse("an endless boot")
            return
        self._boot = world.agenda.after(seconds, partial(self._begin, identity))

    def stopped(self) -> None:
        """It is off."""
        self.is_on = False
        self._end_guest()
        self.is_frozen = False
        self._put_off.clear()

    def made_anew(self) -> None:
        """It has a new disk."""
        self.kept.clear()
        self.is_sick = self.is_sick and self._is_chronic

    # --- what befalls it

    def agent_crash(self) -> None:
        """Its agent ends; without an identity there is no other."""
        self.excuse("its agent crashed")
        if self.guest is not None:
            self._world.befall("agent crash", self.vm)
            self._end_guest()

    def sicken(self) -> None:
        """From now on it does not boot."""
        self._world.befall("sick VM", self.vm)
        self.is_sick, self._is_chronic = True, self._world.rng.random() < _CHRONIC

    def freeze(self, seconds: float) -> None:
        """It hangs, and goes on later."""
        if self.is_frozen or not self.is_on:
            return
        self._world.befall("VM hang", self.vm, f"for {seconds:.0f} s")
        self.excuse("it hung")
        self.is_frozen = True
        self._freezes += 1
        if self.guest is not None:
            self.guest.freeze()
        self._world.agenda.after(seconds, partial(self._thaw, self._freezes))

    def cut(self, seconds: float) -> None:
        """Nothing passes between it and the supervisor for a while."""
        if self.is_cut:
            return
        self._world.befall("partition", self.vm, f"for {seconds:.0f} s")
        self.excuse("it was cut off")
        self.is_cut = True
        if self.guest is not None:
            self.guest.cut()
        self._world.agenda.after(seconds, self._mend)

    # ---

    def _begin(self, identity: Identity) -> None:
        self._boot = None
        if self.is_frozen:
            self.put_off(partial(self._begin, identity))
        else:
            self.guest = Guest(self._world, self, identity, next(self._pids))

    def _end_guest(self) -> None:
        if self._boot is not None:
            self._boot.call_off()
            self._boot = None
        if self.guest is not None:
            self.guest.end(is_seen=not self.is_frozen and self._world.rng.random() < 0.5)
            self.guest = None

    def _thaw(self, number: int) -> None:
        if not self.is_frozen or number != self._freezes:
            return
        self.is_frozen = False
        self.excuse("it hung")
        self._world.story.tell(self.vm, "goes on")
        if self.guest is not None:
            self.guest.thaw()
        waiting, self._put_off = self._put_off, []
        for callback in waiting:
            callback()

    def _mend(self) -> None:
        self.is_cut = False
        self.excuse("it was cut off")
        self._world.story.tell(self.vm, "is reached again")
        if self.guest is not None:
            self.guest.mend()
