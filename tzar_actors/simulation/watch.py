"""The laws of time: looked at every few seconds of the world. Nobody waits for ever, and no VM is forgotten."""

from collections.abc import Callable, Mapping
from typing import Final, get_args

from tzar_actors.core.call_limits import CallLimits, LaneVerb
from tzar_actors.core.lanes import CALLS_CAP, CALLS_WINDOW_S, STATUS_CAP, STATUS_WINDOW_S
from tzar_actors.simulation.guest import Guest
from tzar_actors.simulation.host import SimulatedHost
from tzar_actors.simulation.laws import Laws
from tzar_actors.simulation.machine import Machine
from tzar_actors.simulation.surroundings import Surroundings

__all__ = ["Care", "Limits", "Watch"]

LOOK_EACH_S: Final = 10.0
_KNOWN_S: Final = 1.0  # after an agent came it is long known what it plays


class Limits:
    """How long things may last, in seconds, and how often a VM may fail; made from what the supervisor was told.

    Args:
        boot_timeout_s: from an identity to a hello.
        grace_s: from a broken connection to a failed VM.
        call_limits: of driver calls.
        longest_delay_s: before a restart.
        time_limit_s: of a game.
        restarts: failures within `window_s` that are answered by a restart on one rung.
        window_s: that a failure counts.
        rungs: of the ladder.
        lanes: of a host, with the one for its status.
    """

    def __init__(
        self,
        boot_timeout_s: float,
        grace_s: float,
        call_limits: CallLimits,
        longest_delay_s: float,
        time_limit_s: float,
        restarts: int,
        window_s: float,
        rungs: int,
        lanes: int,
    ) -> None:
        self.boot_timeout_s = boot_timeout_s
        self.grace_s = grace_s
        self.idle_s = 45.0
        self.idle_after_loss_s = time_limit_s + 90.0  # nobody knows that an order was lost until its game must be over
        self.status_s = call_limits.limit_s("status")
        self.forgotten_s = boot_timeout_s + grace_s + 2 * longest_delay_s + 90.0 + self.status_s
        self.call_s = max(call_limits.limit_s(verb) for verb in get_args(LaneVerb)) + 10.0
        self.open_s = 3 * 3600.0
        self.rungs = rungs
        self.lanes = lanes
        self.restarts = restarts
        self.window_s = window_s


