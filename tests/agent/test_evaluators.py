"""Each kind of evaluator, played by a real agent: what is scored, what is whose fault, and that nothing survives."""

import sys
import time

import psutil
import pytest
from fake_supervisor import details_of, python_evaluator

from tzar_agent.protocol.messages import Cancel, Hello, Progress
from tzar_agent.tree import marked

PYTHON = """
import os, subprocess, sys, time
from tzar_agent import Result

def play(genome, params, game):
    print("printed on stdout")
    os.write(1, b"written to descriptor 1\\n")
    print("pid", os.getpid(), file=sys.stderr)
    match params.get("do"):
        case "raise": raise ValueError("as ordered")
        case "nan": return float("nan")
        case "none": return None
        case "exit": sys.exit(5)
        case "_exit": os._exit(0)
        case "crash": os.abort()
        case "object": return Result(1, {"x": object()})
        case "mask": return Result(1, {"mask": [False] * params["size"]})
        case "name": game.progress(os.fsdecode(b"map-\\xff.wad"))
        case "hang":
            game.progress("before the hang")
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            time.sleep(300)
        case "progress":
            for i in range(params["times"]):
                game.progress(i)
                time.sleep(0.02)
    return Result(len(genome), {"seed": game.seed, "pid": os.getpid(), "blob": b"\\0\\1", "params": params})
"""


@pytest.fixture
def python(supervisor, tmp_path):
    supervisor.evaluator = python_evaluator(tmp_path, PYTHON)
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    return supervisor


def evaluator_processes(supervisor):
    agents = {agent.pid for agent in supervisor.agents}
    return [pid for pid in marked(supervisor.fleet, supervisor.vm) if pid not in agents]


def test_a_python_game_is_scored_by_a_child_that_stays(python):
    python.play("a1", b"12345", seed=9, params={"bytes": b"\xff", "float": float("inf"), "list": [1, None, "ä"]})
    first = python.result("a1")
    assert (first.status, first.fitness, first.reason, first.evidence) == ("scored", 5.0, "", None)
    details = details_of(first)
    assert details["seed"] == 9
    assert details["blob"] == b"\0\1"
    assert details["params"] == {"bytes": b"\xff", "float": float("inf"), "list": [1, None, "ä"]}
    python.play("a2", b"1234567")
    second = python.result("a2")
    assert second.fitness == 7.0
    assert details_of(second)["pid"] == details["pid"]
    assert python.expect(Progress, lambda p: p.attempt == "a2").count == 0


def test_params_larger_than_a_pipe_reach_the_child(python):
    python.play("a1", params={"text": "x" * 60_000})
    assert details_of(python.result("a1"))["params"]["text"] == "x" * 60_000


@pytest.mark.parametrize(
    ("what", "reason", "exit_code"),
    [
        ("raise", "the evaluator raised ValueError: as ordered", None),
        ("nan", "the evaluator gave nan as fitness; a finite number is needed", None),
        ("none", "returned None as fitness", None),
        ("object", "details.x: a object cannot travel", None),
        ("exit", "ended with exit code 5 without a result", 5),
        ("_exit", "ended with exit code 0 without a result", 0),
        ("crash", "was ended by signal SIGABRT without a result", -6),
    ],
)
def test_a_python_game_that_fails_is_a_fault_with_evidence_and_the_next_one_plays(python, what, reason, exit_code):
    python.play("a1", params={"do": what})
    result = python.result("a1")
    assert (result.status, result.fitness) == ("fault", None)
    assert reason in result.reason
    assert result.evidence.exit_code == exit_code
    assert "printed on stdout" in result.evidence.tail
    assert "written to descriptor 1" in result.evidence.tail
    python.play("a2")
    assert python.result("a2").status == "scored"


def test_after_an_end_of_its_own_another_child_waits_for_the_next_game(python):
    python.play("a1", params={"do": "_exit"})
    assert python.result("a1").status == "fault"
    python.until(lambda: len(evaluator_processes(python)) == 1)
    (waiting,) = evaluator_processes(python)
    python.play("a2")
    assert details_of(python.result("a2"))["pid"] == waiting


@pytest.mark.promise(4, "ladder")
def test_a_child_that_is_killed_between_two_games_has_a_successor_before_the_next(python):
    python.play("a1")
    first = details_of(python.result("a1"))["pid"]
    psutil.Process(first).kill()
    python.until(lambda: evaluator_processes(python) not in ([], [first]))
    (waiting,) = evaluator_processes(python)
    python.play("a2")
    assert details_of(python.result("a2"))["pid"] == waiting


