"""What is said when the supervisor does not answer: one text for each thing that was wanted of it."""

from pathlib import Path

from tzar_actors.errors import SupervisorError

__all__ = ["given_up", "no_answer", "not_accepted", "out_of_reach"]


def out_of_reach(folder: Path, cause: BaseException | str) -> SupervisorError:
    """There is no connection to the supervisor of this state folder."""
    return SupervisorError(f"the supervisor of {folder} cannot be reached: {cause}")


def no_answer(folder: Path, timeout_s: float) -> SupervisorError:
    """A question had no answer within `timeout_s` seconds."""
    return SupervisorError(f"the supervisor of {folder} did not answer within {timeout_s:g} s")


def not_accepted(folder: Path, timeout_s: float, cause: BaseException | None) -> SupervisorError:
    """What was handed in was neither accepted nor refused within `timeout_s` seconds."""
    return SupervisorError(
        f"the supervisor of {folder} has not accepted within {timeout_s:g} s what it was given:"
        f" {cause or 'it does not answer'}"
    )


def given_up(folder: Path, patience_s: float, cause: BaseException | None) -> SupervisorError:
    """Nobody has answered for `patience_s` seconds, which is as long as was to be waited."""
    return SupervisorError(
        f"no supervisor has answered in {folder} for {patience_s:g} s ({cause or 'it is gone'})."
        " What it accepted is kept in its journal: start it again to have it played on, and get the outcomes by"
        " key or generation with fleet.results(...) or: tzar results"
    )
