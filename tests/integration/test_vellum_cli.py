"""The real vellum command over stand-in services: what the panel sees is what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.limits import Limits
from services.models import AttemptState, Verb, VerdictKind
from services.sources import OpenSource
from services.sources.vellum.source import open_vellum
from tests.support.vellum import SANDBOX, Bench, Peer, until
from tests.support.vellum_cli import Stub, fetch

pytestmark = pytest.mark.slow
LIMITS = replace(Limits(), verify_s=10.0, settling_s=15.0)


@pytest.fixture
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    bins = fetch()
    if isinstance(bins, str):
        pytest.skip(f"the real vellum command cannot be had: {bins}")
    # A socket's path must be short.
    made = Stub(tmp_path_factory.mktemp("v"), bins)
    try:
        yield made
    finally:
        made.end()


def opened(stub: Stub) -> OpenSource:
    return open_vellum("vellum", "vellum", "", "vellum", SystemClock(), stub.environ)


def bench(stub: Stub, locks: Path) -> Bench:
    return Bench(opened(stub), locks, LIMITS)


async def test_cold_start_then_killed_gateway_then_two_panels(stub: Stub, tmp_path: Path) -> None:
    async with bench(stub, tmp_path) as one, bench(stub, tmp_path) as two:
        cold = await one.press(Verb.RECONNECT)
        assert cold.state is AttemptState.DONE, cold
        assert cold.wakes == 1
        assert cold.original == "It is asleep."
        details = {step.detail for told in one.told for step in told.steps}
        assert "starting the gateway" in details
        before = stub.pids()
        assert set(before) == {"workspace/vellum.pid", "gateway.pid", "ces.pid"}

        again = await one.press(Verb.RECONNECT)
        assert (again.state, again.wakes) == (AttemptState.DONE, 0)
        assert stub.pids() == before

        stub.kill("gateway.pid")
        stub.age()
        verdict = await one.source.observer.probe(SANDBOX)
        assert verdict.kind is not VerdictKind.READY
        handles = [x.attempts.press(Verb.RECONNECT, SANDBOX) for x in (one, two)]
        async with asyncio.timeout(180):
            ended = [await handle.wait() for handle in handles]
        assert [x.state for x in ended] == [AttemptState.DONE] * 2, ended
        assert sum(x.wakes for x in ended) == 1
        after = stub.pids()
        assert after["workspace/vellum.pid"] == before["workspace/vellum.pid"]
        assert after["gateway.pid"] != before["gateway.pid"]


async def test_a_wake_that_ends_well_over_a_dead_gateway_is_a_failure(
    stub: Stub, tmp_path: Path
) -> None:
    stub.mode.write_text("exit")
    async with bench(stub, tmp_path) as one:
        async with asyncio.timeout(240):
            done = await one.attempts.press(Verb.RECONNECT, SANDBOX).wait()
        stub.pids()
        assert done.state is AttemptState.FAILED
        assert (done.wakes, done.primes) == (1, 0)
        assert done.original == "It is asleep."
        start = next(step for step in done.steps if step.name == "start")
        assert start.state.value == "ok"


async def test_a_foreign_program_on_the_port_is_named_and_left_alone(
    stub: Stub, tmp_path: Path
) -> None:
    async with Peer({"/healthz": (200, {"status": "other"})}, port=stub.port) as peer:
        async with bench(stub, tmp_path) as one:
            done = await one.press(Verb.WAKE)
        assert done.state is AttemptState.FAILED
        assert f"Port {stub.port} is used by another program" in done.original
        assert stub.pids() == {}
        assert peer.asked("/healthz") >= 1


async def test_a_cancelled_wake_leaves_what_came_up_and_the_next_adopts_it(
    stub: Stub, tmp_path: Path
) -> None:
    async with bench(stub, tmp_path) as one:
        handle = one.attempts.press(Verb.WAKE, SANDBOX)
        await until(lambda: "workspace/vellum.pid" in stub.pids(), 60)
        handle.cancel()
        async with asyncio.timeout(60):
            cancelled = await handle.wait()
        assert cancelled.state is AttemptState.CANCELLED
        daemon = stub.pids()["workspace/vellum.pid"]
        # What began within the last minute is waited for; this began longer ago.
        stub.age()
        done = await one.press(Verb.WAKE)
        assert done.state is AttemptState.DONE, done
        assert stub.pids()["workspace/vellum.pid"] == daemon
