"""The agent of tzar-actors: the program inside a VM that plays games for the supervisor.

Authors of evaluators need two names of it: `from tzar_agent import Game, Result`.
"""

from tzar_agent.game import Game, Result

__all__ = ["Game", "Result", "__version__"]


def __getattr__(name: str) -> str:
    # Looked up when asked for: the evaluator's child imports this package as well, and the metadata cost more than it.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tzar-agent")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
