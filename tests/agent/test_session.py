"""The session's decisions: exact commands, no sockets, no processes, no clock."""

import pytest

from tzar_agent.commands import (
    Abandon,
    Adopt,
    Beat,
    Dial,
    EndTree,
    Equip,
    Exit,
    Forget,
    Hangup,
    Keep,
    Note,
    Obtain,
    Park,
    Resend,
    Send,
    Start,
)
from tzar_agent.events import (
    Began,
    Cleared,
    Ended,
    Genome,
    GenomeFailed,
    GenomeReady,
    HandshakeSucceeded,
    LinkLost,
    Progressed,
    Received,
    Tick,
    Verdict,
)
from tzar_agent.kept import RESEND_S
from tzar_agent.protocol.messages import (
    Cancel,
    Evidence,
    Hello,
    Play,
    Playing,
    Progress,
    Recall,
    ResultAck,
    SupervisorHeartbeat,
    Unwelcome,
    Welcome,
)
from tzar_agent.session import Session, Who

WELCOME = Welcome(1, 4, 1.0, 5, b"evaluator", "tcp://blobs", None, 1000)
GENOME = Genome(b"d", b"genome", None)
SCORED = Verdict("scored", 2.5)


def order(attempt="a1", time_limit_s=60.0, stall_s=None):
    return Play(attempt, "e1", 0, b"d", 6, b"genome", b"\x80", 7, time_limit_s, stall_s)


def fresh(kept=(), orphan_s=None):
    return Session(Who("vm", 2, "agent", 99), orphan_s, kept, at=0.0)


def welcomed(kept=(), orphan_s=None):
    session = fresh(kept, orphan_s)
    assert session.step(Tick(0.0, 0.5)) == [Dial()]
    session.step(HandshakeSucceeded(0.1))
    session.step(Received(0.2, WELCOME))
    return session


def playing(session=None, at=1.0, **limits):
    session = session or welcomed()
    play = order(**limits)
    assert session.step(Received(at, play)) == [Obtain(play)]
    assert session.step(GenomeReady(at, "a1", GENOME)) == [Start(play, GENOME)]
    assert session.step(Began(at, "a1")) == [Send(Progress("a1", 0))]
    return session


def kept(commands):
    (keep,) = [command for command in commands if isinstance(command, Keep)]
    return keep


def test_a_session_dials_says_hello_when_the_handshake_succeeded_and_works_as_welcomed():
    session = fresh(kept=("a0",))
    assert session.step(Tick(0.0, 0.5)) == [Dial()]
    assert session.step(HandshakeSucceeded(0.1)) == [Send(Hello(1, "vm", 2, "agent", 99, None, ("a0",), 16))]
    assert session.step(Received(0.2, WELCOME)) == [Adopt(WELCOME), Equip(b"evaluator"), Resend("a0")]


def test_a_game_is_fetched_started_scored_kept_and_forgotten_when_acknowledged():
    session = playing()
    keep = kept(session.step(Ended(4.0, "a1", SCORED)))
    assert keep.send
    result = keep.result
    assert (result.attempt, result.evaluation, result.status, result.fitness) == ("a1", "e1", "scored", 2.5)
    assert result.seconds == 3.0
    assert session.job is None
    assert session.step(Received(5.0, ResultAck(("a1",)))) == [Forget("a1")]
    assert session.step(Received(5.0, ResultAck(("a1",)))) == []


def test_a_result_that_is_not_acknowledged_is_sent_again_after_a_while():
    session = fresh(kept=("a1",))
    session.step(Tick(0.0, 0.0))
    session.step(HandshakeSucceeded(1.0))
    assert Resend("a1") in session.step(Received(2.0, WELCOME))
    assert Resend("a1") not in session.step(Tick(2.0 + RESEND_S - 1.0, 0.0))
    assert session.next_at() <= 2.0 + RESEND_S
    session.step(Received(2.0 + RESEND_S - 1.0, SupervisorHeartbeat(1)))
    assert Resend("a1") in session.step(Tick(2.0 + RESEND_S, 0.0))
    session.step(Received(2.0 + RESEND_S, ResultAck(("a1",))))
    assert Resend("a1") not in session.step(Tick(2.0 + 2 * RESEND_S, 0.0))


def test_a_result_that_is_acknowledged_twice_at_once_is_forgotten_once():
    session = fresh(kept=("a1", "a2"))
    assert session.step(Received(5.0, ResultAck(("a1", "a2", "a1")))) == [Forget("a1"), Forget("a2")]
    assert not session.kept


