"""The agent of tzar-actors: the program inside a VM that plays games for the supervisor."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tzar-agent")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
