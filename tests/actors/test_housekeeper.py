"""The housekeeper on a virtual loop, with a real journal and a real spool, and a disk that says what the test wants."""

import hashlib
import os
import time

import pykka
import pytest

from tzar_actors.actors.board import Board
from tzar_actors.actors.disk_lane import AskDisk, DiskAnswer, DiskLane
from tzar_actors.actors.housekeeper import Housekeeper
from tzar_actors.actors.wiring import Wiring
from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.evaluation import Evaluation, EvaluationEnded
from tzar_actors.core.records import EvaluationEndedRecord, EvaluationRecord
from tzar_actors.core.restart import RestartIntensity
from tzar_actors.core.room import Room
from tzar_actors.events.sink import RecordedEvents
from tzar_actors.gateway.spool import Spool
from tzar_actors.journal.journal import Journal
from tzar_actors.journal.reserve import Reserve
from tzar_actors.journal.retention import Retention
from tzar_actors.loop import Loop, VirtualWaiter
from tzar_actors.loop.waiter import VirtualClock

MIB = 1024 * 1024
SIZE = 100_000


class Lane:
    """The disk's lane, without a thread."""

    def __init__(self, house):
        self.house = house
        self.asked = []

    def tell(self, ask):
        self.asked.append(ask)
        survey = self.house.wiring.spool.survey(time.time()) if ask.surveys else None
        ask.reply_to.tell(DiskAnswer(self.house.free_bytes, survey))


