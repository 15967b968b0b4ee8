"""The panel opens as it was left, calls when something turned worse, and looks like what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.models import Event, SandboxState, Severity
from tests.support.panels import drawn, line_of, panel
from tests.support.scenes import broken, settings, waking
from tests.support.stage import NOW, sandbox
from tui.panel.layout import Pane, PaneGrid
from tui.panel.view_state import ViewState, ViewStateStore, load_view, view_file
from widgets.panes.events import EventPane
from widgets.panes.queues import QueuePane
from widgets.panes.sandboxes import SandboxPane


@pytest.mark.slow
async def test_focus_sort_filter_zoom_and_pause_come_back(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("slash", *"!night", "enter", "o", "o", "O")
        await stage.press("3", "m", "5", "z", "f", "M")
        stage.app._save_view()
        path = view_file(tmp_path, "default")
        await stage.until(lambda: load_view(path).zoomed == "events")
    async with panel(tmp_path) as stage:
        dashboard = stage.app.dashboard
        pane = dashboard.query_one(SandboxPane)
        assert pane.filter_text == "!night"
        assert pane.table.sort == ("name", True)
        assert len(pane.table.keys) == 3
        assert dashboard.query_one(QueuePane).apart
        assert dashboard.query_one(PaneGrid).pane_layout.zoomed is Pane.EVENTS
        assert dashboard.focused_pane is Pane.EVENTS
        stage.app._save_view()
        await stage.settle()
        assert not dashboard.query_one(EventPane).following
        assert "MUTED" in line_of(stage.app, 0)
        await stage.press("z")
        assert "3/4 /!night" in drawn(stage.app)


async def test_a_page_finds_its_row_again_unless_its_viewer_was_faster(tmp_path: Path) -> None:
    store = ViewStateStore(tmp_path, "default", True, keeps_row=True)
    async with panel(tmp_path / "state") as stage:
        pane = stage.app.dashboard.query_one(SandboxPane)
        await stage.press("j", "j")
        third = pane.current
        assert third is not None
        stage.app._save_view()
        await stage.until(lambda: view_file(tmp_path / "state", "default").exists())
        store.pause_timeline(stage.app.dashboard, True)
        await store.save(stage.app.dashboard, False)
        assert load_view(view_file(tmp_path, "default")).row == (third.source, third.native_id)
        assert load_view(view_file(tmp_path / "state", "default")).row is None, "not of a page"
        await stage.press("k", "k")
        faster = ViewStateStore(tmp_path, "default", True, keeps_row=True)
        faster.on_input()
        faster.restore_row(stage.app.dashboard)
        assert pane.current != third
        again = ViewStateStore(tmp_path, "default", True, keeps_row=True)
        again.restore_row(stage.app.dashboard)
        assert pane.current == third
        await stage.press("k")
        again.restore_row(stage.app.dashboard)
        assert pane.current != third, "the cursor is taken back for ever"


async def test_the_view_is_written_when_the_panel_is_left(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        stage.app._save_view()
        await stage.settle()
        await stage.press("2")
        stage.app.action_leave()
        await stage.until(lambda: load_view(view_file(tmp_path, "default")).focus == "gateways")


@pytest.mark.slow
async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    plain = settings(remember=False)
    async with panel(tmp_path, settings=plain) as stage:
        await stage.press("slash", *"night", "enter")
        stage.app._save_view()
        await stage.settle()
    assert load_view(view_file(tmp_path, "default")) == ViewState()
    assert not (tmp_path / "views").exists()


async def test_a_view_of_another_version_does_no_harm(tmp_path: Path) -> None:
    path = view_file(tmp_path, "default")
    path.parent.mkdir()
    path.write_text(
        '{"focus": "nothing", "zoomed": "repairs", "panes": {"sandboxes": {"sort": "gone"}}}'
    )
    async with panel(tmp_path) as stage:
        assert stage.app.dashboard.focused_pane is Pane.SANDBOXES
        assert stage.app.dashboard.query_one(SandboxPane).table.sort == (None, False)


async def test_a_sandbox_that_turns_worse_rings_and_m_mutes(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        written: list[str] = []
        stage.app.terminal_bell._write = written.append
        await stage.press("M")
        assert "MUTED" in line_of(stage.app, 0)
        stage.script.sandboxes = (
            sandbox("data-pull", SandboxState.BROKEN, "Its disk is full."),
            *stage.script.sandboxes[1:],
        )
        await stage.clock.advance(2.5)
        board = stage.app.engine.board
        first = stage.script.sandboxes[0].id
        await stage.until(lambda: board.sandboxes[first].state is SandboxState.BROKEN)
        assert "\x07" not in written
        assert any("! 1 worse" in one for one in written)
        await stage.press("M")
        assert "MUTED" not in line_of(stage.app, 0)
        stage.script.sandboxes = (
            stage.script.sandboxes[0],
            replace(stage.script.sandboxes[1], state=SandboxState.STUCK, reason="No progress."),
            *stage.script.sandboxes[2:],
        )
        await stage.clock.advance(20.0)
        await stage.until(lambda: "\x07" in written)


async def test_what_an_attempt_brings_about_is_no_news(tmp_path: Path) -> None:
    script = waking()
    async with panel(tmp_path, script) as stage:
        written: list[str] = []
        stage.app.terminal_bell._write = written.append
        await stage.press("w")
        await stage.until(lambda: bool(script.woken))
        worse = Event(NOW + 1, Severity.WORSE, "local", "data-pull", "sandbox", "data-pull is down")
        stage.app._events([worse])
        assert written == []
        stage.app._events([replace(worse, subject="night-watch", text="night-watch is down")])
        assert "\x07" in written
        assert script.hold is not None
        script.hold.set()


@pytest.mark.slow
async def test_the_past_read_from_the_journal_rings_nothing(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        written: list[str] = []
        stage.app.terminal_bell._write = written.append
        past = Event(NOW - 60, Severity.WORSE, "local", "data-pull", "sandbox", "it broke")
        stage.app._events([past])
        assert written == []


@pytest.mark.slow
async def test_production_is_seen_on_every_edge_and_in_words(tmp_path: Path) -> None:
    async with panel(tmp_path) as plain:
        assert "PRODUCTION" not in drawn(plain.app)
        quiet = plain.app.dashboard.query_one("HealthHeader").styles.background
    for size in ((140, 40), (80, 24)):
        state = tmp_path / f"{size[0]}"
        async with panel(state, settings=settings(production=True), size=size) as stage:
            assert line_of(stage.app, 0).lstrip().startswith("PRODUCTION")
            for edge in ("HealthHeader", "KeyFooter"):
                assert stage.app.dashboard.query_one(edge).styles.background != quiet
            for y in range(1, size[1] - 1):
                line = line_of(stage.app, y)
                assert line[0] == line[-1] == "█", line


async def test_a_banner_is_in_the_header_with_its_own_words(tmp_path: Path) -> None:
    async with panel(tmp_path, settings=settings(banner="[red]EU\x1b[2J west")) as stage:
        assert line_of(stage.app, 0).strip().startswith("[red]EU\ufffd[2J west")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["ansi-dark", "wakedeck-dark", "wakedeck-light"])
async def test_badges_and_bad_news_can_be_read_in_every_palette(tmp_path: Path, theme: str) -> None:
    real = settings(production=True, theme=theme, read_only=True)
    async with panel(tmp_path, broken(), real) as stage:
        await stage.press("M")
        header = stage.app.screen._compositor.render_strips()[0]
        for words in ("PRODUCTION", "MUTED", "READ-ONLY", "1 stuck"):
            (style,) = (one.style for one in header if words in one.text)
            assert style is not None
            assert style.color != style.bgcolor, words
            if words != "1 stuck":
                assert style.reverse, "a badge stands out without any colour"
