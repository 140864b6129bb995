"""The bench is a folder of scripts and no package: its modules are found as they are when it is run."""

import sys
from pathlib import Path

import hyperv  # noqa: F401 - the package, before the bench's module of that name could be taken for it

sys.path.append(str(Path(__file__).parents[2] / "bench"))
