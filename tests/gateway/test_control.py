from dataclasses import replace

import msgpack
import pytest
import zmq

from tzar_actors.actors.messages import (
    AgentHello,
    AgentLeft,
    AgentOverdue,
    AgentQuiet,
    AgentResult,
    TrainerCame,
    TrainerLeft,
    TrainerSaid,
)
from tzar_actors.client.protocol import (
    TRAINER_PROTOCOL_VERSION,
    Accepted,
    AskPower,
    AskStatus,
    Outcomes,
    Pulse,
    PulseAnswer,
    Rejected,
    Shutdown,
    TrainerHello,
)
from tzar_actors.events.catalogue import FloodCounted, FrameDropped, LoopLate, TrainerConnected, TrainerDisconnected
from tzar_agent.protocol.messages import (
    CONTROL_LIMIT_BYTES,
    AgentHeartbeat,
    Bye,
    Cancel,
    Play,
    Playing,
    Progress,
    Result,
    SupervisorHeartbeat,
)

INTERVAL_S, MISSES = 1.0, 3
GARBAGE = {
    "noise": b"\xc1\xff\x00garbage",
    "an empty frame": b"",
    "an unknown message": msgpack.packb(["explode", 1]),
    "a message with a field too many": msgpack.packb(["bye", "why", 1]),
    "a map": msgpack.packb({"a": 1}),
    "nested claims": b"\x91" * 2000,
    "a claim of four billion items": b"\xdd\xff\xff\xff\xff",
    "a frame over the limit": b"\xc4" * (CONTROL_LIMIT_BYTES + 1),
    "another's message": msgpack.packb(["supervisor_heartbeat", 1]),
}


def beat(number=1, progress=0):
    return AgentHeartbeat(number, "idle", None, progress, 0.25, 1000)


def play(attempt="1.1", time_limit_s=10.0):
    return Play(attempt, "a", 0, b"d" * 32, 1, b"x", b"\x80", 1, time_limit_s, None)


def result(attempt="1.1"):
    return Result(attempt, "a", 0, b"d" * 32, "scored", 1.0, b"\x80", 0.5, "", None)


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_an_agent_cannot_mean_is_dropped_and_told_and_the_agent_stays(gateway, kind):
    peer, _ = gateway.agent("vm-1")
    other, _ = gateway.agent("vm-2")
    peer.socket.send(GARBAGE[kind])
    gateway.turn_until(lambda: gateway.of(FrameDropped))
    (dropped,) = gateway.of(FrameDropped)
    assert dropped.peer == "vm-1"
    assert dropped.reason
    for each in (peer, other):
        each.say(beat(7))
        gateway.turn_until(lambda each=each: each.socket.poll(0))
        assert each.heard() == [SupervisorHeartbeat(7)]


def test_a_message_of_many_frames_is_one_dropped_message(gateway):
    peer, actor = gateway.agent("vm-1")
    peer.socket.send_multipart([peer.codec.encode(Bye("so it seems")), b"more", b"and more"])
    peer.say(beat(7))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [SupervisorHeartbeat(7)]
    assert len(gateway.of(FrameDropped)) == 1
    assert actor.of(AgentLeft) == []


def test_garbage_without_end_from_one_keeps_no_other_waiting(gateway):
    noisy, _ = gateway.agent("vm-1")
    other, _ = gateway.agent("vm-2")
    for _ in range(3000):
        noisy.socket.send(b"garbage")
    other.say(beat(7))
    gateway.turn_until(lambda: other.socket.poll(0))
    assert other.heard() == [SupervisorHeartbeat(7)]


@pytest.mark.promise(8, "bounded")
def test_garbage_without_end_fills_no_log_and_is_counted_to_the_last_frame(gateway):
    noisy, _ = gateway.agent("vm-1")
    for _ in range(3000):
        noisy.socket.send(b"garbage")
    noisy.say(beat(7))
    gateway.turn_until(lambda: noisy.socket.poll(0))
    assert len(gateway.of(FrameDropped)) == 10
    gateway.clock.ahead_s += 60.0
    gateway.turn_until(lambda: gateway.of(FloodCounted))
    (counted,) = gateway.of(FloodCounted)
    assert (counted.of, counted.peer, counted.count) == ("frame_dropped", "vm-1", 2990)
    noisy.socket.send(b"garbage")
    gateway.turn_until(lambda: len(gateway.of(FrameDropped)) == 11)


