"""How genomes come to an agent: inside the order, from the shared spool, over the blob socket, from the cache."""

import hashlib
import os

import pytest
from fake_supervisor import details_of, python_evaluator

from tzar_agent.genomes import GenomeError, Genomes
from tzar_agent.protocol.messages import AgentHeartbeat, Cancel, Play

SHA = """
import hashlib
from tzar_agent import Result
def play(genome, params, game):
    return Result(len(genome), {"sha": hashlib.sha256(genome).digest()})
"""


@pytest.fixture(params=["python", "inline"])
def hashing(supervisor, tmp_path, request):
    evaluator = python_evaluator(tmp_path, SHA)
    supervisor.evaluator = {**evaluator, "kind": request.param}
    supervisor.identify()
    supervisor.start_agent()
    return supervisor


def check(supervisor, attempt, genome):
    result = supervisor.result(attempt)
    assert (result.status, result.reason) == ("scored", "")
    assert details_of(result)["sha"] == hashlib.sha256(genome).digest()


def cached(supervisor):
    return {path.name: path.stat().st_size for path in (supervisor.home / "cache").iterdir()}


@pytest.mark.parametrize("size", [1, 512 * 1024, 512 * 1024 + 1, 5_000_000])
def test_a_genome_is_fetched_once_in_chunks_and_then_cached(hashing, size):
    genome = os.urandom(size)
    hashing.blobs[hashlib.sha256(genome).digest()] = genome
    hashing.welcome()
    hashing.play("a1", genome, inline=False)
    check(hashing, "a1", genome)
    gets = hashing.gets
    assert gets == -(-size // (512 * 1024))
    hashing.play("a2", genome, inline=False)
    check(hashing, "a2", genome)
    assert hashing.gets == gets


def test_a_genome_in_the_spool_is_opened_in_place(hashing, tmp_path):
    genome = os.urandom(3_000_000)
    (tmp_path / hashlib.sha256(genome).hexdigest()).write_bytes(genome)
    hashing.spool = tmp_path
    hashing.welcome()
    hashing.play("a1", genome, inline=False)
    check(hashing, "a1", genome)
    assert (hashing.gets, cached(hashing)) == (0, {})


def test_a_damaged_file_in_the_spool_is_not_used(hashing, tmp_path):
    genome = os.urandom(100_000)
    digest = hashlib.sha256(genome)
    (tmp_path / digest.hexdigest()).write_bytes(genome[:-1] + bytes([genome[-1] ^ 1]))
    hashing.blobs[digest.digest()] = genome
    hashing.spool = tmp_path
    hashing.welcome()
    hashing.play("a1", genome, inline=False)
    check(hashing, "a1", genome)
    assert hashing.gets == 1


def test_a_genome_that_nobody_has_is_the_agents_fault(hashing):
    hashing.welcome()
    hashing.play("a1", b"unknown", inline=False)
    result = hashing.result("a1")
    assert result.status == "agent_fault"
    assert "cannot be had from the supervisor: never heard of it" in result.reason


def test_a_genome_that_came_damaged_is_the_agents_fault_and_not_cached(hashing):
    genome = os.urandom(100_000)
    hashing.blobs[hashlib.sha256(genome).digest()] = genome[:-1] + bytes([genome[-1] ^ 1])
    hashing.welcome()
    hashing.play("a1", genome, inline=False)
    result = hashing.result("a1")
    assert result.status == "agent_fault"
    assert "has another SHA-256" in result.reason
    assert hashlib.sha256(genome).hexdigest() not in cached(hashing)


@pytest.mark.promise(8, "bounded")
def test_the_cache_stays_within_its_bound(hashing):
    hashing.cache_bytes = 1_000_000
    hashing.welcome()
    genomes = [os.urandom(400_000) for _ in range(4)]
    for i, genome in enumerate(genomes):
        hashing.blobs[hashlib.sha256(genome).digest()] = genome
        hashing.play(f"a{i}", genome, inline=False)
        check(hashing, f"a{i}", genome)
    assert cached(hashing) == {hashlib.sha256(genome).hexdigest(): 400_000 for genome in genomes[2:]}


def test_a_fetch_can_be_cancelled_and_begins_anew_after_a_reconnect(hashing):
    genome = os.urandom(2_000_000)
    digest = hashlib.sha256(genome).digest()
    hashing.blobs[digest] = genome
    hashing.welcome()
    hashing.holds_blobs = True
    hashing.play("a1", genome, inline=False)
    hashing.expect(AgentHeartbeat, lambda beat: (beat.state, beat.attempt) == ("fetching", "a1"))
    hashing.send(Cancel("a1"))
    assert hashing.result("a1").status == "cancelled"
    hashing.play("a2", genome, inline=False)
    hashing.expect(AgentHeartbeat, lambda beat: (beat.state, beat.attempt) == ("fetching", "a2"))
    hashing.vanish()
    hashing.listen()
    hashing.holds_blobs = False
    assert hashing.welcome().playing.attempt == "a2"
    check(hashing, "a2", genome)


def order(genome, data=None):
    digest = hashlib.sha256(genome).digest()
    return Play("a", "e", 0, digest, len(genome), data, b"\x80", 0, 1.0, None)


def test_an_order_with_another_genome_than_it_says_is_refused(tmp_path):
    genomes = Genomes(tmp_path / "cache")
    with pytest.raises(GenomeError, match="its SHA-256 is another"):
        genomes.find(order(b"this", b"that"), needs_path=False)


def test_an_inline_genome_lies_in_a_file_only_for_those_who_need_one(tmp_path):
    genomes = Genomes(tmp_path / "cache")
    assert genomes.find(order(b"this", b"this"), needs_path=False).data == b"this"
    assert genomes.size_bytes == 0
    found = genomes.find(order(b"this", b"this"), needs_path=True)
    assert (found.data, found.path.read_bytes()) == (None, b"this")


def test_a_cache_of_before_is_used_and_what_is_damaged_in_it_is_dropped(tmp_path):
    before = Genomes(tmp_path / "cache")
    good = before.find(order(b"good", b"good"), needs_path=True).path
    bad = before.find(order(b"bad!", b"bad!"), needs_path=True).path
    bad.write_bytes(b"BAD?")
    (tmp_path / "cache" / ("00" * 32 + ".part")).write_bytes(b"half")
    after = Genomes(tmp_path / "cache")
    assert after.find(order(b"good"), needs_path=True).path == good
    assert after.find(order(b"bad!"), needs_path=True) is None
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [good.name]


def test_of_many_small_genomes_the_last_ones_are_kept_and_nothing_grows(tmp_path, monkeypatch):
    monkeypatch.setattr("tzar_agent.genomes._MOST_FILES", 3)
    genomes = Genomes(tmp_path / "cache")
    names = [b"%d" % number for number in range(10)]
    for name in names:
        genomes.find(order(name, name), needs_path=True)
    kept = {hashlib.sha256(name).hexdigest() for name in names[-3:]}
    assert {path.name for path in (tmp_path / "cache").iterdir()} == kept
    assert genomes.size_bytes == 3
    assert len(genomes._verified) <= 3


def test_the_caches_size_follows_what_is_stored_again_and_what_is_dropped(tmp_path):
    genomes = Genomes(tmp_path / "cache")
    for name in (b"one", b"three", b"one"):
        genomes.find(order(name, name), needs_path=True)
    assert genomes.size_bytes == 8
    genomes.path_of(hashlib.sha256(b"three").digest()).write_bytes(b"THREE")
    assert genomes.find(order(b"three"), needs_path=True) is None
    assert genomes.size_bytes == 3
    genomes.adopt(None, 0)
    assert genomes.size_bytes == 0, "what is in play is the other one, and it is not there"


def test_the_genome_in_play_stays_whatever_the_bound(tmp_path):
    genomes = Genomes(tmp_path / "cache")
    genomes.adopt(None, 10)
    big = genomes.find(order(b"x" * 100, b"x" * 100), needs_path=True)
    assert big.path.exists()
    small = genomes.find(order(b"y", b"y"), needs_path=True)
    assert small.path.exists()
    assert not big.path.exists()
