"""The same bytes into other people's terminals: what they show is what we show."""

from __future__ import annotations

import importlib
import subprocess
import time
import unicodedata
from pathlib import Path

import pytest

from services.terminal.emulator import Emulator
from tests.bench import payloads
from tests.support.ghostty_sessions import differ, session, shortest
from tests.support.waiting import eventually_sync

COLUMNS, LINES = 80, 24
RECORDINGS = payloads.recordings()
PATIENCE = 30.0


def ours(data: bytes) -> list[str]:
    emulator = Emulator(COLUMNS, LINES)
    emulator.feed(data)
    return settled(emulator.display)


def settled(rows: list[str]) -> list[str]:
    """Rows without trailing blanks, composed: some terminals compose what they keep."""
    kept = [unicodedata.normalize("NFC", row.rstrip()) for row in rows]
    return (kept + [""] * LINES)[:LINES]


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
