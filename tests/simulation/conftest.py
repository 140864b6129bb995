"""Worlds for tests."""

import sys
from pathlib import Path

import pytest

from tzar_actors.simulation.world import World

sys.path.insert(0, str(Path(__file__).parent))  # for `mutants`: tests are no package


@pytest.fixture
def run_world(tmp_path):
    """Runs a world until its peace, and returns it."""
    folders = iter(range(10_000))

    def run(seed, faults, *, vms=4, hosts=1, minutes=20.0, **options):
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        world = World(seed, vms, hosts, faults, folder, **options)
        for _ in world.run(minutes * 60.0):
            pass
        return world

    return run
