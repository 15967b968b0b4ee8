"""The same bytes into other people's terminals: what they show is what we show."""

from __future__ import annotations

import importlib
import subprocess
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from services.terminal.cells import DEFAULT, RGB, CellStyle
from services.terminal.emulator import Emulator
from tests.bench import payloads
from tests.support import kits
from tests.support.full_screen import PROGRAMS, playing
from tests.support.ghostty_sessions import differ, session, shortest
from tests.support.waiting import eventually_sync

COLUMNS, LINES = 80, 24
RECORDINGS = payloads.recordings()
PATIENCE = 30.0


def ours(data: bytes) -> list[str]:
    emulator = Emulator(COLUMNS, LINES)
    emulator.feed(data)
    return settled(emulator.display)


def settled(rows: list[str], lines: int = LINES) -> list[str]:
    """Rows without trailing blanks, composed: some terminals compose what they keep."""
    kept = [unicodedata.normalize("NFC", row.rstrip()) for row in rows]
    return (kept + [""] * lines)[:lines]


def tmux_screen(data: bytes, folder: Path) -> list[str]:
    """What tmux shows after a program in it has written these bytes."""
    (folder / "payload").write_bytes(data)
    (folder / "conf").write_text("set -g status off\nset -g default-terminal tmux-256color\n")
    (folder / "run.sh").write_text(
        f"stty raw -echo; cat '{folder}/payload'; touch '{folder}/done'; exec sleep 60\n"
    )
    command = ["tmux", "-u", "-S", str(folder / "socket"), "-f", str(folder / "conf")]

    def run(*words: str) -> str:
        done = subprocess.run([*command, *words], check=True, capture_output=True, timeout=PATIENCE)
        return done.stdout.decode("utf-8", "replace")

    try:
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        run("new-session", "-d", *size, f"sh '{folder}/run.sh'")
        eventually_sync((folder / "done").exists, limit=PATIENCE)
        before, shown = "", run("capture-pane", "-p")
        while shown != before:
            time.sleep(0.1)  # tmux says nowhere that it has drawn: two looks apart must agree
            before, shown = shown, run("capture-pane", "-p")
        return shown.split("\n")
    finally:
        subprocess.run([*command, "kill-server"], check=False, capture_output=True)


@pytest.mark.kit("tmux")
@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_recorded_programs_look_as_they_do_in_tmux(name: str, share: float, tmp_path: Path) -> None:
    data = RECORDINGS[name]
    data = data[: int(len(data) * share)]
    data = data[: data.rfind(b"\x1b")] if share < 1 else data
    assert ours(data) == settled(tmux_screen(data, tmp_path))


@pytest.mark.kit("ghostty")
@pytest.mark.parametrize("name", sorted(payloads.GENERATED) + sorted(RECORDINGS))
def test_libghostty_shows_the_same(name: str) -> None:
    module = importlib.import_module("pyghostty")
    make = payloads.GENERATED.get(name)
    whole = make(60_000) if make is not None else RECORDINGS[name]
    for data in (whole, whole[: len(whole) // 2], whole[: len(whole) // 3]):
        terminal = module.Terminal(COLUMNS, LINES)
        terminal.feed(b"\x1b[?2027h" + data)
        assert ours(data) == settled(terminal.text().split("\n"))
        terminal.close()


@pytest.mark.kit("ghostty")
@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_random_sessions_look_as_they_do_in_libghostty(first: int) -> None:
    for seed in range(first, first + 250):
        parts, columns, lines = session(seed)
        assert not differ(parts, columns, lines), (seed, shortest(parts, columns, lines))


SIZES = ((80, 24), (120, 40), (200, 60))
SLOW = pytest.mark.slow
ALL_SIZES = [pytest.param(size, marks=SLOW if size != SIZES[0] else ()) for size in SIZES]
STYLES = {
    **{"bold": "bold", "italic": "italic", "faint": "dim", "blink": "blink", "inverse": "reverse"},
    **{"invisible": "conceal", "strikethrough": "strike", "overline": "overline"},
    **{"underline": "underline", "fg": "foreground", "bg": "background"},
}


def colour(theirs: Any) -> int:
    """A colour of libghostty as ours."""
    if theirs is None:
        return DEFAULT
    kind, value = theirs
    return int(value) if kind == "palette" else RGB | value[0] << 16 | value[1] << 8 | value[2]


def styles_that_differ(emulator: Emulator, terminal: Any) -> list[str]:
    """The cells with a character whose style is not libghostty's; of blanks it keeps no colour."""
    found = []
    for y, row in enumerate(emulator._screen.rows):
        cells: list[tuple[str, CellStyle]] = [
            (char, style) for text, style in row.pieces() for char in text
        ]
        for x, (char, style) in enumerate(cells):
            if char in " \0\1":
                continue
            theirs = terminal.style(x, y)
            wanted = {
                ours: colour(theirs[name]) if name in ("fg", "bg") else theirs[name]
                for name, ours in STYLES.items()
            }
            mine = {name: getattr(style, name) for name in wanted}
            if mine != wanted:
                found.append(f"{char!r} at {x},{y}: {mine} is not {wanted}")
    return found


@pytest.mark.kit("ghostty")
@pytest.mark.parametrize("size", ALL_SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", sorted(PROGRAMS))
async def test_real_programs_look_as_they_do_in_libghostty(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    program = PROGRAMS[name]
    kits.need(program.kit)
    terminal = importlib.import_module("pyghostty").Terminal(*size)
    terminal.feed(b"\x1b[?2027h")
    async with playing(program, tmp_path, size) as one:
        one.also(terminal.feed)
        async for _ in one.pictures(program):
            shown = settled(one.emulator.display, size[1])
            assert shown == settled(terminal.text().split("\n"), size[1])
        assert not styles_that_differ(one.emulator, terminal)[:3]
    terminal.close()