def test_a_game_that_ends_at_once_sends_no_progress():
    session = welcomed()
    play = order()
    session.step(Received(1.0, play))
    session.step(GenomeReady(1.0, "a1", GENOME))
    assert kept(session.step(Ended(1.25, "a1", SCORED))).result.seconds == 0.25


def test_a_fault_is_reported_after_the_tree_is_gone_with_its_evidence():
    session = playing()
    assert session.step(Ended(3.0, "a1", Verdict("fault", reason="why"))) == [EndTree("a1")]
    evidence = Evidence(3, "tail")
    result = kept(session.step(Cleared(3.5, "a1", evidence))).result
    assert (result.status, result.reason, result.evidence, result.seconds) == ("fault", "why", evidence, 2.0)


def test_a_tree_that_cannot_be_ended_is_the_agents_fault():
    session = playing()
    session.step(Received(2.0, Cancel("a1")))
    result = kept(session.step(Cleared(12.0, "a1", None, trouble="pid 7 lives"))).result
    assert (result.status, result.reason) == ("agent_fault", "pid 7 lives")


def test_the_time_limit_counts_from_the_games_beginning():
    session = playing(time_limit_s=10.0)
    assert session.next_at() <= 11.0
    for at in (5.0, 10.9):
        session.step(Received(at, SupervisorHeartbeat(1)))
        assert EndTree("a1") not in session.step(Tick(at, 0.5))
    assert EndTree("a1") in session.step(Tick(11.0, 0.5))
    assert session.step(Ended(11.1, "a1", SCORED)) == []
    result = kept(session.step(Cleared(11.2, "a1", None))).result
    assert (result.status, result.fitness, result.seconds) == ("timed_out", None, 10.0)


def test_a_game_stalls_only_when_it_stops_reporting():
    session = playing(stall_s=3.0)
    session.step(Progressed(3.5, "a1", 1, "level 1"))
    session.step(Received(4.5, SupervisorHeartbeat(1)))
    assert EndTree("a1") not in session.step(Tick(4.5, 0.5))
    assert EndTree("a1") in session.step(Tick(6.5, 0.5))
    result = kept(session.step(Cleared(6.6, "a1", None))).result
    assert result.status == "fault"
    assert result.reason == "stalled: no progress for 3 s, after 1 reports; it last said: level 1"


def test_progress_is_reported_at_most_once_an_interval_and_the_latest_is_not_lost():
    session = playing(at=1.0)
    assert session.step(Progressed(1.2, "a1", 1)) == []
    assert session.step(Progressed(1.4, "a1", 2)) == []
    assert session.next_at() <= 2.0
    assert Send(Progress("a1", 2)) in session.step(Tick(2.0, 0.5))
    assert session.step(Progressed(2.1, "a1", 3)) == []
    assert session.step(Progressed(3.1, "a1", 4)) == [Send(Progress("a1", 4))]


def test_a_cancel_while_fetching_ends_at_once():
    session = welcomed()
    session.step(Received(1.0, order()))
    abandon, keep = session.step(Received(2.0, Cancel("a1")))
    assert abandon == Abandon("a1")
    assert keep.result.status == "cancelled"
    assert session.step(GenomeReady(2.1, "a1", GENOME)) == []


def test_a_cancel_of_an_unknown_attempt_is_only_noted():
    assert [type(command) for command in welcomed().step(Received(1.0, Cancel("a9")))] == [Note]


def test_a_genome_that_cannot_be_had_is_the_agents_fault():
    session = welcomed()
    session.step(Received(1.0, order()))
    result = kept(session.step(GenomeFailed(1.5, "a1", "nobody has it"))).result
    assert (result.status, result.reason) == ("agent_fault", "nobody has it")


def test_orders_that_come_during_a_game_are_played_after_it_in_their_order():
    session = playing()
    assert session.step(Received(2.0, order("a2"))) == []
    assert session.step(Received(2.1, order("a3"))) == []
    keep, obtain = session.step(Ended(3.0, "a1", SCORED))
    assert (keep.result.attempt, obtain) == ("a1", Obtain(order("a2")))
    session.step(GenomeReady(3.1, "a2", GENOME))
    keep, obtain = session.step(Ended(4.0, "a2", SCORED))
    assert (keep.result.attempt, obtain) == ("a2", Obtain(order("a3")))


