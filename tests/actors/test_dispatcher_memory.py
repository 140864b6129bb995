"""What the dispatcher keeps of genomes: of open evaluations a bounded part, of those that have ended nothing."""

import hashlib
from types import SimpleNamespace

import pytest

from tzar_actors.actors import dispatcher as dispatcher_module
from tzar_actors.actors.board import Board
from tzar_actors.actors.dispatcher import Dispatcher
from tzar_actors.actors.genome_memory import GenomeMemory
from tzar_actors.actors.messages import TrainerSaid
from tzar_actors.client.protocol import CancelEvaluations, Submission, Submit
from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.evaluation import Evaluation
from tzar_actors.events.sink import RecordedEvents
from tzar_actors.journal.journal import Journal
from tzar_actors.loop import Loop, VirtualWaiter
from tzar_actors.loop.waiter import VirtualClock


def digest_of(genome):
    return hashlib.sha256(genome).digest()


@pytest.fixture
def dispatcher(tmp_path):
    clock = VirtualClock(0.0)
    with Journal(tmp_path / "journal.sqlite", "process", lambda: "the-fleet") as journal:
        yield Dispatcher(
            SimpleNamespace(
                loop=Loop(clock, VirtualWaiter(clock)),
                journal=journal,
                log=RecordedEvents(),
                board=Board("fleet", journal.epoch, 1),
                wall=clock,
                blame=BlamePolicy(),
                genome_limit_bytes=1000,
                queue_limit=1000,
                shortage=lambda needs_spool: None,
            )
        )


def submit(dispatcher, key, genome):
    asked = Evaluation(key, None, digest_of(genome), len(genome), b"\x80", (1,), None)
    dispatcher.on_receive(TrainerSaid("trainer", Submit((Submission(asked, genome, True),))))


@pytest.mark.promise(8, "bounded")
def test_an_evaluation_that_has_ended_leaves_no_genome_in_memory(dispatcher):
    for number in range(20):
        submit(dispatcher, f"key-{number}", b"genome %d" % number)
    assert len(dispatcher.genomes) == 20
    dispatcher.on_receive(TrainerSaid("trainer", CancelEvaluations(tuple(f"key-{n}" for n in range(15)))))
    assert len(dispatcher.genomes) == 5


def test_a_genome_that_another_open_evaluation_has_too_is_found_in_the_journal_again(dispatcher):
    submit(dispatcher, "one", b"the same")
    submit(dispatcher, "two", b"the same")
    dispatcher.on_receive(TrainerSaid("trainer", CancelEvaluations(("one",))))
    dispatcher.journal.commit()
    assert dispatcher.genomes.get(digest_of(b"the same")) is None
    assert dispatcher.journal.genome("two") == b"the same"


def test_the_first_ones_make_room_for_those_that_come_later():
    memory = GenomeMemory(3000)
    for number in range(10):
        memory.keep(bytes([number]), bytes(600))
    assert [number for number in range(10) if memory.get(bytes([number])) is not None] == [7, 8, 9]


def test_what_was_forgotten_makes_room():
    memory = GenomeMemory(3000)
    for number in range(10):
        memory.keep(bytes([number]), bytes(600))
        memory.forget(bytes([number]))
    memory.forget(b"never kept")
    memory.keep(b"a", bytes(600))
    memory.keep(b"b", bytes(600))
    memory.keep(b"c", bytes(600))
    assert len(memory) == 3


@pytest.mark.promise(8, "bounded")
def test_the_memory_of_a_queue_stays_within_its_bound_and_each_order_has_its_genome_all_the_same(world, monkeypatch):
    memory = GenomeMemory(3000)
    monkeypatch.setattr(dispatcher_module, "GenomeMemory", lambda limit_bytes: memory)
    world.start(vms=1)
    names = [f"genome {number}" for number in range(60)]
    most = 0
    for name in names:
        world.submit(name)
        most = max(most, len(memory))
    assert most < 10
    ordered = []
    while world.gateway.playing:
        ordered.append(world.gateway.playing["vm-1"].genome)
        world.finish("vm-1")
        most = max(most, len(memory))
    assert ordered == [name.encode() for name in names]
    assert world.outcomes() == dict.fromkeys(names, "scored")
    assert most < 10


@pytest.mark.promise(8, "bounded")
def test_one_evaluation_more_than_the_queue_holds_is_refused_and_takes_no_room(dispatcher):
    told = []
    dispatcher._wiring.queue_limit = 5
    dispatcher._wiring.gateway = SimpleNamespace(desk=SimpleNamespace(tell=lambda trainer, answer: told.append(answer)))
    for number in range(8):
        submit(dispatcher, f"key-{number}", b"genome %d" % number)
    assert [(each.key, each.code) for each in told] == [(f"key-{n}", "queue_full") for n in (5, 6, 7)]
    assert len(dispatcher.genomes) == 5
    dispatcher.journal.commit()
    assert dispatcher.journal.genome("key-4") is not None
    assert dispatcher.journal.genome("key-5") is None