def test_what_was_counted_when_the_server_closes_is_told(gateway):
    noisy, _ = gateway.agent("vm-1")
    for _ in range(15):
        noisy.socket.send(b"garbage")
    noisy.say(beat(7))
    gateway.turn_until(lambda: noisy.socket.poll(0))
    gateway.control.complaints.close()
    assert [event.count for event in gateway.of(FloodCounted)] == [5]


def test_connections_of_those_who_are_gone_without_a_word_are_noticed(gateway):
    for server in (gateway.control, gateway.blobs):
        assert server._socket.getsockopt(zmq.TCP_KEEPALIVE) == 1
        assert 0 < server._socket.getsockopt(zmq.TCP_KEEPALIVE_IDLE) <= 60


def test_a_heartbeat_is_answered_and_counted_and_tells_the_actor_nothing(gateway):
    peer, actor = gateway.agent("vm-1")
    peer.say(beat(41, progress=3))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [SupervisorHeartbeat(41)]
    agent = gateway.control.peers.agents["vm-1"]
    assert (agent.progress, agent.load, agent.memory_bytes) == (3, 0.25, 1000)
    assert [type(message) for message in actor.messages] == [AgentHello]


def test_silence_is_told_between_the_misses_and_half_an_interval_later(gateway):
    _, actor = gateway.agent("vm-1")
    began = gateway.control.peers.agents["vm-1"].heard_at
    while not actor.of(AgentQuiet):
        assert gateway.clock() - began < (MISSES + 1) * INTERVAL_S
        gateway.clock.ahead_s += INTERVAL_S / 20
        gateway.loop.turn(0.0)
    noticed = gateway.clock() - began
    assert MISSES * INTERVAL_S < noticed <= (MISSES + 0.5) * INTERVAL_S
    (quiet,) = actor.of(AgentQuiet)
    assert quiet.seconds == pytest.approx(noticed, abs=0.1)
    assert "vm-1" not in gateway.control.peers.agents


def test_an_agent_that_speaks_is_not_silent(gateway):
    peer, actor = gateway.agent("vm-1")
    for number in range(8):
        gateway.clock.ahead_s += (MISSES - 1) * INTERVAL_S
        peer.say(beat(number))
        gateway.turn_until(lambda: peer.socket.poll(0))
        peer.heard()
    assert actor.of(AgentQuiet) == []


def test_the_loops_own_lateness_is_no_agents_silence(gateway):
    _, actor = gateway.agent("vm-1")
    stuck_s = 10 * INTERVAL_S

    def be_stuck():
        gateway.clock.ahead_s += stuck_s

    gateway.loop.call_later(0.0, be_stuck)
    gateway.turn_for(0.6)
    assert gateway.loop.late_s >= stuck_s
    assert actor.of(AgentQuiet) == []
    (late,) = [event for event in gateway.events.events if isinstance(event, LoopLate)]
    assert late.seconds == pytest.approx(stuck_s, abs=1.0)
    assert "vm-1" in gateway.control.peers.agents


def test_a_connection_that_ends_is_told_at_once_and_its_last_words_before(gateway):
    peer, actor = gateway.agent("vm-1")
    peer.say(result())
    peer.socket.close(linger=2000)
    gateway.turn_until(lambda: actor.of(AgentLeft))
    assert [type(message) for message in actor.messages] == [AgentHello, AgentResult, AgentLeft]
    assert not gateway.control.send("vm-1", Cancel("1.1"))


def test_a_bye_ends_the_connection_once(gateway):
    peer, actor = gateway.agent("vm-1")
    peer.say(Bye("enough"))
    gateway.turn_until(lambda: actor.of(AgentLeft))
    peer.socket.close()
    gateway.turn_for(0.3)
    assert len(actor.of(AgentLeft)) == 1


