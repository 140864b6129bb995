"""What heartbeats say of the machine: the processors' load, and the memory of the agent and its evaluator."""

import time

import psutil

__all__ = ["Load"]

_TREE_EVERY_S = 5.0  # finding all descendants reads every process of the machine


class Load:
    """Measures, cheaply enough for each heartbeat."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._tree: list[psutil.Process] = []
        self._root: int | None = None
        self._looked_at = float("-inf")
        psutil.cpu_percent()  # it measures since the call before

    def processors(self) -> float:
        """The load of all processors since the last call, 0 to 1."""
        return min(1.0, max(0.0, psutil.cpu_percent() / 100))

    def memory_bytes(self, evaluator_pid: int | None) -> int:
        """Resident memory of the agent, and of the evaluator's process tree as it was found last."""
        now = time.monotonic()
        if evaluator_pid != self._root or now - self._looked_at > _TREE_EVERY_S:
            self._root, self._looked_at, self._tree = evaluator_pid, now, _tree(evaluator_pid)
        return sum(_resident(process) for process in (self._own, *self._tree))


def _tree(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        return []
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
