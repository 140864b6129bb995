"""Each promise of the design is shown by marked tests, and docs/reliability.md cites what exists."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
PROMISES = {
    1: "exactly one outcome",
    2: "a crash is never a low fitness",
    3: "blame",
    4: "ladder",
    5: "host faults burn nothing",
    6: "nothing accepted is lost",
    7: "it touches only what it made",
    8: "bounded",
}
LEAST_TESTS, LEAST_LAYERS = 3, 2
LINK = re.compile(r"\[([^]]+)\]\(\.\./(tests/[\w/]+\.py)\)")
COMMAND = re.compile(r"`(?:python )?(bench/\w+\.py)((?: [^`]*)?)`")


def marks_of(node):
    """The arguments of each `pytest.mark.promise` that a decorator, or a call with a class, puts on something."""
    for mark in node:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
            yield tuple(ast.literal_eval(argument) for argument in mark.args)


def marked_in(tree):
    """Name and marks of all tests of one module."""
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield from ((name, mark) for mark in marks_of(node.decorator_list))
            case ast.Expr(value=ast.Call(func=ast.Call() as mark, args=[ast.Name(id=name)])):
                yield from ((name, found) for found in marks_of([mark]))


def names_of_tests(tree):
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) if name.startswith("test_"):
                yield name
            case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]) if name.startswith("Test"):
                yield name


def all_tests():
    """The tests of all files, and those that show a promise: by number, file and name."""
    found, marked = set(), defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree, file = ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT).as_posix()
        found |= {(file, name) for name in names_of_tests(tree)}
        for name, mark in marked_in(tree):
            marked[mark].add((file, name))
    return found, marked


TESTS, MARKED = all_tests()


def section(number):
    """What the page says of one promise."""
    text = PAGE.read_text(encoding="utf-8")
    match = re.search(rf"^### {number}\. (.*?)\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/reliability.md has no section ### {number}."
    return match[1].lower(), match[2]


def cited(text):
    """File and name of each test that is linked: the text of its link is its name as a sentence, or that of a class."""
    for words, file in LINK.findall(text):
        words = words.strip("`")
        yield file, words if words.startswith("Test") else "test_" + words.replace(" ", "_")


def test_every_mark_names_its_promise_by_number_and_words():
    assert set(MARKED) == set(PROMISES.items())


def test_every_mark_that_stands_in_the_tests_is_on_a_test():
    used = 0
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        used += len(re.findall(r"^@?pytest\.mark\.promise\(\d", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert used == sum(len(tests) for tests in MARKED.values()) > len(PROMISES)
    assert set().union(*MARKED.values()) <= TESTS


@pytest.mark.parametrize("promise", PROMISES.items(), ids=PROMISES.values())
def test_every_promise_is_shown_by_several_tests_in_several_layers(promise):
    tests = MARKED[promise]
    assert len(tests) >= LEAST_TESTS
    assert len({file.split("/")[1] for file, _ in tests}) >= LEAST_LAYERS


@pytest.mark.parametrize(("number", "words"), PROMISES.items(), ids=PROMISES.values())
def test_the_page_names_every_promise_and_cites_tests_that_show_it(number, words):
    title, text = section(number)
    assert title == words
    tests = set(cited(text))
    assert len(tests) >= LEAST_TESTS
    assert tests - MARKED[number, words] == set(), "it cites tests that are not there or do not bear the mark"


def test_every_test_that_the_page_cites_is_there():
    assert set(cited(PAGE.read_text(encoding="utf-8"))) - TESTS == set()


def test_every_file_that_the_page_links_to_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def options_of(*program):
    done = subprocess.run(
        [sys.executable, *program, "--help"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"--[a-z-]+", done.stdout))


def test_every_bench_that_the_page_names_takes_the_options_that_stand_there():
    commands = COMMAND.findall(PAGE.read_text(encoding="utf-8"))
    assert commands
    for bench in {bench for bench, _ in commands}:
        wanted = {option for other, line in commands if other == bench for option in re.findall(r"--[a-z-]+", line)}
        assert wanted <= options_of(str(ROOT / bench)), f"{bench} has no such option"


def test_the_simulation_that_the_page_names_takes_the_options_that_stand_there():
    (line,) = re.findall(r"`tzar simulate( [^`]+)`", PAGE.read_text(encoding="utf-8"))
    wanted = set(re.findall(r"--[a-z-]+", line))
    assert {"--seed", "--faults"} <= wanted <= options_of("-m", "tzar_actors", "simulate")
