"""Worlds for tests."""

import sys
from pathlib import Path

import pytest

from tzar_actors.simulation.surroundings import GameLengths
from tzar_actors.simulation.world import World

SHORT = GameLengths(median_s=0.002, spread=0.7, long=0.02, long_s=1.5)

sys.path.insert(0, str(Path(__file__).parent))  # for `mutants`: tests are no package


@pytest.fixture
def run_world(tmp_path):
    """Runs a world until its peace, and returns it."""
    folders = iter(range(10_000))

    def run(seed, faults, *, vms=4, hosts=1, minutes=20.0, is_short=False, **options):
        if is_short:  # milliseconds, so that orders go ahead; now and then a long one, behind which some wait
            options = {"games": SHORT, "depth": 24, **options}
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        world = World(seed, vms, hosts, faults, folder, **options)
        for _ in world.run(minutes * 60.0):
            pass
        return world

    return run
