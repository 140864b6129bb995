"""What the functions refuse, in a driver's words: they speak to people at a PowerShell, it to those of a fleet."""

from typing import NamedTuple

from hyperv.errors import HyperVError

__all__ = ["refusal"]


class _Words(NamedTuple):
    """What replaces an error's text and its cure. `{verb}` and `{done}` are the driver's, `{said}` PowerShell's."""

    what: str
    cure: str


_WORDS = {
    "TzarNoSuchVM": _Words("there is no such VM", "Create it"),
    "TzarForeignVM": _Words("it was not made by this fleet: {said}", ""),  # what was said has the cure
    "TzarNotOff": _Words("it cannot be {done} while it runs", "Stop or kill it before"),
    "TzarNotRunning": _Words("one cannot {verb} a VM that is off", "Start it before"),
    "TzarStillRuns": _Words("it was asked to stop and still runs: {said}", "Kill it"),
    "TzarNoCheckpoint": _Words("it has no checkpoint {checkpoint}: {said}", "Restore one that it has"),
    "TzarCheckpointExists": _Words("it has a checkpoint {checkpoint} already", "Choose another name for the new one"),
}  # fmt: skip


def refusal(error: HyperVError, *, verb: str, done: str, checkpoint: str = "") -> HyperVError:
    """The error in a driver's words, or as it is when it is none of those.

    Args:
        error: what a call of a function raised.
        verb: what was tried, as in "one cannot VERB a VM that is off".
        done: the same, as in "it cannot be DONE while it runs".
        checkpoint: the name of the checkpoint that it was about.
    """
    words = _WORDS.get(error.code)
    if words is None:
        return error
    said = error.what.removeprefix(error.cmdlet + ": ")
    what = words.what.format(verb=verb, done=done, checkpoint=checkpoint, said=said)
    return HyperVError(
        what,
        host=error.host,
        vm=error.vm,
        cmdlet=error.cmdlet,
        cure=words.cure,
        busy=error.busy,
        unreachable=error.unreachable,
        lacking=error.lacking,
        code=error.code,
        error_id=error.error_id,
        hresult=error.hresult,
        said=error.said,
    )
