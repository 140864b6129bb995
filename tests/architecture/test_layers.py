"""The layers: who may import whom, and what else holds for every module. Read from the source, not by importing it."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = {"tzar_actors": ROOT, "hyperv": ROOT, "tzar_agent": ROOT / "agent"}
LONGEST_MODULE = 350

# What the core may use of the standard library: nothing that reads a clock, a file, a socket or chance.
PURE = {"collections", "dataclasses", "enum", "functools", "hashlib", "itertools", "math", "operator", "typing"}

# Of our own packages, what each layer may import besides itself. Where only a part of another layer is named, the
# reason stands beside it.
MAY_IMPORT = {
    "tzar_actors.core": {"tzar_agent.protocol"},
    "tzar_actors.loop": set(),
    "tzar_actors.settings": {"tzar_actors.errors"},
    "tzar_actors.events": {"tzar_actors.settings", "tzar_agent.protocol.value"},
    "tzar_actors.journal": {"tzar_actors.core", "tzar_actors.errors", "tzar_agent.protocol"},
    "tzar_actors.drivers": {
        "tzar_actors.errors",
        "tzar_actors.settings",
        "tzar_agent.protocol",
        "tzar_agent.tree",  # a local VM is a process tree, found by the same marks
        "hyperv",  # the choice of a driver, and nothing else here: see PARTS
    },
    "hyperv": {
        "tzar_actors.drivers.base",
        "tzar_actors.errors",
        "tzar_agent.protocol",
        "tzar_actors.drivers.processes",  # the fake host's guests are made as those of the local driver
        "tzar_actors.drivers.file_trees",
        "tzar_actors.drivers.environment",  # where accounts are, children do not get them
        "tzar_agent.tree",
        "tzar_agent.machine",  # they are told which VM they stand for
    },
    "tzar_actors.gateway": {
        "tzar_actors.loop",
        "tzar_actors.events",
        "tzar_actors.errors",
        "tzar_actors.actors.messages",  # it tells actors what came in
        "tzar_actors.client.protocol",  # what trainer and supervisor say to each other belongs to the client
        "tzar_agent.protocol",
    },
    "tzar_actors.actors": {
        "tzar_actors.core",
        "tzar_actors.loop",
        "tzar_actors.events",
        "tzar_actors.errors",
        "tzar_actors.journal",  # the end of each turn; the real one is opened by the app
        "tzar_actors.gateway",  # it is handed to them: their wiring names its type
        "tzar_actors.drivers.base",  # the port alone: which driver it is, the app decides
        "tzar_actors.client.protocol",  # as above
        "tzar_agent.protocol",
    },
    "tzar_actors.client": {
        "tzar_actors.core",
        "tzar_actors.errors",
        "tzar_actors.loop",  # a trainer's connection is a loop of its own
        "tzar_actors.settings",
        "tzar_actors.gateway.keys",  # the trainer's key file
        "tzar_actors.journal.stored",  # outcomes travel as the bytes that lie in the journal
        "tzar_agent.protocol",
    },
    "tzar_actors.by_hand": {
        "tzar_actors.actors.boots",  # a boot by hand begins as an actor's does
        "tzar_actors.actors.wiring",  # its chance
        "tzar_actors.client",  # a supervisor that runs is asked
        "tzar_actors.core.records",
        "tzar_actors.drivers",
        "tzar_actors.errors",
        "tzar_actors.events",
        "tzar_actors.fleet_plan",
        "tzar_actors.gateway.keys",
        "tzar_actors.journal",
        "tzar_actors.settings",
        "tzar_actors.state_folder",
        "tzar_agent.protocol",
        "tzar_actors.gateway.addresses",
    },
    "tzar_actors.demo": {"tzar_actors.errors", "tzar_actors.client", "tzar_agent"},
    "tzar_actors.simulation": {"tzar_actors", "tzar_agent"},  # a world around the real parts; only the CLI imports it
    "tzar_agent": set(),
}
# Only they put real parts together: for a supervisor, in a simulated world, and in a supervisor's place.
ASSEMBLERS = {"tzar_actors.app", "tzar_actors.simulation", "tzar_actors.by_hand"}
PARTS = {
    "tzar_actors.journal.journal": {"tzar_actors.journal", "tzar_actors.actors"},  # actors append to it
    "tzar_actors.gateway.control": {"tzar_actors.gateway", "tzar_actors.actors.wiring"},  # its type, for annotations
    "tzar_actors.gateway.blobs": {"tzar_actors.gateway"},
    "tzar_actors.gateway.spool": {
        "tzar_actors.gateway",
        "tzar_actors.actors.wiring",  # the same
        "tzar_actors.actors.disk_lane",
        "tzar_actors.actors.housekeeper",
    },
    "tzar_actors.drivers.choice": set(),
    "tzar_actors.drivers.hyperv_choice": {"tzar_actors.drivers.choice"},
    "tzar_actors.drivers.local": {"tzar_actors.drivers"},
    "tzar_actors.actors.dispatcher": set(),
    "tzar_actors.actors.fleet_actor": set(),
    "tzar_actors.actors.host_lane": set(),
    "hyperv": {
        "hyperv",
        "tzar_actors.drivers.hyperv_choice",
    },  # a part of the choice: it imports what the settings name
}
PRINTERS = {
    "tzar_actors.cli": "the command line speaks to people",
    "tzar_actors.supervisor": "what it says before its log is open goes to the launcher by stderr",
    "tzar_agent.child": "its stderr is the evidence of an evaluator that cannot be imported",
}
LONGER_MODULES: set[str] = set()


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules():
    """Name and file of every module of ours."""
    found = {}
    for package, base in SOURCES.items():
        for path in sorted((base / package).rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


MODULES = modules()
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imports(name):
    """The modules that `name` imports, wherever in its text: `from package import module` names the module."""
    path = MODULES[name]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def within(name, packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def calls(path, function):
    """The calls of `function` (as `print` or `time.sleep`) in a file, each with what encloses it."""
    enclosing = {child: node for node in ast.walk(tree(path)) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            around, outer = [], node
            while outer in enclosing:
                outer = enclosing[outer]
                around.append(outer)
            yield node, around


def test_the_modules_are_found():
    assert {"tzar_actors", "tzar_actors.core.dispatch", "tzar_agent.protocol.messages", "hyperv"} <= set(MODULES)
    assert set(imports("tzar_actors.core.leases")) >= {"typing", "tzar_actors.core.queue"}


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_a_layer_imports_only_what_it_may(layer):
    allowed = MAY_IMPORT[layer] | {layer}
    public = {"tzar_actors"} if layer == "tzar_actors.demo" else set()  # it is a trainer, and imports what trainers do
    for name in MODULES:
        if within(name, {layer}):
            ours = {other for other in imports(name) if within(other, SOURCES)} - public
            wrong = {other for other in ours if not within(other, allowed)}
            assert not wrong, f"{name} imports {', '.join(sorted(wrong))}"


def test_every_package_has_its_place_among_the_layers():
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py" and name.count(".") == 1}
    ours = {name for name in packages if within(name, {"tzar_actors"})}
    on_top = {"tzar_actors.cli"}  # the command line may import everything, and nothing imports it
    assert ours - on_top <= set(MAY_IMPORT), "a new package needs a line in MAY_IMPORT"


def test_the_core_is_pure():
    for name in MODULES:
        if within(name, {"tzar_actors.core", "hyperv.lane_rules"}):
            foreign = {other for other in imports(name) if not within(other, SOURCES)}
            wrong = {other for other in foreign if not within(other, PURE)}
            assert not wrong, f"{name} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("part", PARTS)
def test_only_the_app_puts_real_parts_together(part):
    for name in MODULES:
        if not within(name, ASSEMBLERS | PARTS[part] | {part}):
            wrong = {other for other in imports(name) if within(other, {part})}
            assert not wrong, f"{name} imports {', '.join(sorted(wrong))}"


def test_nothing_imports_the_command_line_but_its_entry():
    for name in MODULES:
        if not within(name, {"tzar_actors.cli", "tzar_actors.__main__"}):
            assert not any(within(other, {"tzar_actors.cli"}) for other in imports(name)), name


def test_nothing_of_the_product_imports_the_simulation():
    for name in MODULES:
        if not within(name, {"tzar_actors.simulation", "tzar_actors.cli"}):
            assert not any(within(other, {"tzar_actors.simulation"}) for other in imports(name)), name


def test_the_agent_imports_nothing_of_the_supervisor():
    for name in MODULES:
        if within(name, {"tzar_agent"}):
            wrong = {o for o in imports(name) if within(o, {"tzar_actors", "hyperv", "pykka", "pydantic", "winrm"})}
            assert not wrong, f"{name} imports {', '.join(sorted(wrong))}"


def test_the_supervisor_imports_no_evaluator():
    for name in MODULES:
        if within(name, {"tzar_actors", "hyperv"}):
            assert not any(within(other, {"tzar_agent.evaluators"}) for other in imports(name)), name


def loaded_by(names):
    """What is in `sys.modules` of a fresh process that has imported `names`."""
    code = f"import sys\nfor name in {sorted(names)!r}: __import__(name)\nprint(*sys.modules)"
    paths = [str(base) for base in dict.fromkeys(SOURCES.values())]
    code = f"import sys; sys.path[:0] = {paths!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_running_agent_has_nothing_of_the_supervisor_in_its_memory():
    platform_only = {"tzar_agent.tree_windows"} if sys.platform != "win32" else set()
    entries = {"tzar_agent.__main__", "tzar_agent.child"}  # they run when they are imported
    names = {name for name in MODULES if within(name, {"tzar_agent"})} - platform_only - entries
    loaded = loaded_by(names)
    assert names <= loaded
    assert not {name for name in loaded if within(name, {"tzar_actors", "hyperv", "pykka", "pydantic", "winrm"})}


@pytest.mark.skipif("tzar_actors.app" not in MODULES, reason="there is no app yet")
def test_a_running_supervisor_has_no_evaluator_in_its_memory():
    assert not {name for name in loaded_by({"tzar_actors.app"}) if within(name, {"tzar_agent.evaluators"})}


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_longer_than_what_one_reading_holds(name):
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_MODULE or name in LONGER_MODULES, f"{MODULES[name]} has {lines} lines: split it by its jobs"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name):
    assert ast.get_docstring(tree(MODULES[name])), f"{MODULES[name]} has no docstring"


def test_only_those_print_who_speak_to_people():
    for name, path in MODULES.items():
        if not within(name, PRINTERS):
            assert not [call.lineno for call, _ in calls(path, "print")], f"{path} prints; write an event instead"


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_sleeps_instead_of_waiting_for_what_it_needs(path):
    for call, around in calls(path, "time.sleep"):
        between_two_looks = any(isinstance(node, ast.While) for node in around)
        is_short = isinstance(call.args[0], ast.Constant) and call.args[0].value <= 0.02
        if not (between_two_looks and is_short):
            pytest.fail(f"{path}:{call.lineno} sleeps; wait for a condition, with a bound")
