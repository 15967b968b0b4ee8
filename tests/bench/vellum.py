"""How soon a dead gateway is on the screen and serves again, with the real vellum command.

The floor is the same command run by hand until the gateway answers.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import VellumTable
from services.models import Gateway, GatewayState, Verb
from services.sources.registry import open_sources
from tests.support.vellum import ID, SANDBOX
from tests.support.vellum_cli import Stub, fetch
from tui.app import WakedeckApp

LIMIT_S = 60.0
TIMES = 3


def main() -> None:
    """Print the seconds of each way a gateway dies."""
    tools = fetch(gateway=True)
    if isinstance(tools, str):
        print(f"skipped: {tools}")
        return
    with tempfile.TemporaryDirectory(prefix="v") as folder:
        stub = Stub(Path(folder), tools)
        try:
            asyncio.run(_measure(stub, Path(folder) / "state"))
        finally:
            stub.end()


async def _measure(stub: Stub, state: Path) -> None:
    settings = Settings("default", (SourceSettings("vellum", "vellum", VellumTable()),))
    os.environ.update(stub.environ)
    sources = open_sources(settings, SystemClock())
    app = WakedeckApp(settings, sources, SystemClock(), state=state)
    async with app.run_test(size=(120, 40)):
        print(f"{'killed':22}{'shown':>8}{'answers':>9}{'done':>8}{'by hand':>9}")
        await _mended(app, LIMIT_S)
        for name, age in (("an old one", True), ("within 60 s of start", False)):
            for _ in range(TIMES):
                if age:
                    stub.age()
                    await asyncio.sleep(1.5)  # a steady look between the ageing and the kill
                floor = await asyncio.to_thread(_by_hand, stub)
                if age:
                    stub.age()
                    await asyncio.sleep(1.5)  # likewise
                began = time.monotonic()
                stub.kill("gateway.pid")
                shown = await _until(app, lambda row: row.state is GatewayState.DOWN, began)
                answers, done = await _mended(app, LIMIT_S)
                print(f"{name:22}{shown:8.1f}{answers:9.1f}{done:8.1f}{floor:9.1f}", flush=True)
        await app.engine.close()


async def _mended(app: WakedeckApp, limit_s: float) -> tuple[float, float]:
    """Press the key: seconds until it answers, and until the attempt says so."""
    began = time.monotonic()
    handle = app.engine.attempts.request(Verb.WAKE, SANDBOX)
    answers = await _until(
        app,
        lambda row: (
            row.state is GatewayState.READY
            or any("watched" in step.detail for step in handle.attempt.steps)
        ),
        began,
    )
    async with asyncio.timeout(limit_s):
        ended = await handle.wait()
    assert ended.state.value == "done", ended
    return answers, time.monotonic() - began


async def _until(app: WakedeckApp, holds: Callable[[Gateway], bool], began: float) -> float:
    while time.monotonic() - began < LIMIT_S:
        row = next((one for one in app.engine.board.gateways.values()), None)
        if row is not None and holds(row):
            return time.monotonic() - began
        await asyncio.sleep(0.02)  # between two looks at the board
    return float("nan")


def _by_hand(stub: Stub) -> float:
    """Seconds of `vellum wake` after a kill, until the gateway answers."""
    stub.kill("gateway.pid")
    began = time.monotonic()
    subprocess.run(
        [stub.tools.cli / "vellum", "wake", ID],
        env=stub.environ,
        check=False,
        capture_output=True,
        timeout=90,
    )
    while time.monotonic() - began < LIMIT_S:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{stub.port}/readyz", timeout=1):
                return time.monotonic() - began
        except OSError:
            time.sleep(0.02)  # between two questions
    return float("nan")
