"""Vellum wakes and reconnects: the real machine and source, a real port, a scripted command."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.errors import UnavailableError
from services.models import AttemptState, GatewayState, SandboxId, SandboxState, Verb
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from tests.support.vellum import (
    ACCESS,
    ID,
    QUICK,
    RENEWED,
    SANDBOX,
    SECRETS,
    Bench,
    Ground,
    Peer,
    serving,
    token_text,
    until,
)
from tests.support.waiting import eventually
from tests.support.world_processes import living_children

STARTS = (503, {"status": "starting"})


class Scene:
    """A gateway's port, a home and the machine over them."""

    def __init__(self, root: Path, peer: Peer) -> None:
        self.root = root
        self.peer = peer
        self.ground = Ground(root, peer.port)
        self.ground.write_token()
        self.ground.command()

    def bench(self, **more: float) -> Bench:
        return Bench(self.ground.open(), self.root / "locks", replace(QUICK, **more))


@asynccontextmanager
async def scene(root: Path, *, up: bool = True) -> AsyncIterator[Scene]:
    async with Peer(serving()) as peer:
        made = Scene(root, peer)
        if not up:
            await peer.stop()
        yield made


def begins_listening(scene: Scene) -> asyncio.Task[None]:
    """Have the gateway come up once the command was called."""

    async def wait() -> None:
        await eventually(scene.ground.called)
        await scene.peer.__aenter__()

    return asyncio.create_task(wait())


async def test_a_serving_assistant_is_linked_without_a_spawn(tmp_path: Path) -> None:
    """Invariant 3."""
    async with scene(tmp_path) as s, s.bench() as bench:
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == []
        method, _, headers = next(one for one in s.peer.requests if one[1] == "/auth/token")
        assert (method, headers["origin"]) == ("POST", f"http://127.0.0.1:{s.peer.port}")
        assert headers["authorization"] == f"Bearer {ACCESS}"
        assert [step.name for step in done.steps] == ["check", "credential", "connect"]
        first = [path for _, path, _ in s.peer.requests][:2]
        assert first == ["/healthz", "/readyz"]


async def test_a_dead_gateway_is_woken_once_verified_and_linked(tmp_path: Path) -> None:
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.command("echo 'Starting gateway'; sleep 0.3; echo 'Wake complete.'")
        coming = begins_listening(s)
        done = await bench.press(Verb.RECONNECT)
        await coming
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == [f"wake {ID}"]
        assert done.original == "It is asleep."
        details = {step.detail for one in bench.told for step in one.steps}
        assert "starting the gateway" in details


async def test_a_dead_gateway_with_a_valid_token_is_never_connected(tmp_path: Path) -> None:
    """Invariants 4 and 13: exit 0 proves nothing."""
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.command("echo 'Wake complete.'")
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert (done.wakes, done.connects) == (1, 0)
        assert done.original == "It is asleep."
        assert s.ground.called() == [f"wake {ID}"]


async def test_a_wake_that_fails_tells_its_last_words_and_keeps_the_first_error(
    tmp_path: Path,
) -> None:
    """Row 28, invariant 5."""
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.command("echo 'Error: disk full' >&2; exit 3")
        done = await bench.press(Verb.WAKE)
        assert done.state is AttemptState.FAILED
        assert done.original == "It is asleep."
        assert "status 3" in done.last
        assert "disk full" in done.last
        assert s.ground.called() == [f"wake {ID}"]


@pytest.mark.parametrize("how", ["missing", "interpreter", "127"])
async def test_a_missing_command_is_the_same_failure_with_a_reason(
    tmp_path: Path, how: str
) -> None:
    """Row 27, invariant 17."""
    async with scene(tmp_path, up=False) as s:
        path = s.ground.bin / "vellum"
        if how == "missing":
            path.unlink()
        elif how == "interpreter":
            path.write_text("#!/usr/bin/env bun-that-is-nowhere\n")
        else:
            s.ground.command("exit 127")
        s.ground.environ["PATH"] = f"{s.ground.bin}:/usr/bin:/bin"
        async with s.bench() as bench:
            done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert done.original == "It is asleep."
        words = f"{done.last} {done.advice}"
        assert ("status 127" if how == "127" else "vellum cannot be run") in words


