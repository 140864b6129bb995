"""What is around a dispatch machine: agents that play, a journal that keeps, trainers that are told."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from asking import asked, result

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import (
    Accept,
    Acknowledge,
    BlameVm,
    Deliver,
    Keep,
    Refuse,
    ResetVm,
    SendPlay,
    SendRecall,
)
from tzar_actors.core.dispatch_events import FleetChanged, Reported, Submitted, VmAway, VmReady
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
    room: int = 1
    orders: list = field(default_factory=list)  # what it plays, and what waits for its turn
    kept: dict = field(default_factory=dict)  # results by attempt, until they are acknowledged

    called_back: set = field(default_factory=set)  # orders that it was asked for again

    def lose_the_connection(self, state="away"):
        """What waits is dropped with the connection."""
        self.state = state
        del self.orders[1:]
        self.called_back.clear()

    @property
    def playing(self) -> Playing | None:
        return self.orders[0] if self.orders else None


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

    def __init__(self, rooms):
        self.now = 0.0
        self.epoch = 1
        self.machine = Dispatch(1, POLICY)
        self.journal = JournalModel()
        self.agents = {name: AgentModel(room=room) for name, room in rooms.items()}
        self.fleet = frozenset(rooms)
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
                assert (agent.state, agent.incarnation) == ("ready", incarnation)
                assert len(agent.orders) < agent.room
                agent.orders.append(Playing(attempt, evaluation.key, game, evaluation.digest))
            case SendRecall(vm, attempts):
                agent = self.agents[vm]  # it may have dropped them with its connection
                assert agent.playing is None or agent.playing.attempt not in attempts
                agent.called_back.update(attempts)
            case Acknowledge(vm, attempt):
                self.agents[vm].kept.pop(attempt, None)
            case ResetVm(vm) | BlameVm(vm):
                agent = self.agents[vm]
                assert agent.state == "ready" or isinstance(command, BlameVm)
                agent.lose_the_connection("gone")  # and comes back as another incarnation
                agent.orders.clear()

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
        agent.lose_the_connection("ready")
        self.step(VmReady(self.now, vm, agent.incarnation, agent.playing, tuple(agent.kept), agent.room))
        for finished in tuple(agent.kept.values()):
            self.report(vm, finished)

    def replace_the_actor(self, vm):
        """The actor of `vm` dies, and its successor finds the connection of the agent as it was."""
        agent = self.agents[vm]
        self.step(VmAway(vm))
        self.step(VmReady(self.now, vm, agent.incarnation, agent.playing, tuple(agent.kept), agent.room))
        self.give_back(vm)

    def finish(self, vm, status, **changes):
        """The agent's game ends; the result is kept, and sent if somebody hears it."""
        agent = self.agents[vm]
        self._end(vm, agent.orders[0], status, **changes)

    def give_back(self, vm):
        """The agent reads what was asked for again; of that it gives back what waits."""
        agent = self.agents[vm]
        for order in agent.orders[1:]:
            if order.attempt in agent.called_back:
                self._end(vm, order, "cancelled", seconds=0.0)
        agent.called_back.clear()

    def _end(self, vm, played, status, **changes):
        agent = self.agents[vm]
        agent.orders.remove(played)
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
                agent.lose_the_connection()
        self.step(FleetChanged(self.now, self.fleet))
