"""The rules of the house that a program can check: who imports whom, what stands where, what is
documented, and how long things may grow.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from tests.source import OUTSIDE, PACKAGES, REPOSITORY, files, imports, modules
from voketag import metrics, topology
from voketag.ops.cli import main
from voketag.stack.program import read_procfile

FILE_LINES = 300
FUNCTION_LINES = 40

# Layers from below; a module imports none above its own. What is named nowhere is pure.
# A wire is one outside system: a folder, or a module of its own.
WIRES = {
    "chain.client",
    "chain.rpc",
    "chain.signing",
    "client",
    "geo",
    "http",
    "records",
    "redis",
    "tracing",
}
# Procedures that need several wires at once, and what runs them.
FRAME = {
    "anchoring",
    "consumer",
    "figures",
    "liveness",
    "ownership",
    "process",
    "proving",
    "readiness",
    "stack",
    "standing",
    "start_checks",
    "tasks",
    "watchdog",
}
PURE, WIRE, FRAMING, OPS = range(4)
# What a pure module may need from outside the standard library, and what of that library it may
# not: whatever reaches a network, a process or a clock that waits.
PURE_PACKAGES = {"msgspec", "prometheus_client", "sha3", "structlog", "uuid_utils"}
IMPURE_STANDARD = {"asyncio", "http", "select", "socket", "ssl", "subprocess", "urllib.request"}
SQL = re.compile(
    r"^\s*(SELECT\s.+|INSERT INTO\s.+|UPDATE\s.+\sSET\s.+|DELETE FROM\s.+|COPY\s.+\sFROM\s.+"
    r"|(CREATE|ALTER|DROP) (TABLE|INDEX|FUNCTION)\s.+)",
    re.DOTALL,
)


def wire(name: str) -> str | None:
    """The wire that a module of voketag, named without `voketag.`, belongs to."""
    folder = name.partition(".")[0]
    if not {name, folder} & WIRES:
        return None
    return folder


def layer(name: str) -> int:
    """The layer of a module of voketag, named without `voketag.`."""
    if wire(name) is not None:
        return WIRE
    folder = name.partition(".")[0]
    if folder in FRAME:
        return FRAMING
    return OPS if folder == "ops" else PURE


def of_voketag() -> list[tuple[str, ast.Module]]:
    prefix = "voketag."
    return [
        (name.removeprefix(prefix), tree)
        for name, tree in modules().items()
        if name.startswith(prefix)
    ]


# ---------------------------------------------------------------------- who imports whom


def test_imports_run_one_way() -> None:
    wrong = []
    for name, tree in of_voketag():
        for imported in imports(tree):
            package, _, below = imported.partition(".")
            if package in ("consumers", "producers", "tests"):
                wrong.append(f"voketag.{name} imports {imported}")
            elif package == "voketag" and below and layer(below) > layer(name):
                wrong.append(f"voketag.{name} imports {imported}, which lies above it")
    assert wrong == []


def test_wires_never_import_each_other() -> None:
    wrong = []
    for name, tree in of_voketag():
        if wire(name) is None:
            continue
        for imported in imports(tree):
            below = imported.removeprefix("voketag.")
            if below != imported and wire(below) not in (None, wire(name)):
                wrong.append(f"voketag.{name} imports {imported}")
    assert wrong == []


def test_pure_modules_import_no_io() -> None:
    wrong = []
    for name, tree in of_voketag():
        if layer(name) != PURE:
            continue
        for imported in imports(tree):
            top = imported.partition(".")[0]
            if top == "voketag":
                continue
            known = top in sys.stdlib_module_names or top in PURE_PACKAGES
            if not known or {top, imported} & IMPURE_STANDARD:
                wrong.append(f"voketag.{name} imports {imported}")
    assert wrong == []


@pytest.mark.parametrize("package", ["consumers", "producers"])
def test_processes_import_voketag_alone(package: str) -> None:
    wrong = []
    for name, tree in modules().items():
        if name.partition(".")[0] != package:
            continue
        for imported in imports(tree):
            top, _, below = imported.partition(".")
            other = top in ("consumers", "producers", "tests", "benchmarks") and top != package
            sibling = package == "consumers" and top == "consumers"
            above = top == "voketag" and below.partition(".")[0] in ("ops", "stack")
            if other or sibling or above:
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_nothing_imports_what_looks_from_outside() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, tree in modules().items()
        for imported in imports(tree)
        if imported.partition(".")[0] in OUTSIDE
    ]
    assert wrong == []


def test_the_layers_name_only_what_there_is() -> None:
    names = {name for name, _ in of_voketag()}
    assert names | {name.partition(".")[0] for name in names} >= WIRES | FRAME


# ---------------------------------------------------------------------- what stands where


def test_sql_stands_in_records_alone() -> None:
    wrong = []
    for name, tree in modules().items():
        if name.startswith("voketag.records"):
            continue
        wrong += [
            f"{name}, line {node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and SQL.match(node.value)
        ]
    assert wrong == []


IMPORT_EVERYTHING = """
import importlib, sys, threading
forbidden = ("socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.exec", "os.kill",
             "os.mkdir", "os.remove", "os.rename", "shutil.rmtree")
