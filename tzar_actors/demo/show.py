"""What a person sees of the demo: a live view on a terminal, lines elsewhere, and tables at the end."""

from collections.abc import Sequence
from time import monotonic
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tzar_actors.demo.campaign import Generation, Report
from tzar_actors.demo.fleet import Evaluation, Status, Vm
from tzar_actors.demo.kill import Kill, Succession

__all__ = ["Show", "describe"]

FRAME_S = 0.1


class Show:
    """Shows a campaign while it runs; a `Watcher` and a context manager.

    Args:
        console: where to.
        generations: how many there will be.
    """

    def __init__(self, console: Console, generations: int) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._generations = generations
        self._title = "starting the fleet"
        self._ended, self._due = 0, 0
        self._history: list[Generation] = []
        self._vms: Sequence[Vm] = ()
        self._kill: Kill | None = None
        self._succession: Succession | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> "Show":
        if self._live:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def stage(self, title: str, evaluations: int) -> None:
        """A round of so many evaluations begins."""
        self._title, self._ended, self._due = title, 0, evaluations
        self._draw()

    def ended(self, evaluation: Evaluation, status: Status) -> None:
        """An evaluation of the round ended."""
        self._ended += 1
        self._vms = status.vms
        if monotonic() - self._drawn_at > FRAME_S:
            self._draw()

    def generation(self, generation: Generation) -> None:
        """A generation ended."""
        self._history.append(generation)
        if not self._live:
            g = generation
            self._console.print(
                f"generation {g.number} of {self._generations}: best {g.best:.0f}, mean {g.mean:.0f} ticks, "
                f"{g.seconds:.1f} s",
                soft_wrap=True,
            )

    def killed(self, kill: Kill) -> None:
        """A VM's agent was killed: shown above the live view, where it stays."""
        self._kill = kill
        self._console.print(
            f"[bold red]killed[/] the agent of {kill.vm} while it played attempt {kill.attempt}", soft_wrap=True
        )
        self._draw()

    def succeeded(self, succession: Succession) -> None:
        """The lost game was played again."""
        self._succession = succession
        s = succession
        self._console.print(
            f"[bold green]nothing lost[/]: attempt {s.attempt} died with {s.vm}; "
            f"its successor {s.successor} on {s.successor_vm} played the same game",
            soft_wrap=True,
        )
        self._draw()

    def _draw(self) -> None:
        if self._live:
            self._drawn_at = monotonic()
            self._live.update(Group(self._headline(), self._table()), refresh=True)

    def _headline(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(1, self._due), completed=self._ended, width=30)
        last = self._history[-1] if self._history else None
        score = f"best {last.best:.0f}, mean {last.mean:.0f} ticks" if last else "no generation yet"
        grid.add_row(Text(self._title, style="bold"), bar, f"{self._ended}/{self._due}", score)
        return grid

    def _table(self) -> Table:
        table = Table("VM", "state", "attempt", "games", "")
        for vm in self._vms:
            remark, style = self._remark(vm)
            table.add_row(vm.vm, vm.state, vm.attempt or "", str(vm.games_played), remark, style=style)
        return table

    def _remark(self, vm: Vm) -> tuple[str, str]:
        if self._succession and vm.vm == self._succession.successor_vm:
            return f"played attempt {self._succession.successor} for {self._succession.vm}", "green"
        if self._kill and vm.vm == self._kill.vm:
            return f"killed at attempt {self._kill.attempt}", "red" if vm.attempt is None else "yellow"
        return "", ""


def describe(report: Report, console: Console) -> None:
    """Prints what came of a campaign: its generations, the champion beside the random policy, the kill."""
    table = Table("generation", "best", "mean", "seconds", title="ticks survived, of 2,100")
    for column in table.columns:
        column.justify = "right"
    for g in report.generations:
        table.add_row(str(g.number), f"{g.best:,.0f}", f"{g.mean:,.0f}", f"{g.seconds:.1f}")
    console.print(table)
    final = Table("on held-out seeds", "ticks")
    final.columns[1].justify = "right"
    for name, ticks in (("champion", report.champion), ("random policy", report.random)):
        final.add_row(name, "not scored" if ticks is None else f"{ticks:,.0f}")
    console.print(final)
    if report.champion is not None and report.random:
        console.print(
            f"The champion survives {report.champion / report.random:.1f} times as long as the random policy."
        )
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.outcomes.items()))
    console.print(f"{report.submitted} evaluations submitted, each ended once: {outcomes}.")
    if report.killed:
        k = report.killed
        console.print(f"Killed in mid-game: {k.attempt} on {k.vm}. Its successor: {k.successor} on {k.successor_vm}.")
    else:
        console.print("No kill hit a game: every game was over before the agent was gone.")
