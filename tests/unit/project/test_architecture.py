"""The arrows of the house: who may import whom, held for every module."""

from __future__ import annotations

import ast
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("services", "widgets", "tui")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted(
    path
    for path in (ROOT / "tests").rglob("*.py")
    if path.relative_to(ROOT).parts[1] not in ("bench", "soak")
)
LONGEST = 400
WIDGET_VOCABULARY = ("services.models", "services.log_streams", "services.terminal.cells")
SOURCE_MAY_USE = (
    "services.models",
    "services.errors",
    "services.clock",
    "services.process.signals",
    "services.log_streams",
    "services.text.sanitize",
    "services.process.run",
    "services.text.redact",
    "services.queues",
    "services.terminal",
)
ONLY_IN = {
    "grpc": ("services/sources/openshell/grpc_client.py",),
    "openshell": ("services/sources/openshell/grpc_client.py",),
    "pyte": ("services/terminal/",),
    "websockets": ("services/terminal/", "services/sources/local/gateway"),
    "aiosqlite": ("services/queues/", "services/sources/local/", "services/files/sqlite.py"),
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            module = node.module or ""
            names += (
                [module]
                if module not in ("services", "services.terminal")
                else [f"{module}.{alias.name}" for alias in node.names]
            )
    return names


def under(name: str, *roots: str) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_keeps_to_the_arrows(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    module = name_of(path)
    for name in imports(path):
        if under(module, "services"):
            assert not under(name, "textual", "rich", "tui", "widgets"), f"{place} imports {name}"
        if under(module, "widgets"):
            assert not under(name, "tui"), f"{place} imports {name}"
            if under(name, "services"):
                assert under(name, *WIDGET_VOCABULARY), f"{place} imports {name}"
        if place.startswith("services/sources/") and path.parent.name != "sources":
            own = ".".join(module.split(".")[:3])
            if under(name, "services"):
                assert name == "services.sources" or under(name, own, *SOURCE_MAY_USE), (
                    f"{place} imports {name}"
                )
        for library, places in ONLY_IN.items():
            if under(name, library):
                assert place.startswith(places), f"{place} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_outgrows_its_reason(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST
    assert not {"manager", "helper", "helpers", "util", "utils"} & set(path.stem.split("_"))


def test_services_load_without_a_screen() -> None:
    names = [name_of(p) for p in MODULES if p.parts[len(ROOT.parts)] == "services"]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    if not name.endswith('__main__'): importlib.import_module(name)\n"
        "bad = sorted({m.split('.')[0] for m in sys.modules} & {'textual', 'rich'})\n"
        "sys.exit(f'loaded {bad}' if bad else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_ticks_cannot_reach_a_verb() -> None:
    """A background feed is given an Observer alone: the attempt machine is not in reach."""
    for name in ("services/board/poller.py", "services/board/board.py", "tui/pollers.py"):
        for imported in imports(ROOT / name):
            assert not under(imported, "services.repair.machine", "services.sources.local.actor"), (
                name
            )


def naps(path: Path) -> list[ast.Call]:
    """Every call that waits for time: `asyncio.sleep`, `time.sleep`, a pilot's numbered pause."""
    tree = ast.parse(path.read_text("utf-8"))
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("asyncio", "time")
        for alias in node.names
        if alias.name == "sleep"
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in {"asyncio.sleep", "time.sleep", *bare} or (
            called.rpartition(".")[0].endswith("pilot") and called.endswith(".pause") and node.args
        ):
            found.append(node)
    return sorted(found, key=lambda call: call.lineno)


def reason_behind(path: Path, call: ast.Call) -> str:
    """The trailing comment on the line where a call ends."""
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT and token.start[0] == call.end_lineno:
                return token.string.lstrip("# ")
    return ""


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_test_that_waits_for_time_says_why(path: Path) -> None:
    """Others wait for the thing: `tests.support.waiting`, or the clock of `tests.support.clock`."""
    silent = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for call in naps(path)
        if len(reason_behind(path, call).split()) < 3
        or reason_behind(path, call).startswith(("type:", "noqa"))
    ]
    assert not silent


def test_a_nap_is_seen_by_whatever_name(tmp_path: Path) -> None:
    path = tmp_path / "naps.py"
    path.write_text(
        "import asyncio, time\n"
        "from asyncio import sleep as rest\n"
        "async def test(pilot, stage, clock):\n"
        "    await asyncio.sleep(1)\n"
        "    await rest(0)  # a turn of the loop\n"
        "    time.sleep(1)  # noqa: ASYNC251\n"
        "    await stage.pilot.pause(0.2)\n"
        "    await pilot.pause()\n"
        "    await clock.sleep(3)\n"
        "    'time.sleep(1)'\n"
    )
    assert [(call.lineno, reason_behind(path, call)) for call in naps(path)] == [
        (4, ""),
        (5, "a turn of the loop"),
        (6, "noqa: ASYNC251"),
        (7, ""),
    ]