def test_no_limit_runs_for_an_order_that_waits():
    session = playing()
    session.step(Received(2.0, order("a2", time_limit_s=0.5)))
    session.step(Tick(30.0, 0.0))
    assert session.job.play.attempt == "a1"
    session.step(Ended(40.0, "a1", SCORED))
    session.step(GenomeReady(40.1, "a2", GENOME))
    session.step(Began(40.2, "a2"))
    assert EndTree("a2") not in session.step(Tick(40.5, 0.0))
    assert EndTree("a2") in session.step(Tick(40.8, 0.0))


def test_an_order_without_room_is_refused_while_the_first_goes_on():
    session = playing()
    for i in range(15):
        assert session.step(Received(2.0, order(f"b{i}"))) == []
    result = kept(session.step(Received(2.0, order("a2")))).result
    assert (result.attempt, result.status) == ("a2", "agent_fault")
    assert result.reason == "the agent is busy with attempt a1 (playing), and 15 orders wait behind it"
    assert session.job.play.attempt == "a1"


def test_an_order_that_waits_can_be_cancelled_and_is_not_taken_twice():
    session = playing()
    session.step(Received(2.0, order("a2")))
    assert session.step(Received(2.0, order("a2"))) == []
    result = kept(session.step(Received(2.5, Cancel("a2")))).result
    assert (result.attempt, result.status, result.seconds) == ("a2", "cancelled", 0.0)
    (keep,) = session.step(Ended(3.0, "a1", SCORED))
    assert keep.result.attempt == "a1"


def test_orders_that_are_called_back_are_given_back_unless_their_turn_came():
    session = playing()
    session.step(Received(2.0, order("a2")))
    session.step(Received(2.0, order("a3")))
    commands = session.step(Received(2.5, Recall(("a1", "a3", "a9"))))
    (given_back,) = [each.result for each in commands]
    assert (given_back.attempt, given_back.status) == ("a3", "cancelled")
    assert session.job.play.attempt == "a1"
    _, obtain = session.step(Ended(3.0, "a1", SCORED))
    assert obtain == Obtain(order("a2"))


def test_what_waits_is_dropped_with_the_connection():
    session = playing()
    session.step(Received(2.0, order("a2")))
    session.step(LinkLost(2.5, 1.0, "gone"))
    (keep,) = session.step(Ended(3.0, "a1", SCORED))
    assert keep.result.attempt == "a1"
    assert session.job is None


def test_an_orphan_ends_after_its_game_whatever_waits():
    session = welcomed(orphan_s=10.0)
    session.step(Received(1.0, order()))
    session.step(Received(1.0, order("a2")))
    session.step(GenomeReady(1.1, "a1", GENOME))
    for at in range(2, 13):
        session.step(Tick(float(at), 0.0))
    commands = session.step(Ended(13.0, "a1", SCORED))
    assert isinstance(commands[-1], Exit)
    assert not [each for each in commands if isinstance(each, Obtain)]


def test_a_repeated_order_is_not_played_twice():
    session = playing()
    assert session.step(Received(2.0, order("a1"))) == []
    session.step(Ended(3.0, "a1", SCORED))
    assert session.step(Received(3.1, order("a1"))) == [Resend("a1")]


def test_a_result_without_a_connection_is_kept_named_and_sent_after_the_next_welcome():
    session = playing()
    hangup, note = session.step(LinkLost(2.0, 1.0, "gone"))
    assert (hangup, note) == (Hangup(), Note("info", "connection lost: gone"))
    assert not kept(session.step(Ended(2.01, "a1", SCORED))).send
    assert session.step(Tick(2.05, 0.5)) == [Dial()]
    (hello,) = session.step(HandshakeSucceeded(2.1))
    assert (hello.message.playing, hello.message.kept) == (None, ("a1",))
    assert session.step(Received(2.2, WELCOME)) == [Adopt(WELCOME), Resend("a1")]


def test_hello_names_the_game_in_every_stage_until_its_result_is_kept():
    session = welcomed()
    named = Playing("a1", "e1", 0, b"d")
    steps = (
        Received(1.0, order()),
        GenomeReady(1.1, "a1", GENOME),
        Began(1.2, "a1"),
        Ended(1.3, "a1", Verdict("fault", reason="x")),
    )
    for event in steps:
        session.step(event)
        (hello,) = session.step(HandshakeSucceeded(event.at))
        assert (hello.message.playing, hello.message.kept) == (named, ())
    session.step(Cleared(1.4, "a1", None))
    (hello,) = session.step(HandshakeSucceeded(1.5))
    assert (hello.message.playing, hello.message.kept) == (None, ("a1",))


