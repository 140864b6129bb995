"""A world is decided by its seed: the same one again is the same, to the last event."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tzar_actors.simulation.faults import PROFILES

FAULTS = PROFILES["heavy"].scaled(3.0)
STORY = """
import sys
from pathlib import Path
from tzar_actors.simulation.faults import PROFILES
from tzar_actors.simulation.world import World
world = World(5, 4, 2, PROFILES["heavy"].scaled(3.0), Path(sys.argv[1]), is_digested=True)
for _ in world.run(900.0):
    pass
print(world.story.digest)
"""


def test_the_same_seed_gives_the_same_story(run_world):
    first, again, other = (
        run_world(seed, FAULTS, hosts=2, minutes=15.0, is_digested=True).story.digest for seed in (5, 5, 6)
    )
    assert len(first) == 64
    assert first == again != other


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_with_another_order_of_sets_tells_the_same_story(hash_seed, run_world, tmp_path):
    here = run_world(5, FAULTS, hosts=2, minutes=15.0, is_digested=True).story.digest
    root = Path(__file__).parent.parent.parent
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "agent")]),
    }
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == here