def test_a_dead_actor_is_told_nothing_and_nothing_breaks(gateway):
    peer, actor = gateway.agent("vm-1")
    actor.lives = False
    peer.socket.close()
    gateway.turn_until(lambda: "vm-1" not in gateway.control.peers.agents)
    assert actor.of(AgentLeft) == []


def test_the_successor_of_an_actor_hears_the_agent_that_is_connected(gateway, hello):
    peer, first = gateway.agent("vm-1")
    successor = type(first)()
    gateway.control.attach("vm-1", successor)
    peer.say(result())
    gateway.turn_until(lambda: successor.of(AgentResult))
    assert successor.messages == [AgentHello(hello("vm-1")), AgentResult(1, result())]


def test_the_successor_of_an_actor_is_told_what_the_agent_plays(gateway, hello):
    _, first = gateway.agent("vm-1")
    gateway.control.send("vm-1", play("1.1"))
    successor = type(first)()
    assert gateway.control.attach("vm-1", successor)
    playing = Playing("1.1", "a", 0, b"d" * 32)
    assert successor.messages == [AgentHello(replace(hello("vm-1"), playing=playing))]


def test_the_successor_of_an_actor_is_told_what_waits_at_the_agent(gateway, hello):
    _, first = gateway.agent("vm-1")
    for attempt in ("1.1", "1.2", "1.3"):
        gateway.control.send("vm-1", play(attempt))
    successor = type(first)()
    assert gateway.control.attach("vm-1", successor)
    row = [Playing(attempt, "a", 0, b"d" * 32) for attempt in ("1.1", "1.2", "1.3")]
    assert successor.messages == [AgentHello(replace(hello("vm-1"), playing=row[0]), (row[1], row[2]))]


def test_a_result_that_comes_while_an_actor_is_replaced_is_told_to_its_successor(gateway, hello):
    peer, first = gateway.agent("vm-1")
    gateway.control.send("vm-1", play("1.1"))
    first.lives = False
    peer.say(result("1.1"))
    gateway.turn_until(lambda: gateway.control.peers.agents["vm-1"].missed)
    successor = type(first)()
    gateway.control.attach("vm-1", successor)
    assert successor.messages == [
        AgentHello(replace(hello("vm-1"), kept=("1.1",))),
        AgentResult(1, result("1.1")),
    ]


def test_an_actor_without_an_agent_is_told_nothing(gateway):
    _, first = gateway.vm("vm-1")
    assert not gateway.control.attach("vm-1", successor := type(first)())
    assert successor.messages == []


def test_a_game_that_runs_far_over_its_limit_is_told_once(gateway):
    peer, actor = gateway.agent("vm-1")
    assert gateway.control.send("vm-1", play(time_limit_s=10.0))
    for second in range(50):
        gateway.clock.ahead_s += 1.0
        peer.say(beat(second))
        gateway.turn_until(lambda: any(isinstance(each, SupervisorHeartbeat) for each in peer.heard()))
    (overdue,) = actor.of(AgentOverdue)
    assert overdue.attempt == "1.1"
    assert overdue.seconds >= 30.0


def test_a_game_that_was_ordered_before_its_agent_came_is_overdue_as_well(gateway):
    peer, actor = gateway.agent("vm-1")
    gateway.control.watch("vm-1", Playing("1.1", "e", 0, bytes(32)), 10.0)
    for _ in range(41):
        gateway.clock.ahead_s += 1.0
        peer.say(beat())
        gateway.turn_until(lambda: any(isinstance(each, SupervisorHeartbeat) for each in peer.heard()))
    gateway.turn_until(lambda: actor.of(AgentOverdue))
    assert [overdue.attempt for overdue in actor.of(AgentOverdue)] == ["1.1"]
    gateway.control.watch("nobody", Playing("1.2", "e", 0, bytes(32)), 10.0)


def test_a_game_whose_result_came_is_never_overdue(gateway):
    peer, actor = gateway.agent("vm-1")
    gateway.control.send("vm-1", play(time_limit_s=10.0))
    peer.say(result())
    gateway.turn_until(lambda: actor.of(AgentResult))
    peer.say(Progress("1.1", 1))
    for _ in range(50):
        gateway.clock.ahead_s += 1.0
        peer.say(beat())
        gateway.turn_until(lambda: any(isinstance(each, SupervisorHeartbeat) for each in peer.heard()))
    assert actor.of(AgentOverdue) == []