def test_a_game_over_its_time_limit_is_ended_with_its_tree(python):
    python.play("a1", params={"do": "hang"}, time_limit_s=0.6)
    result = python.result("a1")
    assert (result.status, result.reason) == ("timed_out", "the game ran longer than its limit of 0.6 s")
    assert 0.6 <= result.seconds < 3
    assert "printed on stdout" in result.evidence.tail
    python.play("a2")
    pid = details_of(python.result("a2"))["pid"]
    assert evaluator_processes(python) == [pid]


def test_details_that_are_long_as_text_arrive_and_those_that_are_too_long_are_a_fault(python):
    python.play("a1", params={"do": "mask", "size": 250_000})
    assert details_of(python.result("a1")) == {"mask": [False] * 250_000}
    python.play("a2", params={"do": "mask", "size": 300_000})
    result = python.result("a2")
    assert result.status == "fault"
    assert "details" in result.reason
    python.play("a3", params={"do": "mask", "size": 900_000})
    result = python.result("a3")
    assert result.status == "fault"
    assert "its details are too large" in result.reason


def test_a_note_that_is_no_text_is_told_all_the_same(python):
    python.play("a1", params={"do": "name"})
    assert python.result("a1").status == "scored"


def test_a_game_without_progress_stalls_and_the_reason_has_its_last_word(python):
    python.play("a1", params={"do": "hang"}, stall_s=0.5)
    result = python.result("a1")
    assert result.status == "fault"
    assert result.reason == "stalled: no progress for 0.5 s, after 1 reports; it last said: before the hang"


def test_a_game_that_reports_progress_does_not_stall_and_reports_travel_once_an_interval(python):
    python.play("a1", params={"do": "progress", "times": 50}, stall_s=0.5)
    result = python.result("a1")
    assert result.status == "scored"
    counts = [m.count for m in python.heard if isinstance(m, Progress) and m.attempt == "a1"]
    assert counts[0] == 0
    assert counts == sorted(set(counts))
    assert 2 <= len(counts) <= 2 + result.seconds / python.interval_s


def test_a_cancelled_game_is_ended_with_its_tree(python):
    python.play("a1", params={"do": "hang"})
    python.expect(Progress, lambda p: p.count >= 1)
    python.until(lambda: len(evaluator_processes(python)) == 2)
    python.send(Cancel("a1"))
    result = python.result("a1")
    assert (result.status, result.fitness) == ("cancelled", None)
    python.play("a2")
    assert evaluator_processes(python) == [details_of(python.result("a2"))["pid"]]


def test_a_second_order_is_played_after_the_first_and_a_repeated_one_is_not(python):
    python.play("a1", params={"do": "progress", "times": 30})
    python.expect(Progress, lambda p: p.attempt == "a1")
    python.play("a1", params={"do": "raise"})
    python.play("a2")
    assert python.result("a2").status == "scored"
    assert python.result("a1").status == "scored"


def test_a_hello_during_a_game_names_it_and_its_result_comes_over_the_new_connection(python):
    python.play("a1", params={"do": "progress", "times": 60})
    python.expect(Progress, lambda p: p.attempt == "a1")
    python.vanish()
    python.listen()
    hello = python.welcome()
    assert (hello.playing.attempt, hello.playing.evaluation) == ("a1", "evaluation of a1")
    assert python.result("a1").status == "scored"


def test_an_evaluator_that_cannot_be_imported_is_a_fault_with_the_traceback(supervisor, tmp_path):
    supervisor.evaluator = python_evaluator(tmp_path, "import no_such_module_at_all\n")
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    supervisor.play("a1")
    result = supervisor.result("a1")
    assert (result.status, result.evidence.exit_code) == ("fault", 3)
    assert "ended with exit code 3 before it was ready" in result.reason
    assert "No module named 'no_such_module_at_all'" in result.evidence.tail


def test_an_evaluator_that_is_not_ready_in_time_is_a_fault(supervisor, tmp_path):
    supervisor.evaluator = python_evaluator(tmp_path, "import time\ntime.sleep(60)\n", ready_timeout_s=1.0)
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    supervisor.play("a1")
    result = supervisor.result("a1")
    assert result.status == "fault"
    assert "was not ready within 1 s" in result.reason


