"""Every row of the classification, reached for real: files, ports and a command that ran."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from services.models import AttemptState, Verb
from services.sources.protocol.verdict import VerdictKind
from services.sources.vellum import actor, observer
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.judge import TABLE, AssistantJudgement, classify
from tests.support.vellum import ID, QUICK, SANDBOX, Bench, Ground, Peer, serving

K = VerdictKind
SHORT = replace(QUICK, verify_s=0.4, settling_s=0.8)


@dataclass
class Place:
    """A serving assistant; each row spoils one thing."""

    peer: Peer
    ground: Ground

    def entry(self, **more: object) -> None:
        self.ground.write_lockfile([self.ground.entry(self.peer.port, **more)])

    def says(self, path: str, status: int, /, **body: object) -> None:
        self.peer.replies[path] = (status, body)

    def pid(self, which: str, age_s: float) -> None:
        self.ground.write_pid(which, str(os.getpid()), age_s)

    def renews(self, status: int) -> None:
        self.ground.write_token(access_s=-10)
        told = json.dumps({"status": status, "error": "x"})
        self.ground.command(f"echo 'VELLUM_REFRESH_ERROR={told}' >&2; exit 1")


def broken(place: Place) -> None:
    place.ground.lockfile.write_text("{")


def paired(place: Place) -> None:
    place.entry(cloud="paired", runtimeUrl=f"http://127.0.0.1:{place.peer.port}")
    place.says("/readyz", 503, status="starting")


def hung(path: str) -> Callable[[Place], None]:
    return lambda place: place.peer.replies.update({path: None})


def nothing(place: Place) -> None:
    """It is down, which the scene sees to."""


# Row, whether the gateway listens, what is spoiled, what the probe says, whether a wake may run.
SEEN: list[tuple[int, bool, Callable[[Place], object], VerdictKind, bool]] = [
    (1, True, broken, K.TERMINAL, False),
    (2, True, lambda p: p.ground.write_lockfile([]), K.TERMINAL, False),
    (3, True, paired, K.TERMINAL, False),
    (4, True, lambda p: p.entry(cloud="gcp"), K.TERMINAL, False),
    (5, True, lambda p: p.ground.write_lockfile([p.ground.entry(None)]), K.REPAIRABLE, True),
    (6, False, nothing, K.REPAIRABLE, True),
    (
        6,
        False,
        lambda p: p.ground.write_pid("workspace/vellum.pid", "999999999"),
        K.REPAIRABLE,
        True,
    ),
    (7, False, lambda p: p.pid("workspace/vellum.pid", 5), K.SETTLING, False),
    (
        7,
        False,
        lambda p: p.ground.write_pid("workspace/vellum.pid", "starting", 5),
        K.SETTLING,
        False,
    ),
    (8, False, lambda p: p.pid("workspace/vellum.pid", 3600), K.REPAIRABLE, True),
    (9, True, hung("/healthz"), K.REPAIRABLE, True),
    (10, True, lambda p: p.says("/healthz", 200, status="fine"), K.TERMINAL, False),
    (11, True, lambda p: p.says("/readyz", 503, status="starting"), K.SETTLING, False),
    (12, True, lambda p: p.says("/readyz", 503, status="draining"), K.SETTLING, False),
    (
        13,
        True,
        lambda p: p.says("/readyz", 503, dbMigrations={"state": "failed"}),
        K.TERMINAL,
        False,
    ),
    (14, True, lambda p: p.says("/readyz", 200, status="ok", ready=False), K.SETTLING, False),
    (15, True, lambda p: p.says("/readyz", 503, status="upstream_unreachable"), K.REPAIRABLE, True),
    (16, True, lambda p: p.says("/readyz", 503, status="upstream_unhealthy"), K.SETTLING, False),
    (17, True, hung("/readyz"), K.REPAIRABLE, True),
    (18, True, lambda p: p.ground.token.unlink(), K.READY, False),
    (18, True, lambda p: p.ground.token.write_text("{"), K.READY, False),
    (19, True, lambda p: p.ground.write_token(access_s=-10), K.READY, False),
    (21, True, lambda p: p.ground.write_token(access_s=-10, refresh_s=-10), K.READY, False),
]

RENEWED = [f"gateway token refresh {ID}"]
WOKEN = [f"wake {ID}"]
# Row, whether the gateway listens, what is spoiled, what was run, what the operator may agree to.
DONE: list[tuple[int, bool, Callable[[Place], object], list[str], str]] = [
    (18, True, lambda p: p.ground.token.unlink(), WOKEN, "repair-guardian"),
    (20, True, lambda p: p.renews(503), RENEWED, ""),
    (20, True, lambda p: p.renews(504), RENEWED, ""),
    (21, True, lambda p: p.renews(401), RENEWED, "repair-guardian"),
    (22, True, lambda p: p.renews(403), RENEWED, ""),
    (22, True, lambda p: p.says("/auth/token", 403), [], ""),
    (24, True, lambda p: p.says("/auth/token", 401), [], "repair-guardian"),
    (25, True, lambda p: p.says("/auth/token", 429), [], ""),
    (26, True, lambda p: p.says("/auth/token", 502), [], ""),
    (27, False, lambda p: p.ground.command("exit 127"), WOKEN, ""),
    (28, False, lambda p: p.ground.command("exit 3"), WOKEN, ""),
    (29, False, lambda p: p.ground.command("exec sleep 60"), WOKEN, ""),
    (30, False, nothing, WOKEN, ""),
]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that were matched, in order, wherever the source asks."""
    matched: list[int] = []

    def noted(seen: AssistantEvidence) -> AssistantJudgement:
        judged = classify(seen)
        matched.append(judged.row)
        return judged

    for module in (observer, actor):
        monkeypatch.setattr(module, "classify", noted)
    return matched


