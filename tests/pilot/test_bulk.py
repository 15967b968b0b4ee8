"""Marks and the verbs on them: the frozen set, one attempt each, one summary."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.models import (
    AttemptState,
    Capability,
    SandboxId,
    SandboxState,
    Step,
    StepState,
    Verb,
)
from services.sources.protocol.verdict import Verdict, VerdictKind
from tests.support.acted import Script
from tests.support.panels import drawn, panel, toasts
from tests.support.scenes import settings
from tests.support.stage import NOW, SANDBOXES, gateways, sandbox
from tui.panel.bulk import Outcome, summary
from widgets.panes.events import EventPane
from widgets.panes.sandboxes import SandboxPane

IDS = [one.id for one in SANDBOXES]
ASLEEP = Verdict(VerdictKind.REPAIRABLE, "Its process has died.", wakeable=True)


def sleepers() -> Script:
    """Four sandboxes whose processes have died; a wake waits until it is let go on."""
    return Script(
        gateways(),
        tuple(sandbox(one.name, SandboxState.ASLEEP, "Its process has died.") for one in SANDBOXES),
        verdicts=[ASLEEP],
        hold=asyncio.Event(),
        wake_steps=(Step("start", StepState.RUNNING), Step("start", StepState.OK)),
    )


async def test_space_range_and_escape_mark_and_unmark(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        pane = stage.app.dashboard.query_one(SandboxPane)
        await stage.press("space")
        assert pane.marked == (IDS[0],)
        await stage.press("down", "v")
        assert pane.marked == tuple(IDS[:3])
        assert "■ 3 marked" in drawn(stage.app)
        await stage.press("escape")
        assert len(pane.marked) == 0


@pytest.mark.slow
async def test_a_verb_acts_on_the_set_as_it_was_when_it_was_pressed(tmp_path: Path) -> None:
    script = sleepers()
    async with panel(tmp_path, script) as stage:
        await stage.press("space", "space", "w")
        await stage.until(lambda: script.woken == [IDS[0]])
        pane = stage.app.dashboard.query_one(SandboxPane)
        assert len(pane.marked) == 0, "the marks have done their work"
        assert "waking 0 of 2" in drawn(stage.app)
        await stage.press("space")
        assert script.hold is not None
        script.verdicts = [Verdict(VerdictKind.READY, "")]
        script.hold.set()
        await stage.until(lambda: not stage.app.bulk.progress)
        assert script.woken == [IDS[0]], "the second was found serving; the third was never asked"
        assert toasts(stage.app) == ["Woke 2 of 2."]
        attempts = [stage.app.engine.latest_attempt(one) for one in IDS]
        assert [None if one is None else one.state for one in attempts] == [
            AttemptState.DONE,
            AttemptState.DONE,
            None,
            None,
        ]


async def test_one_summary_names_each_that_failed_and_each_that_was_refused(
    tmp_path: Path,
) -> None:
    script = sleepers()
    script.hold = None
    script.wake_steps = (
        Step("start", StepState.RUNNING, limit_s=12.0),
        Step("start", StepState.FAILED, NOW, NOW, 12.0, "There is no room on the disk."),
    )
    no = ((Capability.WAKE, "it belongs to somebody else"),)
    script.sandboxes = (script.sandboxes[0], replace(script.sandboxes[1], unavailable=no))
    async with panel(tmp_path, script) as stage:
        await stage.press("space", "space", "w")
        await stage.until(lambda: not stage.app.bulk.progress)
        assert len(toasts(stage.app)) == 1, "no toast storm"
        said = toasts(stage.app)[0].splitlines()
        assert said[0] == "Woke 0 of 2; 1 failed, 1 refused:"
        assert said[1].startswith("✕ data-pull: ")
        assert said[2] == "✕ inbox-triage: it belongs to somebody else"
        assert script.woken == [IDS[0]]
        told = [row.event.text for row in stage.app.dashboard.query_one(EventPane)._table.records()]
        assert "wake refused: it belongs to somebody else" in told


async def test_a_read_only_panel_refuses_every_marked_row(tmp_path: Path) -> None:
    script = sleepers()
    async with panel(tmp_path, script, settings(read_only=True)) as stage:
        await stage.press("space", "space", "r")
        await stage.until(lambda: bool(toasts(stage.app)))
        assert "Reconnected 0 of 2; 2 refused:" in toasts(stage.app)[0]
        assert toasts(stage.app)[0].count("this panel is read-only") == 2
        assert script.woken == []


@pytest.mark.slow
async def test_cancel_ends_what_runs_and_begins_no_more(tmp_path: Path) -> None:
    script = sleepers()
    async with panel(tmp_path, script) as stage:
        await stage.press("space", "space", "space", "w")
        await stage.until(lambda: bool(script.woken))
        stage.app.bulk.start(Verb.WAKE, IDS[2:3])
        await stage.settle()
        assert any("Still waking 0 of 3" in one for one in toasts(stage.app))
        await stage.press("c")
        await stage.until(lambda: not stage.app.bulk.progress)
        assert toasts(stage.app)[-1] == "Woke 0 of 3; 3 cancelled."
        assert script.woken == [IDS[0]]


async def test_marked_records_are_copied_as_one_array(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("space", "space", "y")
        copied = json.loads(stage.app.clipboard)
        assert [one["name"] for one in copied] == ["data-pull", "inbox-triage"]
        await stage.press("escape", "y")
        assert json.loads(stage.app.clipboard)["name"] == "night-watch"


def test_a_long_list_of_failures_is_cut_and_says_where_the_rest_is() -> None:
    many = [Outcome(SandboxId("s", f"n{n}"), "failed", "no") for n in range(9)]
    outcomes = [*many, Outcome(SandboxId("s", "ok"), "done")]
    said, tone = summary(Verb.WAKE, outcomes, str)
    assert said.splitlines()[1] == "✕ s/n0: no"
    assert said.splitlines()[0] == "Woke 1 of 10; 9 failed:"
    assert said.splitlines()[-1] == "… and 4 more: the events have every reason."
    assert tone == "error"
