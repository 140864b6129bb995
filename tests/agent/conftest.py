import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_supervisor import fake_supervisor  # found by the line above: tests are no package


@pytest.fixture
def supervisor(tmp_path):
    with fake_supervisor(tmp_path / "home") as fake:
        yield fake