class House:
    def __init__(self, folder, spool_limit_bytes=10 * MIB):
        self.clock = VirtualClock(0.0)
        self.loop = Loop(self.clock, VirtualWaiter(self.clock))
        self.began = time.time()
        self.free_bytes = 10**12
        self.journal = Journal(folder / "journal.sqlite", "process", lambda: "fleet")
        self.wiring = Wiring(
            loop=self.loop,
            journal=self.journal,
            log=RecordedEvents(),
            board=Board("tzar", 1, 1),
            gateway=None,
            spool=Spool(folder / "spool"),
            fleet_id="fleet",
            server_key="",
            wall=lambda: self.began + self.clock.now,
            hosts=(),
            vm_limits=None,
            intensity=RestartIntensity(),
            blame=BlamePolicy(),
            time_limit_s=1.0,
            stall_s=None,
            genome_limit_bytes=1,
            queue_limit=1,
            drain_grace_s=1.0,
            on_trainer_exit="linger",
        )
        self.wiring.room = Room(100 * MIB, spool_limit_bytes)
        self.wiring.reserve = Reserve(folder / "reserve", 1000)
        self.lane = Lane(self)
        self.retention = Retention(self.journal, 30 * 86400.0, 2**40, self.clock)

    def start(self):
        self.ref = Housekeeper.start(self.wiring, self.wiring.spool, self.retention, self.lane)

    def run(self, seconds):
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.loop.turn(until - self.clock.now)

    def genome(self, name, age_s=0.0, use=None):
        """A genome in the spool; `use` says what its evaluation is: "open", "ended" or none at all."""
        blob = name.encode() * (SIZE // len(name))
        digest = hashlib.sha256(blob).digest()
        path = self.wiring.spool.path(digest)
        path.write_bytes(blob)
        then = self.wiring.wall() - age_s
        os.utime(path, (then, then))
        if use is not None:
            self.journal.append(EvaluationRecord(Evaluation(name, None, digest, SIZE, b"\x80", (1,), None), then))
        if use == "ended":
            ended = EvaluationEnded(name, None, digest, "scored", 1.0, "", 1.0, ())
            self.journal.append(EvaluationEndedRecord(ended))
        self.journal.commit()
        return path

    def events(self, name):
        return [event for event in self.wiring.log.events if name == event.NAME]


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    pykka.ActorRegistry.unregister(house.ref)
    house.journal.close()


def test_genomes_that_nothing_needs_go_after_the_grace_and_no_others(house):
    needless = house.genome("needless", age_s=4000.0)
    fresh = house.genome("fresh", age_s=-3000.0)
    still_open = house.genome("open", age_s=100_000.0, use="open")
    kept = house.genome("kept", age_s=100_000.0, use="ended")
    house.start()
    house.run(3500.0)
    assert needless.exists(), "a trainer may yet come back and submit it"
    house.run(200.0)
    assert not needless.exists()
    assert fresh.exists()
    assert still_open.exists()
    assert kept.exists()
    (event,) = house.events("blobs_discarded")
    assert (event.blobs, event.size) == (1, len(b"needless") * (SIZE // 8))


def test_a_genome_that_is_brought_again_has_its_grace_again(house):
    path = house.genome("again", age_s=4000.0)
    house.start()
    house.run(3000.0)
    then = house.wiring.wall()
    os.utime(path, (then, then))
    house.run(3000.0)
    assert path.exists()
    house.run(1000.0)
    assert not path.exists()


def test_over_its_bound_the_spool_gives_up_ended_evaluations_oldest_first_and_only_as_many_as_it_must(house):
    house.wiring.room = Room(0, 10 * SIZE)
    paths = [house.genome(f"ended-{i:02d}", age_s=5000.0 - i, use="ended") for i in range(12)]
    needed = house.genome("open", age_s=9000.0, use="open")
    house.start()
    house.run(120.0)
    assert needed.exists()
    left = [path.exists() for path in paths]
    assert left == sorted(left), "the oldest go first"
    assert 7 <= sum(left) <= 9
    assert house.wiring.shortage(needs_spool=True) is None


@pytest.mark.promise(8, "bounded")
def test_a_spool_full_of_what_is_needed_takes_no_more_until_some_of_it_has_ended(house):
    house.wiring.room = Room(0, 10 * SIZE)
    for i in range(12):
        house.genome(f"open-{i:02d}", age_s=5000.0, use="open")
    house.start()
    house.run(20.0)
    assert house.wiring.shortage(needs_spool=True)[0] == "spool_full"
    assert house.wiring.shortage(needs_spool=False) is None
    assert house.wiring.spool.refusal() is not None
    assert [event.code for event in house.events("room_short")] == ["spool_full"]
    for i in range(6):
        name = f"open-{i:02d}"
        digest = hashlib.sha256(name.encode() * (SIZE // len(name))).digest()
        ended = EvaluationEnded(name, None, digest, "scored", 1.0, "", 1.0, ())
        house.journal.append(EvaluationEndedRecord(ended))
    house.journal.commit()
    house.run(120.0)
    assert house.wiring.shortage(needs_spool=True) is None
    assert house.wiring.spool.refusal() is None
    assert len(house.events("room_enough")) == 1


@pytest.mark.promise(8, "bounded")
def test_a_disk_that_fills_refuses_new_work_and_takes_it_again_when_there_is_room(house):
    house.start()
    house.run(5.0)
    assert house.wiring.shortage(needs_spool=False) is None
    assert house.lane.asked[-1].fills
    house.free_bytes = 50 * MIB
    house.run(2.0)
    assert house.wiring.shortage(needs_spool=False)[0] == "disk_full"
    assert not house.lane.asked[-1].fills, "there is no room to be held"
    assert (house.wiring.spool.folder / "full").read_text().startswith("disk_full\n")
    house.free_bytes = 110 * MIB
    house.run(2.0)
    assert house.wiring.shortage(needs_spool=False)[0] == "disk_full"
    house.free_bytes = 200 * MIB
    house.run(2.0)
    assert house.wiring.shortage(needs_spool=False) is None
    assert [event.NAME for event in house.wiring.log.events] == ["room_short", "room_enough"]


def test_a_reserve_that_was_spent_refuses_new_work_at_once_and_until_it_is_filled_again(house):
    house.wiring.reserve.fill()
    house.start()
    house.run(2.0)
    assert house.wiring.reserve.spend()
    assert house.wiring.shortage(needs_spool=False)[0] == "disk_full"
    house.wiring.reserve.fill()
    assert house.wiring.shortage(needs_spool=False) is None


def test_a_disk_that_hangs_is_asked_once_and_what_it_said_last_stays(house):
    house.free_bytes = 50 * MIB
    house.start()
    house.run(2.0)
    house.lane.tell = house.lane.asked.append
    before = len(house.lane.asked)
    house.run(30.0)
    assert len(house.lane.asked) == before + 1
    assert house.wiring.shortage(needs_spool=False)[0] == "disk_full"


def test_what_ended_long_ago_is_forgotten_with_an_event_and_its_genome_follows(house):
    path = house.genome("old", age_s=40 * 86400.0, use="ended")
    house.start()
    house.run(70.0)
    assert house.journal.outcome("old") == (False, None)
    assert [event.evaluations for event in house.events("evaluations_forgotten")] == [1]
    house.run(3700.0)
    assert not path.exists()


def test_the_lane_answers_with_what_the_disk_says_and_tells_what_it_could_not_do(tmp_path):
    def unknown(folder):
        raise OSError("the disk is gone")

    spool, reserve = Spool(tmp_path / "spool"), Reserve(tmp_path / "none" / "reserve", 10)
    answers = []

    class Asker:
        tell = answers.append

    for free_bytes in (lambda folder: 77, unknown):
        lane = DiskLane.start(spool, reserve, free_bytes)
        lane.ask(AskDisk(Asker, surveys=True, fills=True), timeout=20.0)
        lane.stop(timeout=20.0)
    good, bad = answers
    assert (good.free_bytes, good.survey.blobs, len(good.problems)) == (77, (), 1)
    assert "reserve" in good.problems[0]
    assert bad.free_bytes is None
    assert "the disk is gone" in bad.problems[1]
