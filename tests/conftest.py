"""How many processes run the tests. Most tests wait for processes and hosts more than they reckon."""

import os

import pytest

MOST = 4  # beyond, the longest file alone (the drivers' contract) decides how long it takes


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each core; none beside pytest's own where files were named, which is a developer's quick look."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return 0 if named else min(MOST, os.cpu_count() or 1)
