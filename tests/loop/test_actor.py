"""Pykka's semantics on the loop. Each test turns a virtual loop itself, on one thread."""

from types import TracebackType
from typing import Any

import pykka
import pytest

from tzar_actors.loop import Loop, LoopActor


class Recorder(LoopActor):
    """Writes down what happens to it, and does what its mail says."""

    def __init__(self, loop: Loop, story: list[Any], fails_in: str = "") -> None:
        super().__init__(loop)
        self.story = story
        self.fails_in = fails_in
        self.shown = "nothing yet"

    def on_start(self) -> None:
        self._live_through("start")

    def on_stop(self) -> None:
        self._live_through("stop")

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live_through(f"failure {exception_value}")

    def on_receive(self, message: Any) -> Any:
        self.story.append(message)
        if isinstance(message, BaseException):
            raise message
        if message == "end yourself":
            self.stop()
        return f"reply to {message}"

    def double(self, number: int) -> int:
        return 2 * number

    def _live_through(self, moment: str) -> None:
        self.story.append(moment)
        if self.fails_in and moment.startswith(self.fails_in):
            raise ValueError(f"failed in {moment}")


def start(loop: Loop, story: list[Any], fails_in: str = "") -> pykka.ActorRef[Recorder]:
    return Recorder.start(loop, story, fails_in)


def answer(future: "pykka.Future[Any]") -> Any:
    return future.get(timeout=0)


def test_an_actor_starts_on_the_loop_and_not_before_it_turns(loop: Loop) -> None:
    story: list[Any] = []
    start(loop, story)
    assert story == []
    loop.turn(0.0)
    assert story == ["start"]


def test_an_ask_is_answered_with_what_the_actor_returns(loop: Loop) -> None:
    future = start(loop, []).ask("question", block=False)
    loop.turn(0.0)
    assert answer(future) == "reply to question"


def test_mail_put_before_the_loop_turned_is_handled_after_on_start_in_its_order(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story)
    for number in range(5):
        ref.tell(number)
    loop.turn(0.0)
    assert story == ["start", 0, 1, 2, 3, 4]


def test_mail_that_an_actor_puts_in_its_own_init_is_handled_after_on_start(loop: Loop) -> None:
    class Eager(Recorder):
        def __init__(self, loop: Loop, story: list[Any]) -> None:
            super().__init__(loop, story)
            self.actor_ref.tell("note to myself")

    story: list[Any] = []
    Eager.start(loop, story)
    loop.turn(0.0)
    assert story == ["start", "note to myself"]


def test_a_raising_tell_kills_the_actor_and_calls_on_failure_but_not_on_stop(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story)
    mistake = ValueError("mistake")
    ref.tell(mistake)
    ref.tell("too late")
    loop.turn(0.0)
    assert story == ["start", mistake, "failure mistake"]
    assert not ref.is_alive()
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is None


def test_a_raising_ask_answers_with_the_exception_and_the_actor_lives_on(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story)
    failed = ref.ask(ValueError("mistake"), block=False)
    good = ref.ask("next", block=False)
    loop.turn(0.0)
    with pytest.raises(ValueError, match="mistake"):
        answer(failed)
    assert answer(good) == "reply to next"
    assert ref.is_alive()
    assert "failure mistake" not in story


def test_a_raising_on_failure_leaves_the_actor_dead_and_the_loop_well(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story, fails_in="failure")
    ref.tell(ValueError("mistake"))
    other = start(loop, story).ask("hello", block=False)
    loop.turn(0.0)
    assert not ref.is_alive()
    assert answer(other) == "reply to hello"


def test_a_raising_on_start_kills_the_actor_and_calls_neither_hook(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story, fails_in="start")
    waiting = ref.ask("anybody there?", block=False)
    ref.tell("nor this")
    loop.turn(0.0)
    assert story == ["start"]
    assert not ref.is_alive()
    with pytest.raises(pykka.ActorDeadError):
        answer(waiting)


def test_stop_handles_the_mail_before_it_and_calls_on_stop(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story)
    ref.tell("before")
    stopped = ref.stop(block=False)
    loop.turn(0.0)
    assert story == ["start", "before", "stop"]
    assert answer(stopped) is True
    assert not ref.is_alive()


