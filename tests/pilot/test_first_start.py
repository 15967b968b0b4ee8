"""A pane with nothing to show says why and what to do; the first start has a hint, once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.models import Capability, GatewayState, QueueSnapshot, SandboxId
from tests.support.acted import Script
from tests.support.scenes import NORMAL, PLAIN, SMALL, Scene, Stage, nothing, populated, settings
from tests.support.stage import NOW, SANDBOXES, gateways
from tui.app import WakedeckApp
from tui.panel import welcome
from tui.panel.layout import Pane
from widgets.panes.first_steps import FirstSteps


@contextlib.asynccontextmanager
async def opened(
    script: Callable[[], Script] = populated,
    *,
    welcomes: bool = False,
    size: tuple[int, int] = NORMAL,
    keys: dict[str, str] | None = None,
) -> AsyncIterator[Stage]:
    wanted = settings(keys=keys) if keys else PLAIN
    scene = Scene("first-look", size, nothing, script, wanted, events=False, welcomes=welcomes)
    stage = scene.stage()
    try:
        async with stage.app.run_test(size=size) as pilot:
            stage.pilot = pilot
            await stage.until(lambda: stage.script.looks > 0)
            await stage.until(lambda: stage.app.engine.journal_loaded)
            yield stage
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)


def text(app: WakedeckApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def silent() -> Script:
    script = Script()
    script.failure = "There is no folder ~/nanoclaw: it was never there, or moved."
    return script


async def test_a_world_without_sandboxes_says_so_in_every_pane() -> None:
    async with opened(Script) as stage:
        stage.app.dashboard.tick()
        await stage.settle()
        said = text(stage.app)
        for words in (
            "local: no sandboxes there now.",
            "R refreshes.",
            "local: no gateway in front of its sandboxes.",
            "1 goes to the list",
            "Press s on a sandbox.",
            "and what you do, is told here.",
        ):
            assert words in said


async def test_a_world_that_could_not_be_started_says_why_where_its_rows_would_be() -> None:
    async with opened(Script) as stage:
        stage.app.engine.not_started["local"] = "Its folder cannot be used: the disk is full."
        stage.app.dashboard.tick()
        await stage.settle()
        said = text(stage.app)
        assert "local: Its folder cannot be used: the disk is full." in said
        assert "Mend that, then start Wakedeck again." in said
        assert "appears here by itself" not in said


async def test_a_source_that_fails_says_why_and_what_to_do() -> None:
    async with opened(silent) as stage:
        await stage.until(lambda: bool(stage.app.engine.board.links["local"].failures))
        stage.app.dashboard.tick()
        await stage.settle()
        said = text(stage.app)
        assert "There is no folder ~/nanoclaw" in said
        assert "no gateway" not in said and "no sandboxes" not in said
        assert "R refreshes" in said
        assert "wakedeck doctor" in said


async def test_a_gateway_that_is_down_is_named_where_its_sandboxes_would_be() -> None:
    def down() -> Script:
        return Script(gateways(GatewayState.DOWN, "Gateway process 4242 has died."))

    async with opened(down) as stage:
        await stage.until(lambda: bool(stage.app.engine.board.gateways))
        stage.app.dashboard.tick()
        await stage.settle()
        said = text(stage.app)
        assert "gateway is down: Gateway process 4242 has died." in said
        assert "2 goes there, ⏎ says more." in said


async def test_the_keys_named_are_the_operators_own() -> None:
    keys = {"panel.refresh": "f5", "panel.shell": "ctrl+g"}
    async with opened(Script, keys=keys) as stage:
        stage.app.dashboard.tick()
        await stage.settle()
        said = text(stage.app)
        assert "f5 refreshes." in said
        assert "Press ^g on a sandbox." in said


@pytest.mark.slow
async def test_empty_queues_say_whose_they_are() -> None:
    def quiet() -> Script:
        script = populated()
        script.queues = {one.id: QueueSnapshot(one.id, NOW, (), (), ()) for one in script.sandboxes}
        return script

    async with opened(quiet) as stage:
        await stage.until(lambda: "Both queues of data-pull are empty." in text(stage.app))
        assert "Press s for one in data-pull." in text(stage.app)


async def test_queues_that_cannot_be_had_or_read_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def without() -> Script:
        script = populated()
        unavailable = ((Capability.QUEUE, "pods have no queues"),)
        script.sandboxes = (replace(SANDBOXES[0], unavailable=unavailable), *SANDBOXES[1:])
        script.queues = {}
        return script

    async with opened(without) as stage:
        await stage.until(lambda: "data-pull: pods have no queues." in text(stage.app))
        source = stage.app.engine.sources["local"]

        async def sick(sandbox: SandboxId, window: int) -> QueueSnapshot:
            raise UnavailableError("inbound.db is busy: a writer keeps it locked.")

        monkeypatch.setattr(source.observer, "queue", sick)
        await stage.press("down")

        def told() -> bool:
            stage.app.dashboard.tick()
            return "inbox-triage: inbound.db is busy" in text(stage.app)

        await stage.until(told)
        assert "R refreshes." in text(stage.app)


async def test_read_only_says_why_there_is_no_shell() -> None:
    scene = Scene("read-only", NORMAL, nothing, populated, settings(read_only=True))
    stage = scene.stage()
    try:
        async with stage.app.run_test(size=scene.size) as pilot:
            await scene.perform(stage, pilot)
            assert "No shell in data-pull: this panel is read-only." in text(stage.app)
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)


@pytest.mark.parametrize("size", [NORMAL, SMALL])
async def test_the_first_start_has_a_hint_that_goes_by_itself(size: tuple[int, int]) -> None:
    async with opened(welcomes=True, size=size) as stage:
        await stage.until(lambda: "Welcome to Wakedeck" in text(stage.app))
        said = text(stage.app)
        for words in ("w wakes it", "s shell", "? every key", "q quits"):
            assert words in said
        # It takes no key and no focus: the panel under it works.
        await stage.until(lambda: stage.app.dashboard.selected == SANDBOXES[0].id)
        await stage.press("down")
        await stage.until(lambda: stage.app.dashboard.selected == SANDBOXES[1].id)
        await stage.clock.advance(welcome.SECONDS + 1)
        await stage.until(lambda: not stage.app.screen.query(FirstSteps))


async def test_escape_or_a_click_closes_the_hint() -> None:
    async with opened(welcomes=True) as stage:
        await stage.until(lambda: bool(stage.app.screen.query(FirstSteps)))
        await stage.press("escape")
        await stage.until(lambda: not stage.app.screen.query(FirstSteps))
    async with opened(welcomes=True) as stage:
        await stage.until(lambda: bool(stage.app.screen.query(FirstSteps)))
        assert stage.pilot is not None
        await stage.pilot.click(FirstSteps)
        await stage.until(lambda: not stage.app.screen.query(FirstSteps))


async def test_a_shell_that_takes_the_keys_closes_the_hint() -> None:
    """Its prompt stands where the hint lies."""
    async with opened(welcomes=True) as stage:
        await stage.until(lambda: bool(stage.app.screen.query(FirstSteps)))
        await stage.press("s")
        await stage.until(lambda: stage.app.dashboard.focused_pane is Pane.SHELL)
        await stage.until(lambda: not stage.app.screen.query(FirstSteps))


async def test_later_starts_have_none() -> None:
    async with opened() as stage:
        await stage.settle()
        assert not stage.app.screen.query(FirstSteps)


def test_it_is_given_once_for_a_state_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert welcome.claim_first_start(state)
    assert not welcome.claim_first_start(state)
    (made,) = state.iterdir()
    assert made.stat().st_mode & 0o777 == 0o600
    assert welcome.claim_first_start(tmp_path / "made when it is needed")
    (tmp_path / "file").touch()
    assert not welcome.claim_first_start(tmp_path / "file" / "below a file")
