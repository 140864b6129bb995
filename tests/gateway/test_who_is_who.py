import pytest
import zmq

from tzar_actors.actors.messages import AgentHello
from tzar_actors.events.catalogue import AgentRefused, FrameDropped, PeerRejected
from tzar_actors.gateway.keys import KeyPair
from tzar_agent.protocol.messages import PROTOCOL_VERSION, AgentHeartbeat, Get, SupervisorHeartbeat, Unwelcome, Welcome

BEAT = AgentHeartbeat(5, "idle", None, 0, 0.0, 0)


def test_an_agent_with_its_own_key_is_welcomed_and_its_actor_told(gateway, hello):
    _, actor = gateway.agent("vm-1")
    assert actor.messages == [AgentHello(hello("vm-1"))]


def test_a_peer_without_a_key_never_gets_through(gateway, hello):
    _, actor = gateway.vm("vm-1")
    peer = gateway.dial(None)
    peer.say(hello("vm-1"))
    gateway.turn_for(0.5)
    assert peer.heard() == []
    assert actor.messages == []
    assert gateway.control.peers.by_route == {}


def test_a_peer_with_an_unknown_key_is_rejected_by_address(gateway, hello):
    _, actor = gateway.vm("vm-1")
    peer = gateway.dial(KeyPair.make())
    peer.say(hello("vm-1"))
    gateway.turn_until(lambda: gateway.of(PeerRejected))
    assert gateway.of(PeerRejected)[0] == PeerRejected("127.0.0.1", "unknown key")
    assert peer.heard() == []
    assert actor.messages == []


def test_a_key_opens_only_its_own_vms_name(gateway, hello):
    pair, _ = gateway.vm("vm-1")
    _, other = gateway.vm("vm-2")
    peer = gateway.dial(pair)
    peer.say(hello("vm-2"))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [Unwelcome("vm", "this key does not open the name vm-2")]
    assert other.messages == []
    assert gateway.of(AgentRefused) == [AgentRefused("127.0.0.1", "this key does not open the name vm-2")]


def test_an_older_incarnations_key_opens_nothing_any_more(gateway, hello):
    old, _ = gateway.vm("vm-1", incarnation=1)
    gateway.vm("vm-1", incarnation=2)
    peer = gateway.dial(old)
    peer.say(hello("vm-1", 1))
    gateway.turn_until(lambda: gateway.of(PeerRejected))
    assert peer.heard() == []


def test_a_connection_that_was_let_in_by_a_key_that_is_older_now_is_told_so(gateway, hello):
    old, _ = gateway.vm("vm-1", incarnation=1)
    peer = gateway.dial(old)
    peer.say(BEAT)
    gateway.turn_until(lambda: gateway.of(FrameDropped))
    _, actor = gateway.vm("vm-1", incarnation=2)
    peer.say(hello("vm-1", 1))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [Unwelcome("incarnation", "vm-1 has a newer incarnation than 1")]
    assert actor.messages == []


def test_the_agent_of_an_older_incarnation_is_heard_no_more(gateway):
    peer, actor = gateway.agent("vm-1", incarnation=1)
    gateway.vm("vm-1", incarnation=2)
    peer.say(BEAT)
    gateway.turn_until(lambda: gateway.of(FrameDropped))
    assert peer.heard() == []
    assert "vm-1" not in gateway.control.peers.agents
    assert len(actor.messages) == 1


def test_the_right_key_with_another_incarnation_is_refused(gateway, hello):
    pair, actor = gateway.vm("vm-1", incarnation=2)
    peer = gateway.dial(pair)
    peer.say(hello("vm-1", 1))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert peer.heard() == [Unwelcome("incarnation", "vm-1 is at incarnation 2, not 1")]
    assert actor.messages == []


def test_another_version_of_the_protocol_is_refused_with_what_to_do(gateway, hello):
    pair, actor = gateway.vm("vm-1")
    peer = gateway.dial(pair)
    peer.say(hello("vm-1", version=PROTOCOL_VERSION + 1))
    gateway.turn_until(lambda: peer.socket.poll(0))
    (refusal,) = peer.heard()
    assert (type(refusal), refusal.code) == (Unwelcome, "version")
    assert f"version {PROTOCOL_VERSION + 1}" in refusal.reason
    assert "template" in refusal.reason
    assert actor.messages == []


def test_what_is_said_before_the_hello_is_dropped_and_the_hello_still_counts(gateway, hello):
    pair, actor = gateway.vm("vm-1")
    peer = gateway.dial(pair)
    peer.say(BEAT)
    peer.say(hello("vm-1"))
    gateway.turn_until(lambda: peer.socket.poll(0))
    assert [type(message) for message in peer.heard()] == [Welcome]
    (dropped,) = gateway.of(FrameDropped)
    assert "begins with hello, not with agent_heartbeat" in dropped.reason
    assert len(actor.messages) == 1


def test_a_second_connection_of_the_same_agent_takes_the_place_of_the_first(gateway, hello):
    pair, actor = gateway.vm("vm-1")
    first, second = gateway.dial(pair), gateway.dial(pair)
    for peer in (first, second):
        peer.say(hello("vm-1"))
        gateway.turn_until(lambda peer=peer: peer.socket.poll(0))
        peer.heard()
    second.say(BEAT)
    gateway.turn_until(lambda: second.socket.poll(0))
    assert second.heard() == [SupervisorHeartbeat(5)]
    first.socket.close()
    gateway.turn_for(0.3)
    assert "vm-1" in gateway.control.peers.agents
    assert [type(message) for message in actor.messages] == [AgentHello, AgentHello]


def test_the_blob_socket_is_opened_by_the_same_keys_and_by_no_others(gateway):
    pair, _ = gateway.vm("vm-1")
    known, unknown, bare = gateway.dial_blobs(pair), gateway.dial_blobs(KeyPair.make()), gateway.dial_blobs(None)
    for peer in (unknown, bare, known):
        peer.say(Get(b"d" * 32, 0, 1))
    gateway.turn_until(lambda: known.socket.poll(0) and gateway.of(PeerRejected))
    gateway.turn_for(0.2)
    assert unknown.heard() == bare.heard() == []


def test_a_port_in_use_is_an_error_that_leaves_nothing_open(gateway):
    from tzar_actors.gateway.control import ControlServer, Heartbeats

    context = zmq.Context()
    arguments = (gateway.server_keys, gateway.keys, Heartbeats(1.0, 3), gateway.events)
    for _ in range(2):
        with pytest.raises(zmq.ZMQError) as refused:
            ControlServer(gateway.loop, context, gateway.control.endpoint, *arguments)
        assert refused.value.errno == zmq.EADDRINUSE
    context.term()
