from collections import Counter
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from tzar_actors.demo.campaign import Generation, Report
from tzar_actors.demo.kill import Kill, Succession
from tzar_actors.demo.show import Show, describe

SUCCESSION = Succession("local-2", "1-17", "1-23", "local-0")


def console(terminal):
    return Console(file=StringIO(), force_terminal=terminal, width=120, color_system=None)


def tell(show):
    attempts = [
        SimpleNamespace(id="1-17", vm="local-2", status="lost"),
        SimpleNamespace(id="1-23", vm="local-0", status="scored"),
    ]
    status = SimpleNamespace(
        vms=[
            SimpleNamespace(vm="local-0", state="playing", attempt="1-30", games_played=19),
            SimpleNamespace(vm="local-2", state="booting", attempt=None, games_played=18),
        ]
    )
    evaluation = SimpleNamespace(games=[SimpleNamespace(attempts=attempts)])
    show.stage("generation 2 of 10", 24)
    show.killed(Kill("local-2", "1-17"))
    show.ended(evaluation, status)
    show.succeeded(SUCCESSION)
    show.generation(Generation(2, 1603.0, 704.0, 3.5))
    show.stage("generation 3 of 10", 24)


def test_a_terminal_shows_what_each_vm_plays_the_kill_and_its_successor():
    out = console(terminal=True)
    with Show(out, 10) as show:
        tell(show)
    seen = out.file.getvalue()
    for text in (
        "generation 2 of 10",
        "killed the agent of local-2 while it played attempt 1-17",
        "killed at attempt 1-17",
        "played attempt 1-23 for local-2",
        "playing",
        "1-30",
        "19",
        "booting",
        "18",
        "best 1603, mean 704 ticks",
    ):
        assert text in seen


def test_elsewhere_each_event_is_a_line():
    out = console(terminal=False)
    with Show(out, 10) as show:
        tell(show)
    assert out.file.getvalue().splitlines() == [
        "killed the agent of local-2 while it played attempt 1-17",
        "nothing lost: attempt 1-17 died with local-2; its successor 1-23 on local-0 played the same game",
        "generation 2 of 10: best 1603, mean 704 ticks, 3.5 s",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_terminal_is_given_back_when_the_campaign_fails(terminal):
    out = console(terminal)
    with pytest.raises(RuntimeError, match="lost"), Show(out, 10):
        raise RuntimeError("the fleet is lost")
    out.print("after")
    assert out.file.getvalue().endswith("after\n")


def test_the_end_tells_the_generations_both_figures_the_outcomes_and_the_kill():
    out = console(terminal=False)
    generations = [Generation(1, 1501.0, 502.0, 3.0)]
    describe(Report(generations, 28, Counter(scored=27, infra_failed=1), 2, SUCCESSION, 1805.0, 401.0), out)
    seen = out.file.getvalue()
    for text in (
        "1,501",
        "502",
        "1,805",
        "401",
        "4.5 times as long",
        "28 evaluations submitted, each ended once: 1 infra_failed, 27 scored.",
        "Killed in mid-game: 1-17 on local-2. Its successor: 1-23 on local-0.",
    ):
        assert text in seen


def test_what_was_not_measured_is_said_so():
    out = console(terminal=False)
    describe(Report(random=401.0), out)
    assert "not scored" in out.file.getvalue()
    assert "times as long" not in out.file.getvalue()
    assert "No kill hit a game" in out.file.getvalue()
