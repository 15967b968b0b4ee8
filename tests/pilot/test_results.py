"""What the repair bar says of an attempt once something newer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.models import AttemptState, Gateway, GatewayState, Sandbox, SandboxState
from services.sources.protocol.verdict import Verdict, VerdictKind
from tests.support.acted import Script
from tests.support.panels import line_of, panel
from tests.support.scenes import Stage, populated

REASON = "The gateway refuses this credential."


def bar(stage: Stage) -> str:
    region = stage.app.query_one("#repair").region
    lines = [line_of(stage.app, y)[region.x : region.right] for y in range(*_span(region))]
    return " ".join(" ".join(lines).replace("│", " ").split())


def _span(region) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    return region.y, region.bottom


async def look(stage: Stage) -> None:
    await stage.clock.advance(2.0)
    stage.app.engine.pollers.refresh()
    await stage.clock.advance(2.0)
    await stage.settle()


def wrong_gateway(script: Script) -> None:
    gateway: Gateway = replace(script.gateways[0], state=GatewayState.WRONG, reason=REASON)
    script.gateways = (gateway, *script.gateways[1:])


def broken_sandbox(script: Script) -> None:
    first: Sandbox = replace(script.sandboxes[0], state=SandboxState.BROKEN, reason=REASON)
    script.sandboxes = (first, *script.sandboxes[1:])


def lost_source(script: Script) -> None:
    script.failure = REASON


@pytest.mark.parametrize("happens", [wrong_gateway, broken_sandbox, lost_source])
async def test_a_success_gives_way_to_whatever_overtook_it(tmp_path: Path, happens) -> None:  # type: ignore[no-untyped-def]
    script = populated()
    async with panel(tmp_path, script, size=(120, 40)) as stage:
        await stage.press("r")
        await stage.until(lambda: "✓ done" in bar(stage))
        happens(script)
        await look(stage)
        said = bar(stage)
        assert "done" not in said and REASON in said


async def test_a_failure_gives_way_to_a_later_success(tmp_path: Path) -> None:
    script = populated()
    well = script.sandboxes
    broken_sandbox(script)
    script.verdicts = [Verdict(VerdictKind.TERMINAL, "It is refused.")]
    async with panel(tmp_path, script, size=(120, 40)) as stage:
        await stage.press("w")
        await stage.until(lambda: "It is refused." in bar(stage))
        await look(stage)
        assert "It is refused." in bar(stage), "the same fault as before the attempt"
        script.sandboxes = well
        await look(stage)
        assert "It is refused." not in bar(stage) and "came to serve" in bar(stage)
        attempt = stage.app.engine.latest_attempt(well[0].id)
        assert attempt is not None and attempt.state is AttemptState.FAILED
