"""The trainer's handle of a fleet."""

import queue
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from tzar_actors.client.connection import Connection
from tzar_actors.client.future import EvaluationFuture
from tzar_actors.client.genomes import Blob, GenomeStore
from tzar_actors.client.protocol import AskOutcomes, AskPower, AskStatus, PowerVerb, Shutdown, Submission
from tzar_actors.client.question import Question, check_key, check_keys, game_seeds
from tzar_actors.client.results import (
    EvaluationResult,
    FleetStatus,
    ResultsSoFar,
    result_of,
    results_so_far,
    status_of,
)
from tzar_actors.client.waiting import Listener, Pending
from tzar_actors.core.evaluation import EvaluationEnded
from tzar_actors.errors import RejectedError, SupervisorError
from tzar_actors.gateway.keys import TrainerAccess
from tzar_agent.protocol.codec import unpack_value

__all__ = ["ACCESS_FILE", "PATIENCE_S", "EvaluationFuture", "Fleet", "connect", "game_seeds"]

ACCESS_FILE: Final = "trainer.access"
PATIENCE_S: Final = 60.0  # a supervisor that died is there again much sooner, where somebody starts it again
_WINDOW: Final = 4000  # evaluations of one `evaluate` that are under way: the input may be endless
_ANSWER_S: Final = 30.0
_RESTART_S: Final = 3.0  # in which a supervisor that died is there again, where somebody starts it again

Genome = bytes | bytearray | memoryview | Blob | Path