def watch(event, arguments):
    if event in forbidden:
        raise AssertionError(f"{event} {arguments}")
sys.dont_write_bytecode = True
packages, names = sys.argv[1].split(), sys.argv[2].split()
for name in packages:  # what these do is not ours to judge
    importlib.import_module(name)
sys.addaudithook(watch)
for name in names:
    importlib.import_module(name)
    assert threading.active_count() == 1, name
"""


def test_no_module_does_work_at_import() -> None:
    tops = {name.partition(".")[0] for tree in modules().values() for name in imports(tree)}
    packages = tops - sys.stdlib_module_names - set(PACKAGES)
    command = [sys.executable, "-c", IMPORT_EVERYTHING, " ".join(packages), " ".join(modules())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def test_the_body_of_a_module_defines_and_nothing_else() -> None:
    wrong = []
    for name, tree in modules().items():
        for node in tree.body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            # A group of commands is put together from those of other modules.
            adds = ast.unparse(node).startswith("main.add_command(")
            if isinstance(node, ast.Expr | ast.With | ast.Try | ast.While) and not (text or adds):
                wrong.append(f"{name}, line {node.lineno}: {ast.unparse(node)[:60]}")
    assert wrong == []


def _is_program(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for node in tree.body
    )


def test_every_process_has_its_procfile_line() -> None:
    programs = {name for name, tree in modules().items() if _is_program(tree)}
    started = {}
    for program in read_procfile(REPOSITORY / "Procfile"):
        assert program.argv[1] == "-m", program
        started[program.name] = program.argv[2]
    assert {name.removesuffix(".__main__") for name in programs} == set(started.values())
    consumers = {name for name in modules() if name.startswith("consumers.")}
    assert consumers == {f"consumers.{name}" for name in topology.CONSUMERS}
    assert consumers <= programs
    assert set(started) == set(topology.PROCESSES)
    for name, module in started.items():
        assert module.rpartition(".")[2] == name


# ---------------------------------------------------------------------- what is documented


def settings_read() -> dict[str, str | None]:
    """The variables that settings.py reads, with the defaults that are written there as text."""
    found: dict[str, str | None] = {}
    for node in ast.walk(modules()["voketag.settings"]):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("reader.")):
            continue
        name, *rest = node.args
        assert isinstance(name, ast.Constant)
        texts = [item.value for item in rest if isinstance(item, ast.Constant)]
        default = texts[0] if texts and isinstance(texts[0], str) else None
        found[f"VOKETAG_{name.value!s}"] = default or None
    return found


def test_every_setting_is_documented_with_its_default() -> None:
    text = (REPOSITORY / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(VOKETAG_\w+)` \| (.*)$", text, re.MULTILINE))
    read = settings_read()
    assert set(rows) == set(read)
    for name, default in read.items():
        assert default is None or f"`{default}`" in rows[name], name
        cells = [cell for cell in rows[name].split("|") if cell.strip()]
        assert len(cells) == 3, f"{name}: meaning, default, accepted"


def test_no_other_variable_is_spoken_of() -> None:
    known = set(settings_read())
    wrong = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spoken = set(re.findall(r"VOKETAG_[A-Z][A-Z_]*[A-Z]", node.value))
                wrong += [f"{name}: {other}" for other in spoken - known]
    assert wrong == []


def test_every_alarm_goes_by_metrics_that_exist_and_every_gauge_has_one() -> None:
    spoken = set(re.findall(r"voketag_[a-z_]+", (REPOSITORY / "docs" / "alerts.md").read_text()))
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    families = list(metrics.REGISTRY.collect())
    samples = {family.name + suffix for family in families for suffix in suffixes[family.type]}
    assert spoken <= samples
    assert {family.name for family in families if family.type == "gauge"} <= spoken


def commands(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, f"{path} {name}")
    else:
        yield path


def test_every_command_is_documented() -> None:
    paths = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    text = "\n".join(path.read_text() for path in paths if path.exists())
    named = {command for command in commands(main, "voketag") if f"`{command}" in text}
    assert named == set(commands(main, "voketag"))


# ---------------------------------------------------------------------- how long things grow


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_files_stay_short() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines())
        for path in files(*PACKAGES, *OUTSIDE)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_stay_short() -> None:
    wrong = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    wrong.append(f"{name}.{node.name}: {lines} lines")
    assert wrong == []
