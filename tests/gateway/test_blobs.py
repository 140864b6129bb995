import hashlib
import os
import time
from pathlib import Path

import pytest
import zmq

from tzar_actors.gateway.blobs import BlobServer
from tzar_actors.gateway.keys import KeyPair
from tzar_actors.gateway.spool import Incoming, Spool
from tzar_agent.protocol.messages import BLOB_CHUNK_BYTES, BLOB_WINDOW, Bye, Chunk, Get, Missing, Offer, Stored
from tzar_agent.protocol.messages import control_codec as other_codec

LIMIT_BYTES = 5_000_000


def digest_of(blob):
    return hashlib.sha256(blob).digest()


@pytest.fixture
def peer(gateway):
    pair, _ = gateway.vm("vm-1")
    return gateway.dial_blobs(pair)


@pytest.fixture
def answer(gateway, peer):
    """The next message of the blob server, and the frames behind it."""

    def wait():
        gateway.turn_until(lambda: peer.socket.poll(0))
        head, *rest = peer.socket.recv_multipart()
        return peer.codec.decode(head), rest

    return wait


def lay(gateway, blob):
    gateway.spool.path(digest_of(blob)).write_bytes(blob)
    return digest_of(blob)


def upload(peer, answer, blob, digest=None):
    """Offers a blob and gives what is asked for. Returns what came at the end, and the largest number asked ahead."""
    digest = digest or digest_of(blob)
    peer.say(Offer(digest, len(blob)))
    asked, ahead = [], 0
    while True:
        message, _ = answer()
        if not isinstance(message, Get):
            return message, ahead
        asked.append(message)
        while peer.socket.poll(50):
            asked.append(peer.codec.decode(peer.socket.recv()))
            if not isinstance(asked[-1], Get):
                return asked[-1], ahead
        ahead = max(ahead, len(asked))
        for get in asked:
            part = blob[get.offset : get.offset + get.length]
            peer.socket.send_multipart([peer.codec.encode(Chunk(digest, get.offset)), part])
        asked.clear()


def test_a_blob_is_given_in_the_parts_that_are_asked_for(gateway, peer, answer):
    blob = os.urandom(3 * BLOB_CHUNK_BYTES + 17)
    digest = lay(gateway, blob)
    got = b""
    while len(got) < len(blob):
        peer.say(Get(digest, len(got), BLOB_CHUNK_BYTES))
        message, (part,) = answer()
        assert message == Chunk(digest, len(got))
        got += part
    assert got == blob


def test_a_whole_window_may_be_asked_for_at_once(gateway, peer, answer):
    blob = os.urandom(BLOB_WINDOW * BLOB_CHUNK_BYTES)
    digest = lay(gateway, blob)
    offsets = range(0, len(blob), BLOB_CHUNK_BYTES)
    for offset in offsets:
        peer.say(Get(digest, offset, BLOB_CHUNK_BYTES))
    answers = [answer() for _ in offsets]
    assert [message.offset for message, _ in answers] == list(offsets)
    assert b"".join(part for _, (part,) in answers) == blob


def test_a_blob_that_is_not_here_is_missing(gateway, peer, answer):
    peer.say(Get(b"d" * 32, 0, 10))
    message, _ = answer()
    assert message == Missing(b"d" * 32, f"the blob {(b'd' * 32).hex()} is not here")


def test_what_lies_behind_a_blobs_end_is_missing(gateway, peer, answer):
    digest = lay(gateway, b"short")
    peer.say(Get(digest, 5, 10))
    message, _ = answer()
    assert (type(message), message.digest) == (Missing, digest)
    assert "5 bytes only" in message.reason


def test_a_blob_that_is_uploaded_is_stored_told_and_given_again(gateway, peer, answer):
    blob = os.urandom(2 * BLOB_CHUNK_BYTES + 5)
    message, _ = upload(peer, answer, blob)
    assert message == Stored(digest_of(blob))
    assert gateway.stored == [(digest_of(blob), len(blob))]
    assert gateway.spool.path(digest_of(blob)).read_bytes() == blob
    peer.say(Get(digest_of(blob), BLOB_CHUNK_BYTES, 10))
    message, (part,) = answer()
    assert part == blob[BLOB_CHUNK_BYTES : BLOB_CHUNK_BYTES + 10]


def test_a_blob_larger_than_the_window_is_asked_for_a_window_at_a_time(gateway, peer, answer):
    blob = os.urandom(LIMIT_BYTES)
    assert len(blob) > BLOB_WINDOW * BLOB_CHUNK_BYTES
    message, ahead = upload(peer, answer, blob)
    assert message == Stored(digest_of(blob))
    assert ahead == BLOB_WINDOW


def test_a_blob_that_is_here_already_is_not_asked_for(gateway, peer, answer):
    blob = b"here" * 100
    lay(gateway, blob)
    peer.say(Offer(digest_of(blob), len(blob)))
    assert answer() == (Stored(digest_of(blob)), [])
    assert gateway.stored == []


def test_a_blob_with_another_digest_than_was_offered_is_refused_and_thrown_away(gateway, peer, answer):
    wrong = digest_of(b"something else")
    message, _ = upload(peer, answer, b"x" * 1000, wrong)
    assert (type(message), message.digest) == (Missing, wrong)
    assert "does not have the digest" in message.reason
    assert gateway.stored == []
    assert [path.name for path in gateway.spool.folder.iterdir()] == ["token"]


