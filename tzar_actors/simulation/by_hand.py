"""The laws of what people do to VMs by hand: a word has one answer, a stop lasts and costs nothing, a word is done.

A word is what a person asked of one VM. They know what the journal was given, what was logged, and the truth about VMs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from tzar_actors.client.protocol import PowerAnswer, PowerVerb
from tzar_actors.core.records import IncarnationRecord, VmHeldRecord
from tzar_actors.simulation.machine import Machine
from tzar_actors.simulation.story import Broken
from tzar_actors.simulation.surroundings import Surroundings

if TYPE_CHECKING:
    from tzar_actors.simulation.host import SimulatedHost

__all__ = ["ByHandLaws", "Word"]

_AT_ONCE_S: Final = 0.05  # within which everybody knows of a record: actors speak in no time, a commit waits for 2 ms
_MORE: Final[tuple[PowerVerb, ...]] = ("stop", "start", "restart", "reset")  # each does what those before it do
_ANSWER_S: Final = 10.0  # as a trainer waits


@dataclass(slots=True, eq=False)
class Word:
    """What one person asks of one VM.

    Args:
        person: who asks, each of them once.
        vm: its name.
        verb: what for.
        disk: the machine's id when it was asked; None: there was none, or none that had been booted.
        had_agent: an agent was there then. Without one, a boot that is under way is a restart as well.
        asked_at: seconds since the world began.
    """

    person: str
    vm: str
    verb: PowerVerb
    disk: str | None
    had_agent: bool
    asked_at: float
    refusal: str | None = None  # None: it has no answer yet
    incarnation: int = 0  # the journal's last when it came
    lonely_since: float | None = None  # it is not done, and nobody is at it


class ByHandLaws:
    """The ledger of one world.

    Args:
        surroundings: the world's shared parts.
        vms: the fleet.
    """

    def __init__(self, surroundings: Surroundings, vms: frozenset[str]) -> None:
        self.answers = 0
        self._world = surroundings
        self._fleet = vms
        self._held: set[str] = set()  # as it is committed
        self._new: dict[str, bool] = {}
        self._changed_at: dict[str, float] = {}
        self._incarnations: dict[str, int] = {}
        self._waiting: dict[str, Word] = {}  # by person
        self._last: dict[str, Word] = {}  # by VM: the last word that came
        self._accepted: dict[str, Word] = {}  # by VM: the last word, while it may not be done yet
        self._owed: dict[str, int] = {}  # by VM: failures, and releases, that no recovery has answered

    def is_held(self, vm: str) -> bool:
        """A person stopped it."""
        return self._new.get(vm, vm in self._held)

    def is_at_work(self, vm: str) -> bool:
        """Somebody does with it what a person asked for, or is to."""
        return vm in self._accepted

    def may_be_out(self) -> set[str]:
        """The VMs that are held, or were until just now: not everybody knows that no game may go there, or may."""
        now = self._world.now
        just = {vm for vm, at in self._changed_at.items() if now - at <= _AT_ONCE_S}
        return self._held | just | self._new.keys()

    # --- what the supervisor keeps and logs

    def recorded(self, record: IncarnationRecord | VmHeldRecord) -> None:
        """The journal was given a record; it is not committed yet."""
        if isinstance(record, VmHeldRecord):
            self._new[record.vm] = record.is_held
            self._changed_at[record.vm] = self._world.now
        else:
            self._incarnations[record.vm] = record.incarnation
            self._costs_nothing(record.vm, "a stop lasts", f"is given incarnation {record.incarnation}")

    def committed(self) -> None:
        """All records up to now are committed."""
        if self._new:
            for vm, is_held in self._new.items():
                (self._held.add if is_held else self._held.discard)(vm)
            self._new.clear()

    def supervisor_died(self) -> None:
        """Whoever waits for an answer, or for something to be done, is told by their command that it cannot say."""
        for word in self._waiting.values():
            self._cannot_say(word)
        self._new.clear()
        self._waiting.clear()
        self._accepted.clear()
        self._owed.clear()

    def failed(self, vm: str, cause: str) -> None:
        """The supervisor says that a VM failed."""
        self._owed[vm] = self._owed.get(vm, 0) + 1
        self._costs_nothing(vm, "a commanded stop is no failure", f"failed: {cause}")

    def released(self, vm: str) -> None:
        """The supervisor says that it lets a VM out of quarantine."""
        self._owed[vm] = self._owed.get(vm, 0) + 1

    def recovering(self, vm: str, rung: str) -> None:
        """The supervisor says on which rung of its ladder a VM comes back."""
        self._owed[vm] = self._owed.get(vm, 0) - 1
        if self._owed[vm] < 0:
            self._broken("a commanded stop is no failure", f"{vm} is to come back by a {rung}, and has not failed")

    # --- people

    def asked(self, word: Word) -> None:
        """A word has come to the supervisor."""
        self._waiting[word.person] = self._last[word.vm] = word
        word.incarnation = self._incarnations.get(word.vm, 0)
        self._world.agenda.after(_ANSWER_S, lambda: self._is_answered(word))

    def answered(self, person: str, answer: PowerAnswer) -> None:
        """A person is answered."""
        self.answers += 1
        word = self._waiting.pop(person, None)
        if word is None:
            self._broken("a word has one answer", f"{person} asked nothing, or was answered before: {answer}")
        word.refusal = answer.refusal
        if bool(answer.refusal) == (word.vm in self._fleet):
            what = answer.refusal or "is accepted"
            self._broken("only what is not there is refused", f"{word.verb} of {word.vm}: {what}")
        if answer.refusal:
            return
        is_other = self._last[word.vm] is word and self.is_held(word.vm) != (word.verb == "stop")
        if word.vm in self._new or is_other:
            self._broken("what is answered is committed", f"{person} was answered before: {word.verb} of {word.vm}")
        before = self._accepted.get(word.vm)
        if before is None or word.verb == "stop" or _MORE.index(word.verb) >= _MORE.index(before.verb):
            self._accepted[word.vm] = word

    def reached(self, word: Word, machine: Machine, host: "SimulatedHost") -> None:
        """A person is told that it is as they asked."""
        was_misled = host.misled_at.get(word.vm, -1.0) >= word.asked_at
        # A call that was asked for by an actor that died is done a moment later, and mended by the next look.
        is_excused = was_misled or machine.excused_until > self._world.now
        if word.verb == "stop" and self.is_held(word.vm) and machine.is_on and not is_excused:
            self._broken("what a person is told is so", f"{word.vm} is on, and {word.person} is told that it is off")
        if word.verb == "reset" and self._has_disk(word, host) and not was_misled:
            self._broken("what a person is told is so", f"{word.vm} has its old disk, and {word.person} is told: reset")

    def look(self, vm: str, machine: Machine, host: "SimulatedHost", *, is_left_alone: bool, limit_s: float) -> None:
        """Is what was asked of a VM done? `is_left_alone`: somebody could be at it, and nobody is."""
        word = self._accepted.get(vm)
        if word is None:
            return
        if self._is_done(word, machine, host):
            if not self.is_held(vm):  # a stop is to last
                del self._accepted[vm]
            word.lonely_since = None
        elif not is_left_alone:
            word.lonely_since = None
        elif word.lonely_since is None:
            word.lonely_since = self._world.now
        elif (alone_s := self._world.now - word.lonely_since) > limit_s:
            self._broken("a person's word is done", f"{word.person} waits for the {word.verb} of {vm}: {alone_s:.0f} s")

    # ---

    def _is_done(self, word: Word, machine: Machine, host: "SimulatedHost") -> bool:
        guest = machine.guest
        if word.verb == "stop":
            return not machine.is_on
        if guest is None or not guest.is_sound:
            return False
        if word.verb == "reset" and self._has_disk(word, host):
            return host.misled_at.get(word.vm, -1.0) >= word.asked_at
        return word.verb == "start" or not word.had_agent or guest.incarnation > word.incarnation

    @staticmethod
    def _has_disk(word: Word, host: "SimulatedHost") -> bool:
        found = host.driver.vms.get(word.vm)
        return found is not None and found.machine_id == word.disk

    def _is_answered(self, word: Word) -> None:
        if self._waiting.get(word.person) is word:
            self._broken("a word has one answer", f"{word.person} has none for {word.verb} of {word.vm}")

    def _cannot_say(self, word: Word) -> None:
        self._world.story.tell(word.person, "is not answered", f"{word.verb} of {word.vm}")

    def _costs_nothing(self, vm: str, law: str, what: str) -> None:
        since_s = self._world.now - self._changed_at.get(vm, 0.0)
        if self.is_held(vm) and since_s > _AT_ONCE_S:
            self._broken(law, f"{vm}, which a person stopped {since_s:.3f} s ago, {what}")

    def _broken(self, law: str, what: str) -> NoReturn:
        raise Broken(law, what)