class Fleet:
    """A fleet that one can give genomes to. It is a context manager; leaving it says goodbye.

    Args:
        state_dir: the state folder of the supervisor.
        patience_s: seconds without a supervisor after which all that waits for one ends with `SupervisorError`; None:
            never.
    """

    def __init__(self, state_dir: Path, patience_s: float | None = PATIENCE_S) -> None:
        self.state_dir = state_dir
        access_file = state_dir / ACCESS_FILE
        self._connection = Connection(access_file, patience_s)
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
            ValueError: an argument is not allowed.
        """
        question = Question.of(params, games, seed, seeds, generation, deadline_s)
        if keys is not None:
            check_keys(keys)
        done: queue.SimpleQueue[tuple[int, str, EvaluationEnded | BaseException]] = queue.SimpleQueue()
        return self._evaluate(iter(genomes), question, keys, order, done)

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

        Raises:
            SupervisorError: the supervisor is gone for good.
            ValueError: an argument is not allowed.
        """
        question = Question.of(params, games, seed, seeds, generation, deadline_s)
        name, is_fresh = (key, False) if key is not None else (self._new_key(), True)
        future = EvaluationFuture(name, lambda future: self._connection.withdraw(future.key, future.answer))
        try:
            submission = self._submission(genome, name, is_fresh, question)
        except RejectedError as error:
            future.set_exception(error)
            return future
        self._connection.submit(Pending(submission, [future.answer]))
        return future

    def put(self, genome: bytes) -> Blob:
        """Brings a genome to the supervisor ahead of its evaluations; what is returned can be given in its place.

        A large one that nobody submits is kept for an hour; then its evaluation is refused as `genome_missing`.
        """
        return self._genomes.put(genome, self._connection.known(), "none")

    def results(self, *keys: str, generation: int | None = None) -> list[EvaluationResult]:
        """The outcomes that there are of these keys, or of a generation: also those of an earlier trainer.

        What is still open is not among them: give the same genomes under the same keys again to wait for it.

        Args:
            keys: as they were given to `submit` or `evaluate`.
            generation: as it was given there.

        Raises:
            SupervisorError: no answer came.
            ValueError: neither keys nor a generation were given.
        """
        return list(self.results_so_far(*keys, generation=generation).ended)

    def results_so_far(self, *keys: str, generation: int | None = None) -> ResultsSoFar:
        """As `results`, with the keys that are still open."""
        if not keys and generation is None:
            raise ValueError("results are found by keys or a generation: give one of them")
        for key in keys:
            check_key(key)
        answer = self._connection.ask(lambda request: AskOutcomes(request, keys or None, generation), _ANSWER_S)
        return results_so_far(answer.ended, answer.open_keys, keys)

    def status(self) -> FleetStatus:
        """How the fleet is right now."""
        answer = self._connection.ask(AskStatus, _ANSWER_S)
        return status_of(unpack_value(answer.status, "the status"))

    def power(self, vm: str, verb: PowerVerb) -> None:
        """Has a VM started, stopped, restarted or reset. None of it is a failure of the VM, and no genome's fault.

        It is on its way when this returns; `status` shows how far it is.

        Args:
            vm: its name.
            verb: "stop": it is off until it is started again, whoever supervises it. "restart": turned off and booted
                anew. "reset": so too, from its checkpoint or with a new disk. All but "stop" start a VM that is off.

        Raises:
            SupervisorError: the supervisor refused it, or no answer came.
        """
        answer = self._connection.ask(lambda request: AskPower(request, vm, verb), _ANSWER_S)
        if answer.refusal:
            raise SupervisorError(f"VM {vm}: {answer.refusal}")

    def shut_down(self, *, drain: bool = True) -> None:
        """Asks the supervisor to end: after what is open, or at once; what is open then stays in its journal."""
        self._connection.welcome()
        self._connection.say(Shutdown("drain" if drain else "stop"))

    def detach(self, timeout_s: float = _ANSWER_S) -> None:
        """Leaves as soon as all that was handed in is accepted; it is played, and `results` finds it later.

        Args:
            timeout_s: seconds within which it must be.

        Raises:
            SupervisorError: it is not; the fleet is not left.
        """
        self._connection.settle(timeout_s)
        self._leave()

    def close(self) -> None:
        """Says goodbye. The supervisor then does what `fleet.on_trainer_exit` says."""
        self._leave()

    def _leave(self) -> None:
        self._connection.close()
        self._genomes.close()

    def _evaluate(
        self,
        genomes: Iterator[Genome],
        question: Question,
        keys: Sequence[str] | None,
        order: bool,
        done: "queue.SimpleQueue[tuple[int, str, EvaluationEnded | BaseException]]",
    ) -> Iterator[EvaluationResult]:
        open_keys: dict[str, int] = {}
        tellers: dict[str, Listener] = {}
        waiting: dict[int, EvaluationResult | None] = {}
        rejected: list[RejectedError] = []
        index = following = 0
        is_more = True
        try:
            while is_more or open_keys:
                while is_more and len(open_keys) < _WINDOW and (index == 0 or done.empty()):
                    try:
                        genome = next(genomes)
                    except StopIteration:
                        is_more = False
                        break
                    if keys is not None and index >= len(keys):
                        raise ValueError(f"there are {len(keys)} keys and more genomes; each needs its own")
                    key, is_fresh = (self._new_key(), True) if keys is None else (keys[index], False)
                    try:
                        submission = self._submission(genome, key, is_fresh, question)
                    except RejectedError as error:
                        rejected.append(error)
                        waiting[index] = None
                    else:
                        open_keys[key] = index
                        tellers[key] = _teller(done, index, key)
                        self._connection.submit(Pending(submission, [tellers[key]]))
                    index += 1
                if not open_keys:
                    continue
                place, key, answer = done.get()
                del open_keys[key], tellers[key]
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
            with suppress(SupervisorError):  # it ends as well when the fleet was closed before it
                for key, teller in tellers.items():
                    self._connection.withdraw(key, teller)
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

    def _submission(self, genome: Genome, key: str, is_fresh: bool, question: Question) -> Submission:
        check_key(key)
        match genome:
            case Blob():
                blob = genome
            case Path():
                blob = self._genomes.put(genome.read_bytes(), self._connection.known(), key)
            case bytes():
                blob = self._genomes.put(genome, self._connection.known(), key)
            case _:
                # Through a view, since `bytes` would make a genome of zeros out of a number.
                blob = self._genomes.put(memoryview(genome).tobytes(), self._connection.known(), key)
        return Submission(question.about(key, blob), blob.inline, is_fresh)

    def _new_key(self) -> str:
        self._number += 1
        return f"{self._prefix}-{self._number:08d}"


def connect(state_dir: str | Path, *, patience_s: float | None = PATIENCE_S) -> Fleet:
    """The fleet of a supervisor that runs.

    Args:
        state_dir: its state folder.
        patience_s: seconds without a supervisor after which all that waits for one ends with `SupervisorError`; what
            was accepted stays in the journal. None: never.

    Raises:
        SupervisorError: no supervisor runs there.
    """
    folder = Path(state_dir).absolute()
    access = TrainerAccess.load(folder / ACCESS_FILE)
    fleet = Fleet(folder, patience_s)
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


def _teller(
    done: "queue.SimpleQueue[tuple[int, str, EvaluationEnded | BaseException]]", index: int, key: str
) -> Listener:
    return lambda answer: done.put((index, key, answer))
