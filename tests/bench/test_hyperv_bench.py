"""The bench of the Hyper-V driver, run in small: all figures are there and sound."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hyperv"))  # tests are no package

from lab import NO_WINRM, needs_lab

BENCH = Path(__file__).parents[2] / "bench" / "hyperv.py"


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(BENCH), *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


@needs_lab
def test_two_clones_an_idle_supervisor_and_a_verb_beside_the_bare_line_have_their_figures():
    pytest.importorskip("winrm", reason=NO_WINRM)
    done = run("--json", "--rounds", "1", "--vms", "2", "--idle-s", "8")
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {
        *("verb_ms", "bare_ms", "verb_ratio", "run_ps_ms", "verb_2_ms"),
        *("clone2_s", "clone2_addresses_s", "idle_calls_per_min"),
    }
    assert 0 < found["bare_ms"] < found["run_ps_ms"]
    assert found["verb_ratio"] == pytest.approx(found["verb_ms"] / found["bare_ms"], rel=0.01)
    assert 0 < found["verb_2_ms"] < found["run_ps_ms"]
    assert 0 < found["clone2_s"] < 120
    assert 0 < found["clone2_addresses_s"] < 120
    assert 0 < found["idle_calls_per_min"] < 60


def test_without_the_lab_it_says_where_it_was_looked_for(tmp_path):
    pytest.importorskip("winrm", reason=NO_WINRM)
    done = run(TZAR_HYPERV_LAB=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "TZAR_HYPERV_LAB names it" in " ".join(done.stderr.split())