async def test_a_late_wake_that_serves_is_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 29, invariant 13."""
    monkeypatch.setattr("services.sources.vellum.actor.WAKE_S", 1.0)
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.command("exec sleep 60")
        coming = begins_listening(s)
        done = await bench.press(Verb.WAKE)
        await coming
        assert done.state is AttemptState.DONE, done
        assert done.wakes == 1


async def test_settling_is_waited_for_and_never_woken(tmp_path: Path) -> None:
    """Invariant 12."""
    async with scene(tmp_path) as s, s.bench(settling_s=30.0) as bench:
        s.peer.replies["/readyz"] = STARTS
        handle = bench.attempts.request(Verb.RECONNECT, SANDBOX)
        await bench.until(AttemptState.VERIFY)
        s.peer.replies["/readyz"] = serving()["/readyz"]
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == []


async def test_a_foreign_port_is_left_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.raw = b"SSH-2.0-OpenSSH_9\r\n"
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert "but not as a gateway does (no HTTP)" in done.original
        assert s.ground.called() == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((302, b""), "not as a gateway does (status 302)"),
        ((200, b"x" * 100_000), "not as a gateway does (status 200)"),
        ((200, {"status": "fine"}), "not as a gateway does (status 200)"),
        (None, "not answering"),
    ],
)
async def test_odd_answers_are_named(
    tmp_path: Path, reply: tuple[int, object] | None, said: str
) -> None:
    async with scene(tmp_path) as s:
        s.peer.replies["/healthz"] = reply
        s.peer.headers = "Location: http://127.0.0.1:1/\r\n"
        verdict = await s.ground.open().observer.probe(SANDBOX)
        assert said in verdict.reason
        assert s.peer.asked("/readyz") == 0


async def test_proxies_of_the_environment_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with scene(tmp_path) as s:
        assert (await s.ground.open().observer.probe(SANDBOX)).kind is VerdictKind.READY


async def test_a_refused_caller_is_terminal_and_starts_nothing(tmp_path: Path) -> None:
    """Row 22, invariant 6."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = (403, {"error": "forbidden"})
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert "Refused" in done.original
        assert done.confirmable == ""
        assert "Neither waking" in done.advice
        assert s.ground.called() == []
        assert s.peer.asked("/auth/token") == 1


