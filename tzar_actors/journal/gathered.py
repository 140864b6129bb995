"""What was journalled since the last commit, and the rows that it comes to.

Much of it has come to nothing by then: an evaluation that ends holds its games and their attempts itself, and its
genome is needed no longer. Nobody ever reads rows of these again, so none are written.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias, assert_never

from tzar_actors.core.evaluation import AttemptStory, GameEnded
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
    IncarnationRecord,
    Record,
    VmHeldRecord,
    VmRecord,
    VmRemovedRecord,
)
from tzar_actors.journal.stored import Stored
from tzar_agent.protocol.messages import INLINE_LIMIT_BYTES

__all__ = ["Gathered"]

Row: TypeAlias = tuple[Any, ...]

_GENOME: Final = "INSERT OR IGNORE INTO genomes VALUES (?, ?)"
_ACCEPTED: Final = "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)"
_SPOOLED: Final = "INSERT INTO spooled VALUES (?, ?)"
_ATTEMPT: Final = "INSERT OR IGNORE INTO attempts VALUES (?, ?, ?, ?, ?, NULL)"
_STORY: Final = (
    "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (key, game, attempt) DO UPDATE SET story = excluded.story"
)
_GAME: Final = "INSERT INTO games VALUES (?, ?, ?)"
_ENDED: Final = "UPDATE evaluations SET ended = ? WHERE key = ?"
_VM_MADE: Final = (
    "INSERT INTO vms (vm, host, machine_id) VALUES (?, ?, ?) ON CONFLICT (vm) DO UPDATE"
    " SET host = excluded.host, machine_id = excluded.machine_id"
)
_VM_BOOTS: Final = (
    "INSERT INTO vms (vm, host, machine_id, incarnation, public_key) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (vm) DO UPDATE SET machine_id = excluded.machine_id,"
    " incarnation = excluded.incarnation, public_key = excluded.public_key"
)
_VM_HELD: Final = (
    "INSERT INTO vms (vm, host, held) VALUES (?, ?, ?) ON CONFLICT (vm) DO UPDATE SET held = excluded.held"
)
_VM_REMOVED: Final = "UPDATE vms SET machine_id = NULL, public_key = NULL WHERE vm = ?"


class Gathered:
    """The records of one commit.

    Args:
        encode: how an evaluation, or a story of one, is written.
    """

    def __init__(self, encode: Callable[[Stored], bytes]) -> None:
        self._encode = encode
        self.genomes: dict[str, bytes] = {}  # by key
        self.ended: dict[str, bytes] = {}  # by key
        self._accepted: list[Row] = []
        self._spooled: list[Row] = []
        self._attempts: dict[Row, Row] = {}  # by key, game and attempt
        self._stories: dict[Row, AttemptStory] = {}  # by key, game and attempt
        self._games: list[tuple[str, int, GameEnded]] = []
        self._vms: list[tuple[str, Row]] = []

    def add(self, record: Record) -> None:
        """Gathers `record`."""
        match record:
            case AttemptRecord(attempt, key, game, vm, incarnation):
                self._attempts.setdefault((key, game, attempt), (vm, incarnation))
            case EvaluationRecord(asked, at):
                self._accepted.append((asked.key, asked.generation, at, self._encode(asked)))
                if asked.size > INLINE_LIMIT_BYTES:
                    self._spooled.append((asked.digest, asked.key))
            case EvaluationEndedRecord(ended):
                self.ended[ended.key] = self._encode(ended)
            case AttemptEndedRecord(key, game, story):
                self._stories[key, game, story.attempt] = story
            case GameEndedRecord(key, game, game_ended):
                self._games.append((key, game, game_ended))
            case VmRecord(vm, host, machine_id):
                self._vms.append((_VM_MADE, (vm, host, machine_id)))
            case IncarnationRecord(vm, host, incarnation, public_key, machine_id):
                self._vms.append((_VM_BOOTS, (vm, host, machine_id, incarnation, public_key)))
            case VmRemovedRecord(vm):
                self._vms.append((_VM_REMOVED, (vm,)))
            case VmHeldRecord(vm, host, is_held):
                self._vms.append((_VM_HELD, (vm, host, is_held)))
            case _:
                assert_never(record)

    def __bool__(self) -> bool:
        return bool(
            self._attempts
            or self._accepted
            or self.ended
            or self._stories
            or self._games
            or self._vms
            or self.genomes
            or self._spooled
        )

    def rows(self) -> Iterator[tuple[str, list[Row]]]:
        """Statements with their rows, of which each has some, in an order in which no update comes before the insert
        that it is for."""
        ended, stories = self.ended, self._stories
        if self.genomes and (genomes := [each for each in self.genomes.items() if each[0] not in ended]):
            yield _GENOME, genomes
        if self._accepted:
            yield _ACCEPTED, [(*row, ended.get(row[0])) for row in self._accepted]
        if self._spooled:
            yield _SPOOLED, self._spooled
        if self._attempts and (
            attempts := [(*of, *row) for of, row in self._attempts.items() if of[0] not in ended and of not in stories]
        ):
            yield _ATTEMPT, attempts
        if stories and (told := [each for each in stories.items() if each[0][0] not in ended]):
            yield _STORY, [(*of, story.vm, story.incarnation, self._encode(story)) for of, story in told]
        if self._games and (games := [each for each in self._games if each[0] not in ended]):
            yield _GAME, [(key, game, self._encode(over)) for key, game, over in games]
        if ended:
            accepted = {row[0] for row in self._accepted}
            if updates := [(body, key) for key, body in ended.items() if key not in accepted]:
                yield _ENDED, updates
        for statement, row in self._vms:
            yield statement, [row]

    def clear(self) -> None:
        """It is committed."""
        for each in (self.genomes, self.ended, self._attempts, self._stories):
            each.clear()
        for every in (self._accepted, self._spooled, self._games, self._vms):
            every.clear()
