"""What is around a dispatch machine: agents that play, a journal that keeps, trainers that are told."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from asking import asked, result

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_events import (
    Accept,
    Acknowledge,
    BlameVm,
    Deliver,
    FleetChanged,
    Keep,
    Refuse,
    Reported,
    ResetVm,
    SendPlay,
    Submitted,
    VmReady,
)
from tzar_actors.core.queue import Game, OpenEvaluation, RunningAttempt
from tzar_actors.core.records import (
    AttemptEndedRecord,
    AttemptRecord,
    EvaluationEndedRecord,
    EvaluationRecord,
    GameEndedRecord,
)
from tzar_agent.protocol.messages import Playing

POLICY = BlamePolicy(max_attempts=3, time_out_votes=2)


@dataclass
class AgentModel:
    """A VM and its agent as they are, whatever the machine believes."""

    state: str = "gone"  # or "away", "silent", "ready"
    incarnation: int = 0
    playing: Playing | None = None
    kept: dict = field(default_factory=dict)  # results by attempt, until they are acknowledged


class JournalModel:
    """The records, and a machine rebuilt from them."""

    def __init__(self):
        self.evaluations = {}
        self.attempts = defaultdict(dict)  # (key, game) -> attempt -> (vm, incarnation, story)
        self.games = {}
        self.ended = {}
        self.last_attempt = None

    def keep(self, record):
        match record:
            case EvaluationRecord(evaluation, at):
                self.evaluations[evaluation.key] = (evaluation, at)
            case AttemptRecord(attempt, key, game, vm, incarnation):
                self.attempts[key, game].setdefault(attempt, (vm, incarnation, None))
                self.last_attempt = record
            case AttemptEndedRecord(key, game, story):
                self.attempts[key, game][story.attempt] = (story.vm, story.incarnation, story)
            case GameEndedRecord(key, game, ended):
                assert (key, game) not in self.games
                self.games[key, game] = ended
            case EvaluationEndedRecord(ended):
                assert ended.key not in self.ended
                self.ended[ended.key] = ended
            case _:
                raise AssertionError(record)

    def forget_last_attempt(self):
        """The commit of the last attempt was lost with the process that had sent it."""
        lost = self.last_attempt
        if lost is not None and self.attempts[lost.key, lost.game].get(lost.attempt, (0, 0, 0))[2] is None:
            self.attempts[lost.key, lost.game].pop(lost.attempt, None)

    def rebuild(self, epoch, now):
        machine = Dispatch(epoch, POLICY)
        for key, (evaluation, wall) in self.evaluations.items():
            if key in self.ended:
                continue
            open_ = OpenEvaluation(evaluation, wall - 1000.0)
            open_.games = [Game(open_, i) for i in range(len(evaluation.seeds))]
            running = []
            for game in open_.games:
                if (key, game.index) in self.games:
                    game.state, game.ended = "ended", self.games[key, game.index]
                    continue
                for attempt, (vm, incarnation, story) in self.attempts[key, game.index].items():
                    if story is None:
                        running.append(RunningAttempt(attempt, game, vm, incarnation, now))
                    else:
                        game.stories.append(story)
            machine.restore(now, open_, running)
        return machine


def picture(machine):
    """What two machines must have in common to be the same, apart from what a new start cannot know."""
    return {
        key: [
            (g.state == "ended", g.ended, g.ended or sorted(s.attempt for s in g.stories), sorted(g.attempts))
            for g in open_.games
        ]
        for key, open_ in machine.evaluations.items()
    }


class World:
    """A machine with all that is around it. `step` holds the laws of single events."""

    def __init__(self, names):
        self.now = 0.0
        self.epoch = 1
        self.machine = Dispatch(1, POLICY)
        self.journal = JournalModel()
        self.agents = {name: AgentModel() for name in names}
        self.fleet = frozenset(names)
        self.accepted = set()
        self.delivered = {}
        self.issued = set()
        self.step(FleetChanged(0.0, self.fleet))

    def step(self, event):
        self.now += 1.0
        commands = self.machine.step(event)
        acknowledged = Counter(c.attempt for c in commands if isinstance(c, Acknowledge))
        assert acknowledged == (Counter([event.result.attempt]) if isinstance(event, Reported) else {})
        for command in commands:
            self.apply(command)
        return commands

    def apply(self, command):
        match command:
            case Keep(record):
                self.journal.keep(record)
            case Accept(_, key):
                self.accepted.add(key)
            case Deliver(_, ended):
                if ended.key in self.delivered:
                    assert self.delivered[ended.key] == ended, "one evaluation, one outcome"
                self.delivered[ended.key] = ended
            case SendPlay(vm, incarnation, attempt, evaluation, game):
                agent = self.agents[vm]
                assert attempt not in self.issued, "no attempt's name is given twice"
                self.issued.add(attempt)
                assert (agent.state, agent.incarnation, agent.playing) == ("ready", incarnation, None)
                agent.playing = Playing(attempt, evaluation.key, game, evaluation.digest)
            case Acknowledge(vm, attempt):
                self.agents[vm].kept.pop(attempt, None)
            case ResetVm(vm) | BlameVm(vm):
                agent = self.agents[vm]
                assert agent.state == "ready" or isinstance(command, BlameVm)
                agent.state, agent.playing = "gone", None  # and comes back as another incarnation

    def submit(self, evaluation, trainer):
        ended = self.journal.ended.get(evaluation.key)
        known = (self.journal.evaluations[evaluation.key][0], ended) if ended else None
        (answer,) = [
            c
            for c in self.step(Submitted(self.now, 1000.0 + self.now, trainer, evaluation, known))
            if isinstance(c, Accept | Refuse)
        ]
        return answer

    def report(self, vm, finished):
        agent = self.agents[vm]
        self.step(Reported(self.now, vm, agent.incarnation, finished))

    def hello(self, vm):
        """The agent of `vm` is here, and says what is so."""
        agent = self.agents[vm]
        if agent.state == "gone":
            agent.incarnation += 1
        agent.state = "ready"
        self.step(VmReady(self.now, vm, agent.incarnation, agent.playing, tuple(agent.kept)))
        for finished in tuple(agent.kept.values()):
            self.report(vm, finished)

    def finish(self, vm, status, **changes):
        """The agent's game ends; the result is kept, and sent if somebody hears it."""
        agent = self.agents[vm]
        played, agent.playing = agent.playing, None
        evaluation = asked(played.evaluation, genome=played.evaluation)
        told = {"game": played.game, "digest": played.digest} | changes
        finished = agent.kept[played.attempt] = result(played.attempt, evaluation, status=status, **told)
        if agent.state != "away":
            self.report(vm, finished)

    def restart(self, forget_last_attempt):
        """The supervisor dies and comes back with what its journal has."""
        rebuilt = self.journal.rebuild(self.epoch + 1, self.now)
        assert picture(rebuilt) == picture(self.machine)
        if forget_last_attempt:
            self.journal.forget_last_attempt()
            rebuilt = self.journal.rebuild(self.epoch + 1, self.now)
        self.epoch += 1
        self.machine = rebuilt
        for agent in self.agents.values():
            if agent.state != "gone":
                agent.state = "away"
        self.step(FleetChanged(self.now, self.fleet))