async def test_a_rejected_credential_needs_the_operators_word(tmp_path: Path) -> None:
    """Row 24, invariant 6: no repair runs by itself."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = (401, {"error": "invalid"})
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert done.confirmable == "repair-guardian"
        assert "signs every other device out" in done.advice
        assert s.ground.called() == []


async def test_a_401_after_the_wake_offers_and_does_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = (401, {"error": "invalid"})
        coming = begins_listening(s)
        done = await bench.press(Verb.RECONNECT)
        await coming
        assert done.state is AttemptState.FAILED
        assert done.original == "It is asleep."
        assert done.confirmable == "repair-guardian"
        assert s.ground.called() == [f"wake {ID}"]


async def test_a_young_gateway_may_refuse_twice(tmp_path: Path) -> None:
    """Row 23: at most three tries, then it is believed."""
    async with scene(tmp_path) as s, s.bench(verify_s=20.0, settling_s=30.0) as bench:
        s.ground.write_pid("gateway.pid", str(os.getpid()), age_s=1)
        s.peer.replies["/auth/token"] = (401, {"error": "invalid"})
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert done.connects == 3
        assert s.peer.asked("/auth/token") == 3
        assert done.confirmable == "repair-guardian"


async def test_too_many_sign_ins_say_how_long_to_wait(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = (429, {})
        s.peer.headers = "Retry-After: 60\r\n"
        done = await bench.press(Verb.RECONNECT)
        assert "wait 60 s" in done.original
        assert s.ground.called() == []


async def test_a_missing_token_is_seeded_by_one_wake(tmp_path: Path) -> None:
    """Row 18."""
    async with scene(tmp_path) as s, s.bench() as bench:
        text = token_text(86400, 864000, ACCESS)
        s.ground.token.unlink()
        (tmp_path / "seed").write_text(text)
        s.ground.command(f"cp {tmp_path}/seed {s.ground.token}; echo 'Seeded guardian token'")
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == [f"wake {ID}"]


async def test_a_token_that_stays_missing_is_offered_after_one_wake(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.token.unlink()
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert s.ground.called() == [f"wake {ID}"]
        assert done.confirmable == "repair-guardian"
        assert "no credential" in done.original


async def test_waking_a_serving_assistant_without_a_token_says_it_serves(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.token.unlink()
        done = await bench.press(Verb.WAKE)
        assert done.state is AttemptState.DONE
        assert s.ground.called() == []


def renewing(s: Scene, before: str = "") -> None:
    (s.root / "renewed").write_text(token_text(86400, 864000, RENEWED))
    s.ground.write_token(access_s=-10)
    s.ground.command(f"{before}\ncp {s.root}/renewed {s.ground.token}; echo {RENEWED}")


async def test_an_expired_credential_is_renewed_and_nothing_is_woken(tmp_path: Path) -> None:
    """Row 19."""
    async with scene(tmp_path) as s, s.bench() as bench:
        renewing(s)
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == [f"gateway token refresh {ID}"]
        sent = [headers for _, path, headers in s.peer.requests if path == "/auth/token"]
        assert [one["authorization"] for one in sent] == [f"Bearer {RENEWED}"]


async def test_an_undated_credential_is_tried_before_it_is_renewed(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        renewing(s)
        held = json.loads(s.ground.token.read_text())
        s.ground.token.write_text(json.dumps({**held, "accessTokenExpiresAt": "soon"}))
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.DONE, done
        assert s.ground.called() == []


async def test_an_undated_credential_that_is_refused_is_renewed_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/auth/token"] = (401, {"error": "unauthorized"})
        renewing(s)
        held = json.loads(s.ground.token.read_text())
        s.ground.token.write_text(json.dumps({**held, "accessTokenExpiresAt": None}))
        s.ground.write_pid("gateway.pid", str(os.getpid()), age_s=300)
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert done.confirmable == "repair-guardian"
        assert s.ground.called() == [f"gateway token refresh {ID}"]
        sent = [headers for _, path, headers in s.peer.requests if path == "/auth/token"]
        assert sent[-1]["authorization"] == f"Bearer {RENEWED}"


async def test_a_spent_credential_skips_the_useless_wake(tmp_path: Path) -> None:
    """Row 21."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.write_token(access_s=-10, refresh_s=-10)
        done = await bench.press(Verb.RECONNECT)
        assert done.confirmable == "repair-guardian"
        assert s.ground.called() == []


@pytest.mark.parametrize(
    ("status", "said", "confirmable"),
    [
        (401, "expired for good", "repair-guardian"),
        (403, "could not be renewed (status 403)", "repair-guardian"),
        (418, "(418 tea", ""),
    ],
)
async def test_a_failed_renewal_keeps_its_class(
    tmp_path: Path, status: int, said: str, confirmable: str
) -> None:
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.write_token(access_s=-10)
        told = json.dumps({"status": status, "error": "tea"})
        s.ground.command(f"echo noise >&2; echo 'VELLUM_REFRESH_ERROR={told}' >&2; exit 1")
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert said in done.original
        assert done.confirmable == confirmable
        assert s.ground.called() == [f"gateway token refresh {ID}"]


