"""Every row of the classification, reached for real: files, ports and a command that ran."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from services.models import AttemptState, Capability, Verb
from services.repair.limits import Limits
from services.sources.protocol.verdict import VerdictKind
from services.sources.vellum import actor, conditions, history, observer
from services.sources.vellum.evidence import AssistantEvidence
from services.sources.vellum.judge import REISSUE, TABLE, AssistantJudgement, classify
from services.sources.vellum.limits import WATCH_S
from tests.support.ports import free_port
from tests.support.vellum import ID, QUICK, SANDBOX, Bench, Ground, Peer, serving
from tests.support.vellum_processes import GATEWAY, Processes
from tests.support.waiting import eventually

K = VerdictKind
SHORT = replace(QUICK, verify_s=1.5, settling_s=3.0)


@dataclass
class Place:
    """A serving assistant; each row spoils one thing."""

    peer: Peer
    ground: Ground
    processes: Processes

    def entry(self, **more: object) -> None:
        self.ground.write_lockfile([self.ground.entry(self.peer.port, **more)])

    def says(self, path: str, status: int, /, **body: object) -> None:
        self.peer.replies[path] = (status, body)

    def pid(self, which: str, age_s: float) -> None:
        self.ground.write_pid(which, str(os.getpid()), age_s)

    def gateway(self, *words: str) -> None:
        """A process of its own that was recorded as the gateway."""
        child = self.processes.idle(*words)
        self.ground.write_pid("gateway.pid", str(child.pid), 5)

    def starts(self) -> None:
        self.pid("workspace/vellum.pid", 3600)
        self.processes.idle("/usr/bin/vellum", "wake", ID, HOME=str(self.ground.home))

    def crashes(self) -> None:
        """It ends at once each time it is started."""
        self.pid("workspace/vellum.pid", 3600)
        self.ground.command(
            self.ground.python(
                "import os, pathlib, subprocess, sys\n"
                "child = subprocess.Popen(['true']); child.wait()\n"
                f"path = pathlib.Path({str(self.ground.instance)!r}, '.vellum/gateway.pid')\n"
                "path.write_text(str(child.pid))"
            )
        )

    def lends_port(self) -> None:
        """Another program listens on the gateway's port."""
        self.processes.listener(self.peer.port, "dashboard")

    def moves(self) -> None:
        """The gateway listens where it did before its port was changed."""
        child = self.processes.listener(free_port(), GATEWAY, str(self.ground.instance))
        self.ground.write_pid("gateway.pid", str(child.pid), 3600)

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
    (7, False, lambda p: p.starts(), K.SETTLING, False),
    (7, False, lambda p: p.gateway(GATEWAY, str(p.peer.port)), K.SETTLING, False),
    (8, False, lambda p: p.pid("workspace/vellum.pid", 3600), K.REPAIRABLE, True),
    (8, False, lambda p: p.pid("workspace/vellum.pid", 1), K.REPAIRABLE, True),
    (31, False, lambda p: p.lends_port(), K.TERMINAL, False),
    (32, False, lambda p: p.moves(), K.REPAIRABLE, True),
    (
        35,
        False,
        lambda p: p.ground.write_pid("workspace/vellum.pid", "starting", 5),
        K.REPAIRABLE,
        True,
    ),
    (39, True, lambda p: p.says("/readyz", 503, status="upgrading"), K.SETTLING, False),
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
    (37, True, lambda p: p.ground.token.write_text("{"), K.READY, False),
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
    (21, True, lambda p: p.renews(403), RENEWED, "repair-guardian"),
    (22, True, lambda p: p.says("/auth/token", 403), [], ""),
    (24, True, lambda p: p.says("/auth/token", 401), [], "repair-guardian"),
    (25, True, lambda p: p.says("/auth/token", 429), [], ""),
    (26, True, lambda p: p.says("/auth/token", 502), [], ""),
    (27, False, lambda p: p.ground.command("exit 127"), WOKEN, ""),
    (28, False, lambda p: p.ground.command("exit 3"), WOKEN, ""),
    (29, False, lambda p: p.ground.command("exec sleep 60"), WOKEN, ""),
    (30, False, nothing, WOKEN, ""),
    (
        38,
        False,
        lambda p: p.ground.command(
            "echo 'Cannot resume authentication: signing key missing; no replacement key was "
            "generated' >&2; exit 1"
        ),
        WOKEN,
        "",
    ),
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


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as made:
        yield made


