import hashlib
import os
import threading
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path

import pytest

import tzar_actors
from tzar_actors.client.connection import Connection
from tzar_actors.client.genomes import GenomeStore
from tzar_actors.client.protocol import Submit
from tzar_actors.client.question import game_seeds
from tzar_actors.errors import RejectedError, SupervisorError
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

PATIENCE_S = 60.0


def played(folder):
    path = folder / "played"
    return sorted(int(line) for line in path.read_text().split()) if path.exists() else []


def test_outcomes_carry_all_that_was_asked(shared_fleet):
    (result,) = shared_fleet.evaluate([b"\x05"], params={"a": 1}, games=3, seed=7, generation=2, keys=["mine"])
    assert (result.index, result.key, result.generation, result.outcome, result.fitness) == (0, "mine", 2, "scored", 5)
    assert result.genome == hashlib.sha256(b"\x05").hexdigest()
    assert [game.fitness for game in result.games] == [5.0] * 3
    assert {game.attempts[0].vm for game in result.games} <= {"tzar-01", "tzar-02"}


def test_in_order_the_first_is_waited_for_and_else_the_fast_come_first(fleet, folder):
    genomes = [bytes([i]) for i in range(1, 7)]
    first = fleet.submit(b"\x09", params={"wait": "go"})
    assert [r.index for r in fleet.evaluate(genomes, order=True)] == list(range(6))
    assert sorted(r.index for r in fleet.evaluate(genomes)) == list(range(6))
    assert not first.done()
    (folder / "go").touch()
    assert first.result(PATIENCE_S).fitness == 9.0


def test_something_that_is_no_genome_is_an_error_and_not_the_end_of_all(fleet):
    with pytest.raises(TypeError):
        list(fleet.evaluate([b"\x01", None, b"\x02"]))


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_genome_is_offered_again_to_a_supervisor_that_heard_nothing_of_it(fleet, monkeypatch):
    offered = []
    offer = GenomeStore._offer

    def lost_at_first(self, genome, digest, access, blobs, key):
        offered.append(blobs)
        return len(offered) > 1 and offer(self, genome, digest, access, blobs, key)

    monkeypatch.setattr(GenomeStore, "_offer", lost_at_first)
    monkeypatch.setattr(GenomeStore, "_shares_files", lambda self, *given: False)
    assert fleet.submit(b"\x07" + os.urandom(900_000)).result(PATIENCE_S).fitness == 7.0
    assert len(offered) == 2


