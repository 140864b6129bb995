import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `fleet_world`, which the tests here share: tests are no package

from fleet_world import FleetWorld


@pytest.fixture
def world(tmp_path):
    world = FleetWorld(tmp_path)
    yield world
    world.close()
