"""An agent process and a fake supervisor: the handshake, kept results, and what happens when either goes away."""

import signal

import pytest
from fake_supervisor import details_of

from tzar_agent.protocol.messages import (
    AgentHeartbeat,
    Bye,
    Cancel,
    Hello,
    Result,
    ResultAck,
    SupervisorHeartbeat,
    Unwelcome,
)

INLINE = """
from tzar_agent import Result
def play(genome, params, game):
    if params.get("raise"):
        raise ValueError("as ordered")
    return Result(len(genome), {"seed": game.seed, "first": bytes(genome[:4]), **params})
"""


@pytest.fixture
def inline(supervisor, tmp_path):
    (tmp_path / "inline_games.py").write_text(INLINE)
    supervisor.evaluator = {"kind": "inline", "target": "inline_games:play", "path": [str(tmp_path)]}
    return supervisor


def test_a_parked_agent_takes_its_identity_once_and_says_who_it_is(inline):
    agent = inline.start_agent()
    inline.identify(incarnation=3)
    hello = inline.welcome()
    assert (hello.version, hello.vm, hello.incarnation, hello.pid) == (1, "vm-1", 3, agent.pid)
    assert (hello.playing, hello.kept) == (None, ())
    assert not (inline.home / "identity.json").exists()


def test_heartbeats_carry_state_and_go_on_by_themselves(inline):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    beats = [inline.expect(AgentHeartbeat) for _ in range(3)]
    assert [beat.number for beat in beats] == [1, 2, 3]
    assert {beat.state for beat in beats} == {"idle"}
    assert all(0 <= beat.load <= 1 and beat.memory_bytes > 10_000_000 for beat in beats)


def test_an_inline_game_is_scored_with_its_details(inline):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.play("a1", b"abcdef", seed=11, params={"map": "duel"})
    result = inline.result("a1")
    assert (result.status, result.fitness, result.game, result.evidence) == ("scored", 6.0, 0, None)
    assert details_of(result) == {"seed": 11, "first": b"abcd", "map": "duel"}


def test_an_exception_of_an_inline_game_is_a_fault_with_its_traceback(inline):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.play("a1", params={"raise": True})
    result = inline.result("a1")
    assert result.status == "fault"
    assert "ValueError: as ordered" in result.reason
    assert "inline_games.py" in result.evidence.tail


@pytest.mark.promise(6, "nothing accepted is lost")
def test_a_result_is_kept_and_sent_again_until_it_is_acknowledged(inline):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.play("a1")
    first = inline.result("a1", ack=False)
    inline.vanish()
    inline.listen()
    hello = inline.welcome()
    assert hello.kept == ("a1",)
    assert inline.result("a1") == first
    inline.play("a2")  # orders and acknowledgements travel in order: a1 is forgotten when a2 is played
    inline.result("a2", ack=False)
    inline.vanish()
    inline.listen()
    assert inline.welcome().kept == ("a2",)


@pytest.mark.promise(6, "nothing accepted is lost")
def test_kept_results_survive_the_agent(inline):
    inline.identify()
    agent = inline.start_agent()
    inline.welcome()
    inline.play("a1")
    first = inline.result("a1", ack=False)
    agent.kill()
    agent.wait()
    inline.identify(incarnation=2)
    inline.start_agent()
    assert inline.welcome().kept == ("a1",)
    assert inline.result("a1") == first


def test_an_order_for_a_kept_attempt_is_answered_by_its_result_and_not_played_again(inline):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.play("a1")
    first = inline.result("a1", ack=False)
    inline.play("a1")
    assert inline.result("a1") == first


def test_a_silent_supervisor_is_dialed_anew(inline):
    inline.misses = 4
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.answers_heartbeats = False
    assert inline.expect(Hello).kept == ()


def test_garbage_is_dropped_counted_and_hurts_nothing(inline):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.send_raw(b"\xc1 garbage")
    inline.send_raw(b"two", b"frames")
    inline.send_raw(b"")
    inline.send(SupervisorHeartbeat(1))
    inline.send(ResultAck(("of nobody",)))
    inline.send(Cancel("unknown"))
    inline.play("a1")
    assert inline.result("a1").status == "scored"
    assert "(2 so far)" in inline.log()
    assert "cancel of attempt unknown" in inline.log()


def test_an_unwelcome_agent_parks_and_takes_the_next_identity(inline):
    inline.identify(incarnation=1)
    agent = inline.start_agent()
    inline.expect(Hello)
    inline.send(Unwelcome("incarnation", "2 is the latest"))
    inline.expect(Bye)
    inline.identify(incarnation=2)
    assert inline.welcome().incarnation == 2
    assert agent.poll() is None


def test_an_unwelcome_local_agent_ends(inline):
    inline.identify(orphan_s=60)
    agent = inline.start_agent()
    inline.expect(Hello)
    inline.send(Unwelcome("vm", "not mine"))
    inline.until(lambda: agent.poll() is not None)
    assert agent.returncode == 0


def test_a_new_identity_ends_the_service_under_the_old_one(inline):
    inline.identify(incarnation=1)
    inline.start_agent()
    inline.welcome()
    inline.identify(incarnation=2)
    assert inline.expect(Bye).reason == "a new identity has come in"
    assert inline.welcome().incarnation == 2


def test_an_orphan_ends_by_itself(inline):
    inline.identify(orphan_s=0.5)
    agent = inline.start_agent()
    inline.welcome()
    inline.vanish()
    agent.wait(10)
    assert agent.returncode == 0


def test_sigterm_says_bye_and_ends_with_code_0(inline):
    inline.identify()
    agent = inline.start_agent()
    inline.welcome()
    inline.play("a1")
    inline.result("a1")
    agent.send_signal(signal.SIGTERM)
    assert inline.expect(Bye).reason == "told to end"
    assert agent.wait(10) == 0


def test_an_evaluator_that_cannot_be_had_is_the_agents_fault(supervisor):
    supervisor.evaluator = {"kind": "telepathy"}
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    supervisor.play("a1")
    result = supervisor.result("a1")
    assert (result.status, result.fitness) == ("agent_fault", None)
    assert "evaluator.kind: 'telepathy' is unknown" in result.reason


def test_another_evaluator_in_the_next_welcome_replaces_the_first(inline, tmp_path):
    inline.identify()
    inline.start_agent()
    inline.welcome()
    inline.play("a1")
    assert inline.result("a1").fitness == 6.0
    (tmp_path / "other_games.py").write_text("def play(genome, params, game):\n    return -1\n")
    inline.evaluator = {"kind": "inline", "target": "other_games:play", "path": [str(tmp_path)]}
    inline.vanish()
    inline.listen()
    inline.welcome()
    inline.play("a2")
    assert inline.expect(Result, lambda r: r.attempt == "a2").fitness == -1.0