def test_a_raising_on_stop_still_stops_the_actor(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story, fails_in="stop")
    stopped = ref.stop(block=False)
    loop.turn(0.0)
    assert answer(stopped) is True
    assert not ref.is_alive()
    assert story == ["start", "stop"]


def test_an_actor_that_stops_itself_with_mail_left_answers_asks_as_dead_and_drops_tells(loop: Loop) -> None:
    story: list[Any] = []
    ref = start(loop, story)
    # Its stop lies behind what was in its mail already; what comes behind the stop is what is left.
    ref.tell("end yourself")
    ref.tell("in time")
    loop.turn(0.0)
    assert story == ["start", "end yourself", "in time", "stop"]

    story.clear()
    ref = start(loop, story)
    first_stop = ref.stop(block=False)
    asked = ref.ask("too late", block=False)
    ref.tell("too late as well")
    second_stop = ref.stop(block=False)
    loop.turn(0.0)
    assert story == ["start", "stop"]
    assert answer(first_stop) is True
    assert answer(second_stop) is True  # it was being stopped
    with pytest.raises(pykka.ActorDeadError):
        answer(asked)


def test_mail_that_reaches_the_inbox_after_the_end_is_answered_as_dead(loop: Loop) -> None:
    ref = start(loop, [])
    ref.stop(block=False)
    loop.turn(0.0)
    # Another thread saw the actor alive, and puts its message only now.
    asked = ref.actor_class._create_future()
    from pykka._envelope import Envelope

    ref.actor_inbox.put(Envelope("hello?", reply_to=asked))
    with pytest.raises(pykka.ActorDeadError):
        answer(asked)


def test_an_ask_to_a_dead_actor_raises_at_once(loop: Loop) -> None:
    ref = start(loop, [])
    ref.stop(block=False)
    loop.turn(0.0)
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("hello?", timeout=0)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("hello?")
    assert ref.stop(timeout=0) is False


@pytest.mark.parametrize("end", [SystemExit("end"), KeyboardInterrupt()])
@pytest.mark.parametrize("way", ["tell", "ask"])
def test_a_base_exception_in_an_actor_ends_the_run(loop: Loop, end: BaseException, way: str) -> None:
    ref = start(loop, [])
    if way == "tell":
        ref.tell(end)
    else:
        ref.ask(end, block=False)
    with pytest.raises(type(end)):
        loop.run()
    assert loop.turn_began is None


def test_the_registry_knows_an_actor_from_its_start_to_its_end(loop: Loop) -> None:
    ref = start(loop, [])
    assert pykka.ActorRegistry.get_by_class(Recorder) == [ref]
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is ref
    ref.stop(block=False)
    loop.turn(0.0)
    assert pykka.ActorRegistry.get_by_class(Recorder) == []


def test_a_broadcast_reaches_every_actor_once(loop: Loop) -> None:
    stories: list[list[Any]] = [[], [], []]
    for story in stories:
        start(loop, story)
    pykka.ActorRegistry.broadcast("to all", target_class=Recorder)
    loop.turn(0.0)
    assert stories == [["start", "to all"]] * 3


def test_a_proxy_calls_and_reads(loop: Loop) -> None:
    """A proxy that writes an attribute waits for the loop: see the tests with threads."""
    proxy = start(loop, []).proxy()
    doubled = proxy.double(21)
    shown = proxy.shown
    loop.turn(0.0)
    assert answer(doubled) == 42
    assert answer(shown) == "nothing yet"


def test_actors_with_mail_take_turns_of_one_message(loop: Loop) -> None:
    story: list[Any] = []
    one, two = start(loop, story), start(loop, story)
    for number in range(3):
        one.tell(("one", number))
        two.tell(("two", number))
    loop.turn(0.0)
    assert story[2:] == [(name, number) for number in range(3) for name in ("one", "two")]


def test_an_actor_that_keeps_itself_busy_does_not_delay_anothers_mail(loop: Loop) -> None:
    story: list[Any] = []

    class Busy(LoopActor):
        def on_receive(self, message: Any) -> None:
            story.append(message)
            self.actor_ref.tell("more")

    Busy.start(loop).tell("more")
    start(loop, story).tell("mine")
    loop.turn(0.0)
    assert story.index("mine") <= 3
    assert story.count("more") < 40  # the turn ended, though there is always more
