"""How often a genome is blamed for what the infrastructure did: the dispatcher alone, with VMs that crash by chance.

No genome is bad here but those that `--killers` asks for, so every `genome_failed` of another is a false one. The
machine of `core.dispatch` plays the games without agents, sockets or a journal: `python bench/false_blame.py` plays a
million of them in some minutes.
"""

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Annotated, Final

import typer

from tzar_actors.core.blame import BlamePolicy
from tzar_actors.core.dispatch import Dispatch
from tzar_actors.core.dispatch_commands import Deliver, DispatchCommand, SendPlay
from tzar_actors.core.dispatch_events import FleetChanged, Reported, Submitted, VmGone, VmReady
from tzar_actors.core.evaluation import Evaluation
from tzar_agent.protocol.messages import Result

__all__ = ["Blamed", "play"]

_EMPTY_MAP: Final = b"\x80"


@dataclass
class Blamed:
    """What came of the games.

    Args:
        outcomes: of the genomes that are well.
        killers: of those that kill their VM.
        condemned: the reasons for which a genome that is well was found to have failed.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    killers: Counter[str] = field(default_factory=Counter)
    condemned: list[str] = field(default_factory=list)


def play(games: int, vms: int, crash_share: float, seed: int, killers: int = 0) -> Blamed:
    """Plays one game of each of `games` genomes, in random order of their ends.

    Args:
        games: how many.
        vms: how many VMs play at the same time.
        crash_share: of the attempts that end in a crash of their VM, whatever they play.
        seed: the same seed, the same games.
        killers: every so many genomes one crashes its VM each time; 0: none does.
    """
    draw = Random(seed)
    found = Blamed()
    machine = Dispatch(1, BlamePolicy())
    incarnations = {f"vm-{i:02d}": 1 for i in range(vms)}
    orders: list[SendPlay] = []
    pending: deque[DispatchCommand] = deque(machine.step(FleetChanged(0.0, frozenset(incarnations))))
    for vm in incarnations:
        pending += machine.step(VmReady(0.0, vm, 1))
    submitted, now = 0, 0.0
    while submitted < games or orders or pending:
        while pending:
            match pending.popleft():
                case SendPlay() as order:
                    orders.append(order)
                case Deliver(_, ended):
                    if _kills(ended.generation or 0, killers):
                        found.killers[ended.outcome] += 1
                    else:
                        found.outcomes[ended.outcome] += 1
                        if ended.outcome == "genome_failed":
                            found.condemned.append(ended.reason)
        now += 1.0
        if submitted < games and len(machine.evaluations) < 2 * vms:
            digest = sha256(submitted.to_bytes(8, "big")).digest()
            asked = Evaluation(f"k{submitted}", submitted, digest, 256, _EMPTY_MAP, (seed,), None)
            submitted += 1
            pending += machine.step(Submitted(now, now, "trainer", asked))
            continue
        if not orders:
            break
        order = orders.pop(draw.randrange(len(orders)))
        asked, vm = order.evaluation, order.vm
        if _kills(asked.generation or 0, killers) or draw.random() < crash_share:
            pending += machine.step(VmGone(now, vm, "it crashed"))
            incarnations[vm] += 1
            pending += machine.step(VmReady(now, vm, incarnations[vm]))
        else:
            result = Result(
                order.attempt, asked.key, order.game, asked.digest, "scored", 1.0, _EMPTY_MAP, 1.0, "", None
            )
            pending += machine.step(Reported(now, vm, order.incarnation, result))
    return found


def _kills(number: int, killers: int) -> bool:
    return killers > 0 and number % killers == killers - 1


def main(
    games: Annotated[int, typer.Option(min=1, help="How many games are played.")] = 1_000_000,
    vms: Annotated[int, typer.Option(min=1, help="VMs that play at the same time.")] = 8,
    crash_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of attempts that end in a VM's crash.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(help="The same seed, the same games.")] = 1,
    killers: Annotated[int, typer.Option(min=0, help="Every so many genomes one kills its VM; 0: none does.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")] = False,
) -> None:
    """Counts the genomes that are blamed for the crashes of VMs."""
    found = play(games, vms, crash_share, seed, killers)
    print(f"{games:,} games on {vms} VMs, {crash_share:.1%} of the attempts end in a crash, seed {seed}")
    print(f"genomes that are well: {dict(found.outcomes)}; falsely condemned: {len(found.condemned)}")
    if killers:
        print(f"genomes that kill their VM: {dict(found.killers)}")
    for reason in found.condemned[:10]:
        print(f"  {reason}")
    if as_json:
        figures = {"games": games, "vms": vms, "crash_share": crash_share, "seed": seed}
        print(json.dumps({**figures, "condemned": len(found.condemned), "outcomes": found.outcomes}))


if __name__ == "__main__":
    typer.run(main)
