"""The real vellum command and the real gateway; only the assistant behind them stands in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.sources import VellumTable
from services.models import Attempt, AttemptState, SandboxState, Verb
from services.repair.limits import Limits
from services.sources.protocol.verdict import VerdictKind
from services.sources.vellum.source import open_vellum
from tests.support.vellum import SANDBOX, Bench, until
from tests.support.vellum_cli import Stub, had
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
LIMITS = replace(Limits(), verify_s=10.0, settling_s=20.0)
REISSUE = "repair-guardian"


@pytest.fixture
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    made = Stub(tmp_path_factory.mktemp("d"), had(gateway=True))
    try:
        yield made
    finally:
        made.end()


def bench(stub: Stub, locks: Path, **environ: str) -> Bench:
    source = open_vellum("vellum", VellumTable(), SystemClock(), {**stub.environ, **environ})
    return Bench(source, locks, LIMITS)


async def issued(one: Bench) -> Attempt:
    """Have a credential issued, as the operator would agree to it."""
    assert one.source.proposer is not None
    proposal = await one.source.proposer.propose(SANDBOX, REISSUE)
    async with asyncio.timeout(120):
        return await one.attempts.carry_out(proposal).wait()


async def press(one: Bench, verb: Verb) -> Attempt:
    async with asyncio.timeout(180):
        return await one.attempts.request(verb, SANDBOX).wait()


async def test_a_forged_credential_is_rejected_offered_and_replaced(
    stub: Stub, tmp_path: Path
) -> None:
    """Invariants 4, 6, 7 and 16 against the gateway itself."""
    async with bench(stub, tmp_path) as one:
        cold = await press(one, Verb.RECONNECT)
        assert cold.state is AttemptState.FAILED, cold
        assert (cold.original, cold.wakes) == ("It is asleep.", 1)
        assert cold.confirmable == REISSUE
        assert "does not accept" in cold.last
        done = await issued(one)
        assert done.state is AttemptState.DONE, done
        again = await press(one, Verb.RECONNECT)
        assert (again.state, again.wakes) == (AttemptState.DONE, 0)
        told = json.loads(stub.token.read_text())
        assert told["accessToken"] not in repr(one.told)
        assert told["refreshToken"] not in repr(one.told)
        fresh = (await one.source.observer.observe()).sandboxes[0]
        assert fresh.state is SandboxState.READY

        # A dead gateway and a credential that is good for weeks: never called connected.
        stub.kill("gateway.pid")
        stub.age()
        async with bench(stub, tmp_path, PATH="/usr/bin:/bin") as without:
            dead = await press(without, Verb.RECONNECT)
        assert dead.state is AttemptState.FAILED
        assert (dead.original, dead.connects) == (
            *("Its gateway has stopped; the assistant itself runs.", 0),
        )
        assert "No repair was tried" in dead.advice
        assert (await press(one, Verb.RECONNECT)).state is AttemptState.DONE


async def test_an_expired_credential_is_renewed_by_the_command_and_taken_by_the_gateway(
    stub: Stub, tmp_path: Path
) -> None:
    """Rows 19 to 22; replaying a spent one revokes the family, which is told and never woken."""
    async with bench(stub, tmp_path) as one:
        assert (await press(one, Verb.WAKE)).state is AttemptState.DONE
        assert (await issued(one)).state is AttemptState.DONE
        before = json.loads(stub.token.read_text())
        aged = {**before, "accessTokenExpiresAt": int((time.time() - 60) * 1000)}
        stub.token.write_text(json.dumps(aged))
        done = await press(one, Verb.RECONNECT)
        assert (done.state, done.wakes) == (AttemptState.DONE, 0), done
        after = json.loads(stub.token.read_text())
        assert after["refreshToken"] != before["refreshToken"]
        stub.token.write_text(json.dumps(aged))
        spent = await press(one, Verb.RECONNECT)
        assert (spent.state, spent.wakes) == (AttemptState.FAILED, 0), spent
        assert "could not be renewed" in spent.original
        stub.token.write_text(json.dumps(after))
        # Its family is revoked: the newest of it is worth nothing either.
        revoked = await press(one, Verb.RECONNECT)
        assert revoked.state is AttemptState.FAILED
        assert revoked.confirmable == REISSUE
        assert (await issued(one)).state is AttemptState.DONE


async def test_a_gateway_that_is_asked_to_end_drains_and_is_waited_for(
    stub: Stub, tmp_path: Path
) -> None:
    """Row 12: its liveness is still good, and nothing is woken until it has gone."""
    async with bench(stub, tmp_path) as one:
        assert (await press(one, Verb.WAKE)).state is AttemptState.DONE
        stub.age()
        os.kill(stub.pids()["gateway.pid"], signal.SIGTERM)
        seen = []

        async def gone() -> bool:
            verdict = await one.source.observer.probe(SANDBOX)
            seen.append(verdict)
            return verdict.kind is VerdictKind.REPAIRABLE

        await eventually(gone)
        kinds = [one.kind for one in seen]
        assert VerdictKind.SETTLING in kinds
        assert any("shutting down" in one.reason for one in seen)
        assert kinds == sorted(kinds, key=lambda kind: kind is VerdictKind.REPAIRABLE)
        await until(lambda: "gateway.pid" not in stub.pids())
        done = await press(one, Verb.WAKE)
        assert (done.state, done.wakes) == (AttemptState.DONE, 1), done