async def place_at(root: Path, peer: Peer, up: bool, spoil: Callable[[Place], object]) -> Place:
    made = Place(peer, Ground(root, peer.port))
    made.ground.write_token()
    made.ground.command()
    if not up:
        await peer.stop()
    spoil(made)
    return made


@pytest.mark.parametrize(
    ("row", "up", "spoil", "kind", "wakeable"),
    SEEN,
    ids=[f"{x[0]}-{n}" for n, x in enumerate(SEEN)],
)
async def test_a_look_matches_its_row(
    tmp_path: Path,
    rows: list[int],
    row: int,
    up: bool,
    spoil: Callable[[Place], object],
    kind: VerdictKind,
    wakeable: bool,
) -> None:
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, up, spoil)
        verdict = await place.ground.open().observer.probe(SANDBOX)
        assert rows == [row]
        assert (verdict.kind, verdict.wakeable) == (kind, wakeable)
        assert verdict.reason
        assert place.ground.called() == []


@pytest.mark.parametrize(
    ("row", "up", "spoil", "called", "offered"),
    DONE,
    ids=[f"{x[0]}-{n}" for n, x in enumerate(DONE)],
)
async def test_what_was_done_matches_its_row(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[int],
    row: int,
    up: bool,
    spoil: Callable[[Place], object],
    called: list[str],
    offered: str,
) -> None:
    monkeypatch.setattr(actor, "WAKE_S", 1.0)
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, up, spoil)
        async with Bench(place.ground.open(), tmp_path / "locks", SHORT) as bench:
            async with asyncio.timeout(60):
                done = await bench.attempts.request(Verb.RECONNECT, SANDBOX).wait()
        assert row in rows
        assert done.state is AttemptState.FAILED, done
        assert done.confirmable == offered
        assert done.original
        assert set(place.ground.called()) == set(called)
        assert done.wakes <= 1


async def test_a_young_gateway_is_still_loading_credentials(
    tmp_path: Path, rows: list[int]
) -> None:
    """Row 23 by itself: it is waited for, and nothing is offered before it is believed."""
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, True, lambda p: p.says("/auth/token", 401))
        place.pid("gateway.pid", 1)
        async with Bench(
            place.ground.open(), tmp_path / "locks", replace(QUICK, settling_s=10.0)
        ) as bench:
            handle = bench.attempts.request(Verb.RECONNECT, SANDBOX)
            await bench.until(AttemptState.VERIFY)
            assert 23 in rows
            assert 24 not in rows
            assert handle.attempt.confirmable == ""
            peer.replies["/auth/token"] = serving()["/auth/token"]
            async with asyncio.timeout(30):
                assert (await handle.wait()).state is AttemptState.DONE
        assert place.ground.called() == []


async def test_a_command_too_old_to_wake_leaves_the_error_as_it_was(tmp_path: Path) -> None:
    """It answers `Unknown command` (upstream/vellum: Older commands)."""
    async with Peer(serving()) as peer:
        place = await place_at(
            tmp_path,
            peer,
            False,
            lambda p: p.ground.command("echo 'Unknown command: wake' >&2; exit 1"),
        )
        async with Bench(place.ground.open(), tmp_path / "locks", SHORT) as bench:
            done = await bench.press(Verb.RECONNECT)
        assert done.original == "It is asleep."
        assert "too old to wake" in done.last


def test_no_row_is_left_out() -> None:
    assert {x[0] for x in SEEN} | {x[0] for x in DONE} | {23} == {row.number for row in TABLE}