async def test_a_renewal_refused_without_a_reason_offers_the_next_step(tmp_path: Path) -> None:
    """Releases up to 0.11.2 say nothing (upstream/vellum: Older commands)."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.ground.write_token(access_s=-10)
        s.ground.command("exit 1")
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.FAILED
        assert "this vellum command names no reason" in done.original
        assert done.confirmable == "repair-guardian"


async def test_a_renewal_that_the_gateway_could_not_serve_is_tried_again(tmp_path: Path) -> None:
    """Row 20."""
    async with scene(tmp_path) as s, s.bench(verify_s=20.0, settling_s=30.0) as bench:
        renewing(
            s,
            f"if [ ! -e {tmp_path}/once ]; then touch {tmp_path}/once; "
            'echo \'VELLUM_REFRESH_ERROR={"status":503,"error":"down"}\' >&2; exit 1; fi',
        )
        done = await bench.press(Verb.RECONNECT)
        assert done.state is AttemptState.DONE, done
        assert "(503)" in done.original
        assert s.ground.called() == [f"gateway token refresh {ID}"] * 2


async def test_cancel_is_honoured_only_after_a_renewal(tmp_path: Path) -> None:
    """Invariant 11."""
    async with scene(tmp_path) as s, s.bench() as bench:
        renewing(s, f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
        handle = bench.attempts.request(Verb.RECONNECT, SANDBOX)
        await until(lambda: bool(s.ground.called()))
        handle.cancel()
        await until(lambda: handle.attempt.state is AttemptState.DRAIN)
        assert RENEWED not in s.ground.token.read_text()
        (tmp_path / "go").touch()
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert done.state is AttemptState.CANCELLED
        assert RENEWED in s.ground.token.read_text()
        assert s.peer.asked("/auth/token") == 0


async def test_closing_the_actor_leaves_a_renewal_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        renewing(s, f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
        source = s.ground.open()
        steps = source.actor.connect(SANDBOX)

        async def drain() -> None:
            async for _ in steps:
                pass

        task = asyncio.create_task(drain())
        await until(lambda: bool(s.ground.called()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.actor.close()
        (child,) = living_children("refresh")
        (tmp_path / "go").touch()
        await until(lambda: RENEWED in s.ground.token.read_text())
        # The panel may live on without this source: its ended child is collected.
        await until(lambda: not psutil.pid_exists(child.pid))


async def test_cancel_ends_the_wake_and_leaves_nothing(tmp_path: Path) -> None:
    """Invariant 10."""
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.command(f"echo $$ > {tmp_path}/pid; exec sleep 600")
        before = s.ground.lockfile.read_bytes()
        handle = bench.attempts.request(Verb.WAKE, SANDBOX)
        await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
        pid = int((tmp_path / "pid").read_text())
        handle.cancel()
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert done.state is AttemptState.CANCELLED
        await until(lambda: not psutil.pid_exists(pid))
        assert s.ground.lockfile.read_bytes() == before
        s.ground.command()
        again = await bench.press(Verb.WAKE)
        assert again.id != done.id
        assert again.wakes == 1


async def test_a_storm_of_output_is_survived(tmp_path: Path) -> None:
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        code = "import sys\nfor n in range(20000): print('\\x1b]0;evil\\x07' + 'x' * 200, n)"
        s.ground.command(f"{s.ground.python(code)}; exit 5")
        done = await bench.press(Verb.WAKE)
        assert done.state is AttemptState.FAILED
        assert "status 5" in done.last
        assert "\x1b" not in repr(bench.told).encode().decode("unicode_escape")


async def test_secrets_never_show(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 16: whatever the command prints."""
    caplog.set_level(0)
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.command(f"echo {' '.join(SECRETS)}; echo 'x {SECRETS[0]}' >&2; exit 1")
        await bench.press(Verb.RECONNECT)
        seen = await bench.source.observer.observe()
        told = repr(bench.told) + repr(seen) + caplog.text
    for secret in (*SECRETS, "minted-never-shown"):
        assert secret not in told


