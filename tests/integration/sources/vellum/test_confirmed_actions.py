"""What an operator agrees to is an attempt: one turn, visible steps, never cut where it harms."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import NotFoundError, RefusedError
from services.models import Attempt, AttemptState, StepState, Verb
from services.sources.protocol.proposer import Proposal
from tests.support.vellum import (
    ACCESS,
    ID,
    QUICK,
    RENEWED,
    SANDBOX,
    Bench,
    Ground,
    Peer,
    serving,
    token_text,
    until,
)

REISSUE = "repair-guardian"
ISSUED = f"wake {ID} --repair-guardian"
REJECTED = (401, {"error": "invalid"})


class Scene:
    """A serving gateway that rejects the stored credential, and a command that replaces it."""

    def __init__(self, root: Path, peer: Peer) -> None:
        self.root, self.peer = root, peer
        self.ground = Ground(root, peer.port)
        self.ground.write_token()
        self.new = root / "new"
        self.new.write_text(token_text(86400, 864000, RENEWED))
        self.issues()

    def issues(self, before: str = "") -> None:
        self.ground.command(f"{before}\ncp {self.new} {self.ground.token}")

    def waits(self) -> str:
        """A line that waits for the file `go`."""
        return f"while [ ! -e {shlex.quote(str(self.root / 'go'))} ]; do sleep 0.05; done"

    def go(self) -> None:
        (self.root / "go").touch()

    def bench(self) -> Bench:
        return Bench(self.ground.open(), self.root / "locks", replace(QUICK, verify_s=3.0))


@asynccontextmanager
async def scene(root: Path) -> AsyncIterator[Scene]:
    async with Peer(serving()) as peer:
        yield Scene(root, peer)


async def proposed(bench: Bench, verb: str = REISSUE) -> Proposal:
    assert bench.source.proposer is not None
    return await bench.source.proposer.propose(SANDBOX, verb)


async def agreed(bench: Bench, proposal: Proposal) -> Attempt:
    async with asyncio.timeout(60):
        return await bench.attempts.carry_out(proposal).wait()


async def test_a_reissue_is_an_attempt_that_ends_with_a_proven_link(tmp_path: Path) -> None:
    """Invariant 7: nothing of it is run before the agreement."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = REJECTED
        offered = await bench.press(Verb.RECONNECT)
        assert offered.confirmable == REISSUE
        proposal = await proposed(bench)
        assert "signed out" in proposal.consequence
        assert "Stub One (stub-1, environment production)" in proposal.target
        assert s.ground.called() == []
        s.peer.replies["/auth/token"] = serving()["/auth/token"]
        done = await agreed(bench, proposal)
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == [ISSUED]
        assert [step.name for step in done.steps] == [
            *("check", "re-issue", "wait", "credential", "connect")
        ]
        assert done.act == "re-issuing the credential"
        assert "is connected" in done.summary
        assert "A new credential was issued" in done.summary
        running = [step for told in bench.told for step in told.steps if step.name == "re-issue"]
        assert any(step.critical and step.state is StepState.RUNNING for step in running)
        sent = [head for _, path, head in s.peer.requests if path == "/auth/token"]
        assert sent[-1]["authorization"] == f"Bearer {RENEWED}"


