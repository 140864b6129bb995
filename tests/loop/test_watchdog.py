"""The watchdog: with an injected end, and in a process of its own."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tzar_actors.loop import Loop, PollWaiter, Watchdog
from tzar_actors.loop.watchdog import EXIT_STALLED

PATIENCE_S = 20.0


class Ending:
    """Remembers how the process would have ended."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.stalls: list[float] = []
        self.ended = threading.Event()

    def end(self, code: int) -> None:
        self.codes.append(code)
        self.ended.set()


def test_a_stalled_turn_is_told_with_all_stacks_and_ends_the_process(running_loop: Loop, tmp_path: Path) -> None:
    ending, release = Ending(), threading.Event()

    def hang_in_a_callback() -> None:
        release.wait(PATIENCE_S)

    with (tmp_path / "stacks.txt").open("w+") as stacks:
        watchdog = Watchdog(running_loop, 0.2, ending.stalls.append, stacks, ending.end)
        watchdog.start()
        running_loop.call_later(0.0, hang_in_a_callback)
        running_loop.waiter.wake()
        assert ending.ended.wait(PATIENCE_S)
        release.set()
        watchdog.stop()
        stacks.seek(0)
        assert "hang_in_a_callback" in stacks.read()
    assert ending.codes == [EXIT_STALLED]
    assert ending.stalls[0] >= 0.2


def test_a_loop_that_turns_or_sleeps_is_left_alone(running_loop: Loop) -> None:
    ending, turned = Ending(), threading.Event()
    watchdog = Watchdog(running_loop, 0.5, ending.stalls.append, end=ending.end)
    watchdog.start()
    turns: list[float] = []

    def tick() -> None:
        turns.append(time.monotonic())
        if turns[-1] - turns[0] > 0.7:
            turned.set()
        else:
            running_loop.call_later(0.01, tick)

    running_loop.call_later(0.0, tick)
    running_loop.waiter.wake()
    assert turned.wait(PATIENCE_S)
    assert not ending.ended.wait(0.7)  # it sleeps now, for longer than a turn may last
    watchdog.stop()
    assert ending.codes == []


def test_a_report_that_hangs_as_well_does_not_save_the_process(
    running_loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tzar_actors.loop.watchdog._LAST_WORDS_S", 0.1)
    ending, release = Ending(), threading.Event()

    def hang() -> None:
        release.wait(PATIENCE_S)

    with (tmp_path / "stacks.txt").open("w") as stacks:
        watchdog = Watchdog(running_loop, 0.1, lambda _: hang(), stacks, ending.end)
        watchdog.start()
        running_loop.call_later(0.0, hang)
        running_loop.waiter.wake()
        assert ending.ended.wait(PATIENCE_S)
        release.set()
        watchdog.stop()
    assert ending.codes == [EXIT_STALLED]


def test_a_clock_that_jumped_during_one_look_is_no_stall(tmp_path: Path) -> None:
    """A machine that was suspended in mid-turn: the turn looks old at the first look after, and ends soon."""
    loop = Loop(time.monotonic, waiter := PollWaiter())
    ending = Ending()
    with (tmp_path / "stacks.txt").open("w") as stacks:
        watchdog = Watchdog(loop, 2.0, ending.stalls.append, stacks, ending.end)
        loop.turn_began = time.monotonic() - 3600.0
        watchdog.start()
        assert not ending.ended.wait(0.7)  # one look, a quarter of the limit after the start
        loop.turn_began = None
        watchdog.stop()
    assert ending.codes == []
    waiter.close()


PROCESS = """
import sys, threading, time
from tzar_actors.loop import Loop, PollWaiter, Watchdog

def stuck_for_good():
    threading.Event().wait()

loop = Loop(time.monotonic, PollWaiter())
Watchdog(loop, 0.2, lambda lasted_s: print(f"stalled for {lasted_s:.0f} s", flush=True)).start()
loop.call_later(0.0, stuck_for_good)
loop.run()
"""


def test_a_stalled_process_exits_with_75_and_leaves_its_stacks() -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXIT_STALLED == 75
    assert "stuck_for_good" in done.stderr
    assert "stalled for" in done.stdout
