"""Replaying a transcript: times, keys, and nothing but cells on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from click.testing import CliRunner
from textual.pilot import Pilot

from services.clock import SystemClock
from services.terminal.session.recording import (
    RecordedFrame,
    RecordedOutput,
    RecordedSize,
    RecordingFull,
    SessionRecorder,
    read_recording,
)
from tests.support.clock import FakeClock
from tests.support.waiting import eventually
from tui.cli.main import main
from tui.panel.replay import FASTEST, SLOWEST, Replay


def replay(frames: Sequence[RecordedFrame], *, at_once: bool = False, name: str = "file") -> Replay:
    return Replay(name, iter(frames), SystemClock(), at_once=at_once)


async def until(pilot: Pilot[int], true: Callable[[], object]) -> None:
    await eventually(true)


def subtitle(app: Replay) -> str:
    return str(app.query_one("#frame").border_subtitle)


async def test_at_once_leaves_no_pause_and_shows_the_last_screen(tmp_path: Path) -> None:
    clock = FakeClock()
    kept = SessionRecorder(tmp_path, "one", clock)
    kept.resized(40, 10)
    for number in range(300):
        await clock.advance(60)
        kept.output(b"line %d\r\n" % number)
    kept.output("\x1b[31m漢".encode()[:-1])
    kept.output("漢".encode()[-1:])
    kept.close()
    app = Replay("one", read_recording(kept.path), SystemClock(), at_once=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.ended)
        assert (app.emulator.columns, app.emulator.lines) == (40, 10)
        assert app.emulator.display[-2].rstrip() == "line 299"
        assert app.emulator.display[-1].rstrip() == "漢"
        assert app.position == 18_000
        assert "ended" in subtitle(app)
        strips = app.view.render_lines(app.view.size.region)
        assert any("line 299" in strip.text for strip in strips)


async def test_space_holds_it_and_plus_and_minus_change_its_pace() -> None:
    clock = FakeClock()
    frames = [RecordedOutput(0.0, b"first"), RecordedOutput(3600.0, b" second")]
    app = Replay("file", iter(frames), clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.emulator.display[0].startswith("first"))
        await pilot.press("space")
        await clock.advance(1)
        held = app.position
        assert app.paused
        assert "paused" in subtitle(app)
        await clock.advance(100)
        assert app.position == held
        await pilot.press("space", "plus", "plus")
        assert app.speed == 4
        await pilot.press(*["plus"] * 6)
        assert app.speed == FASTEST
        await clock.advance(1)
        assert app.position > held + 5
        await pilot.press(*["minus"] * 11)
        assert app.speed == SLOWEST
        assert "second" not in app.emulator.display[0]
        await pilot.press("q")
    assert app.return_value == 0


async def test_the_recorded_pace_is_kept() -> None:
    app = replay([RecordedOutput(0.0, b"a"), RecordedOutput(0.4, b"b")])
    async with app.run_test() as pilot:
        began = asyncio.get_running_loop().time()
        await until(pilot, lambda: app.ended)
        assert asyncio.get_running_loop().time() - began > 0.2


async def test_hostile_names_and_programs_change_nothing_but_cells() -> None:
    frames: list[RecordedFrame] = [
        RecordedSize(0.0, 0, 0),
        RecordedSize(0.0, 1000, 1000),
        RecordedSize(0.0, 30, 5),
        RecordedOutput(0.0, b"\x1b]52;c;aGk=\x07\x1b[c\x1b]11;?\x07\x1b[?1003hok"),
        RecordingFull(0.0),
    ]
    app = replay(frames, at_once=True, name="[b]x\x1b[31m")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.ended)
        await pilot.click(app.view)
        await pilot.press("x")
        assert app.focused is None
        assert app.clipboard == ""
        assert app.emulator.display[0].rstrip() == "ok"
        assert "full" in subtitle(app)
        title = "".join(strip.text for strip in app.screen._compositor.render_strips()[0])
        assert "[b]x" in title
        assert "31m" not in title


def test_the_command_says_what_is_wrong() -> None:
    done = CliRunner().invoke(main, ["replay", "gone", "--speed", "0"])
    assert done.exit_code == 2
    done = CliRunner().invoke(main, ["replay", "gone"])
    assert done.exit_code == 2
    assert "needs a terminal" in done.output