async def test_a_new_credential_that_is_rejected_too_is_not_called_connected(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = REJECTED
        done = await agreed(bench, await proposed(bench))
        assert done.state is AttemptState.FAILED
        assert "does not accept" in done.original
        assert "A new credential was issued" in done.summary
        assert s.ground.called() == [ISSUED]
        assert done.confirmable == REISSUE


async def test_a_dead_gateway_is_woken_by_the_same_command(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        await s.peer.stop()
        done = await agreed(bench, await proposed(bench))
        assert done.state is AttemptState.FAILED
        assert done.original == "It is asleep."
        assert s.ground.called() == [ISSUED]
        assert done.connects == 0


async def test_what_was_agreed_to_is_not_done_again_once_somebody_else_has_done_it(
    tmp_path: Path,
) -> None:
    """Two panels, both asked, both agreed: one new credential, not two."""
    async with scene(tmp_path) as s, s.bench() as one, s.bench() as two:
        s.issues("sleep 0.5")
        proposals = [await proposed(one), await proposed(two)]
        handles = [b.attempts.carry_out(p) for b, p in zip((one, two), proposals, strict=True)]
        async with asyncio.timeout(60):
            ended = [await handle.wait() for handle in handles]
        assert s.ground.called() == [ISSUED]
        assert [x.state for x in ended] == [AttemptState.DONE] * 2
        first, late = sorted(ended, key=lambda x: x.ended_at or 0.0)
        assert "A new credential was issued" in first.summary
        assert "had been replaced" in late.summary
        states = {step.name: step.state for step in late.steps}
        assert (states["re-issue"], states["connect"]) == (StepState.SKIPPED, StepState.OK)


async def test_a_wake_of_another_panel_is_waited_for(tmp_path: Path) -> None:
    """Invariant 9: the same turn as a wake."""
    async with scene(tmp_path) as s, s.bench() as one, s.bench() as two:
        await s.peer.stop()
        s.ground.command(
            f"mkdir {tmp_path}/in || touch {tmp_path}/overlap; sleep 0.4; rmdir {tmp_path}/in\n"
            f'case "$*" in *repair*) cp {s.new} {s.ground.token};; esac'
        )
        proposal = await proposed(two)
        waking = one.attempts.request(Verb.WAKE, SANDBOX)
        await until(lambda: bool(s.ground.called()))
        issuing = two.attempts.carry_out(proposal)
        await two.until(AttemptState.VERIFY)
        held = next(step for step in issuing.attempt.steps if step.name == "wait")
        assert "another panel" in held.detail
        async with asyncio.timeout(60):
            await waking.wait()
            await issuing.wait()
        assert s.ground.called() == [f"wake {ID}", ISSUED]
        assert not (tmp_path / "overlap").exists()


async def test_a_reissue_is_never_cut_and_a_cancel_waits_for_it(tmp_path: Path) -> None:
    """Invariant 11: its result is kept and told."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.issues(s.waits())
        handle = bench.attempts.carry_out(await proposed(bench))
        await until(lambda: bool(s.ground.called()))
        handle.cancel()
        await bench.until(AttemptState.DRAIN)
        assert RENEWED not in s.ground.token.read_text()
        s.go()
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert done.state is AttemptState.CANCELLED
        assert RENEWED in s.ground.token.read_text()
        assert "A new credential was issued" in done.summary
        assert s.peer.asked("/auth/token") == 0


async def test_a_panel_that_is_cut_off_leaves_a_reissue_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.issues(s.waits())
        async with s.bench() as bench:
            handle = bench.attempts.carry_out(await proposed(bench))
            await until(lambda: bool(s.ground.called()))
            for task in list(bench.attempts._tasks):
                task.cancel()
            async with asyncio.timeout(60):
                await handle.wait()
        s.go()
        await until(lambda: RENEWED in s.ground.token.read_text())


async def test_while_an_attempt_runs_nothing_is_agreed_to(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        proposal = await proposed(bench)
        s.issues(s.waits())
        first = bench.attempts.carry_out(proposal)
        await until(lambda: bool(s.ground.called()))
        with pytest.raises(RefusedError, match="re-issuing the credential"):
            bench.attempts.carry_out(proposal)
        # A reconnect wants the same end: it joins.
        assert bench.attempts.request(Verb.RECONNECT, SANDBOX).attempt.id == first.attempt.id
        s.go()
        async with asyncio.timeout(60):
            assert (await first.wait()).state is AttemptState.DONE
        assert s.ground.called() == [ISSUED]


async def test_only_what_was_shown_can_be_agreed_to(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        proposal = await proposed(bench)
        forged = await agreed(bench, replace(proposal, token="x"))
        assert "nothing was issued" in forged.summary
        with pytest.raises(NotFoundError):
            bench.attempts.carry_out(replace(proposal, verb="retire"))
        with pytest.raises(RefusedError, match="no way"):
            bench.attempts.carry_out(replace(proposal, refusal="no way"))
        with pytest.raises(NotFoundError):
            await proposed(bench, "retire")
        assert s.ground.called() == []


async def test_a_registry_that_cannot_be_read_stops_an_agreed_act(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        proposal = await proposed(bench)
        s.ground.lockfile.write_text("{")
        done = await agreed(bench, proposal)
        assert "cannot be read" in done.original
        assert s.ground.called() == []


async def test_a_restart_sleeps_then_wakes_and_is_judged_by_a_probe(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.command()
        done = await agreed(bench, await proposed(bench, "restart"))
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == [f"sleep {ID}", f"wake {ID}"]
        assert [step.name for step in done.steps] == ["check", "sleep", "start", "wait"]
        s.ground.command("echo 'call in progress' >&2; exit 1")
        failed = await agreed(bench, await proposed(bench, "restart"))
        assert failed.state is AttemptState.FAILED
        assert "put to sleep: call in progress" in failed.original
        assert s.ground.called()[2:] == [f"sleep {ID}"]


async def test_a_restart_that_leaves_it_dead_is_a_failure(tmp_path: Path) -> None:
    """Invariant 13: both commands end well, and nothing serves."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.command()
        proposal = await proposed(bench, "restart")
        await s.peer.stop()
        done = await agreed(bench, proposal)
        assert done.state is AttemptState.FAILED
        assert done.original == "It is asleep."
        assert s.ground.called() == [f"sleep {ID}", f"wake {ID}"]


async def test_a_restart_can_be_cancelled_and_says_how_it_is_left(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.command("exec sleep 600")
        handle = bench.attempts.carry_out(await proposed(bench, "restart"))
        await until(lambda: bool(s.ground.called()))
        handle.cancel()
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert done.state is AttemptState.CANCELLED
        assert s.ground.called() == [f"sleep {ID}"]
        await until(lambda: bool(bench.told[-1].summary))


async def test_a_failed_reissue_hides_what_it_printed(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.command(f"echo 'no luck {ACCESS}' >&2; exit 1")
        done = await agreed(bench, await proposed(bench))
        assert done.state is AttemptState.FAILED
        assert "no luck" in done.original
        assert ACCESS not in repr(bench.told)


async def test_a_command_that_leaves_no_good_credential_is_not_believed(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.write_token(access_s=-10, refresh_s=-10)
        s.ground.command()
        done = await agreed(bench, await proposed(bench))
        assert done.state is AttemptState.FAILED
        assert "left no good credential" in done.original