class Care:
    """Which VMs a life of the supervisor has driver calls for.

    Args:
        clock: gives seconds since the world began.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.under_way: dict[str, float] = {}  # since when
        self.ended: dict[str, float] = {}  # when
        self._calls: dict[str, object] = {}
        self._clock = clock

    def begins(self, vm: str, call: object) -> None:
        """`call` for `vm` is being done."""
        self.under_way[vm], self._calls[vm] = self._clock(), call

    def ends(self, vm: str, call: object) -> None:
        """It was answered."""
        if self._calls.get(vm) is call:
            self.given_up(vm)

    def given_up(self, vm: str) -> None:
        """Nobody waits for the answer any more."""
        self._calls.pop(vm, None)
        self.under_way.pop(vm, None)
        self.ended[vm] = self._clock()


class Watch:
    """Looks at one world.

    Args:
        surroundings: the world's shared parts.
        laws: of what was said and kept.
        limits: how long things may last.
        hosts: all of them.
        machines: all VMs of the fleet.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        laws: Laws,
        limits: Limits,
        hosts: Mapping[str, SimulatedHost],
        machines: Mapping[str, Machine],
    ) -> None:
        self.limits = limits
        self.care = Care(surroundings.agenda.clock)
        self._world = surroundings
        self._laws = laws
        self._hosts = hosts
        self._machines = machines
        self._idle_since: dict[str, float] = {}
        self._alone_since: dict[str, float] = {}
        self._down: set[str] = set()  # hosts whose breaker is open
        self._down_at: dict[str, float] = {}  # when it was opened last
        self._ready_at: dict[str, float] = {}
        self._ready: dict[str, tuple[int, float]] = {}
        self._looked_at: dict[str, tuple[float, int]] = {}  # by VM: when it was ready, and what it had been given
        self._ladder: dict[str, tuple[int, tuple[float, ...]]] = {}  # by VM: the rung, and failures on it that count

    def supervisor_began(self) -> Care:
        """A new life: it knows of no failure before, and every VM waits for it anew. Returns its care."""
        self.care = Care(self._world.agenda.clock)
        self._ladder.clear()
        self._ready_at.clear()
        self._ready.clear()
        self._looked_at.clear()
        self._idle_since.clear()
        self._alone_since.clear()
        self._down.clear()
        self._down_at.clear()
        return self.care

    def look(self) -> None:
        """Checks the laws of time."""
        if self._world.gateway is None:
            return
        now = self._world.now
        has_fresh = bool(self._laws.fresh)
        reached = {name for name, host in self._hosts.items() if not self._is_out_of_reach(host, now)}
        for vm, machine in self._machines.items():
            if not self._does_well(vm, machine):
                self._look_at(vm, machine, now, has_fresh, is_reached=machine.host in reached)
        self._look_at_the_oldest(now)
        for host in self._hosts.values():
            self._look_at_lanes(host, now)
            for vm, found in host.driver.vms.items():
                if found.is_ours and vm not in self._machines:
                    self._laws.broken("no VM is leaked", f"{vm} on {host.name} belongs to nobody")

    def ready(self, vm: str, incarnation: int) -> None:
        """The supervisor says that this VM's agent is there."""
        self._ready_at.setdefault(vm, self._world.now)
        self._ready[vm] = (incarnation, self._world.now)

    def host_down(self, host: str) -> None:
        """The supervisor says that this host has a fault."""
        self._down.add(host)
        self._down_at[host] = self._world.now

    def host_up(self, host: str) -> None:
        """The supervisor says that it works again."""
        self._down.discard(host)

    def quarantined(self, vm: str) -> None:
        """The supervisor says that nothing helps this VM. Should it try again, it may do so from the beginning."""
        self._ladder.pop(vm, None)

    def gave_up(self, vm: str, cause: str) -> None:
        """The supervisor says that this VM failed."""
        now, machine = self._world.now, self._machines[vm]
        guest = machine.guest
        if machine.excused_until <= now and guest is not None and guest.is_sound:
            self._laws.broken("a healthy VM is not given up", f"{vm}: {cause}")
        self._came_too_early(machine, cause, now)
        ready_at = self._ready_at.pop(vm, now)
        host = machine.host
        since_fault_s = now - max(self._hosts[host].failed_at, self._down_at.get(host, float("-inf")))
        if since_fault_s < self.limits.window_s or host in self._down:
            return
        rung, recent = self._ladder.get(vm, (0, ()))
        if now - ready_at >= self.limits.window_s:
            rung, recent = 0, ()
        recent = (*(at for at in recent if now - at < self.limits.window_s), now)
        if len(recent) > self.limits.restarts:
            rung, recent = rung + 1, ()
        self._ladder[vm] = (rung, recent)
        if rung > self.limits.rungs:
            self._laws.broken("restart intensity is kept", f"{vm} failed too often on each rung, and again: {cause}")

    def _came_too_early(self, machine: Machine, cause: str, now: float) -> None:
        if cause == "its agent did not say hello" and now - machine.booted_at < self.limits.boot_timeout_s - 1e-6:
            self._laws.broken("a boot has its time", f"{machine.vm} was given up {now - machine.booted_at:.3f} s after")

    def _does_well(self, vm: str, machine: Machine) -> bool:
        """It plays, is heard, and has nothing that was not looked at: most VMs at most times."""
        guest = machine.guest
        if guest is None or not guest.is_playing or not guest.is_sound or guest.row.waits:
            return False
        if vm in self._idle_since or vm in self._alone_since or self._laws.by_hand.answers or vm not in self._ready:
            return False
        return self._looked_at.get(vm) == (self._ready[vm][1], self._laws.given_to(vm))

    def _look_at(self, vm: str, machine: Machine, now: float, has_fresh: bool, *, is_reached: bool) -> None:
        guest, limits = machine.guest, self.limits
        is_sound = guest is not None and guest.is_sound
        if guest is not None and is_sound and guest.is_idle and has_fresh and is_reached and self._is_free(machine):
            idle_s = now - max(self._idle_since.setdefault(vm, now), guest.row.turn_at)
            limit_s = limits.idle_s if machine.excused_until <= now else limits.idle_after_loss_s
            if idle_s > limit_s:
                self._laws.broken("no healthy VM waits while games do", f"{vm} has been idle for {idle_s:.0f} s")
        elif self._idle_since:
            self._idle_since.pop(vm, None)
        if not is_sound and not self._laws.by_hand.is_held(vm):
            self._look_for_care(vm, now, is_reached=is_reached)
        elif self._alone_since:
            self._alone_since.pop(vm, None)
        if self._laws.by_hand.answers:
            self._look_for_what_was_asked(vm, machine, now, is_reached=is_reached)
        if guest is not None and guest.row.waits and is_sound and guest.is_clean and machine.excused_until <= now:
            guest.row.check()
        incarnation, ready_at = self._ready.get(vm, (0, now))
        if now - ready_at < _KNOWN_S or self._looked_at.get(vm) == (ready_at, self._laws.given_to(vm)):
            return  # it came just now; or nothing has been given to it that was not looked at
        self._laws.ready(vm, incarnation)
        if guest is not None and is_sound and guest.is_clean and guest.incarnation == incarnation:
            self._look_for_what_is_missing(machine, guest, ready_at)
            self._looked_at[vm] = (ready_at, self._laws.given_to(vm))

    def _is_free(self, machine: Machine) -> bool:
        """The supervisor has no reason to let it wait."""
        vm = machine.vm
        is_cared_for = vm in self.care.under_way or vm in self._laws.ahead.given_up or self._laws.by_hand.is_held(vm)
        return not machine.is_frozen and not is_cared_for

    def _look_for_what_is_missing(self, machine: Machine, guest: Guest, ready_at: float) -> None:
        waited_for = [name for name in self._laws.unanswered(machine.vm, ready_at) if name not in machine.kept]
        if missing := guest.row.lacks(waited_for):
            self._laws.broken(
                "what no agent has is given again", f"{', '.join(missing)} of {machine.vm}: the supervisor waits for it"
            )

    def _look_for_what_was_asked(self, vm: str, machine: Machine, now: float, *, is_reached: bool) -> None:
        began = self.care.under_way.get(vm)
        is_left_alone = is_reached and (began is None or now - began > self.limits.call_s)
        self._laws.by_hand.look(
            vm, machine, self._hosts[machine.host], is_left_alone=is_left_alone, limit_s=self.limits.forgotten_s
        )

    def _look_for_care(self, vm: str, now: float, *, is_reached: bool) -> None:
        care, limits = self.care, self.limits
        began = care.under_way.get(vm)
        if (began is not None and now - began < limits.call_s) or vm in self._laws.quarantined or not is_reached:
            self._alone_since.pop(vm, None)
            return
        since = self._alone_since.setdefault(vm, now)
        alone_s = now - max(since, care.ended.get(vm, since))
        if alone_s > limits.forgotten_s:
            self._laws.broken("no VM is forgotten", f"nobody has cared for {vm} for {alone_s:.0f} s")

    def _look_at_lanes(self, host: SimulatedHost, now: float) -> None:
        idle = sum(since is None for since in host.lanes.values())
        if idle > self.limits.lanes:
            self._laws.broken("no lane is leaked", f"{idle} lanes of {host.name} have nothing to do")

    def _is_out_of_reach(self, host: SimulatedHost, now: float) -> bool:
        """Nobody can care for its VMs: it cannot be asked, all its lanes are in calls, or its trials hang."""
        limits = self.limits
        if (
            host.driver.unreachable
            or sum(now - at < STATUS_WINDOW_S + limits.status_s for at in host.blinded_at) > STATUS_CAP
        ):
            return True
        if host.name in self._down and now - host.hung_at < 2 * limits.call_s:
            return True
        in_calls = [now - since for since in host.lanes.values() if since is not None]
        busy = sum(seconds < limits.call_s for seconds in in_calls)
        stuck = sum(limits.call_s <= seconds < CALLS_WINDOW_S + limits.call_s for seconds in in_calls)
        return busy >= limits.lanes - 1 - max(0, stuck - CALLS_CAP)

    def _look_at_the_oldest(self, now: float) -> None:
        oldest = next(iter(self._laws.open.values()), None)
        if oldest is None or oldest.accepted_at is None:
            return
        if now - oldest.accepted_at > self.limits.open_s and self._laws.players:
            key, age_s = oldest.evaluation.key, now - oldest.accepted_at
            self._laws.broken("no genome is lost", f"{key} has no outcome {age_s:.0f} s after it was accepted")