async def place_at(
    root: Path, peer: Peer, up: bool, spoil: Callable[[Place], object], processes: Processes
) -> Place:
    made = Place(peer, Ground(root, peer.port), processes)
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
    processes: Processes,
    rows: list[int],
    row: int,
    up: bool,
    spoil: Callable[[Place], object],
    kind: VerdictKind,
    wakeable: bool,
) -> None:
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, up, spoil, processes)
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
    processes: Processes,
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
        place = await place_at(tmp_path, peer, up, spoil, processes)
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
    tmp_path: Path, processes: Processes, rows: list[int]
) -> None:
    """Row 23 by itself: it is waited for, and nothing is offered before it is believed."""
    async with Peer(serving()) as peer:
        place = await place_at(
            tmp_path, peer, True, lambda p: p.says("/auth/token", 401), processes
        )
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
            async with asyncio.timeout(60):
                assert (await handle.wait()).state is AttemptState.DONE
        assert place.ground.called() == []


async def test_without_a_signing_key_no_verb_is_offered_until_it_is_restored(
    tmp_path: Path, processes: Processes
) -> None:
    refusing = "echo 'Cannot resume authentication: signing key missing' >&2; exit 1"
    async with Peer(serving()) as peer:
        place = await place_at(
            tmp_path, peer, False, lambda p: p.ground.command(refusing), processes
        )
        source = place.ground.open()
        async with Bench(source, tmp_path / "locks", SHORT) as bench:
            await bench.press(Verb.WAKE)
            (row,) = (await source.observer.observe()).sandboxes
            off = dict(row.unavailable)
            for verb in (Capability.WAKE, Capability.RECONNECT):
                assert "signing key missing" in off[verb]
                assert "restore the signing key" in off[verb]
            assert source.proposer is not None
            assert "signing key" in (await source.proposer.propose(SANDBOX, REISSUE)).refusal

            key = place.ground.instance / ".vellum" / "protected" / "actor-token-signing-key"
            key.parent.mkdir()
            key.write_bytes(bytes(32))
            (row,) = (await source.observer.observe()).sandboxes
            assert Capability.WAKE not in dict(row.unavailable)
            assert not (await source.proposer.propose(SANDBOX, REISSUE)).refusal


async def test_a_command_too_old_to_wake_leaves_the_error_as_it_was(
    tmp_path: Path, processes: Processes
) -> None:
    """It answers `Unknown command` (upstream/vellum: Older commands)."""
    async with Peer(serving()) as peer:
        place = await place_at(
            tmp_path,
            peer,
            False,
            lambda p: p.ground.command("echo 'Unknown command: wake' >&2; exit 1"),
            processes,
        )
        async with Bench(place.ground.open(), tmp_path / "locks", SHORT) as bench:
            done = await bench.press(Verb.RECONNECT)
        assert done.original == "It is asleep."
        assert "too old to wake" in done.last


async def test_an_old_process_that_does_not_listen_is_named(
    tmp_path: Path, processes: Processes, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 33: a young one may still be starting."""
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, False, nothing, processes)
        place.gateway(GATEWAY, str(peer.port))
        source = place.ground.open()
        assert (await source.observer.probe(SANDBOX)).kind is K.SETTLING
        monkeypatch.setattr(conditions, "YOUNG_S", 0.0)
        verdict = await source.observer.probe(SANDBOX)
        assert rows == [7, 33]
        assert verdict.wakeable
        assert "and does not listen; a wake waits up to 60 s" in verdict.reason


async def test_the_third_early_end_is_a_crash_loop(
    tmp_path: Path, processes: Processes, rows: list[int]
) -> None:
    """Row 34, after rows 8 and 36 have had their turn."""
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, False, lambda p: p.crashes(), processes)
        async with Bench(place.ground.open(), tmp_path / "locks") as bench:
            ends = [await bench.press(Verb.WAKE) for _ in range(3)]
            assert {one.state for one in ends} == {AttemptState.FAILED}
            assert 34 not in rows[:3]
            assert "crash-looping: it ended soon after each of its last 3 starts" in ends[-1].last
            row = (await bench.source.observer.observe()).gateways[0]
            assert "crash-looping" in row.reason


async def test_what_answers_after_a_wake_is_watched_first(
    tmp_path: Path, processes: Processes, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 36, for as long as ever: the end of the wake has seen it answer before it is judged."""
    monkeypatch.setattr(history, "WATCH_S", WATCH_S)
    async with Peer(serving()) as peer:
        place = await place_at(tmp_path, peer, False, nothing, processes)
        place.ground.command("sleep 0.5")
        async with Bench(place.ground.open(), tmp_path / "locks", Limits()) as bench:
            handle = bench.attempts.request(Verb.WAKE, SANDBOX)
            await eventually(place.ground.called)
            await peer.__aenter__()
            async with asyncio.timeout(60):
                done = await handle.wait()
            assert done.state is AttemptState.DONE, done
            assert 36 in rows
            assert "answering and being watched" in " ".join(
                step.detail for told in bench.told for step in told.steps
            )


def test_no_row_is_left_out() -> None:
    assert {x[0] for x in SEEN} | {x[0] for x in DONE} | {23, 33, 34, 36} == {
        row.number for row in TABLE
    }
