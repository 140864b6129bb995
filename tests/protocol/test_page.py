"""`docs/protocol.md` is what agents in other languages are written from: it must name everything, and be right."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from tzar_agent.protocol import messages as m
from tzar_agent.protocol.identity import Identity

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
GOLDEN = Path(__file__).parent / "golden"
MESSAGES: list[Any] = [*get_args(m.Control), *get_args(m.Blob)]


def section(heading: str) -> str:
    """The text under a heading, up to the next of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no heading {heading!r}"
    return found[1]


def first_table(text: str) -> list[str]:
    """The names in the first column of the first table, in their order."""
    rows = re.search(r"^\| field \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, "there is no table of fields"
    return re.findall(r"^\| `(\w+)` \|", rows[1], re.MULTILINE)


@pytest.mark.parametrize("cls", MESSAGES)
def test_the_page_describes_each_message_with_all_its_fields_in_their_order(cls: Any) -> None:
    text = section(f"{cls.__name__}: `{cls.TAG}`")
    assert first_table(text) == [field.name for field in fields(cls)]


@pytest.mark.parametrize("cls", [m.Playing, m.Evidence])
def test_the_page_describes_what_lies_inside_messages(cls: Any) -> None:
    assert first_table(section(cls.__name__)) == [field.name for field in fields(cls)]


def test_the_page_describes_the_identity() -> None:
    assert first_table(section("The identity")) == ["tzar_identity", *(field.name for field in fields(Identity))]


def test_the_pages_examples_are_the_golden_bytes_and_none_is_missing() -> None:
    shown = dict(re.findall(r"^`([\w-]+)\.bin`:\n\n```hex\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    golden = {path.stem: path.read_bytes() for path in GOLDEN.glob("*.bin")}
    assert {name: bytes.fromhex(text) for name, text in shown.items()} == golden


def test_the_page_names_each_value_of_each_choice() -> None:
    for choice, where in (
        (m.ResultStatus, "Result: `result`"),
        (m.AgentState, "AgentHeartbeat: `agent_heartbeat`"),
    ):
        for value in get_args(choice):
            assert f"`{value}`" in section(where)
    for code in ("version", "incarnation", "vm"):
        assert f"`{code}`" in section("Unwelcome: `unwelcome`")


def test_the_pages_limits_are_those_of_the_code() -> None:
    limits = section("Framing")
    assert f"{m.CONTROL_LIMIT_BYTES:,} bytes" in limits
    assert f"{m.BLOB_CHUNK_BYTES:,} bytes" in limits
    assert f"{m.INLINE_LIMIT_BYTES:,} bytes" in limits
    assert f"| gets under way for one blob | {m.BLOB_WINDOW} |" in limits
    sizes = {name: getattr(m, name).__metadata__[0].limit for name in ("Name", "Text", "Digest", "Packed")}
    assert sizes == {"Name": 200, "Text": 16_384, "Digest": 32, "Packed": 262_144}
    for size in sizes.values():
        assert f"{size:,}" in limits


def test_the_pages_links_lead_to_its_headings() -> None:
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ ([\w' -]+)$", PAGE, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    assert links
    assert links <= anchors
