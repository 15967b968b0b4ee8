"""The invariants of an attempt over the real source and real processes.

See upstream/repair: Invariants.

Whatever an operator presses and whatever a gateway and the command do meanwhile, these hold.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.errors import RefusedError, WakedeckError
from services.models import Attempt, AttemptState, SandboxId, Step, StepState, Verb
from tests.support.vellum import (
    ACCESS,
    ID,
    QUICK,
    REFRESH,
    RENEWED,
    SANDBOX,
    SECRETS,
    Bench,
    Ground,
    Peer,
    serving,
    token_text,
)
from tests.support.waiting import eventually

LIMITS = replace(QUICK, verify_s=0.5, settling_s=1.0)
MINTED = "minted-never-shown-0123456789"
ISSUE, REST = f"wake {ID} --repair-guardian", f"sleep {ID}"
ALLOWED = {f"wake {ID}", f"gateway token refresh {ID}", ISSUE, REST}
ORDER = ("check", "re-issue", "sleep", "start", "wait", "credential", "connect")
GATEWAY: dict[str, dict[str, tuple[int, object] | None] | None] = {
    "serving": serving(),
    "starting": {**serving(), "/readyz": (503, {"status": "starting"})},
    "draining": {**serving(), "/readyz": (503, {"status": "draining"})},
    "migrating": {**serving(), "/readyz": (200, {"status": "ok", "ready": False})},
    "stuck": {**serving(), "/readyz": (503, {"status": "upstream_unreachable"})},
    "foreign": {"/healthz": (200, {"status": "other"})},
    "rejecting": {**serving(), "/auth/token": (401, {"error": "invalid"})},
    "forbidding": {**serving(), "/auth/token": (403, {"error": "forbidden"})},
    "down": None,
}
LINKING = {"serving"}
READY = {"serving", "rejecting", "forbidding"}
COMMANDS = {
    "ends well": "",
    "brings it up": "touch {up}; sleep 0.3",
    "fails": "echo 'Error: disk full {secret}' >&2; exit 3",
    "hangs": "exec sleep 600",
    "is missing": "exit 127",
}
TOKENS = {"valid": (9e4, 9e5), "expired": (-10.0, 9e5), "spent": (-10.0, -10.0)}
moves = st.one_of(
    st.tuples(st.just("gateway"), st.sampled_from(sorted(GATEWAY))),
    st.tuples(st.just("command"), st.sampled_from(sorted(COMMANDS))),
    st.tuples(st.just("token"), st.sampled_from(sorted(TOKENS))),
    st.tuples(st.just("press"), st.sampled_from(["wake", "reconnect", "reconnect"])),
    st.tuples(st.just("agree"), st.sampled_from(["repair-guardian", "restart"])),
    st.tuples(st.just("cancel"), st.just("")),
    st.tuples(st.just("pass"), st.sampled_from(["0.05", "0.4"])),
)


@dataclass
class Walk:
    """One walk: what was done, and what was told of it."""

    root: Path
    peer: Peer
    ground: Ground
    mode: str = "serving"
    agreed: list[str] = field(default_factory=list)
    told: list[Attempt] = field(default_factory=list)
    modes: dict[str, set[str]] = field(default_factory=dict)
    """What the gateway was at any time of each attempt."""
    spawned: dict[str, int] = field(default_factory=dict)
    """How many commands had run when a 403 was first told of in an attempt."""
    problems: list[str] = field(default_factory=list)

    async def become(self, mode: str) -> None:
        self.mode = mode
        for seen in self.modes.values():
            seen.add(mode)
        replies = GATEWAY[mode]
        if replies is None:
            await self.peer.stop()
            return
        self.peer.replies = dict(replies)
        if self.peer._server is None:
            await self.peer.__aenter__()

    def command(self, name: str) -> None:
        body = COMMANDS[name].format(up=self.root / "up", secret=f"{ACCESS} {REFRESH}")
        new = f"cp {self.root}/new {self.ground.token}"
        self.ground.command(
            f"echo $$ >> {self.root}/pids\n"
            f'case "$*" in *repair*|*refresh*) {new}; exit 0;; sleep*) exit 0;; esac\n{body}'
        )

    async def keep_up(self) -> None:
        """Have the gateway come up when the command says so."""
        while True:
            if (self.root / "up").exists():
                (self.root / "up").unlink()
                await self.become("serving")
            await asyncio.sleep(0.02)  # the stand-in for a gateway that comes up on its own

    def tell(self, attempt: Attempt) -> None:
        """Judged at the moment of telling."""
        modes = self.modes.setdefault(attempt.id, {self.mode})
        before = next((x for x in reversed(self.told) if x.id == attempt.id), None)
        newest = self.told[-1].id if self.told else attempt.id
        seen_before = before is not None
        if seen_before and newest != attempt.id:
            self.problems.append(f"18: {attempt.id} told after {newest}")
        if before is not None and before.original and before.original != attempt.original:
            self.problems.append(f"5: {before.original!r} became {attempt.original!r}")
        if attempt.last and attempt.last == attempt.original:
            self.problems.append("5: the last error repeats the first")
        if attempt.wakes > 1:
            self.problems.append("1: woken twice")
        if attempt.state is AttemptState.DONE:
            good = LINKING if attempt.verb is Verb.RECONNECT else READY
            if not modes & good:
                self.problems.append(f"4, 13: done over {modes}")
        if "Refused" in attempt.original:
            self.spawned.setdefault(attempt.id, len(self.ground.called()))
        at_refusal = self.spawned.get(attempt.id)
        if at_refusal is not None and len(self.ground.called()) > at_refusal:
            self.problems.append("6: something ran after a refusal")
        self.problems += ordered(attempt.steps)
        self.told.append(attempt)


def ordered(steps: tuple[Step, ...]) -> list[str]:
    """Invariant 8: in the order they began, of names that are known, nothing after a failure."""
    found = []
    began = [step.started_at for step in steps if step.started_at is not None]
    if began != sorted(began):
        found.append(f"8: steps are not in the order they began: {steps}")
    if not {step.name for step in steps} <= set(ORDER):
        found.append(f"8: unknown steps: {steps}")
    ended = {step.name: step for step in steps if step.state is StepState.FAILED}
    for step in steps:
        looked_first = step.name in ("re-issue", "sleep")
        if step.state is StepState.SKIPPED and step.started_at is not None and not looked_first:
            found.append(f"8: {step.name} was skipped and began")
        if step.state is StepState.RUNNING and step.name == "connect":
            credential = next((x for x in steps if x.name == "credential"), None)
            if credential is not None and credential.state is not StepState.OK:
                found.append(f"8: connecting with a credential that is {credential.state}")
        for failed in ended.values():
            if (
                step.started_at is not None
                and failed.ended_at is not None
                and step.started_at > failed.ended_at
            ):
                found.append(f"8: {step.name} began after {failed.name} had failed")
    return found


async def take(walk: Walk, plan: list[tuple[str, str]]) -> None:
    walk.command("ends well")
    bench = Bench(walk.ground.open(), walk.root / "locks", LIMITS)
    bench.told = walk.told
    bench.attempts._on_change = walk.tell
    before = walk.ground.lockfile.read_bytes()
    keeping = asyncio.create_task(walk.keep_up())
    try:
        async with bench:
            for move, which in plan:
                await step(walk, bench, move, which)
            current = bench.attempts.current(SANDBOX)
            if current is not None and not current.state.ended:
                await eventually(lambda: over(bench))
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    assert walk.ground.lockfile.read_bytes() == before


def over(bench: Bench) -> bool:
    """Whether the latest attempt has ended."""
    attempt = bench.attempts.current(SANDBOX)
    return attempt is not None and attempt.state.ended


async def step(walk: Walk, bench: Bench, move: str, which: str) -> None:
    match move:
        case "gateway":
            await walk.become(which)
        case "command":
            walk.command(which)
        case "token":
            access, refresh = TOKENS[which]
            walk.ground.token.write_text(token_text(access, refresh, ACCESS))
        case "press":
            bench.attempts.request(Verb(which), SANDBOX)
        case "agree":
            proposer = bench.source.proposer
            assert proposer is not None
            try:
                bench.attempts.carry_out(await proposer.propose(SANDBOX, which))
                walk.agreed.append(which)
            except RefusedError:
                pass  # One is under way.
        case "cancel":
            run = bench.attempts._runs.get(SANDBOX)
            if run is not None:
                run.request_cancel()
        case "pass":
            await asyncio.sleep(float(which))  # a move of the walk: time goes by


def judge(walk: Walk) -> None:
    assert walk.problems == []
    called = walk.ground.called()
    # 7 and 15: nothing but the four, with exactly the one id, and those that ask only as agreed.
    assert set(called) <= ALLOWED
    assert called.count(ISSUE) <= walk.agreed.count("repair-guardian")
    assert called.count(REST) <= walk.agreed.count("restart")
    # 1: at most one wake for each attempt.
    attempts = {one.id for one in walk.told}
    assert sum(line.startswith("wake") for line in called) <= len(attempts)
    # 14: all of them end.
    for name in attempts:
        assert next(x for x in reversed(walk.told) if x.id == name).state.ended or (
            name != walk.told[-1].id
        )
    # 16: nothing secret was told.
    text = repr(walk.told)
    assert not [secret for secret in (*SECRETS, RENEWED, MINTED) if secret in text]
    # 10: nothing of ours is left.
    pids = walk.root / "pids"
    for pid in pids.read_text().split() if pids.exists() else ():
        assert not living(int(pid)), f"{pid} lives"


def living(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(moves, min_size=2, max_size=9))
def test_whatever_is_pressed_and_whatever_happens(plan: list[tuple[str, str]]) -> None:
    """Invariants 1, 4 to 8, 10, 13 to 16 and 18, with real processes, files and ports."""
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("services.sources.vellum.actor.WAKE_S", 0.8),
    ):

        async def go() -> Walk:
            async with Peer(serving()) as peer:
                root = Path(folder)
                walk = Walk(root, peer, Ground(root / "g", peer.port))
                walk.ground.write_token()
                (root / "new").write_text(token_text(9e4, 9e5, RENEWED))
                await take(walk, plan)
                return walk

        judge(asyncio.run(go()))


async def test_steps_begin_in_order_and_a_failed_one_ends_the_rest(tmp_path: Path) -> None:
    """Invariant 8: the longest way there is, and one that breaks off in the middle."""
    async with Peer(serving()) as peer:
        await peer.stop()
        ground = Ground(tmp_path, peer.port)
        ground.write_token(access_s=-10)
        (tmp_path / "new").write_text(token_text(9e4, 9e5, RENEWED))
        ground.command(
            f'case "$*" in *refresh*) cp {tmp_path}/new {ground.token}; exit 0;; esac; sleep 0.2'
        )

        async def comes_up() -> None:
            await eventually(ground.called)
            await peer.__aenter__()

        async with Bench(ground.open(), tmp_path / "locks", QUICK) as bench:
            coming = asyncio.create_task(comes_up())
            done = await bench.press(Verb.RECONNECT)
            await coming
            assert done.state is AttemptState.DONE, done
            assert [x.name for x in done.steps] == [
                "check",
                "start",
                "wait",
                "credential",
                "connect",
            ]
            began = [step.started_at or 0.0 for step in done.steps]
            ended = [step.ended_at or 0.0 for step in done.steps]
            assert began == sorted(began)
            assert all(end <= start for end, start in zip(ended, began[1:], strict=False))
            peer.replies["/auth/token"] = (403, {})
            ground.write_token(access_s=-10)
            refused = '{"status":403,"error":"reused"}'
            ground.command(f"echo 'VELLUM_REFRESH_ERROR={refused}' >&2; exit 1")
            asked = peer.asked("/auth/token")
            broken = await bench.press(Verb.RECONNECT)
            assert [(x.name, x.state) for x in broken.steps] == [
                ("check", StepState.OK),
                ("credential", StepState.FAILED),
            ]
            assert peer.asked("/auth/token") == asked
            for told in bench.told:
                assert ordered(told.steps) == []


async def test_results_of_an_attempt_that_is_over_change_nothing(tmp_path: Path) -> None:
    """Invariants 10 and 18: its last look comes back after a newer attempt has begun."""
    async with Peer(serving()) as peer:
        ground = Ground(tmp_path, peer.port)
        ground.write_token()
        ground.command()
        peer.replies["/readyz"] = None
        async with Bench(ground.open(), tmp_path / "locks", QUICK) as bench:
            first = bench.attempts.request(Verb.RECONNECT, SANDBOX)
            await eventually(lambda: peer.asked("/readyz"))
            first.cancel()
            await eventually(lambda: over(bench))
            # Its probe for display is still out.
            peer.replies = dict(serving())
            second = bench.attempts.request(Verb.RECONNECT, SANDBOX)
            assert second.attempt.id != first.attempt.id
            at = len(bench.told)
            async with asyncio.timeout(60):
                done = await second.wait()
                late = await first.wait()
            assert done.state is AttemptState.DONE
            assert late.state is AttemptState.CANCELLED
            assert late.summary != "Cancelled."
            assert {told.id for told in bench.told[at:]} == {second.attempt.id}
            assert bench.attempts.current(SANDBOX) == done
            assert ground.called() == []


async def test_names_that_could_be_taken_for_something_else_never_reach_the_command(
    tmp_path: Path,
) -> None:
    """Invariant 15."""
    async with Peer(serving()) as peer:
        await peer.stop()
        ground = Ground(tmp_path, peer.port)
        ground.command()
        bad = ["", "-x", "--help", "a/b", "..", ".", "a\\b", "a\0b", " a"]
        ground.write_lockfile([{**ground.entry(peer.port), "assistantId": name} for name in bad])
        async with Bench(ground.open(), tmp_path / "locks", LIMITS) as bench:
            seen = await bench.source.observer.observe()
            assert seen.sandboxes == ()
            for name in bad:
                try:
                    done = await bench.press(Verb.WAKE, SandboxId("vellum", name))
                except WakedeckError:
                    continue
                assert done.state is AttemptState.FAILED
        assert ground.called() == []


async def test_evidence_of_settling_alone_runs_nothing(tmp_path: Path) -> None:
    """Invariant 12, for each way of settling, to the end of patience."""
    for mode in ("starting", "draining", "migrating"):
        root = tmp_path / mode
        async with Peer(dict(GATEWAY[mode] or {})) as peer:
            ground = Ground(root, peer.port)
            ground.write_token()
            ground.command()
            async with Bench(ground.open(), root / "locks", LIMITS) as bench:
                done = await bench.press(Verb.RECONNECT)
            assert done.state is AttemptState.FAILED
            assert (done.wakes, ground.called()) == (0, [])


async def test_five_presses_are_one_attempt_and_have_one_result(tmp_path: Path) -> None:
    """Invariant 9."""
    async with Peer(serving()) as peer:
        await peer.stop()
        ground = Ground(tmp_path, peer.port)
        ground.write_token()
        ground.command("exit 3")
        async with Bench(ground.open(), tmp_path / "locks", LIMITS) as bench:
            handles = [bench.attempts.request(Verb.WAKE, SANDBOX) for _ in range(5)]
            async with asyncio.timeout(60):
                ended = [await handle.wait() for handle in handles]
        assert len({json.dumps(repr(one)) for one in ended}) == 1
        assert ground.called() == [f"wake {ID}"]
