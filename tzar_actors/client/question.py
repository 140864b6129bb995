"""What a trainer asks of each genome, checked where it is asked: a question that cannot travel would have no answer."""

import hashlib
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

from tzar_actors.client.genomes import Blob
from tzar_actors.core.evaluation import Evaluation
from tzar_agent.protocol.codec import pack_value

__all__ = ["Question", "check_key", "check_keys", "game_seeds"]

_PARAMS_LIMIT_BYTES: Final = 256 * 1024
_KEY_LIMIT_BYTES: Final = 200
_GAMES_LIMIT: Final = 1000
_INT_LIMIT: Final = 2**63


@dataclass(frozen=True, slots=True)
class Question:
    """The games that are asked for, the same for many genomes."""

    params: bytes
    seeds: tuple[int, ...]
    generation: int | None
    deadline_s: float | None

    @classmethod
    def of(
        cls,
        params: Mapping[str, Any] | None,
        games: int,
        seed: int,
        seeds: Sequence[int] | None,
        generation: int | None,
        deadline_s: float | None,
    ) -> Self:
        """The question that a trainer's arguments come to.

        Raises:
            ValueError: one of them is not allowed; the text names it.
        """
        packed = pack_value(dict(params or {}), _PARAMS_LIMIT_BYTES, "params")
        if seeds is not None:
            chosen, name = tuple(operator.index(each) for each in seeds), "seeds: their number"
        else:
            chosen, name = game_seeds(seed, min(games, _GAMES_LIMIT + 1)), "games"
        if not 1 <= len(chosen) <= _GAMES_LIMIT:
            raise ValueError(f"{name} is not allowed; allowed are 1 to {_GAMES_LIMIT}")
        if wrong := [each for each in chosen if not 0 <= each < _INT_LIMIT]:
            raise ValueError(f"seeds: {wrong[0]} is not allowed; allowed are 0 to 2**63 - 1")
        if generation is not None:
            generation = operator.index(generation)
            if not -_INT_LIMIT <= generation < _INT_LIMIT:
                raise ValueError(f"generation: {generation} is not allowed; it must fit in 64 bits")
        if deadline_s is not None:
            deadline_s = float(deadline_s)
            if not (deadline_s > 0 and math.isfinite(deadline_s)):
                raise ValueError(f"deadline_s: {deadline_s} is not allowed; allowed are seconds above 0, or None")
        return cls(packed, chosen, generation, deadline_s)

    def about(self, key: str, genome: Blob) -> Evaluation:
        """The question, asked of one genome."""
        return Evaluation(key, self.generation, genome.digest, genome.size, self.params, self.seeds, self.deadline_s)


def check_key(key: str) -> str:
    """`key`, if it can be one.

    Raises:
        ValueError: it cannot.
    """
    if not 0 < len(key.encode("utf-8", "replace")) <= _KEY_LIMIT_BYTES:
        raise ValueError(f"key: {key[:40]!r} is not allowed; allowed is a text of 1 to {_KEY_LIMIT_BYTES} bytes")
    return key


def check_keys(keys: Sequence[str]) -> None:
    """Nothing, if these can be the keys of one call.

    Raises:
        ValueError: one is none, or stands twice among them.
    """
    places: dict[str, int] = {}
    for index, key in enumerate(keys):
        if (earlier := places.setdefault(check_key(key), index)) != index:
            raise ValueError(f"keys[{index}] is {key!r}, as keys[{earlier}]; each needs its own")


@lru_cache(maxsize=64)  # a trainer asks for the same games again and again
def game_seeds(seed: int, games: int) -> tuple[int, ...]:
    """The seeds of a call's games: the first 63 bits of the SHA-256 of "seed:game".

    Args:
        seed: the call's.
        games: how many.
    """
    digests = (hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(games))
    return tuple(int.from_bytes(digest[:8], "big") >> 1 for digest in digests)
