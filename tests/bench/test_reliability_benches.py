"""The benches of kills, recovery, soaking and memory, each run for some seconds: all figures are there and sound."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def run(bench, *arguments):
    return subprocess.run(
        [sys.executable, str(BENCH / bench), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


def figures(bench, folder, *arguments):
    """The object on the last line of a run, which must have left nothing behind."""
    done = run(bench, "--json", "--folder", str(folder), *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    assert list(folder.iterdir()) == []
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.promise(1, "exactly one outcome")
@pytest.mark.promise(2, "a crash is never a low fitness")
@pytest.mark.promise(6, "nothing accepted is lost")
def test_chaos_finds_nothing_lost_doubled_or_wrong(tmp_path):
    found = figures("chaos.py", tmp_path, "--minutes", "0.1", "--every", "1.5", "--vms", "3", "--crashes", "0.1")
    assert (found["lost"], found["doubled"], found["wrong"]) == (0, 0, 0)
    assert found["evaluations"] > 5
    assert sum(found["faults"].values()) >= 2
    assert found["kills"] == sum(times for fault, times in found["faults"].items() if fault.endswith("killed"))
    assert 0 < found["efficiency"] < 1
    assert 0 < found["efficiency_without_faults"] < 1


def test_recovery_has_all_its_figures(tmp_path):
    found = figures("recovery.py", tmp_path, "--rounds", "1", "--queued", "50")
    for name in ("agent_killed_s", "evaluator_killed_s", "supervisor_killed_s"):
        assert 0 < found[name] < 30
        assert found[name] < found.get(f"{name[:-2]}_began_s", 30)
    assert 2.5 < found["agent_frozen_intervals"] < 30
    assert found["supervisor_killed_from_kill_s"] > found["supervisor_killed_s"] - 0.02


def test_a_soak_has_all_its_figures(tmp_path):
    found = figures("soak.py", tmp_path, "--minutes", "0.15", "--vms", "2", "--every", "1")
    assert (found["minutes"], found["lost"], found["doubled"], found["wrong"]) == (0.15, 0, 0, 0)
    assert found["evaluations"] > 20
    assert found["faults"] >= 2
    assert 0.1 < found["slowdown"] < 10
    assert found["growth_mb"] == max(found["growth_mb_by_process"].values())
    assert set(found["growth_mb_by_process"]) == {"supervisor", "agent", "trainer"}
    assert abs(found["growth_fds"]) < 50


@pytest.mark.promise(8, "bounded")
@pytest.mark.skipif(sys.platform not in ("linux", "win32"), reason="a process's peak is not known elsewhere")
def test_memory_has_the_peak_and_the_growth(tmp_path):
    found = figures("memory.py", tmp_path, "--genomes", "3", "--evaluations", "200")
    assert found["queued"] == 3
    assert 10 < found["supervisor_mb_before"] <= found["supervisor_mb"] < 1000
    assert 0.5 < found["growth_ratio"] < 2
    assert found["evaluations"] == 200


def test_a_disk_without_room_is_named_before_anything_is_written(tmp_path):
    done = run("memory.py", "--genomes", "100000000", "--folder", str(tmp_path))
    assert done.returncode == 1
    assert re.search(r"need 1,100,000,\d+ MB", " ".join(done.stderr.split()))
    assert list(tmp_path.iterdir()) == []
