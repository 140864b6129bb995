"""What the documents tell people to type is typed here, in the order in which it stands there."""

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package

from typed import ROOT, TZAR, Session, Snippet, run, snippets

DOCUMENTS = ("README.md", "examples/README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
COMMANDS = ("tzar ", "python ", "python3 ", "pip ", "py ", "apt ")
GENOMES = ("a.genome", "b.genome")


ALL = [(document, snippet) for document in DOCUMENTS for snippet in snippets(document)]
SHELL = [snippet for _, snippet in ALL if snippet.kind == "indented" and snippet.text.startswith(COMMANDS)]
INSTALLING = [line for snippet in SHELL for line in snippet.lines if "pip install" in line]


def of_kind(kind: str) -> list[Snippet]:
    return [snippet for _, snippet in ALL if snippet.kind == kind]


def named(snippet: Snippet) -> str:
    """The name that a file's first line gives it."""
    name = re.match(r"# (\w+\.py)\n", snippet.text)
    assert name is not None, f"the block does not begin with its file's name:\n{snippet.text}"
    return name[1]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with the README's files in it, and the genomes that its lines name."""
    for snippet in snippets("README.md"):
        if snippet.kind == "python":
            (tmp_path / named(snippet)).write_text(snippet.text, encoding="utf-8")
    for i, name in enumerate(GENOMES):
        (tmp_path / name).write_bytes(bytes([40 + i]) * 100)
    return tmp_path


@pytest.fixture
def session(work: Path) -> Iterator[Session]:
    session = Session(work)
    yield session
    session.end()


def test_every_snippet_is_of_a_kind_that_a_test_here_tries():
    # hex: its bytes are held equal to the golden files; mermaid: a picture, which runs nothing
    known = {"python", "toml", "json", "text", "indented", "hex", "mermaid"}
    of_hyperv = {"powershell", "sh"}  # test_hyperv_page.py
    assert {(document, snippet.kind) for document, snippet in ALL if snippet.kind not in known} == {
        ("docs/hyperv.md", kind) for kind in of_hyperv
    }
    assert SHELL
    assert of_kind("python")


def test_every_block_of_data_can_be_read():
    for snippet in of_kind("toml"):
        assert tomllib.loads(snippet.text)
    for snippet in of_kind("json"):
        assert json.loads(snippet.text)


@pytest.mark.parametrize(("document", "snippet"), [each for each in ALL if each[1].kind == "python"])
def test_every_python_block_compiles(document, snippet):
    compile(snippet.text, document, "exec")


def test_the_readmes_trainer_evaluates_its_genomes_with_the_readmes_game(work):
    lines = run([sys.executable, "train.py"], work).stdout.splitlines()
    assert sorted(int(line.split()[0]) for line in lines) == list(range(20))
    assert {line.split()[1] for line in lines} == {"scored"}


# What docs/hyperv.md says needs a host: test_hyperv_page.py types it there.
@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each != "docs/hyperv.md"])
def test_the_lines_for_the_command_line_do_what_they_say(document, session):
    typed = [line for each in snippets(document) if each.text.startswith("tzar ") for line in each.lines]
    for line in typed:
        session.type(line)
    for line, said in session.said.items():
        if "evaluate" in line and "--json" not in line:
            assert said.count("scored") == len([name for name in GENOMES if name in line])
        if "evaluate" in line and "--json" in line:
            assert [json.loads(each)["outcome"] for each in said.splitlines()] == ["scored"]
        if " status" in line:
            assert "tzar-01" in said
    assert session.end() == [0 for line in typed if "supervise" in line]


def test_every_line_outside_the_command_tzar_is_one_that_a_test_here_checks():
    others = [line for snippet in SHELL for line in snippet.lines if not line.startswith("tzar ")]
    assert [line for line in others if line not in INSTALLING and not line.startswith("python examples/")] == []


@pytest.mark.parametrize("line", INSTALLING)
def test_every_line_that_installs_names_extras_and_commands_that_there_are(line):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"\[([\w,]+)\]", line)
    assert extras
    for extra in ",".join(extras).split(","):
        assert extra in project["optional-dependencies"]
    if "./agent" in line:
        agent = tomllib.loads((ROOT / "agent" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert agent["name"] in project["dependencies"]
    ran = line.rpartition("&& ")[2] if "&&" in line else ""
    if ran.endswith("tzar demo"):
        module, _, function = project["scripts"]["tzar"].partition(":")
        assert callable(getattr(importlib.import_module(module), function))
        assert run([*TZAR, "demo", "--help"], ROOT).stdout
    elif ran:
        assert ran.endswith("pytest")
        assert any(each.startswith("pytest") for each in project["optional-dependencies"]["dev"])


def test_the_lines_for_windows_are_those_for_linux_with_windows_paths():
    def generic(line: str) -> str:
        return line.replace("python3 -m venv", "py -m venv").replace(".venv/bin/", ".venv\\Scripts\\")

    lines = [line for line in INSTALLING if "venv" in line]
    windows = [line for line in lines if line.startswith("py ")]
    assert windows
    assert windows == [generic(line) for line in lines if line.startswith("python3 ")]


def test_every_script_that_is_run_by_name_is_there():
    for snippet in SHELL:
        for line in snippet.lines:
            for script in re.findall(r"(?<![\w/.])\w+/\w+\.py\b", line):
                compile((ROOT / script).read_text(encoding="utf-8"), script, "exec")


@pytest.mark.parametrize("driver", ["local", "hyperv-fake"])
def test_a_small_demo_runs_to_its_end(tmp_path, driver):
    pytest.importorskip("vizdoom")
    small = ["--driver", driver, "--generations", "2", "--population", "4", "--games", "1", "--vms", "2", "--json"]
    done = run([*TZAR, "demo", *small], tmp_path)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["submitted"] == sum(summary["outcomes"].values())
    assert set(summary["outcomes"]) == {"scored"}
    if summary["killed"] is not None:  # in so few games the kill may hit none
        assert summary["killed"]["attempt"] != summary["killed"]["successor"]
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"tzar-demo/chart.html", "tzar-demo/events.jsonl"}
