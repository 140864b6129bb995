"""Journals in a temporary folder, and evaluations to keep in them."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tzar_actors.core.evaluation import AttemptStory, Evaluation, EvaluationEnded, GameEnded
from tzar_actors.journal.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Journal]]:
    """Opens the journal; all that were opened are closed at the end."""
    journals: list[Journal] = []

    def open_(durability="process", fleet="the-fleet", at=path, make_room=lambda: False) -> Journal:
        journal = Journal(at, durability, lambda: fleet, make_room)
        journals.append(journal)
        return journal

    yield open_
    for journal in journals:
        journal._checkpointer.close()
        journal._db.close()


@pytest.fixture
def evaluation() -> Callable[..., Evaluation]:
    def make(key: str, games: int = 1, generation: int | None = None) -> Evaluation:
        digest = hashlib.sha256(key.encode()).digest()
        return Evaluation(key, generation, digest, 10, b"\x80", tuple(range(games)), None)

    return make


@pytest.fixture
def ended() -> Callable[[Evaluation], EvaluationEnded]:
    def end(asked: Evaluation) -> EvaluationEnded:
        games = tuple(GameEnded("scored", 1.0, 0.5, b"\x80", "", ()) for _ in asked.seeds)
        return EvaluationEnded(asked.key, asked.generation, asked.digest, "scored", 1.0, "", 2.0, games)

    return end


@pytest.fixture
def story() -> Callable[..., AttemptStory]:
    def tell(attempt: str, vm: str, status: str = "lost") -> AttemptStory:
        return AttemptStory(attempt, vm, 1, status, 0.5, "the VM went away", None, "")

    return tell