WORKER = """
import json, sys
print("a banner that is no line of the protocol")
print('{"tzar": "ready"}', flush=True)
for line in sys.stdin:
    order = json.loads(line)
    attempt = order["attempt"]
    print("{ nonsense", flush=True)
    print(json.dumps({"tzar": "result", "attempt": "another", "fitness": 99}), flush=True)
    if order["params"].get("fitness") == "text":
        print(json.dumps({"tzar": "result", "attempt": attempt, "fitness": "much"}), flush=True)
    elif order["params"].get("error"):
        print(json.dumps({"tzar": "error", "attempt": attempt, "reason": "the map is missing"}), flush=True)
    else:
        size = len(open(order["genome"], "rb").read())
        count = 2 ** order["params"].get("bits", 1) - 1
        print(json.dumps({"tzar": "progress", "attempt": attempt, "count": count}), flush=True)
        details = {"order": sorted(order)}
        print(json.dumps({"tzar": "result", "attempt": attempt, "fitness": size, "details": details}), flush=True)
"""


def worker(supervisor, tmp_path, argv=None):
    (tmp_path / "worker.py").write_text(WORKER)
    argv = argv or [sys.executable, str(tmp_path / "worker.py")]
    supervisor.evaluator = {"kind": "worker", "argv": argv, "cwd": None, "env": {"X": "y"}, "ready_timeout_s": 20.0}
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()


@pytest.mark.parametrize("bits", [64, 80])
def test_a_count_that_no_message_holds_ends_nobody(supervisor, tmp_path, bits):
    worker(supervisor, tmp_path)
    supervisor.play("a1", b"123", params={"bits": bits})
    assert supervisor.result("a1").status == "scored"
    supervisor.play("a2", b"1234")
    assert supervisor.result("a2").fitness == 4.0


def test_a_worker_in_any_language_plays_by_lines(supervisor, tmp_path):
    worker(supervisor, tmp_path)
    supervisor.play("a1", b"123")
    result = supervisor.result("a1")
    assert (result.status, result.fitness) == ("scored", 3.0)
    fields = ["attempt", "evaluation", "game", "genome", "params", "seed", "tzar"]
    assert details_of(result) == {"order": fields}
    supervisor.play("a2", params={"fitness": "text"})
    result = supervisor.result("a2")
    assert result.status == "fault"
    assert "gave a str as fitness" in result.reason
    assert "{ nonsense" in result.evidence.tail
    supervisor.play("a3", params={"error": True})
    result = supervisor.result("a3")
    assert (result.status, result.reason) == ("fault", "the map is missing")


def test_relative_folders_of_an_evaluator_begin_at_the_agent_s_own(supervisor):
    games = supervisor.home / "games"
    games.mkdir(parents=True)
    supervisor.evaluator = {**python_evaluator(games, PYTHON), "path": ["games"]}
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    supervisor.play("a1", b"12345")
    assert supervisor.result("a1").fitness == 5.0


def test_a_relative_working_folder_begins_at_the_agent_s_own(supervisor):
    (supervisor.home / "games").mkdir(parents=True)
    (supervisor.home / "games" / "worker.py").write_text(WORKER)
    argv = [sys.executable, "worker.py"]
    supervisor.evaluator = {"kind": "worker", "argv": argv, "cwd": "games", "env": {"X": "y"}, "ready_timeout_s": 20.0}
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    supervisor.play("a1", b"123")
    assert supervisor.result("a1").fitness == 3.0


def test_a_worker_that_cannot_be_started_is_the_agents_fault(supervisor, tmp_path):
    worker(supervisor, tmp_path, argv=[str(tmp_path / "no-such-program")])
    supervisor.play("a1")
    result = supervisor.result("a1")
    assert result.status == "agent_fault"
    assert "no-such-program cannot be started" in result.reason


COMMAND = """
import json, pathlib, subprocess, sys, time
genome, do, seed, out = sys.argv[1:]
print("playing", do, flush=True)
subprocess.Popen(["sleep", "300"], start_new_session=True)
if do == "wait":
    time.sleep(300)
if do == "talk":
    for _ in range(10):
        print("still here", flush=True)
        time.sleep(0.15)
    do = "0"
if do == "invalid":
    pathlib.Path(out).write_text("{ no json")
    sys.exit(0)
score = float("nan") if do == "nan" else len(open(genome, "rb").read())
if do != "silent":
    pathlib.Path(out).write_text(json.dumps({"score": {"total": score, "seed": int(seed)}}))
sys.exit(int(do) if do.isdigit() else 0)
"""


