"""Records folded back to state, beside the machine that made them."""

import random

from asking import asked, story
from dispatch_world import picture
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from test_dispatch_laws import DispatchLaws

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.evaluation import GameEnded
from tzar_actors.core.fold import fold
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationRecord,
    GameEndedRecord,
    IncarnationRecord,
    VmRecord,
    VmRemovedRecord,
)


def test_no_records_are_nothing_open():
    assert fold((), 10.0, 100.0) == []


def test_evaluations_come_back_oldest_first_with_the_time_of_their_acceptance():
    records = [EvaluationRecord(asked("b"), 90.0), EvaluationRecord(asked("c"), 40.0), EvaluationRecord(asked("a"), 90)]
    restored = fold(records, now=5.0, wall=100.0)
    assert [(r.evaluation.asked.key, r.evaluation.accepted_at) for r in restored] == [
        ("c", -55.0),
        ("a", -5.0),
        ("b", -5.0),
    ]


def test_an_attempt_without_a_story_is_running_unless_its_game_is_over():
    over = GameEnded("scored", 1.0, 0.5, b"\x80", "", ())
    records = [
        EvaluationRecord(asked("a", games=3), 0.0),
        AttemptRecord("1.10", "a", 1, "vm-2", 4),
        AttemptRecord("1.9", "a", 1, "vm-1", 3),
        AttemptRecord("1.8", "a", 0, "vm-1", 3),
        GameEndedRecord("a", 0, over),
        AttemptRecord("1.7", "a", 2, "vm-1", 3),
        AttemptEndedRecord("a", 2, story("1.7", "vm-1", "fault", incarnation=3)),
    ]
    (restored,) = fold(records, 0.0, 0.0)
    assert [(r.attempt, r.game.index, r.vm, r.incarnation) for r in restored.running] == [
        ("1.9", 1, "vm-1", 3),
        ("1.10", 1, "vm-2", 4),
    ]
    games = restored.evaluation.games
    assert [(game.state, game.ended) for game in games] == [("ended", over), ("queued", None), ("queued", None)]
    assert (games[2].avoid, len(games[2].stories)) == ({"vm-1"}, 1)


def test_what_is_said_of_an_evaluation_that_was_never_accepted_or_of_vms_opens_nothing():
    records = [
        AttemptRecord("1.1", "lost", 0, "vm-1", 1),
        VmRecord("vm-1", "here", "id"),
        IncarnationRecord("vm-1", "here", 1, "key", "machine"),
        VmRemovedRecord("vm-1"),
    ]
    assert fold(records, 0.0, 0.0) == []


class FoldLaws(DispatchLaws):
    """All that may happen to a dispatcher; after each step its records, in whatever order, are its state."""

    def __init__(self):
        super().__init__()
        self.records = []
        keep = self.world.journal.keep

        def keep_both(record):
            self.records.append(record)
            keep(record)

        self.world.journal.keep = keep_both

    def rebuilt(self, records):
        machine = Dispatch(self.world.epoch + 1, BlamePolicy())
        for restored in fold(records, self.world.now, 1000.0 + self.world.now):
            machine.restore(self.world.now, restored.evaluation, restored.running)
        return machine

    @rule(seed=st.integers(0, 1000))
    def fold_in_another_order(self, seed):
        shuffled = list(self.records)
        random.Random(seed).shuffle(shuffled)
        assert picture(self.rebuilt(shuffled)) == picture(self.world.machine)

    @rule()
    def restart(self):
        """Nothing is forgotten here: the records are all that there is."""
        self.world.restart(forget_last_attempt=False)

    @invariant()
    def what_is_folded_is_what_the_machine_has(self):
        machine = self.rebuilt(self.records)
        assert picture(machine) == picture(self.world.machine)
        accepted = {key: open_.accepted_at for key, open_ in self.world.machine.evaluations.items()}
        assert {key: open_.accepted_at for key, open_ in machine.evaluations.items()} == accepted


FoldLaws.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestFoldLaws = FoldLaws.TestCase
