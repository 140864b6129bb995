"""Failed attempts: what each says of its VM, its genome and the evaluator, and so what becomes of its game.

It gathers what `blame.judge` decides on. Games are queued and ended elsewhere.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from tzar_actors.core.alarm import EvaluatorAlarm
from tzar_actors.core.blame import BlamePolicy, Case, Retry, Verdict, incarnations, judge, needs_fresh
from tzar_actors.core.dispatch_commands import BlameVm, DispatchCommand, LowerAlarm, RaiseAlarm, SetProbe
from tzar_actors.core.evaluation import AttemptStory
from tzar_actors.core.queue import Game, RunningAttempt, Trouble
from tzar_actors.core.witnesses import Witnesses

__all__ = ["Failures"]

_EXCUSED_KEPT: Final = 16  # of a game: the stories of a long fault of a host are all the same
_KILLED: Final = -9  # by SIGKILL: whoever did it, it was not the evaluator, and so the VM saw nothing of the genome
_RECENT_DEATHS: Final = 1000  # that may still turn out to have been a host's fault


class Failures:
    """What went wrong in one fleet.

    Args:
        policy: when a failed game is tried again.
    """

    def __init__(self, policy: BlamePolicy) -> None:
        self.witnesses = Witnesses()
        self.alarm = EvaluatorAlarm()
        self._policy = policy
        self._down: frozenset[str] = frozenset()
        self._deaths: deque[tuple[float, str, str, Trouble]] = deque(maxlen=_RECENT_DEATHS)

    def restore(self, game: Game) -> None:
        """Takes up a game that has stories. What its VMs were worth then is not known any more."""
        if not game.stories:
            return
        self._shorten(game)
        game.avoid |= {story.vm for story in game.stories}
        attempts = [story for story in game.stories if story.status != "excused"]
        seen = frozenset(incarnations(attempts, "fault", "timed_out"))
        game.trouble = Trouble(seen, needs_fresh(attempts, self._policy))

    def scored(self, vm: str, incarnation: int, digest: bytes) -> Sequence[DispatchCommand]:
        """A game scored."""
        self.witnesses.scored(vm, incarnation, digest)
        return (LowerAlarm(),) if self.alarm.scored() else ()

    def failed(
        self, at: float, game: Game, story: AttemptStory, fleet: frozenset[str]
    ) -> tuple[Retry | Verdict, AttemptStory, list[DispatchCommand]]:
        """An attempt of `game` did not score.

        Args:
            at: monotonic seconds.
            game: `story` is added to its stories.
            story: how the attempt ended.
            fleet: the VMs that games may be given to.

        Returns:
            What becomes of the game, the story as it counts, and what else is to be done.
        """
        trouble = game.trouble = game.trouble or Trouble()
        digest = game.evaluation.asked.digest
        told: list[DispatchCommand] = []
        if story.status == "fault":
            if self.alarm.is_raised:
                story = replace(story, status="excused", reason=f"the evaluator fails for everybody: {story.reason}")
            else:
                told = self._faulted(story, digest, fleet)
        elif story.status in ("timed_out", "cancelled"):
            self.witnesses.finished(story.vm, story.incarnation)
        game.stories.append(story)
        self._shorten(game)
        attempts = [s for s in game.stories if s.status != "excused" and s.attempt not in trouble.excused]
        for each in attempts:  # also one that failed before its VM had proven itself
            if each.status == "fault" and each.exit_code != _KILLED and self.witnesses.is_proven(*_where(each), digest):
                trouble.proven.add(each.attempt)
        trouble.seen = frozenset(incarnations(attempts, "fault", "timed_out"))
        if self.alarm.is_raised and story.status == "fault":
            return Retry(frozenset()), story, told
        case = Case(attempts, trouble.proven, trouble.killed, self.witnesses.games, len(fleet), self.alarm.is_in_doubt)
        verdict = judge(case, self._policy)
        trouble.fresh = isinstance(verdict, Retry) and verdict.fresh
        return verdict, story, told

    def died(self, at: float, attempt: RunningAttempt) -> None:
        """The VM of `attempt` died at `at`, monotonic seconds, by no command and no fault of its host."""
        trouble = attempt.game.trouble = attempt.game.trouble or Trouble()
        digest = attempt.game.evaluation.asked.digest
        trouble.killed[attempt.vm] = self.witnesses.died(attempt.vm, attempt.incarnation, digest)
        self._deaths.append((at, attempt.vm, attempt.attempt, trouble))

    def pardon(self, games: Iterable[Game]) -> None:
        """The evaluator was broken: how these games failed until now counts against nobody."""
        for game in games:
            if game.ended is None and game.trouble is not None:
                game.trouble.excused |= {s.attempt for s in game.stories if s.status == "fault"}
                game.trouble.seen, game.trouble.fresh, game.avoid = frozenset(), False, frozenset()

    # --- hosts

    def host_fell(self, vms: frozenset[str], since: float) -> None:
        """These VMs are lost by their host's fault, and have been `since`, monotonic seconds."""
        self._down |= vms
        for at, vm, attempt, trouble in self._deaths:
            if vm in vms and at >= since:
                trouble.excused.add(attempt)
                trouble.killed.pop(vm, None)

    def host_back(self, vms: frozenset[str]) -> None:
        """The host of these VMs works."""
        self._down -= vms

    def is_excused(self, vm: str) -> bool:
        """Its host has a fault."""
        return vm in self._down

    def _faulted(self, story: AttemptStory, digest: bytes, fleet: frozenset[str]) -> list[DispatchCommand]:
        reason = f"{story.reason}; {story.tail.strip()}" if story.tail.strip() else story.reason
        against_vm = self.witnesses.failed(story.vm, story.incarnation, digest, story.reason)
        if self.alarm.failed(story.vm, digest, reason, fleet):
            genomes, vms = len(self.alarm.suspects), len(set().union(*self.alarm.suspects.values()))
            delay_s = self.alarm.next_delay_s(grows=False)
            return [RaiseAlarm(genomes, vms, self.alarm.evidence), SetProbe(delay_s)]
        if against_vm:
            what = f"{len(against_vm)} genomes failed there while other VMs scored: {'; '.join(against_vm)}"
            return [BlameVm(story.vm, what[:4000])]
        return []

    def _shorten(self, game: Game) -> None:
        excused = [story for story in game.stories if story.status == "excused"]
        for story in excused[:-_EXCUSED_KEPT]:
            game.stories.remove(story)


def _where(story: AttemptStory) -> tuple[str, int]:
    return story.vm, story.incarnation
