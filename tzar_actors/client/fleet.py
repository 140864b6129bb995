"""The trainer's handle of a fleet."""

import hashlib
import queue
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from tzar_actors.client.connection import Connection, Pending
from tzar_actors.client.genomes import Blob, GenomeStore
from tzar_actors.client.protocol import AskOutcomes, AskStatus, CancelEvaluations, Shutdown, Submission
from tzar_actors.client.results import EvaluationResult, FleetStatus, result_of, status_of
from tzar_actors.core.evaluation import Evaluation, EvaluationEnded
from tzar_actors.errors import RejectedError, SupervisorError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_actors.journal.stored import stored_codec
from tzar_agent.protocol.codec import pack_value, unpack_value

__all__ = ["ACCESS_FILE", "EvaluationFuture", "Fleet", "connect", "game_seeds"]

ACCESS_FILE: Final = "trainer.access"
_WINDOW: Final = 4000  # evaluations of one `evaluate` that are under way: the input may be endless
_PARAMS_LIMIT_BYTES: Final = 256 * 1024
_ANSWER_S: Final = 30.0
_RESTART_S: Final = 3.0  # in which a supervisor that died is there again, where somebody starts it again

Genome = bytes | bytearray | memoryview | Blob | Path


class EvaluationFuture(Future[EvaluationResult]):
    """The outcome of one submission, when it is there. `cancel()` ends its games, running ones too."""

    def __init__(self, fleet: "Fleet", key: str) -> None:
        super().__init__()
        self.key = key
        self._fleet = fleet

    def cancel(self) -> bool:
        """Asks the fleet to end this evaluation; the future then ends cancelled, unless its outcome came first.

        Returns:
            False: it had ended already.
        """
        if self.done():
            return False
        self._fleet._cancel((self.key,))
        return super().cancel()


