"""The bytes on the wire, as files: whoever writes an agent in another language can hold theirs against them.

Beside each `.bin` lies a `.json` that says what is in it; bytes are written there as {"hex": "..."}. Made anew, when
the protocol gets a new version, by running this module.
"""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest

from tzar_agent.protocol import messages as m
from tzar_agent.protocol.codec import Codec, pack_value

FOLDER = Path(__file__).parent / "golden"

GENOME = b"a genome of 22 bytes.."
DIGEST = sha256(GENOME).digest()
EVALUATOR = {
    "kind": "command",
    "argv": ["TrainingRunner.exe", "{genome}", "{params.map}", "60", "{result}"],
    "cwd": None,
    "env": {},
    "score_key": "score",
    "exit_codes": {"0": 1.0},
    "scored_exit_codes": [0, 1, 2],
}

EXAMPLES: dict[str, Any] = {
    "hello": m.Hello(1, "tzar-07", 3, "stranger 1.0", 4321, None, (), 1),
    "hello-back": m.Hello(
        1, "tzar-07", 3, "stranger 1.0", 4321, m.Playing("2.41", "gen7-3", 1, DIGEST), ("2.39", "2.40"), 16
    ),
    "welcome": m.Welcome(
        1, 2, 1.0, 5, pack_value(EVALUATOR, 1024), "tcp://192.0.2.1:7078", "/var/lib/tzar/spool", 268435456
    ),
    "unwelcome": m.Unwelcome("incarnation", "tzar-07 is at incarnation 4, not 3"),
    "agent_heartbeat": m.AgentHeartbeat(17, "playing", "2.41", 5, 0.25, 50331648),
    "supervisor_heartbeat": m.SupervisorHeartbeat(17),
    "play": m.Play(
        "2.41", "gen7-3", 1, DIGEST, len(GENOME), GENOME, pack_value({"map": "duel"}, 99), 7**19, 60.0, None
    ),
    "play-by-digest": m.Play("2.42", "gen7-4", 0, DIGEST, 11_000_000, None, pack_value({}, 99), 0, 60.0, 10.0),
    "cancel": m.Cancel("2.41"),
    "recall": m.Recall(("2.42", "2.43")),
    "progress": m.Progress("2.41", 0),
    "result": m.Result(
        "2.41", "gen7-3", 1, DIGEST, "scored", 812.5, pack_value({"kills": 3}, 99), 21.25, "", None
    ),
    "result-fault": m.Result(
        "2.41", "gen7-3", 1, DIGEST, "fault", None, pack_value({}, 99), 0.5,
        "the evaluator exited with code 3", m.Evidence(3, "map not found: duel\n"),
    ),
    "result_ack": m.ResultAck(("2.39", "2.41")),
    "bye": m.Bye("the supervisor ends"),
    "get": m.Get(DIGEST, 524288, 524288),
    "chunk": m.Chunk(DIGEST, 524288),
    "missing": m.Missing(DIGEST, "no such blob"),
    "offer": m.Offer(DIGEST, 11_000_000),
    "stored": m.Stored(DIGEST),
}  # fmt: skip


def codec_of(message: Any) -> "Codec[Any]":
    return m.control_codec() if isinstance(message, get_args(m.Control)) else m.blob_codec()


def described(message: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return {"hex": value.hex()}
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    return {"tag": message.TAG, "fields": plain(asdict(message))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_encodes_to_its_golden_bytes_and_back(name: str) -> None:
    golden = (FOLDER / f"{name}.bin").read_bytes()
    codec = codec_of(EXAMPLES[name])
    assert codec.encode(EXAMPLES[name]) == golden
    assert codec.decode(golden) == EXAMPLES[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_description_says_what_is_in_the_golden_bytes(name: str) -> None:
    assert json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) == described(EXAMPLES[name])


def test_every_message_of_both_unions_has_golden_bytes_and_no_file_is_left_over() -> None:
    assert {type(message) for message in EXAMPLES.values()} == {*get_args(m.Control), *get_args(m.Blob)}
    assert {path.stem for path in FOLDER.iterdir()} == set(EXAMPLES)


def write_golden_files() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, message in EXAMPLES.items():
        (FOLDER / f"{name}.bin").write_bytes(codec_of(message).encode(message))
        text = json.dumps(described(message), indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_golden_files()