def test_nothing_is_sent_to_an_agent_that_is_not_there(gateway):
    gateway.vm("vm-1")
    assert gateway.control.send("vm-1", play()) is False
    assert gateway.control.send("nobody", play()) is False


def test_a_trainer_is_announced_and_what_it_says_goes_to_whom_it_concerns(gateway):
    peer = gateway.trainer("t-1")
    peer.say(AskStatus(5))
    peer.say(Shutdown("drain"))
    peer.say(AskPower(6, "vm-1", "stop"))
    peer.say(Pulse(9))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [PulseAnswer(9)]
    assert gateway.dispatcher.messages == [TrainerSaid("t-1", AskStatus(5))]
    assert gateway.fleet.messages == [
        TrainerCame("t-1"),
        TrainerSaid("t-1", Shutdown("drain")),
        TrainerSaid("t-1", AskPower(6, "vm-1", "stop")),
    ]
    peer.socket.close()
    gateway.turn_until(lambda: gateway.fleet.of(TrainerLeft))
    assert gateway.of(TrainerConnected) == [TrainerConnected("t-1")]
    assert gateway.of(TrainerDisconnected) == [TrainerDisconnected("t-1")]


def test_a_trainer_of_another_version_is_told_so(gateway):
    peer = gateway.dial_as_trainer()
    peer.say(TrainerHello(TRAINER_PROTOCOL_VERSION + 1, "t-1", "test"))
    gateway.turn_until(lambda: peer.socket.poll(0))
    (rejected,) = peer.heard()
    assert (type(rejected), rejected.key, rejected.code) == (Rejected, "", "version")
    assert gateway.fleet.messages == []


def test_garbage_of_a_trainer_is_dropped_and_the_trainer_stays(gateway):
    peer = gateway.trainer("t-1")
    for frame in (b"", b"\xc1", msgpack.packb(["hello"]), msgpack.packb(["submit", [[1, 2]]])):
        peer.socket.send(frame)
    peer.say(Pulse(9))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [PulseAnswer(9)]
    assert [event.peer for event in gateway.of(FrameDropped)] == ["t-1"] * 4


def test_a_vms_key_does_not_speak_as_a_trainer(gateway):
    pair, _ = gateway.vm("vm-1")
    peer = gateway.dial(pair)
    trainer = gateway.dial_as_trainer()
    peer.socket.send(trainer.codec.encode(TrainerHello(TRAINER_PROTOCOL_VERSION, "t-1", "test")))
    gateway.turn_until(lambda: gateway.of(FrameDropped))
    assert gateway.fleet.messages == []
    assert peer.heard() == []


def test_what_is_gathered_for_a_trainer_leaves_at_the_turns_end_in_one_message_of_a_kind(gateway):
    peer = gateway.trainer("t-1")
    desk = gateway.control.desk
    for key in ("a", "b"):
        desk.accept("t-1", key)
        desk.deliver("t-1", f"ended {key}", key.encode())
    desk.deliver("nobody", "k", b"lost")
    gateway.turn_for(0.1)
    assert peer.heard() == []
    desk.flush()
    gateway.turn_until(lambda: peer.socket.poll(0))
    gateway.turn_for(0.1)
    assert peer.heard() == [Accepted(("a", "b")), Outcomes((b"a", b"b"))]
    desk.flush()
    gateway.turn_for(0.1)
    assert peer.heard() == []


def test_what_is_said_to_agents_in_one_round_arrives_in_its_order_however_much_it_is(gateway):
    agent, _ = gateway.agent("vm-1")
    for number in range(40):
        assert gateway.control.send("vm-1", Cancel(f"1.{number}"))
    heard = []

    def all_have_arrived():
        heard.extend(message for message in agent.heard() if isinstance(message, Cancel))
        return len(heard) == 40

    gateway.turn_until(all_have_arrived)
    assert [message.attempt for message in heard] == [f"1.{number}" for number in range(40)]
