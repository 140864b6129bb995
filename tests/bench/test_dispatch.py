import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from bare_broker import BareBroker
from rounds import RATIOS
from work import WORKERS, BenchError, genomes

DISPATCH = Path(__file__).parents[2] / "bench" / "dispatch.py"
PEERS = {
    "bare_evaluations_per_s",
    "bare_p50_ms",
    "bare_p99_ms",
    "bare_wire_mb_s",
    "pool_evaluations_per_s",
    "pool_p50_ms",
    "pool_p99_ms",
    "sha256_mb_s",
    "sha256_one_processor_mb_s",
}


def dispatch(*arguments):
    return subprocess.run(
        [sys.executable, str(DISPATCH), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


@pytest.fixture
def bare():
    broker = BareBroker()
    broker.start()
    yield broker
    broker.stop()


def quick(*systems):
    """The last line of a short run of these systems, as JSON."""
    only = [word for system in systems for word in ("--only", system)]
    run = dispatch("--quick", "--rounds", "1", "--json", *only)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_the_peers_are_measured_and_the_last_line_is_one_json_object():
    figures = quick("bare", "pool", "sha256")
    assert set(figures) == PEERS | {"rounds", "workers", "busy_before_percent"}
    assert all(figures[name] > 0 for name in PEERS)
    assert figures["rounds"] == 1


@pytest.mark.parametrize("durability", ["process", "power"])
def test_beside_a_fleet_every_ratio_of_its_durability_is_there_whatever_it_is(durability):
    figures = quick("bare", "pool", "sha256", durability)
    behind = "_power" if durability == "power" else ""
    ratios = {ratio.name for ratio in RATIOS if ratio.name.endswith("_power") == (durability == "power")}
    ours = {f"{name}{behind}" for name in ("evaluations_per_s", "p50_ms", "p99_ms", "wire_mb_s", "in_place_mb_s")}
    assert set(figures) == PEERS | ratios | ours | {"rounds", "workers", "busy_before_percent"}
    assert all(figures[name] > 0 for name in ratios | ours)


def test_an_unknown_system_is_refused_with_the_known_ones():
    run = dispatch("--only", "bear")
    assert run.returncode == 2
    assert "bare" in run.stderr


def test_the_bare_broker_moves_a_large_genome_and_the_worker_verifies_it(bare):
    assert bare.wire(3, 200_000) > 0


def test_a_mistaken_fitness_is_noticed(bare, monkeypatch):
    wrong = [b"\x01" + bytes(255), b"\x02" + bytes(255)]
    assert bare.throughput(2, 256) > 0
    monkeypatch.setattr(bare, "_receive", lambda: b"\x93\x00\xcb" + b"\x00" * 8 + b"\x80")
    with pytest.raises(BenchError, match="another genome"):
        bare._seconds(wrong, window=2)


def test_the_bare_broker_leaves_no_process_behind():
    before = set(psutil.Process().children())
    broker = BareBroker()
    broker.start()
    started = set(psutil.Process().children()) - before
    broker.stop()
    assert len(started) == WORKERS + 1
    assert not [process for process in started if process.is_running()]


def test_genomes_of_one_batch_are_all_different():
    assert len(set(genomes(50, 256))) == 50