class Fleet:
    """A fleet that one can give genomes to. It is a context manager; leaving it says goodbye.

    Args:
        state_dir: the state folder of the supervisor.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        access_file = state_dir / ACCESS_FILE
        self._connection = Connection(access_file)
        self._genomes = GenomeStore(access_file)
        self._prefix = (
            f"{int(time.time()):08x}-{uuid.uuid4().hex[:12]}"  # keys grow with time: the journal's index does
        )
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def evaluate(
        self,
        genomes: Iterable[Genome],
        *,
        params: Mapping[str, Any] | None = None,
        games: int = 1,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        generation: int | None = None,
        keys: Sequence[str] | None = None,
        deadline_s: float | None = None,
        order: bool = False,
    ) -> Iterator[EvaluationResult]:
        """Evaluates `genomes` and yields each outcome as it comes.

        The input is read as the fleet keeps up with it. When the iterator is closed early, what is still open is
        cancelled.

        Args:
            genomes: bytes, files, or what `put` returned.
            params: what the evaluator is told, the same for all games; plain values.
            games: how many games each genome plays.
            seed: from which the games' seeds are derived; game i of every genome has the same seed.
            seeds: the games' seeds themselves, instead of `games` and `seed`.
            generation: a number by which `results` finds these evaluations again.
            keys: a name for each genome's evaluation; one that was given before is answered from the journal.
            deadline_s: seconds after which an evaluation ends as `infra_failed`.
            order: yield in the order of the input.

        Raises:
            RejectedError: the supervisor took some of them not; raised when all others have been yielded.
            SupervisorError: the supervisor is gone for good.
        """
        packed = pack_value(dict(params or {}), _PARAMS_LIMIT_BYTES, "params")
        game_seeds_ = tuple(seeds) if seeds is not None else game_seeds(seed, games)
        done: queue.SimpleQueue[tuple[int, str, EvaluationEnded | BaseException]] = queue.SimpleQueue()
        return self._evaluate(iter(genomes), packed, game_seeds_, generation, keys, deadline_s, order, done)

    def submit(
        self,
        genome: Genome,
        *,
        key: str | None = None,
        params: Mapping[str, Any] | None = None,
        games: int = 1,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        generation: int | None = None,
        deadline_s: float | None = None,
    ) -> EvaluationFuture:
        """Asks for the evaluation of one genome and returns at once. The arguments are those of `evaluate`.

        Returns:
            A future of the outcome. It fails with `RejectedError` when the supervisor does not take it.
        """
        packed = pack_value(dict(params or {}), _PARAMS_LIMIT_BYTES, "params")
        name, is_fresh = (key, False) if key is not None else (self._new_key(), True)
        future = EvaluationFuture(self, name)

        def done(answer: EvaluationEnded | BaseException) -> None:
            if not future.set_running_or_notify_cancel():
                return
            if isinstance(answer, EvaluationEnded):
                future.set_result(result_of(answer, 0))
            else:
                future.set_exception(answer)

        game_seeds_ = tuple(seeds) if seeds is not None else game_seeds(seed, games)
        try:
            pending = self._pending(genome, name, is_fresh, packed, game_seeds_, generation, deadline_s)
        except RejectedError as error:
            future.set_exception(error)
            return future
        pending.done = done
        self._connection.submit(pending)
        return future

    def put(self, genome: bytes) -> Blob:
        """Brings a genome to the supervisor ahead of its evaluations; what is returned can be given in its place."""
        return self._genomes.put(genome, self._connection.welcome(), "none")

    def results(self, *keys: str, generation: int | None = None) -> list[EvaluationResult]:
        """The outcomes that there are of these keys, or of a generation: also those of an earlier trainer.

        What is still open is not among them: give the same genomes under the same keys again to wait for it.

        Args:
            keys: as they were given to `submit` or `evaluate`.
            generation: as it was given there.
        """
        answer = self._connection.ask(lambda request: AskOutcomes(request, keys or None, generation), _ANSWER_S)
        codec = stored_codec()
        places = {key: i for i, key in enumerate(keys)}
        ended = [each for encoded in answer.ended if isinstance(each := codec.decode(encoded), EvaluationEnded)]
        return [result_of(each, places.get(each.key, i)) for i, each in enumerate(ended)]

    def status(self) -> FleetStatus:
        """How the fleet is right now."""
        answer = self._connection.ask(AskStatus, _ANSWER_S)
        return status_of(unpack_value(answer.status, "the status"))

    def shut_down(self, *, drain: bool = True) -> None:
        """Asks the supervisor to end: after what is open, or at once; what is open then stays in its journal."""
        self._connection.welcome()
        self._connection.say(Shutdown("drain" if drain else "stop"))

    def close(self) -> None:
        """Says goodbye. The supervisor then does what `fleet.on_trainer_exit` says."""
        self._connection.close()
        self._genomes.close()

    def _evaluate(
        self,
        genomes: Iterator[Genome],
        params: bytes,
        seeds: tuple[int, ...],
        generation: int | None,
        keys: Sequence[str] | None,
        deadline_s: float | None,
        order: bool,
        done: "queue.SimpleQueue[tuple[int, str, EvaluationEnded | BaseException]]",
    ) -> Iterator[EvaluationResult]:
        open_keys: dict[str, int] = {}
        waiting: dict[int, EvaluationResult | None] = {}
        rejected: list[RejectedError] = []
        index = following = 0
        is_more = True
        try:
            while is_more or open_keys:
                while is_more and len(open_keys) < _WINDOW and (index == 0 or done.empty()):
                    genome = next(genomes, None)
                    if genome is None:
                        is_more = False
                        break
                    key, is_fresh = (self._new_key(), True) if keys is None else (keys[index], False)
                    if key in open_keys:
                        raise ValueError(f"keys[{index}] is {key!r}, as keys[{open_keys[key]}]; each needs its own")
                    try:
                        pending = self._pending(genome, key, is_fresh, params, seeds, generation, deadline_s)
                    except RejectedError as error:
                        rejected.append(error)
                        waiting[index] = None
                    else:
                        pending.done = _teller(done, index, key)
                        open_keys[key] = index
                        self._connection.submit(pending)
                    index += 1
                if not open_keys:
                    continue
                place, key, answer = done.get()
                del open_keys[key]
                if isinstance(answer, EvaluationEnded):
                    waiting[place] = result_of(answer, place)
                elif isinstance(answer, RejectedError):
                    rejected.append(answer)
                    waiting[place] = None
                else:
                    raise answer
                if not order and (result := waiting.pop(place)) is not None:
                    yield result
                while order and following in waiting:
                    if (result := waiting.pop(following)) is not None:
                        yield result
                    following += 1
            for place in sorted(waiting):
                if (result := waiting[place]) is not None:
                    yield result
        finally:
            if open_keys:
                self._cancel(tuple(open_keys))
        if rejected:
            raise (
                rejected[0]
                if len(rejected) == 1
                else RejectedError(
                    rejected[0].key,
                    rejected[0].code,
                    f"{rejected[0].reason} (and {len(rejected) - 1} more were rejected)",
                )
            )

    def _pending(
        self,
        genome: Genome,
        key: str,
        is_fresh: bool,
        params: bytes,
        seeds: tuple[int, ...],
        generation: int | None,
        deadline_s: float | None,
    ) -> Pending:
        if isinstance(genome, Path):
            genome = genome.read_bytes()
        blob = genome if isinstance(genome, Blob) else None
        if blob is None:
            blob = self._genomes.put(bytes(genome), self._connection.welcome(), key)  # type: ignore[arg-type]  # no Blob
        evaluation = Evaluation(key, generation, blob.digest, blob.size, params, seeds, deadline_s)
        return Pending(Submission(evaluation, blob.inline, is_fresh), _nobody)

    def _cancel(self, keys: tuple[str, ...]) -> None:
        self._connection.say(CancelEvaluations(keys))

    def _new_key(self) -> str:
        self._number += 1
        return f"{self._prefix}-{self._number:08d}"


def connect(state_dir: str | Path) -> Fleet:
    """The fleet of a supervisor that runs.

    Args:
        state_dir: its state folder.

    Raises:
        SupervisorError: no supervisor runs there.
    """
    folder = Path(state_dir).absolute()
    access = TrainerAccess.load(folder / ACCESS_FILE)
    fleet = Fleet(folder)
    try:
        try:
            fleet._connection.welcome(_RESTART_S)
        except SupervisorError:
            # A folder with a lock in it is a supervisor's own, so its process would be one of this machine.
            if (folder / "lock").exists() and not psutil.pid_exists(TrainerAccess.load(folder / ACCESS_FILE).pid):
                raise SupervisorError(
                    f"no supervisor runs in {folder} any more: its process {access.pid} has ended."
                    " Start one with: tzar supervise"
                ) from None
            fleet._connection.welcome()
    except BaseException:
        fleet.close()
        raise
    return fleet


def game_seeds(seed: int, games: int) -> tuple[int, ...]:
    """The seeds of a call's games: the first 63 bits of the SHA-256 of "seed:game".

    Args:
        seed: the call's.
        games: how many.
    """
    digests = (hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(games))
    return tuple(int.from_bytes(digest[:8], "big") >> 1 for digest in digests)


def _teller(done: "queue.SimpleQueue[tuple[int, str, EvaluationEnded | BaseException]]", index: int, key: str) -> Any:
    return lambda answer: done.put((index, key, answer))


def _nobody(answer: EvaluationEnded | BaseException) -> None:
    """Nobody is waiting yet."""
