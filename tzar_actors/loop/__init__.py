"""One thread that owns every socket, every timer and every actor that decides."""

from tzar_actors.loop.actor import LoopActor
from tzar_actors.loop.loop import Loop, Timer
from tzar_actors.loop.waiter import PollWaiter, VirtualWaiter, Waiter, is_readable
from tzar_actors.loop.watchdog import Watchdog

__all__ = ["Loop", "LoopActor", "PollWaiter", "Timer", "VirtualWaiter", "Waiter", "Watchdog", "is_readable"]