def test_a_welcome_during_a_fetch_begins_it_anew():
    session = welcomed()
    play = order()
    session.step(Received(1.0, play))
    session.step(LinkLost(1.1, 0.0, "gone"))
    assert session.step(Received(1.5, WELCOME)) == [Adopt(WELCOME), Obtain(play)]


def test_another_evaluator_waits_for_the_end_of_the_game():
    session = playing()
    other = Welcome(1, 5, 1.0, 5, b"other", "tcp://blobs", None, 1000)
    assert session.step(Received(2.0, other)) == [Adopt(other)]
    assert session.step(Ended(3.0, "a1", SCORED))[-1] == Equip(b"other")


def test_heartbeats_tell_state_and_progress():
    session = welcomed()
    assert session.step(Tick(1.2, 0.5)) == [Beat(1, "idle", None, 0)]
    playing(session, at=1.3)
    session.step(Progressed(1.4, "a1", 5))
    assert Beat(2, "playing", "a1", 5) in session.step(Tick(2.3, 0.5))


def test_a_silent_supervisor_is_dialed_anew_after_a_delay():
    session = welcomed()
    for at in (1.2, 2.2, 3.2, 4.2):
        session.step(Tick(at, 0.5))
    commands = session.step(Tick(5.2, 1.0))
    assert commands[0] == Hangup()
    assert session.step(Tick(5.21, 0.5)) == []
    assert session.step(Tick(5.25, 0.5)) == [Dial()]


def test_an_agent_that_was_frozen_does_not_take_its_own_silence_for_the_supervisors():
    session = welcomed()
    session.step(Tick(1.2, 0.5))
    assert session.step(Tick(500.0, 0.5)) == [Beat(2, "idle", None, 0)]


def test_delays_between_dials_double_up_to_the_longest():
    session = fresh()
    at, delays = 0.0, []
    for _ in range(8):
        session.step(Tick(at, 0.5))
        session.step(LinkLost(at, 1.0, "refused"))
        delays.append(round(session.dial_at - at, 3))
        at = session.dial_at
    assert delays == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_a_dial_or_a_hello_without_an_answer_is_given_up():
    session = fresh()
    session.step(Tick(0.0, 0.5))
    assert session.step(Tick(10.0, 0.5))[0] == Hangup()


@pytest.mark.parametrize(("orphan_s", "ending"), [(None, Park), (60.0, Exit)])
def test_an_unwelcome_agent_parks_and_a_local_one_ends(orphan_s, ending):
    session = playing(welcomed(orphan_s=orphan_s))
    abandon, end = session.step(Received(2.0, Unwelcome("incarnation", "3 is the latest")))
    assert abandon == Abandon("a1")
    assert end == ending("unwelcome (incarnation): 3 is the latest")


def test_an_idle_orphan_ends():
    session = welcomed(orphan_s=20.0)
    session.step(LinkLost(1.0, 0.0, "gone"))
    commands = []
    for at in range(2, 30):
        commands += session.step(Tick(float(at), 0.5))
        session.step(LinkLost(float(at), 0.5, "refused"))
    assert [command for command in commands if isinstance(command, Exit)] == [
        Exit("no supervisor was heard for 21 s")  # at the first tick after 20 s
    ]


def test_an_orphan_with_a_game_ends_after_it_unless_it_is_welcomed_again():
    def orphaned():
        session = playing(welcomed(orphan_s=20.0), time_limit_s=600.0)
        session.step(LinkLost(2.0, 0.0, "gone"))
        for at in range(2, 26):
            session.step(Tick(float(at), 0.5))
            session.step(LinkLost(float(at), 0.5, "refused"))
        assert session.is_orphan
        return session

    session = orphaned()
    keep, ending = session.step(Ended(30.0, "a1", SCORED))
    assert not keep.send
    assert isinstance(ending, Exit)
    session = orphaned()
    session.step(Received(29.0, WELCOME))
    assert [type(command) for command in session.step(Ended(30.0, "a1", SCORED))] == [Keep]


def test_the_next_tick_is_never_later_than_anything_that_is_due():
    session = welcomed(orphan_s=20.0)
    assert session.next_at() == pytest.approx(1.2)
    session.step(LinkLost(0.3, 1.0, "gone"))
    assert session.next_at() == pytest.approx(0.35)
