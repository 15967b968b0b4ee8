"""Palette, help and footer: every bound action, its key as it is now, and why it is off."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandInput, CommandList

from services.models import Capability, SandboxId
from tests.support.acted import Script
from tests.support.panels import drawn, line_of, panel, toasts
from tests.support.scenes import populated, settings
from tests.support.stage import HOSTILE, SANDBOXES, sandbox
from tui.app import bound_actions
from tui.panel.layout import Pane, PaneGrid
from tui.panel.palette import MAX_ENTRIES, PanelCommands
from widgets.dialogs.help import HelpScreen, help_text
from widgets.panes.binding_rows import KeyRow, KeySection
from widgets.panes.footer import footer_line
from widgets.panes.queues import QueuePane

OUTSIDE = f"{HOSTILE} \x9b2J \u2066iso\u2069 [link=x]"


def harmless(text: str) -> bool:
    return not any(
        unicodedata.category(one) in ("Cc", "Cf") or one == "\x1b"
        for one in text.replace("\n", "").replace("\u200b", "")
    )


async def test_the_palette_holds_every_action_of_the_dashboard(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        entries = list(PanelCommands(stage.app.dashboard)._entries())
        said = {entry.text.split(" (")[0] for entry in entries}
        live = ("panel", "app", "pane", "table", "stream", "queues")
        # Escape clears only where there is something to clear; a side needs parted queues; the
        # screen's own copying comes before ours, which only says that nothing is selected.
        now_and_then = ("table.clear", "queue.in", "queue.out", "app.copy")
        assert "Copy selected text" in said
        missing = [
            one.id
            for one in bound_actions()
            if one.place in live and one.id not in now_and_then and one.description not in said
        ]
        assert missing == []


async def test_it_holds_each_verb_for_each_sandbox_and_says_why_one_is_off(tmp_path: Path) -> None:
    script = populated()
    no = ((Capability.WAKE, "it is somebody else's"),)
    script.sandboxes = (replace(SANDBOXES[0], unavailable=no), *SANDBOXES[1:])
    async with panel(tmp_path, script, settings(keys={"queue.merge": "b"})) as stage:
        entries = {one.text: one for one in PanelCommands(stage.app.dashboard)._entries()}
        for sandbox in SANDBOXES:
            for verb in ("Wake", "Reconnect", "Shell", "Logs"):
                assert f"{verb} {sandbox.name}" in entries
        assert entries["Wake data-pull"].help == "it is somebody else's"
        assert entries["Wake"].help == "w · it is somebody else's"
        assert entries["Merge or part in and out (queues)"].help == "b"
        entries["Wake"].run()
        await stage.settle()
        assert toasts(stage.app) == ["it is somebody else's"]
        assert script.woken == []


@pytest.mark.slow
async def test_an_entry_of_another_pane_takes_the_keys_there_and_acts(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("ctrl+p", *"merge or part")
        screen = stage.app.screen
        listed = screen.query_one(CommandList)
        await stage.until(lambda: listed.option_count == 1)
        assert screen.query_one(CommandInput).value == "merge or part"
        await stage.press("enter")
        await stage.until(lambda: stage.app.dashboard.query_one(QueuePane).apart)
        assert stage.app.dashboard.focused_pane is Pane.QUEUES


async def test_of_a_thousand_sandboxes_the_best_are_shown_and_the_loop_breathes(
    tmp_path: Path,
) -> None:
    many = tuple(sandbox(f"agent-{number:04d}") for number in range(1000))
    async with panel(tmp_path, Script(populated().gateways, many)) as stage:
        palette = PanelCommands(stage.app.dashboard)
        breaths = 0

        async def breathe() -> None:
            nonlocal breaths
            while True:
                await asyncio.sleep(0)  # one turn of the loop
                breaths += 1

        breathing = asyncio.create_task(breathe())
        hits = [hit async for hit in palette.search("wake agent-0777")]
        breathing.cancel()
        assert breaths >= 30, "keys and frames get their turn while it searches"
        assert hits[0].text == "Wake agent-0777"
        assert len([hit async for hit in palette.search("wake")]) == MAX_ENTRIES


async def test_marked_rows_are_one_entry(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("space", "space")
        entries = {one.text: one for one in PanelCommands(stage.app.dashboard)._entries()}
        entries["Wake the 2 marked"].run()
        await stage.until(lambda: bool(toasts(stage.app)))
        assert toasts(stage.app) == ["Woke 2 of 2."]


@pytest.mark.slow
async def test_help_begins_with_the_focused_pane_and_shows_the_keys_as_they_are(
    tmp_path: Path,
) -> None:
    mine = settings(keys={"repair.wake": "f5", "queue.merge": "b"})
    async with panel(tmp_path, settings=mine) as stage:
        await stage.press("3", "question_mark")
        page = stage.app.screen
        assert isinstance(page, HelpScreen)
        assert [one.title for one in page._sections][:2] == ["This table", "Queues"]
        text = help_text(page._sections).plain
        assert re.search(r"\bb\s+Merge or part in and out", text)
        assert re.search(r"f5\s+Wake", text)
        await stage.press("escape")
        assert "Wake (f5)" in drawn(stage.app), "the button says the key too"


async def test_what_is_off_is_dim_in_the_help_with_its_reason(tmp_path: Path) -> None:
    async with panel(tmp_path, settings=settings(read_only=True)) as stage:
        await stage.press("question_mark")
        page = stage.app.screen
        assert isinstance(page, HelpScreen)
        text = help_text(page._sections).plain
        assert re.search(r"Wake\s+off now: this panel is read-only", text)
        assert re.search(r"Close shell\s+off now: no shell is open", text)


@pytest.mark.slow
async def test_numbers_jump_tab_cycles_and_z_zooms_and_back(tmp_path: Path) -> None:
    async with panel(tmp_path, size=(80, 24)) as stage:
        dashboard = stage.app.dashboard
        panes = (Pane.SANDBOXES, Pane.GATEWAYS, Pane.QUEUES, Pane.SHELL, Pane.EVENTS)
        for key, pane in zip("12345", panes, strict=True):
            await stage.press(key)
            assert dashboard.focused_pane is pane
            assert dashboard.query_one(f"#{pane.value}").region.area > 0
        await stage.press("tab")
        assert dashboard.focused_pane is Pane.SANDBOXES
        await stage.press("2", "z")
        assert dashboard.query_one(PaneGrid).pane_layout.zoomed is Pane.GATEWAYS
        await stage.press("3")
        assert dashboard.query_one(PaneGrid).pane_layout.zoomed is Pane.QUEUES
        await stage.press("z")
        assert dashboard.query_one(PaneGrid).pane_layout.zoomed is None


@pytest.mark.slow
async def test_looking_can_be_paused_while_ages_grow_and_asked_for_now(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("p")
        assert "PAUSED" in line_of(stage.app, 0)
        await stage.settle()
        looks = stage.script.looks
        await stage.clock.advance(30.0)
        stage.app.dashboard.tick()
        await stage.settle()
        assert stage.script.looks == looks, "nothing looks while it is paused"
        assert "30s" in drawn(stage.app), "and every value says how old it is"
        await stage.press("R")
        await stage.until(lambda: stage.script.looks > looks)
        assert "PAUSED" in line_of(stage.app, 0), "one look does not end the pause"
        await stage.press("p")
        assert "PAUSED" not in line_of(stage.app, 0)


async def test_a_lost_source_counts_down_to_the_next_try_by_the_key_that_tries_now(
    tmp_path: Path,
) -> None:
    mine = settings(keys={"panel.refresh": "f6"})
    async with panel(tmp_path, settings=mine) as stage:
        stage.script.failure = "The embedded world does not answer."
        await stage.clock.advance(2.5)
        await stage.until(lambda: stage.app.engine.board.links["local"].failures > 0)
        stage.app.dashboard.tick()
        await stage.settle()
        first = re.search(r"retry (in \S+|now) · f6", line_of(stage.app, 0))
        assert first, line_of(stage.app, 0)
        stage.script.failure = ""
        await stage.press("f6")
        await stage.until(lambda: stage.app.engine.board.links["local"].failures == 0)


def test_the_footer_draws_hostile_words_as_words() -> None:
    row = KeyRow((OUTSIDE,), OUTSIDE, "x", "x", reason=OUTSIDE)
    line = footer_line([row, replace(row, enabled=False)], 60)
    assert line.content.cell_length <= 60
    assert harmless(line.content.plain)
    wide = footer_line([row], 200).content
    assert "[bold red]" in wide.plain, "markup is shown, not obeyed"
    assert not any("red" in str(span.style) for span in wide.spans)


def test_the_help_draws_hostile_words_as_words() -> None:
    row = KeyRow((OUTSIDE,), OUTSIDE, OUTSIDE, "x", reason=OUTSIDE)
    section = KeySection(OUTSIDE, (row, replace(row, enabled=False)))
    shown = help_text([section])
    assert harmless(shown.plain)
    assert "[bold red]not markup[/]" in shown.plain
    assert not any("red" in str(span.style) for span in shown.spans)


@pytest.mark.slow
async def test_a_hostile_sandbox_and_key_never_reach_the_terminal(tmp_path: Path) -> None:
    name = SandboxId("local", "evil")
    script = Script(
        populated().gateways,
        (replace(SANDBOXES[0], id=name, name=OUTSIDE, reason=OUTSIDE, tool=""),),
    )
    mine = settings(keys={"panel.zoom": OUTSIDE.replace(",", ""), "queue.merge": "b"})
    async with panel(tmp_path, script, mine) as stage:
        assert harmless(drawn(stage.app))
        for keys in (("question_mark",), ("escape", "ctrl+p"), ("escape", "C"), ("escape",)):
            await stage.press(*keys)
            assert harmless(drawn(stage.app)), keys


@pytest.mark.slow
async def test_a_pasted_list_of_names_finds_every_one_of_them(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("slash")
        stage.app.post_message(events.Paste("data-pull\n  release-notes\n\n"))
        await stage.settle()
        assert "1 sandboxes 2/4 /data-pull | release-no" in drawn(stage.app)
