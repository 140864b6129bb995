"""What lies between agents and the supervisor: delay, loss, doubling, disorder, and cuts.

A connection keeps order unless a fault is drawn. While it is cut, what is said waits at its ends, as TCP keeps it.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from tzar_actors.simulation.agenda import Agenda
from tzar_actors.simulation.faults import Faults
from tzar_actors.simulation.story import Story
from tzar_agent.protocol.messages import Control

if TYPE_CHECKING:
    from tzar_actors.simulation.gateway import SimulatedGateway
    from tzar_actors.simulation.guest import Guest

__all__ = ["Connection", "Network"]

_FASTEST_S: Final = 0.0005
_USUAL_S: Final = 0.004
_ASTRAY_S: Final = 1500.0  # a lost order may have waited behind a game, so that two limits pass until it is missed
_LATE_S: Final = 20.0


class Network:
    """How messages travel in one world.

    Args:
        agenda: when they arrive.
        rng: decides their fate.
        faults: how often that is a bad one; may be replaced while the world runs.
        story: what befell them.
    """

    def __init__(self, agenda: Agenda, rng: Random, faults: Faults, story: Story) -> None:
        self.agenda = agenda
        self.rng = rng
        self.faults = faults
        self.story = story
        self.counts: Counter[str] = Counter()

    def delay_s(self) -> float:
        """How long a message is on its way."""
        return _FASTEST_S + self.rng.random() * _USUAL_S

    def fates(self) -> tuple[int, float, bool]:
        """Of one message: how often it arrives, seconds beyond the usual, whether it keeps its place."""
        faults, draw = self.faults, self.rng.random()
        if draw >= faults.message_lost + faults.message_late + faults.message_doubled + faults.message_reordered:
            return 1, 0.0, True
        if (draw := draw - faults.message_lost) < 0:
            self.counts["message lost"] += 1
            return 0, 0.0, True
        if (draw := draw - faults.message_late) < 0:
            self.counts["message late"] += 1
            return 1, self.rng.random() * _LATE_S, True
        if draw - faults.message_doubled < 0:
            self.counts["message doubled"] += 1
            return 2, 0.0, True
        self.counts["message reordered"] += 1
        return 1, self.rng.random() * 1.0, False


class Connection:
    """One connection of a guest to one life of the supervisor.

    Args:
        network: how messages travel.
        guest: this end.
        gateway: the other end.
        public_key: whose it is.
    """

    def __init__(self, network: Network, guest: "Guest", gateway: "SimulatedGateway", public_key: str) -> None:
        self.vm = guest.vm
        self.public_key = public_key
        self.is_known = False  # the gateway listens to it
        self.silent_since: float | None = None
        self.is_clean = True  # what was said on it has arrived, or will, once and in order
        self.is_lossy = False  # something that was said on it went astray
        self._network = network
        self._guest = guest
        self._gateway = gateway
        self._is_cut = False
        self._waiting: list[tuple[Callable[[Control], None], Control]] = []
        self._due = {True: 0.0, False: 0.0}

    def up(self, message: Control) -> None:
        """The agent says this."""
        self._carry(self._arrive_up, message, is_up=True)

    def down(self, message: Control) -> None:
        """The supervisor says this."""
        self._carry(self._arrive_down, message, is_up=False)

    def break_(self) -> None:
        """The agent's end is gone, and the supervisor sees it once all that was said has arrived, unless it is cut."""
        self.silent()
        if not self._is_cut:
            due = max(self._network.agenda.clock.now, self._due[True]) + self._network.delay_s()
            self._network.agenda.at(due, partial(self._gateway.ended, self))

    def silent(self) -> None:
        """The supervisor hears nothing here from now on."""
        self.is_clean = False
        if self.silent_since is None:
            self.silent_since = self._network.agenda.clock.now
            self._gateway.fell_silent(self)

    def loud(self) -> None:
        """The agent is heard again."""
        if not self._is_cut:
            self.silent_since = None

    def cut(self) -> None:
        """Nothing passes any more."""
        self._is_cut = True
        self.silent()

    def mend(self) -> None:
        """All passes again, and what waited comes now."""
        self._is_cut = False
        self.silent_since = None
        waiting, self._waiting = self._waiting, []
        for arrive, message in waiting:
            due = self._network.agenda.clock.now + self._network.delay_s()
            self._schedule(arrive, message, due, is_up=arrive == self._arrive_up)

    def came(self) -> None:
        """The gateway has taken the hello."""
        self.is_known = True

    def dropped(self) -> None:
        """The gateway listens to it no longer; the agent will miss its heartbeats."""
        self.is_known = False
        self._guest.link_changed()

    def _carry(self, arrive: Callable[[Control], None], message: Control, *, is_up: bool) -> None:
        network = self._network
        if self._is_cut:
            self._waiting.append((arrive, message))
            return
        times, extra_s, keeps_order = network.fates()
        if times != 1 or extra_s:
            self.is_clean, self.is_lossy = False, True
            network.story.tell(self.vm, f"message arrives {times} times, {extra_s:.3f} s late", message)
            self._guest.machine.excuse("a message went astray", _ASTRAY_S)
        due = network.agenda.clock.now + network.delay_s() + extra_s
        for _ in range(times):
            if keeps_order:
                self._schedule(arrive, message, due, is_up=is_up)
            else:
                network.agenda.at(due, partial(arrive, message))

    def _schedule(self, arrive: Callable[[Control], None], message: Control, due: float, *, is_up: bool) -> None:
        self._due[is_up] = due = max(due, self._due[is_up])
        self._network.agenda.at(due, partial(arrive, message))

    def _arrive_up(self, message: Control) -> None:
        if self._is_cut:
            self._waiting.append((self._arrive_up, message))
        else:
            self._gateway.heard(self, message)

    def _arrive_down(self, message: Control) -> None:
        if self._is_cut:
            self._waiting.append((self._arrive_down, message))
        elif self._guest.connection is self:
            self._guest.heard(message)
