"""What a source tells of a sandbox when its details are opened, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator

import pytest

from services.errors import UnavailableError
from services.models import Facts, SandboxId
from tests.support.scenes import PLAIN, Scene, Stage, nothing, populated
from tests.support.waiting import on_screen
from widgets.panes.details import DetailPane, FactTable


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Stage]:
    scene = Scene("described", (140, 40), nothing, populated, PLAIN, events=False)
    stage = scene.stage()
    try:
        async with stage.app.run_test(size=scene.size) as pilot:
            await scene.perform(stage, pilot)
            yield stage
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)


def told(stage: Stage) -> Facts:
    pane = stage.app.screen
    assert isinstance(pane, DetailPane)
    return pane.query_one("#detail-described", FactTable).facts


async def reopened(stage: Stage) -> None:
    pane = stage.app.screen
    await stage.press("escape")
    await stage.until(lambda: not pane.is_attached)
    await stage.press("enter")
    await stage.until(lambda: on_screen(stage.app, DetailPane))


@pytest.mark.slow
async def test_it_is_asked_once_for_each_opening_and_by_no_poll_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as stage:
        asked: list[SandboxId] = []
        answers: list[Facts | Exception] = [
            (("next run", "soon"),),
            UnavailableError("It does not say."),
            ZeroDivisionError(),
        ]

        async def describe(sandbox: SandboxId) -> Facts:
            asked.append(sandbox)
            answer = answers[len(asked) - 1]
            if isinstance(answer, Exception):
                raise answer
            return answer

        observer = next(iter(stage.app.engine.sources.values())).observer
        monkeypatch.setattr(observer, "describe", describe, raising=False)
        await stage.press("enter")
        await stage.until(lambda: on_screen(stage.app, DetailPane))
        await stage.until(lambda: told(stage) == (("next run", "soon"),))
        looks = stage.script.looks
        await stage.clock.advance(3)
        await stage.until(lambda: stage.script.looks > looks)
        assert len(asked) == 1
        await reopened(stage)
        await stage.until(lambda: told(stage) == (("not known", "It does not say."),))
        await reopened(stage)
        await stage.until(lambda: len(asked) == 3)
        assert told(stage) == ()


async def test_an_answer_that_does_not_come_holds_nothing_up_and_ends_with_the_dialog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as stage:
        ended = asyncio.Event()

        async def describe(sandbox: SandboxId) -> Facts:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return ()

        observer = next(iter(stage.app.engine.sources.values())).observer
        monkeypatch.setattr(observer, "describe", describe, raising=False)
        await stage.press("enter")
        await stage.until(lambda: on_screen(stage.app, DetailPane))
        assert told(stage) == () and not ended.is_set()
        await stage.press("escape")
        await stage.until(ended.is_set)
