"""What all actors that decide share: step the machine, journal what must survive, carry out the rest."""

from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any, Generic, TypeVar

from tzar_actors.actors.messages import TimerRang
from tzar_actors.core.dispatch_commands import Keep
from tzar_actors.core.records import Record
from tzar_actors.journal.journal import Journal
from tzar_actors.loop import Loop, LoopActor, Timer

__all__ = ["MachineActor"]

Command = TypeVar("Command")


class MachineActor(LoopActor, Generic[Command]):
    """An actor around a machine of the core.

    Args:
        loop: where it lives.
        journal: where records go; what is held waits for its commit.
    """

    def __init__(self, loop: Loop, journal: Journal) -> None:
        super().__init__(loop)
        self.journal = journal
        self._timers: dict[str, Timer] = {}
        self._held: list[Command] = []

    @abstractmethod
    def decide(self, message: Any) -> Iterable[Command]:
        """The machine's commands for `message`."""

    @abstractmethod
    def carry_out(self, command: Command) -> None:
        """Does what a command says."""

    def on_receive(self, message: Any) -> None:
        """Pykka's hook: one message."""
        if isinstance(message, TimerRang):
            if self._timers.get(message.name) is not message.token:
                return  # cancelled or set anew after it rang
            self._timers.pop(message.name, None)
        self.perform(self.decide(message))

    def perform(self, commands: Iterable[Command]) -> None:
        """Journals, holds or carries out each command, in order."""
        for command in commands:
            if isinstance(command, Keep):
                self.keep(command.record)
            elif getattr(command, "HELD", False):
                if not self._held:
                    self.loop.hold(self._let_go, lazily=True)
                self._held.append(command)
                if not getattr(command, "LAZY", False):
                    self.loop.hurry()
            else:
                self.carry_out(command)

    def keep(self, record: Record) -> None:
        """Journals `record`."""
        self.journal.append(record)
        self.loop.mark_dirty()

    def _let_go(self) -> None:
        """What was held is committed now."""
        held, self._held = self._held, []
        for command in held:
            self.carry_out(command)

    def set_timer(self, name: str, after_s: float) -> None:
        """Tells this actor `TimerRang(name)` after `after_s` seconds, in place of an earlier timer of that name."""
        self.cancel_timer(name)
        self._timers[name] = self.loop.call_later(after_s, partial(self._ring, name))

    def _ring(self, name: str) -> None:
        if self.actor_ref.is_alive():
            self.actor_ref.tell(TimerRang(name, self._timers.get(name)))

    def cancel_timer(self, name: str) -> None:
        """The timer of that name will not ring."""
        if (current := self._timers.pop(name, None)) is not None:
            current.cancel()

    def cancel_timers(self) -> None:
        """No timer will ring."""
        for name in list(self._timers):
            self.cancel_timer(name)