async def test_the_frozen_id_is_used_although_another_becomes_active(tmp_path: Path) -> None:
    """Invariant 15."""
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        other = {**s.ground.entry(1), "assistantId": "other"}
        entries = [s.ground.entry(s.peer.port), other]
        s.ground.write_lockfile(entries, active=ID)
        handle = bench.attempts.request(Verb.WAKE, SANDBOX)
        s.ground.write_lockfile(entries, active="other")
        async with asyncio.timeout(60):
            await handle.wait()
        assert s.ground.called() == [f"wake {ID}"]


async def test_presses_on_assistants_of_one_lockfile_never_overlap(tmp_path: Path) -> None:
    """Invariants 1 and 9, also between two panels."""
    async with scene(tmp_path, up=False) as s:
        other = SandboxId("vellum", "stub-2")
        second = {**s.ground.entry(1), "assistantId": "stub-2"}
        s.ground.write_lockfile([s.ground.entry(s.peer.port), second])
        s.ground.command(
            f"mkdir {tmp_path}/one || touch {tmp_path}/overlap; sleep 0.3; rmdir {tmp_path}/one"
        )
        async with s.bench() as left, s.bench() as right:
            handles = [left.attempts.request(Verb.WAKE, SANDBOX) for _ in range(5)]
            handles += [left.attempts.request(Verb.WAKE, other)]
            handles += [right.attempts.request(Verb.WAKE, SANDBOX)]
            async with asyncio.timeout(60):
                ended = [await handle.wait() for handle in handles]
        assert len({one.id for one in ended[:5]}) == 1
        assert not (tmp_path / "overlap").exists()
        assert s.ground.called().count(f"wake {ID}") <= 2
        assert all(one.wakes <= 1 for one in ended)


async def test_looking_spawns_and_writes_nothing(tmp_path: Path) -> None:
    """Invariant 2."""
    async with scene(tmp_path, up=False) as s:
        s.ground.write_token(access_s=-10)

        def files() -> dict[str, int]:
            return {str(p): p.stat().st_mtime_ns for p in s.ground.home.rglob("*") if p.is_file()}

        before = files()
        source = s.ground.open()
        for up in (False, True):
            if up:
                await s.peer.__aenter__()
            for _ in range(3):
                await source.observer.observe()
                await source.observer.probe(SANDBOX)
        assert s.ground.called() == []
        assert files() == before
        assert s.peer.asked("/auth/token") == 0