@pytest.fixture
def command(supervisor, tmp_path):
    (tmp_path / "runner.py").write_text(COMMAND)
    supervisor.evaluator = {
        "kind": "command",
        "argv": [sys.executable, str(tmp_path / "runner.py"), "{genome}", "{params.do}", "{seed}", "{result}"],
        "cwd": None,
        "env": {},
        "score_key": "score.total",
        "exit_codes": {},
        "scored_exit_codes": [0, 1, 2],
    }
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    return supervisor


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_commands_result_file_counts_with_the_exit_codes_that_are_scored(command, code):
    command.play("a1", b"1234", params={"do": str(code)}, seed=5)
    result = command.result("a1")
    assert (result.status, result.fitness) == ("scored", 4.0)
    assert details_of(result) == {"exit_code": code, "result": {"score": {"total": 4, "seed": 5}}}
    assert evaluator_processes(command) == []


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("9", "the command ended with exit code 9 without a result"),
        ("silent", "the command ended with exit code 0 without a result"),
        ("invalid", "the result file cannot be used (exit code 0)"),
        ("nan", "gave nan as fitness"),
    ],
)
def test_a_command_without_a_valid_result_is_a_fault(command, do, reason):
    command.play("a1", params={"do": do})
    result = command.result("a1")
    assert result.status == "fault"
    assert reason in result.reason
    assert f"playing {do}" in result.evidence.tail
    assert evaluator_processes(command) == []


def test_a_command_over_its_time_limit_leaves_nothing(command):
    command.play("a1", params={"do": "wait"}, time_limit_s=0.5)
    assert command.result("a1").status == "timed_out"
    assert evaluator_processes(command) == []


def test_what_a_command_prints_counts_as_progress(command):
    command.play("a1", params={"do": "talk"}, stall_s=0.8)
    assert command.result("a1").status == "scored"
    command.play("a2", params={"do": "wait"}, stall_s=0.5)
    assert command.result("a2").reason.startswith("stalled: no progress for 0.5 s")


def test_a_param_that_the_command_needs_and_the_evaluation_lacks_is_named(command):
    command.play("a1", params={"other": 1})
    assert "the command needs params.do" in command.result("a1").reason


def test_exit_codes_alone_can_be_the_score(supervisor):
    supervisor.evaluator = {
        "kind": "command",
        "argv": [sys.executable, "-c", "import sys; sys.exit(int(sys.argv[1]))", "{params.code}"],
        "score_key": None,
        "exit_codes": {"0": 1.0, "1": 0.0},
        "scored_exit_codes": [],
    }
    supervisor.identify()
    supervisor.start_agent()
    supervisor.welcome()
    outcomes = []
    for code in (0, 1, 2):
        supervisor.play(f"a{code}", params={"code": code})
        result = supervisor.result(f"a{code}")
        outcomes.append((result.status, result.fitness))
    assert outcomes == [("scored", 1.0), ("scored", 0.0), ("fault", None)]


def test_an_orphan_finishes_its_game_keeps_the_result_and_ends(supervisor, tmp_path):
    supervisor.evaluator = python_evaluator(tmp_path, PYTHON)
    supervisor.identify(orphan_s=0.5)
    agent = supervisor.start_agent()
    supervisor.welcome()
    supervisor.play("a1", params={"do": "progress", "times": 75})
    supervisor.expect(Progress)
    began = time.monotonic()
    supervisor.vanish()
    assert agent.wait(15) == 0
    assert time.monotonic() - began > 1.0
    assert marked(supervisor.fleet) == []
    supervisor.listen()
    supervisor.identify(incarnation=2)
    supervisor.start_agent()
    assert supervisor.welcome().kept == ("a1",)
    assert supervisor.result("a1").status == "scored"


def test_sigterm_during_a_game_ends_its_tree_first(python):
    python.play("a1", params={"do": "hang"})
    python.until(lambda: len(evaluator_processes(python)) == 2)
    (agent,) = python.agents
    agent.terminate()
    assert agent.wait(15) == 0
    assert marked(python.fleet) == []


def test_a_frozen_game_does_not_stop_the_heartbeats(python):
    python.play("a1", params={"do": "hang"})
    python.expect(Progress, lambda p: p.count >= 1)
    seen = len(python.heard)
    python.until(lambda: len([m for m in python.heard[seen:] if type(m).__name__ == "AgentHeartbeat"]) >= 5)
    assert not [m for m in python.heard if isinstance(m, Hello)]