def test_closing_the_iterator_early_cancels_what_is_open(fleet, folder, until):
    outcomes = fleet.evaluate([bytes([i % 250, i // 250]) for i in range(1, 3000)], params={})
    next(outcomes)
    outcomes.close()
    waiting = fleet.evaluate([b"\x01", b"\x02", b"\x03"], params={"wait": "never"}, keys=["a", "b", "c"])
    with pytest.raises(RejectedError):
        fleet.submit(bytes(2 * 1024 * 1024)).result(PATIENCE_S)
    del waiting  # nothing of it was asked for yet
    until(lambda: fleet.status().evaluations_open == 0)
    assert len(played(folder)) < 2999
    assert fleet.results("a", "b", "c") == []


def test_an_iterator_that_is_closed_after_its_fleet_says_nothing(fleet):
    outcomes = fleet.evaluate([b"\x01", b"\x02", b"\x03"])
    next(outcomes)
    fleet._end("stop")
    outcomes.close()


def test_cancel_ends_a_running_game(fleet, folder, until):
    future = fleet.submit(b"\x01", key="a", params={"wait": "never"})
    until(lambda: (folder / "began-1").exists())
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result(0.0)
    until(lambda: fleet.status().evaluations_open == 0)
    until(lambda: all(vm.attempt is None for vm in fleet.status().vms))
    (result,) = fleet.results("a")
    assert (result.outcome, result.fitness) == ("cancelled", None)
    assert wait([future], PATIENCE_S).done == {future}
    assert fleet.submit(b"\x02").result(PATIENCE_S).fitness == 2.0


def test_cancel_comes_in_time_when_it_follows_the_submission_at_once(fleet, until):
    futures = [fleet.submit(b"\x01", key=f"{i}", params={"wait": "never"}) for i in range(10)]
    assert [future.cancel() for future in futures] == [True] * 10
    until(lambda: {r.outcome for r in fleet.results(*map(str, range(10)))} == {"cancelled"})
    assert fleet.status().evaluations_open == 0


def test_a_trainer_may_power_vms_as_well_and_is_told_why_not(shared_fleet, until):
    before = {vm.vm: vm.incarnation for vm in shared_fleet.status().vms}
    shared_fleet.power("tzar-02", "restart")
    until(lambda: shared_fleet.status().vms[1].incarnation == before["tzar-02"] + 1)
    with pytest.raises(SupervisorError, match="VM tzar-9: this fleet's configuration has no such VM"):
        shared_fleet.power("tzar-9", "stop")


def test_what_has_ended_cannot_be_cancelled(shared_fleet):
    future = shared_fleet.submit(b"\x01")
    future.result(PATIENCE_S)
    assert not future.cancel()
    assert future.result().fitness == 1.0


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_key_is_answered_from_the_journal_to_a_trainer_that_comes_later(fleet, folder):
    first = fleet.submit(b"\x05", key="a", games=2).result(PATIENCE_S)
    with tzar_actors.connect(fleet.state_dir) as later:
        again = later.submit(b"\x05", key="a", games=2).result(PATIENCE_S)
    assert again == first
    assert played(folder) == [5, 5]


@pytest.mark.promise(6, "nothing accepted is lost")
@pytest.mark.parametrize(
    "other", [{"params": {"x": 1}}, {"games": 3}, {"seed": 1}, {"genome": b"\x06"}], ids=lambda other: next(iter(other))
)
def test_a_key_with_another_question_is_rejected(shared_fleet, other):
    shared_fleet.submit(b"\x05", key="reused").result(PATIENCE_S)
    asked = {"genome": b"\x05", **other}
    with pytest.raises(RejectedError) as refused:
        shared_fleet.submit(asked.pop("genome"), key="reused", **asked).result(PATIENCE_S)
    assert (refused.value.key, refused.value.code) == ("reused", "key_reused")


def test_a_key_that_is_asked_for_twice_while_it_is_open_resolves_both_and_is_played_once(fleet, folder, until):
    one = fleet.submit(b"\x05", key="a", params={"wait": "go"})
    until(lambda: (folder / "began-5").exists())
    two = fleet.submit(b"\x05", key="a", params={"wait": "go"})
    other = fleet.submit(b"\x06", key="a", params={"wait": "go"})
    with pytest.raises(RejectedError) as refused:
        other.result(PATIENCE_S)
    assert refused.value.code == "key_reused"
    (folder / "go").touch()
    assert one.result(PATIENCE_S) == two.result(PATIENCE_S)
    assert played(folder) == [5]


def test_a_generation_is_found_by_a_trainer_that_comes_later(shared_fleet):
    wanted = {r.key: r.fitness for r in shared_fleet.evaluate([b"\x01", b"\x02"], generation=7)}
    list(shared_fleet.evaluate([b"\x03"], generation=8))
    with tzar_actors.connect(shared_fleet.state_dir) as later:
        assert {r.key: r.fitness for r in later.results(generation=7)} == wanted
        assert later.results(generation=9) == []


def test_results_of_keys_have_the_places_of_the_keys_and_leave_out_what_is_open_or_unknown(fleet, folder, until):
    fleet.submit(b"\x01", key="a").result(PATIENCE_S)
    fleet.submit(b"\x02", key="b").result(PATIENCE_S)
    fleet.submit(b"\x03", key="open", params={"wait": "go"})
    until(lambda: (folder / "began-3").exists())
    found = fleet.results("b", "open", "unknown", "a")
    assert [(r.index, r.key) for r in found] == [(0, "b"), (3, "a")]


def test_results_of_nothing_at_all_is_a_wrong_question(shared_fleet):
    with pytest.raises(ValueError, match="keys or a generation"):
        shared_fleet.results()


@pytest.mark.promise(2, "a crash is never a low fitness")
def test_a_deadline_ends_an_evaluation_without_a_number(fleet):
    result = fleet.submit(b"\x01", params={"wait": "never"}, deadline_s=0.5).result(PATIENCE_S)
    assert (result.outcome, result.fitness) == ("infra_failed", None)
    assert "deadline" in result.reason
    assert fleet.submit(b"\x02").result(PATIENCE_S).fitness == 2.0


def test_large_genomes_come_through_the_spool_and_small_ones_with_the_order(fleet):
    large = b"\x07" + os.urandom(INLINE_LIMIT_BYTES)
    small = b"\x08" * INLINE_LIMIT_BYTES
    assert [r.fitness for r in fleet.evaluate([large, small], order=True)] == [7.0, 8.0]
    names = [path.name for path in (fleet.state_dir / "spool").iterdir()]
    assert sorted(names) == sorted(["token", hashlib.sha256(large).hexdigest()])


def test_a_trainer_that_does_not_share_the_supervisors_files_sends_large_genomes(fleet, monkeypatch):
    read_text = Path.read_text

    def not_the_token(path, *args, **options):
        if path.name == "token":
            raise FileNotFoundError(path)
        return read_text(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", not_the_token)
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: pytest.fail("it wrote into the spool"))
    genomes = [bytes([i]) + os.urandom(900_000) for i in (7, 8)]
    assert [r.fitness for r in fleet.evaluate([*genomes, genomes[0]], order=True)] == [7.0, 8.0, 7.0]
    for genome in genomes:
        assert (fleet.state_dir / "spool" / hashlib.sha256(genome).hexdigest()).read_bytes() == genome


def test_a_genome_that_was_put_ahead_can_be_given_in_its_place(shared_fleet):
    large = b"\x07" + os.urandom(INLINE_LIMIT_BYTES)
    blobs = [shared_fleet.put(large), shared_fleet.put(b"\x08")]
    assert [r.fitness for r in shared_fleet.evaluate(blobs, order=True)] == [7.0, 8.0]
    with pytest.raises(RejectedError, match=r"genome_mib"):
        shared_fleet.put(bytes(1024 * 1024 + 1))


def test_files_and_all_kinds_of_bytes_are_genomes(shared_fleet, folder):
    (folder / "some.genome").write_bytes(b"\x04")
    genomes = [folder / "some.genome", bytearray(b"\x05"), memoryview(b"\x06")]
    assert [r.fitness for r in shared_fleet.evaluate(genomes, order=True)] == [4.0, 5.0, 6.0]


@pytest.mark.parametrize("genome", [5, "text", None, [1, 2]])
def test_what_is_no_genome_is_refused_where_it_was_given(shared_fleet, genome):
    with pytest.raises(TypeError):
        shared_fleet.submit(genome)


def test_the_rejected_are_told_when_all_others_have_been_yielded(shared_fleet):
    big = bytes(1024 * 1024 + 1)
    seen = []
    outcomes = shared_fleet.evaluate([b"\x01", big, b"\x02", big], order=True)
    with pytest.raises(RejectedError, match=r"allowed are 1048576 .*and 1 more were rejected") as refused:
        seen.extend(result.index for result in outcomes)
    assert seen == [0, 2]
    assert refused.value.code == "genome_too_big"


@pytest.mark.parametrize(
    "wrong",
    [
        {"games": 0},
        {"games": 1001},
        {"seeds": [-1]},
        {"seeds": [2**63]},
        {"key": "k" * 201},
        {"generation": 2**63},
        {"seeds": []},
    ],
    ids=str,
)
def test_a_question_that_cannot_be_asked_is_refused_where_it_was_made_and_harms_no_other(shared_fleet, wrong):
    others = [shared_fleet.submit(b"\x01") for _ in range(3)]
    with pytest.raises(ValueError, match=r"(games|seeds|key|generation).* is not allowed"):
        shared_fleet.submit(b"\x02", **wrong)
    assert [future.result(PATIENCE_S).fitness for future in others] == [1.0] * 3


def test_params_that_cannot_travel_are_refused_where_they_were_given(shared_fleet):
    with pytest.raises(ValueError, match="params"):
        shared_fleet.submit(b"\x01", params={"a": object()})
    with pytest.raises(ValueError, match="params"):
        shared_fleet.evaluate([b"\x01"], params={"a": "x" * 1_000_000})


def test_a_key_given_twice_to_one_call_and_too_few_keys_are_wrong_questions(shared_fleet):
    with pytest.raises(ValueError, match=r"keys\[1\] is 'a', as keys\[0\]"):
        list(shared_fleet.evaluate([b"\x01", b"\x02"], keys=["a", "a"]))
    with pytest.raises(ValueError, match="1 keys"):
        list(shared_fleet.evaluate([b"\x01", b"\x02"], keys=["b"]))


def test_the_input_is_read_only_as_the_fleet_keeps_up(shared_fleet, monkeypatch):
    monkeypatch.setattr("tzar_actors.client.fleet._WINDOW", 4)
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield bytes([len(read) % 200 + 1])

    outcomes = shared_fleet.evaluate(endless())
    for _ in range(10):
        next(outcomes)
    outcomes.close()
    assert 10 <= len(read) <= 14


def test_status_shows_the_vms_the_queue_and_the_counters(fleet, folder, until):
    list(fleet.evaluate([b"\x01", b"\x02"]))
    for i in range(3, 8):
        fleet.submit(bytes([i]), key=str(i), params={"wait": "go"})
    until(lambda: fleet.status().games_running == 2)
    status = fleet.status()
    assert (status.fleet, status.epoch, status.pid) == ("tzar", 1, fleet.supervisor_pid)
    assert (status.evaluations_open, status.games_running, status.games_queued) == (5, 2, 3)
    assert status.outcomes == {"scored": 2}
    assert {vm.state for vm in status.vms} == {"playing"}
    assert len({vm.evaluation for vm in status.vms} & set("34567")) == 2
    assert sum(vm.games_played for vm in status.vms) == 2
    assert (status.trainers, status.attempts_lost, status.is_draining) == (1, 0, False)


def test_an_empty_genome_is_a_genome_like_others(shared_fleet):
    result = shared_fleet.submit(b"").result(PATIENCE_S)
    assert result.outcome == "genome_failed"  # the game of these tests wants at least a byte
    assert "index out of range" in result.reason + result.games[0].reason


def test_the_games_seeds_are_those_that_were_given_or_follow_from_the_seed(fleet):
    assert game_seeds(7, 3)[:2] == game_seeds(7, 2)
    assert game_seeds(7, 1) != game_seeds(8, 1)
    assert all(0 <= seed < 2**63 for seed in game_seeds(0, 100))


def test_cancelling_one_of_two_futures_of_a_key_leaves_the_other_its_outcome(fleet, folder, until):
    one, other = (fleet.submit(b"\x01", key="a", params={"wait": "go"}) for _ in range(2))
    until(lambda: (folder / "began-1").exists())
    assert one.cancel()
    assert wait([one], PATIENCE_S).done == {one}
    (folder / "go").touch()
    assert other.result(PATIENCE_S).fitness == 1.0
    assert one.cancelled()


def test_an_iterator_that_is_closed_leaves_others_that_wait_for_its_keys_their_outcomes(fleet, folder, until):
    other = fleet.submit(b"\x01", key="a", params={"wait": "go"})
    outcomes = fleet.evaluate([b"\x01", b"\x02"], params={"wait": "go"}, keys=["a", "b"], order=True)
    second = fleet.submit(b"\x03", params={})
    (folder / "go").touch()
    assert next(outcomes).key == "a"
    outcomes.close()
    assert (other.result(PATIENCE_S).fitness, second.result(PATIENCE_S).fitness) == (1.0, 3.0)


def test_when_both_futures_of_a_key_are_cancelled_the_evaluation_ends(fleet, folder, until):
    futures = [fleet.submit(b"\x01", key="a", params={"wait": "never"}) for _ in range(2)]
    until(lambda: (folder / "began-1").exists())
    assert [future.cancel() for future in futures] == [True, True]
    until(lambda: [r.outcome for r in fleet.results("a")] == ["cancelled"])
    assert wait(futures, PATIENCE_S).done == set(futures)


def accepted(*fleets):
    return all(fleet._connection._waiting.all_are_accepted for fleet in fleets)


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_cancel_by_one_of_two_trainers_leaves_the_other_its_outcome(fleet, folder, until):
    with tzar_actors.connect(fleet.state_dir) as other:
        ours, theirs = (each.submit(b"\x01", key="a", params={"wait": "go"}) for each in (fleet, other))
        until(lambda: accepted(fleet, other))
        assert ours.cancel()
        until(lambda: "a" not in fleet._connection._waiting._pending)
        assert fleet.results_so_far("a").open_keys == ("a",)
        (folder / "go").touch()
        assert theirs.result(PATIENCE_S).fitness == 1.0
        assert ours.cancelled()


def test_when_both_of_two_trainers_cancel_the_evaluation_ends(fleet, until):
    with tzar_actors.connect(fleet.state_dir) as other:
        futures = [each.submit(b"\x01", key="a", params={"wait": "never"}) for each in (fleet, other)]
        until(lambda: accepted(fleet, other))
        assert [future.cancel() for future in futures] == [True, True]
        until(lambda: [r.outcome for r in fleet.results("a")] == ["cancelled"])


def test_a_trainer_that_is_gone_for_good_keeps_no_other_from_cancelling(fleet, until):
    with tzar_actors.connect(fleet.state_dir) as other:
        other.submit(b"\x01", key="a", params={"wait": "never"})
        other.detach()

    def is_cancelled():
        fleet.submit(b"\x01", key="a", params={"wait": "never"}).cancel()
        return [result.outcome for result in fleet.results("a")] == ["cancelled"]

    assert not is_cancelled(), "it may only be reconnecting"
    until(is_cancelled)


def test_results_so_far_name_what_is_still_open(fleet, folder, until):
    open_ = fleet.submit(b"\x01", key="open", params={"wait": "go"}, generation=4)
    assert fleet.submit(b"\x02", key="over", generation=4).result(PATIENCE_S).fitness == 2.0
    for found in (fleet.results_so_far("open", "over", "none"), fleet.results_so_far(generation=4)):
        assert ([r.key for r in found.ended], found.open_keys) == (["over"], ("open",))
    (folder / "go").touch()
    assert open_.result(PATIENCE_S).fitness == 1.0


def test_a_trainer_that_detaches_leaves_what_it_handed_in_to_be_played(config, fleet, until):
    with tzar_actors.connect(fleet.state_dir) as other:
        futures = [other.submit(bytes([i]), key=f"left-{i}", generation=9) for i in range(1, 40)]
        too_big = other.submit(bytes(2 * 1024 * 1024))
        other.detach()
    assert isinstance(too_big.exception(0.0), RejectedError)
    assert all(future.done() for future in futures)
    until(lambda: len(fleet.results(generation=9)) == 39)


def test_a_lone_evaluation_is_sent_by_the_thread_that_asks_and_more_are_gathered(fleet, monkeypatch):
    senders = []
    send = Connection._send

    def sent(connection, message):
        if isinstance(message, Submit):
            senders.append(threading.current_thread())
        send(connection, message)

    monkeypatch.setattr(Connection, "_send", sent)
    me = threading.current_thread()
    for _ in range(50):  # where the other thread is just looking after the connection, it sends this as well
        assert fleet.submit(b"\x01").result(PATIENCE_S).fitness == 1.0
        if senders[-1] is me:
            break
    assert senders[-1] is me
    senders.clear()
    futures = [fleet.submit(bytes([i]), params={"wait": "go"}) for i in (2, 3, 4)]
    for future in futures:
        future.cancel()
    wait(futures, PATIENCE_S)
    assert me not in senders[1:]


def test_an_outcome_may_be_answered_by_the_next_question_from_where_it_is_heard(fleet):
    heard = Future()

    def ask_for_the_next(_):
        heard.set_result(fleet.submit(b"\x02"))

    fleet.submit(b"\x01").add_done_callback(ask_for_the_next)
    assert heard.result(PATIENCE_S).result(PATIENCE_S).fitness == 2.0
