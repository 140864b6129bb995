import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `asking`, which the tests here share: tests are no package