@pytest.mark.promise(8, "bounded")
@pytest.mark.parametrize("size", [LIMIT_BYTES + 1, 2**40, 0])
def test_a_blob_over_the_limit_or_of_no_bytes_is_refused_before_it_comes(gateway, peer, answer, size):
    peer.say(Offer(b"d" * 32, size))
    message, _ = answer()
    assert (type(message), message.digest) == (Missing, b"d" * 32)
    assert str(size) in message.reason
    assert [path.name for path in gateway.spool.folder.iterdir()] == ["token"]


def test_more_bytes_than_were_offered_are_refused(gateway, peer, answer):
    blob = b"x" * 100
    peer.say(Offer(digest_of(blob), 100))
    answer()
    peer.socket.send_multipart([peer.codec.encode(Chunk(digest_of(blob), 0)), blob * 2])
    message, _ = answer()
    assert type(message) is Missing
    assert gateway.stored == []


def test_chunks_that_nobody_asked_for_garbage_and_wrong_frames_are_dropped_and_told(gateway, peer, answer):
    digest = lay(gateway, b"still served")
    peer.socket.send_multipart([peer.codec.encode(Chunk(b"d" * 32, 0)), b"uninvited"])
    peer.socket.send(peer.codec.encode(Chunk(b"d" * 32, 0)))
    peer.socket.send(b"garbage")
    peer.socket.send(b"")
    peer.say(Stored(b"d" * 32))
    peer.socket.send(other_codec().encode(Bye("control's")))
    peer.say(Get(digest, 0, 100))
    message, (part,) = answer()
    assert (message, part) == (Chunk(digest, 0), b"still served")
    assert len(gateway.dropped) == 6


def test_a_peer_that_gives_up_leaves_nothing_in_the_spool(gateway, peer, answer):
    peer.say(Offer(b"d" * 32, 1000))
    answer()
    assert len(list(gateway.spool.folder.iterdir())) == 2
    peer.say(Missing(b"d" * 32, "thought better of it"))
    peer.say(Get(b"e" * 32, 0, 1))
    answer()
    assert [path.name for path in gateway.spool.folder.iterdir()] == ["token"]


def test_an_offer_made_anew_begins_anew(gateway, peer, answer):
    blob = b"x" * (BLOB_CHUNK_BYTES + 10)
    peer.say(Offer(digest_of(blob), len(blob)))
    assert [type(answer()[0]) for _ in range(2)] == [Get, Get]
    peer.socket.send_multipart([peer.codec.encode(Chunk(digest_of(blob), 0)), blob[:BLOB_CHUNK_BYTES]])
    message, _ = upload(peer, answer, blob)
    assert message == Stored(digest_of(blob))


def test_a_disk_that_takes_no_more_is_told_to_whoever_uploads(gateway, peer, answer, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tzar_actors.gateway.spool.Incoming.write", full)
    message, _ = upload(peer, answer, b"x" * 1000)
    assert type(message) is Missing
    assert "No space left on device" in message.reason
    assert any("No space left" in reason for reason in gateway.dropped)
    assert [path.name for path in gateway.spool.folder.iterdir()] == ["token"]


def test_two_who_upload_the_same_blob_at_once_both_succeed(gateway, peer, answer):
    blob = b"x" * 1000
    pair, _ = gateway.vm("vm-2")
    other = gateway.dial_blobs(pair)
    for each in (peer, other):
        each.say(Offer(digest_of(blob), len(blob)))
        gateway.turn_until(lambda each=each: each.socket.poll(0))
        each.socket.recv_multipart()
    for each in (peer, other):
        each.socket.send_multipart([each.codec.encode(Chunk(digest_of(blob), 0)), blob])
        gateway.turn_until(lambda each=each: each.socket.poll(0))
        assert each.heard() == [Stored(digest_of(blob))]


def test_an_unknown_key_gets_no_blob(gateway):
    digest = lay(gateway, b"secret")
    stranger = gateway.dial_blobs(KeyPair.make())
    stranger.say(Get(digest, 0, 6))
    gateway.turn_for(0.3)
    assert not stranger.socket.poll(0)


def test_closing_ends_the_thread_and_throws_half_a_blob_away(gateway, peer, answer):
    peer.say(Offer(b"d" * 32, 1000))
    answer()
    began = time.monotonic()
    gateway.blobs.close()
    assert time.monotonic() - began < 5.0
    assert [path.name for path in gateway.spool.folder.iterdir()] == ["token"]
    gateway.blobs.close = lambda: None


def test_a_spool_stays_from_one_process_to_the_next(tmp_path):
    first = Spool(tmp_path / "spool")
    blob = b"whole"
    first.path(digest_of(blob)).write_bytes(blob)
    second = Spool(tmp_path / "spool")
    assert second.token == first.token
    assert second.holds(digest_of(blob), len(blob))
    assert not second.holds(digest_of(blob), len(blob) + 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_half_a_blob_on_a_full_disk_can_still_be_abandoned(tmp_path):
    spool = Spool(tmp_path)
    arriving = Incoming(spool, b"d" * 32, 10)
    arriving._file.close()
    arriving._file = Path("/dev/full").open("wb")  # noqa: SIM115 - it is closed by what is tested
    arriving.write(b"x" * 10)
    with pytest.raises(OSError, match="No space"):
        arriving.finish()
    arriving.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_server_that_never_began_to_serve_lets_go_of_its_sockets(tmp_path):
    context = zmq.Context(io_threads=2)
    server = BlobServer(
        context, "tcp://127.0.0.1:0", KeyPair.make(), Spool(tmp_path), LIMIT_BYTES, lambda *_: None, lambda _: None
    )
    server.close()
    context.term()  # waits for ever for a socket that is open
