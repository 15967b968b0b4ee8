"""The arrows of the house, over the whole import graph; each rule is shown to be able to fail."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.import_graph import Tree, longest_path, under

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
LONGEST = 400
SOURCES = "services.sources"
KINDS = ("local", "nanoclaw", "openclaw", "openshell", "pods", "remote", "terminal", "vellum")
VOCABULARY = (
    "services.models",
    "services.terminal.cells",
    "services.text.format",
    "services.text.signs",
)
"""What widgets know of the services."""
TICKING = ("services.board", "services.watch")
"""What runs on a timer and asks sources."""
LOOSE_ROOMS = {"services.models", "services.errors", "services.clock"}
MOST_ROOMS = 18
MOST_FLOORS = 9
MOST_SINGLE = 94
"""Modules that one other alone uses. It only shrinks: merge one rather than raise it."""
SOURCES_MAY_USE = (
    *LOOSE_ROOMS,
    "services.agents",
    "services.text",
    "services.process",
    "services.net",
    "services.files",
    "services.logs",
    "services.queues",
    "services.terminal",
    "services.wire",
    "services.sources.protocol",
    "services.config.sources",
)
ONLY_IN = {
    "aiohttp": ("services.web.server",),
    "apprise": ("services.watch.sender",),
    "prometheus_client": ("services.watch.metrics",),
    "grpc": ("services.sources.openshell.grpc_client",),
    "openshell": ("services.sources.openshell.grpc_client",),
    "cryptography": (
        "services.sources.openshell.certificates",
        "services.sources.openclaw.links",
    ),
    "pyte": ("services.terminal.emulator",),
    "websockets": ("services.terminal.transport", "services.sources.local"),
    "aiosqlite": ("services.sources.local", "services.files.sqlite"),
}
MAY_KNOW: dict[str, tuple[str, ...]] = {
    "emulator": (),
    "transport": (),
    "session": ("transport",),
    "exec": ("transport",),
}
"""Parts of the terminal, and which of the others each may import."""

_DECODERS = re.compile(r"json\.loads?\(|\.json\(\)|json\.decode|JSONDecoder|json\.Decoder\(")
_OPENERS = re.compile(r"""\.open\(["']r|\.read_(?:bytes|text)\(|\bopen\([^)]*["']r[bt]?["']""")


@cache
def tree() -> Tree:
    return Tree.read(ROOT)


def acting(house: Tree) -> set[str]:
    """Modules of sources that define an actor or a proposer, by what their classes can do."""
    found = set()
    for name, one in house.classes(SOURCES):
        does = {n.name for n in one.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        if {"wake", "shell"} <= does or "carry_out" in does:
            found.add(name)
    return found - {f"{SOURCES}.protocol.actor", f"{SOURCES}.protocol.proposer"}


def observing(house: Tree) -> set[str]:
    """Modules of sources that define an observer."""
    return {
        name
        for name, one in house.classes(SOURCES)
        if any(isinstance(n, ast.AsyncFunctionDef) and n.name == "observe" for n in one.body)
    } - {f"{SOURCES}.protocol.observer"}


def rings(house: Tree) -> Iterator[str]:
    yield from (" ↔ ".join(ring) for ring in house.rings())


def verbs_in_reach(house: Tree) -> Iterator[str]:
    """What ticks, and what only looks, never reaches what acts."""
    verbs = acting(house)
    forbidden = {name for name in house.sources if under(name, "services.repair")} | verbs
    forbidden |= {f"{SOURCES}.protocol.actor", f"{SOURCES}.protocol.proposer"}
    starts = [name for name in house.sources if under(name, *TICKING)]
    for start in (*starts, *sorted(observing(house))):
        for name in sorted(house.closure(start) & forbidden - {start}):
            yield f"{start} reaches {name}"
    for name, found in sorted(house.imported.items()):
        makes = any(under(one.name, "services.board.poller.Poller") for one in found)
        if makes and not under(name, *TICKING):
            yield f"{name} makes a poller: name it among what ticks"


def sources_apart(house: Tree) -> Iterator[str]:
    """A source knows the protocol and what every source may use: no other source, no repair."""
    for name, targets in house.arrows.items():
        own = ".".join(name.split(".")[:3])
        if under(name, *(f"{SOURCES}.{kind}" for kind in KINDS)):
            for target in sorted(targets):
                if not under(target, own, *SOURCES_MAY_USE):
                    yield f"{name} imports {target}"


def terminal_parts(house: Tree) -> Iterator[str]:
    """The emulator stands alone; sessions and commands stand beside each other on transports."""
    for part, known in MAY_KNOW.items():
        own = f"services.terminal.{part}"
        others = [f"services.terminal.{one}" for one in MAY_KNOW if one not in (part, *known)]
        for name in (name for name in house.sources if under(name, own)):
            wrong = sorted(t for t in house.arrows[name] if under(t, *others))
            yield from (f"{name} imports {target}" for target in wrong)


def layers(house: Tree) -> Iterator[str]:
    """`services` has no screen, `widgets` the vocabulary alone, the command line no Textual."""
    for name, found in house.imported.items():
        for one in found:
            target = one.name
            if under(name, "services") and under(target, "textual", "rich", "tui", "widgets"):
                yield f"{name} imports {target}"
            if under(name, "widgets") and under(target, "tui"):
                yield f"{name} imports {target}"
            if under(name, "tui.cli") and under(target, "textual", "rich", "widgets"):
                yield f"{name} imports {target}"
            for library, places in ONLY_IN.items():
                if under(target, library) and not under(name, *places):
                    yield f"{name} imports {target}"
    for name, targets in house.arrows.items():
        if under(name, "widgets"):
            for target in sorted(targets):
                if not under(target, "widgets", *VOCABULARY):
                    yield f"{name} imports {target}"


def command_line_closure(house: Tree) -> Iterator[str]:
    """What the command line loads at its start has no screen in it."""
    for start in (name for name in house.sources if under(name, "tui.cli")):
        for name in sorted(house.closure(start, eager=True)):
            if under(name, "widgets", "tui.panel", "tui.app", "tui.dashboard"):
                yield f"{start} loads {name}"


def inheritance(house: Tree) -> Iterator[str]:
    """Our classes inherit two deep at most."""
    bases: dict[str, list[str]] = {}
    for module, one in house.classes("services", "widgets", "tui"):
        if not under(module, "services.errors"):
            own = bases.setdefault(f"{module}.{one.name}", [])
            own += [_full_name(base, module, house.named(module)) for base in one.bases]

    def depth(name: str) -> int:
        return 1 + max((depth(base) for base in bases[name] if base in bases), default=0)

    yield from (f"{name} is {depth(name)} deep" for name in sorted(bases) if depth(name) > 2)


def _full_name(base: ast.expr, module: str, named: dict[str, str]) -> str:
    """A base class by its full name, without what it is generic in."""
    spelled = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
    first, dot, rest = spelled.partition(".")
    return named.get(first, f"{module}.{first}") + dot + rest


def class_names(house: Tree) -> Iterator[str]:
    counted = Counter(one.name for _, one in house.classes("services"))
    yield from (f"{name} is there {n} times" for name, n in sorted(counted.items()) if n > 1)


def rooms(house: Tree) -> Iterator[str]:
    """Modules have one reason: 400 lines at most, and no catch-all names; few lie loose."""
    for name, text in house.sources.items():
        if len(text.splitlines()) > LONGEST:
            yield f"{name} is longer than {LONGEST} lines"
        if {"manager", "helper", "helpers", "util", "utils"} & set(name.split(".")[-1].split("_")):
            yield f"{name}: what is it?"
    packages = {name.rpartition(".")[0] for name in house.sources}
    loose = {n for n in house.sources if n.count(".") == 1 and under(n, "services")} - packages
    yield from (f"{name} lies loose" for name in sorted(loose - LOOSE_ROOMS))


def floors(house: Tree) -> Iterator[str]:
    """Services stand in few rooms on few floors, none of them in a circle.

    A room is a folder of `services`; the vocabulary (`models`, `errors`, `clock`) is none, but a
    floor like a room. `sources.protocol` is a floor of its own: the wire stands on it, and sources
    stand on the wire.
    """
    protocol = f"{SOURCES}.protocol"

    def room(name: str) -> str:
        return protocol if under(name, protocol) else ".".join(name.split(".")[:2])

    inside = [name for name in house.sources if name.startswith("services.")]
    arrows: dict[str, set[str]] = {room(name): set() for name in inside}
    for name in inside:
        below = {room(one) for one in house.arrows[name] if one.startswith("services.")}
        arrows[room(name)] |= below - {room(name)}
    counted = arrows.keys() - LOOSE_ROOMS - {protocol}
    if len(counted) > MOST_ROOMS:
        yield f"{len(counted)} rooms: {sorted(counted)}"
    try:
        path = longest_path(arrows)
    except RecursionError:
        yield "rooms stand on each other in a circle"
    else:
        if len(path) > MOST_FLOORS:
            yield " on ".join(path)


def single_importers(house: Tree) -> Iterator[str]:
    """Few modules are used by one other alone: such a one goes into it, unless it has its reason.

    Folders' own files and tests are no users, and a re-export is seen through. Imports inside
    functions and for type checking count like any other, so a command's body that is loaded late
    is one of them. What nothing imports (`python -m`, the start) is not, and neither are the
    halves of a source nor the `source` file that joins them: they stand apart so that who can act
    is an import fact.
    """
    halves = acting(house) | observing(house)
    halves |= {name for name in house.sources if re.fullmatch(rf"{SOURCES}\.\w+\.source", name)}
    found = sorted(
        name
        for name, users in house.importers.items()
        if len(users) == 1 and name not in house.packages | halves
    )
    if len(found) > MOST_SINGLE:
        yield f"{len(found)} modules are used by one other alone: {found}"


def decoding(house: Tree) -> Iterator[str]:
    """JSON from anywhere is bounded in one place, which no other decoder goes past."""
    for name, text in house.sources.items():
        found = _DECODERS.findall(text)
        if found and not under(name, "services.files.bounded"):
            yield f"{name} decodes by itself: {found[0]}"


def opening(house: Tree) -> Iterator[str]:
    """What others write is opened in one place, which a pipe does not hold up."""
    for name, text in house.sources.items():
        if not any(under(name, room) for room in ("services.sources", "services.doctor")):
            continue
        if found := _OPENERS.findall(text):
            yield f"{name} opens by itself: {found[0]}"


RULES: dict[Callable[[Tree], Iterator[str]], dict[str, str]] = {
    rings: {"services__clock": "def late() -> None:\n    import services.board.board"},
    verbs_in_reach: {
        "tui__between": "import services.sources.vellum.actor",
        "services__board__poller": "import tui.between",
    },
    sources_apart: {"services__sources__local__judge": "import services.sources.pods.judge"},
    terminal_parts: {
        "services__terminal__session__session": "import services.terminal.emulator.emulator"
    },
    layers: {
        "widgets__text__cell_text": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from services.board.board import Board"
        )
    },
    command_line_closure: {"tui__cli__tables": "import tui.panel.themes"},
    inheritance: {
        "services__models": "class A: ...\nclass B(A): ...\nclass C(B): ...",
    },
    class_names: {"services__clock": "class Board: ..."},
    rooms: {"services__stray": ""},
    floors: {"services__doctor__detectors": "import services.source_server.server"},
    single_importers: {
        "services__text__format": "\n".join(
            f"import services.text.only{n}" for n in range(MOST_SINGLE + 1)
        )
    }
    | {f"services__text__only{n}": "" for n in range(MOST_SINGLE + 1)},
    decoding: {
        "services__clock": "import json\ndef at(text: str) -> object:\n    json.loads(text)"
    },
    opening: {"services__sources__vellum__layout": "def at(path):\n    path.open('rb')"},
}
"""Every rule with lines that break it."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds_and_can_fail(rule: Callable[[Tree], Iterator[str]]) -> None:
    assert not list(rule(tree()))
    assert list(rule(tree().planted(**RULES[rule]))), "a wrong import was not seen"


def test_what_acts_is_found_by_what_it_does() -> None:
    """The rule about verbs would hold of nothing if nothing were found."""
    assert {
        f"{SOURCES}.{kind}.actor"
        for kind in ("local", "nanoclaw", "openclaw", "openshell", "terminal", "vellum")
    } <= (acting(tree()))


def test_a_verb_is_seen_directly_and_through_a_module_between() -> None:
    direct = "import services.repair.attempts\nimport services.sources.vellum.actor"
    assert list(verbs_in_reach(tree().planted(services__board__pollers=direct)))
    between = tree().planted(tui__between=direct, services__board__pollers="import tui.between")
    assert list(verbs_in_reach(between))


def test_a_room_too_many_and_a_circle_of_rooms_are_seen() -> None:
    assert list(floors(tree().planted(services__more__one="")))
    assert list(floors(tree().planted(services__clock="import services.watch.digest")))


def test_a_re_export_is_seen_through() -> None:
    """`models` is taken from its folder's file: what it re-exports has many users all the same."""
    assert len(tree().importers["services.models.events"]) > 20


@pytest.mark.parametrize("package", ["services", "tui.cli"])
def test_it_loads_without_a_screen(package: str) -> None:
    """In a fresh interpreter: what is lazy elsewhere may not be loaded by a side door."""
    # What commands check of the panel's settings is not the panel.
    packages = (package, "tui.panel.screen_config") if package == "tui.cli" else (package,)
    names = [name for name in tree().sources if under(name, *packages)]
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
