"""A read-only panel: every key, button and palette entry there is acts on nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Button

from services.models import Capability
from services.terminal.transport.base import Transport
from tests.support.acted import ScriptedTransport
from tests.support.panels import panel, toasts
from tests.support.scenes import Stage, populated, settings
from tests.support.stage import SANDBOXES
from tui.app import bound_actions
from tui.panel.palette import PanelCommands
from widgets.panes.action_button import ActionButton

ACTS = {"repair.wake", "repair.reconnect", "panel.shell"}
"""What would act by its key: dim, with the reason, in help, footer and palette."""
ENDS = {"Quit", "Suspend; fg comes back", "Save screenshot"}
"""What ends, hides or writes a picture of the panel itself, and touches no sandbox."""
REASON = "this panel is read-only"


@asynccontextmanager
async def read_only(folder: Path) -> AsyncIterator[Stage]:
    """One whose source could do everything; whatever reaches it is told at the end."""
    opened: list[Transport] = []

    def transport() -> Transport:
        opened.append(ScriptedTransport())
        return opened[-1]

    script = populated()
    script.transport = transport
    async with panel(folder, script, settings(read_only=True)) as stage:
        yield stage
        assert not script.woken and not opened and not list(stage.app.shells)
        assert all(stage.app.engine.latest_attempt(one.id) is None for one in SANDBOXES)


async def back(stage: Stage) -> None:
    """To the dashboard, whatever lies over it: what it asks is agreed to first."""
    assert stage.pilot is not None
    while stage.app.screen is not stage.app.dashboard:
        await stage.pilot.pause()
        for button in stage.app.screen.query(Button):
            button.press()
        if stage.app.screen is not stage.app.dashboard:
            stage.app.pop_screen()
        await stage.pilot.pause()


async def test_every_verb_of_the_palette_is_tried(tmp_path: Path) -> None:
    async with read_only(tmp_path) as stage:
        entries = {one.text: one for one in PanelCommands(stage.app.dashboard)._entries()}
        assert not [one for one in entries if one.startswith(("Break", "Attach to the agent of"))]
        for text, entry in entries.items():
            verb, _, name = text.partition(" ")
            if verb in ("Wake", "Reconnect", "Shell") and "marked" not in name:
                assert REASON in entry.help
                entry.run()
        await stage.settle()
        said = toasts(stage.app)
        assert len(said) >= 3 * len(SANDBOXES) and all(REASON in one for one in said), said


@pytest.mark.slow
async def test_every_key_and_every_button_is_tried(tmp_path: Path) -> None:
    async with read_only(tmp_path) as stage:
        dashboard = stage.app.dashboard
        by_id = {one.binding.id: one for one in stage.app.screen.active_bindings.values()}
        assert by_id.keys() >= ACTS and len(by_id) > 30
        for name in ACTS:
            assert dashboard.disabled_reason(by_id[name].binding.action) == REASON, name
        for one in by_id.values():
            if one.binding.description not in ENDS:
                await stage.app.run_action(one.binding.action, default_namespace=one.node)
                await asyncio.sleep(0.01)  # what it started has begun before it is taken away
                await back(stage)
        # Marked rows are refused one by one, and attaching and approving need what is off.
        await stage.press("1", "space", "down", "space", "w", "r", "A", "a", "c")
        for button in dashboard.query(ActionButton):
            button.press()
        await stage.settle()


@pytest.mark.slow
async def test_what_is_refused_names_every_capability_that_acts(tmp_path: Path) -> None:
    async with read_only(tmp_path) as stage:
        refused = stage.app.actions.refusals(SANDBOXES[0].id)
        acting = set(Capability) - {Capability.QUEUE, Capability.LOGS}
        assert {one: refused.get(one) for one in acting} == dict.fromkeys(acting, REASON)
        assert {one.id for one in bound_actions()} >= ACTS