async def test_rows_show_evidence_and_no_shell_with_the_reason(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.ground.write_pid("workspace/vellum.pid", str(os.getpid()))
        source = s.ground.open()
        seen = await source.observer.observe()
        gateway, sandbox = seen.gateways[0], seen.sandboxes[0]
        assert (gateway.state, sandbox.state) == (GatewayState.READY, SandboxState.READY)
        assert gateway.latency_s is not None
        facts = dict((*gateway.evidence, *sandbox.evidence))
        assert facts["gateway port"] == str(s.peer.port)
        assert f"pid {os.getpid()}, running" in facts["assistant process"]
        assert facts["credential"].startswith("valid, access until 20")
        assert facts["a wake would"] == "find it serving and do nothing"
        assert facts["active"] == "yes"
        with pytest.raises(UnavailableError, match="terminal here"):
            source.actor.shell(SANDBOX, ShellChoice())
        await s.peer.stop()
        row = (await source.observer.observe()).sandboxes[0]
        assert "vellum wake stub-1" in dict(row.evidence)["a wake would"]


async def test_a_broken_registry_stops_everything(tmp_path: Path) -> None:
    """Row 1: nothing is run for it."""
    async with scene(tmp_path, up=False) as s, s.bench() as bench:
        s.ground.lockfile.write_text("{")
        with pytest.raises(UnavailableError, match="cannot be read"):
            await bench.source.observer.observe()
        done = await bench.press(Verb.WAKE)
        assert "cannot be read" in done.original
        assert s.ground.called() == []
        assert s.ground.lockfile.read_text() == "{"


async def test_an_unknown_id_names_the_environment_that_has_entries(tmp_path: Path) -> None:
    """Row 2."""
    async with scene(tmp_path) as s, s.bench() as bench:
        dev = s.ground.home / ".config/vellum-dev/lockfile.json"
        dev.parent.mkdir(parents=True)
        dev.write_text(json.dumps({"assistants": [{"assistantId": "gone"}]}))
        done = await bench.press(Verb.WAKE, SandboxId("vellum", "gone"))
        assert "not registered in environment production" in done.original
        assert "dev" in done.advice


async def test_a_paired_assistant_is_only_asked(tmp_path: Path) -> None:
    """Row 3."""
    async with scene(tmp_path) as s, s.bench() as bench:
        url = f"http://127.0.0.1:{s.peer.port}/"
        s.ground.write_lockfile([{"assistantId": ID, "cloud": "paired", "runtimeUrl": url}])
        assert (await bench.press(Verb.RECONNECT)).state is AttemptState.DONE
        s.peer.replies["/readyz"] = STARTS
        done = await bench.press(Verb.RECONNECT)
        assert "another machine" in done.original
        assert s.ground.called() == []
        assert {path for _, path, _ in s.peer.requests} == {"/readyz"}


async def test_unready_for_a_minute_is_stuck(tmp_path: Path) -> None:
    """Row 16."""
    async with scene(tmp_path) as s:
        s.peer.replies["/readyz"] = (503, {"status": "upstream_unhealthy"})
        source = s.ground.open()
        assert (await source.observer.probe(SANDBOX)).kind is VerdictKind.SETTLING
        probes = source.observer._probes  # type: ignore[attr-defined]
        probes._since[ID] = ("unready", time.monotonic() - 61)
        verdict = await source.observer.probe(SANDBOX)
        assert (verdict.kind, verdict.wakeable) == (VerdictKind.REPAIRABLE, True)


async def test_draining_settles_for_eight_seconds_and_no_longer(tmp_path: Path) -> None:
    """Row 12: it ends and is woken, or a restart is offered."""
    async with scene(tmp_path) as s, s.bench(verify_s=20.0, settling_s=30.0) as bench:
        s.peer.replies["/readyz"] = (503, {"status": "draining"})
        s.ground.write_pid("workspace/vellum.pid", str(os.getpid()))
        probes = bench.source.observer._probes  # type: ignore[attr-defined]
        handle = bench.attempts.request(Verb.WAKE, SANDBOX)
        await bench.until(AttemptState.VERIFY)
        assert handle.attempt.confirmable == ""
        word, since = probes._since[ID]
        probes._since[ID] = (word, since - 8)
        async with asyncio.timeout(60):
            done = await handle.wait()
        assert done.state is AttemptState.FAILED
        assert (done.wakes, done.confirmable) == (0, "restart")
        assert "does not end" in done.original
        row = (await bench.source.observer.observe()).sandboxes[0]
        assert row.state is SandboxState.STUCK
        assert "restart" in dict(row.evidence)["a wake would"]
        # Once it has ended it is what it is then, and waking helps.
        await s.peer.stop()
        coming = begins_listening(s)
        s.peer.replies["/readyz"] = serving()["/readyz"]
        again = await bench.press(Verb.WAKE)
        await coming
        assert (again.state, again.wakes) == (AttemptState.DONE, 1)


async def test_a_failed_migration_offers_a_restart_and_wakes_nothing(tmp_path: Path) -> None:
    """Row 13."""
    async with scene(tmp_path) as s, s.bench() as bench:
        s.peer.replies["/readyz"] = (503, {"dbMigrations": {"state": "failed"}})
        done = await bench.press(Verb.WAKE)
        assert done.confirmable == "restart"
        assert s.ground.called() == []
