"""An agent that was written from the protocol's page alone, against the real supervisor."""

import hashlib
import sys
from pathlib import Path

import pytest

import tzar_actors

STRANGER = Path(__file__).parent / "stranger.py"
# Stands in for the Python that runs `-m tzar_agent run --home FOLDER`.
WRAPPER = """\
#!{python}
import os, sys
from pathlib import Path

home = Path(sys.argv[sys.argv.index("--home") + 1])
os.execv({python!r}, [{python!r}, {stranger!r}, str(home / "identity.json"), "--folder", str(home / "kept")])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the agent's Python is a script that POSIX starts")
@pytest.mark.parametrize("share_blobs", [True, False])
def test_a_stranger_registers_and_plays_small_and_large_genomes(tmp_path, share_blobs):
    wrapper = tmp_path / "stranger"
    wrapper.write_text(WRAPPER.format(python=sys.executable, stranger=str(STRANGER)))
    wrapper.chmod(0o700)
    config = {
        "fleet": {"state_dir": str(tmp_path / "state"), "share_blobs": share_blobs},
        "evaluator": {"kind": "python", "target": "nobody:reads_this"},
        "hosts": [{"vms": 1, "local": {"python": str(wrapper)}}],
    }
    genomes = [b"small" * 20, hashlib.sha256(b"large").digest() * 40_000]
    with tzar_actors.launch(config) as fleet:
        results = list(fleet.evaluate(genomes, games=2, order=True))
    assert [(result.outcome, result.fitness) for result in results] == [
        ("scored", float(sum(genome) % 1000)) for genome in genomes
    ]
