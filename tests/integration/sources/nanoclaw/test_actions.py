"""What the operator asks of an install: waiting for a wake, nudge, stop, restart, shell, logs."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest

from services.clock import SystemClock
from services.errors import NotFoundError, RefusedError, ShellError, UnavailableError
from services.logs.follower import log_line
from services.models import AttemptState, SandboxId, ShellState, StepState, Verb
from services.repair.attempts import Attempts
from services.sources.nanoclaw import confirmed_actions
from services.sources.nanoclaw.actor import NOTICE, interpret
from services.sources.protocol.proposer import Proposer
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support.agreed import carried_out
from tests.support.clock import FakeClock
from tests.support.nanoclaw import (
    ALPHA,
    NOW,
    ScriptedDocker,
    hosted,
    install_states,
    opened,
    session,
    short_folder,
)
from tests.support.ran import link_steps, ran
from tests.support.waiting import eventually

QUIET = SandboxId("claw", "sess-fx-empty")
MIXED = SandboxId("claw", "sess-fx-mixed")
NOWAKE = SandboxId("claw", "sess-fx-nowake")


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        made = install_states(folder / "claw")
        db = sqlite3.connect(made / "data" / "v2.db")
        with db:
            db.execute("UPDATE messaging_groups SET unknown_sender_policy = 'public'")
            db.execute("UPDATE sessions SET container_status = 'stopped'")
        db.close()
        yield made


@pytest.fixture
def docker(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDocker:
    made = ScriptedDocker(tmp_path / "bin", root)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


def mark_running(root: Path, name: str) -> None:
    db = sqlite3.connect(root / "data" / "v2.db")
    with db:
        db.execute("UPDATE sessions SET container_status = 'running' WHERE id = ?", (name,))
    db.close()


def proposer(source: OpenSource) -> Proposer:
    assert source.proposer is not None
    return source.proposer


async def close(source: OpenSource) -> None:
    await source.actor.close()
    await source.observer.close()


async def test_a_sleeping_session_can_be_nudged_after_asking(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock(), nudge_text="please go on")
    async with hosted(root) as host:
        host.on_chat = lambda: docker.run((ALPHA, "sess-fx-empty", NOW))
        verdict = await source.observer.probe(QUIET)
        assert (verdict.kind, verdict.confirmable) == (VerdictKind.REPAIRABLE, "nudge")
        assert not verdict.wakeable
        proposal = await proposer(source).propose(QUIET, "nudge")
        assert proposal.refusal == ""
        assert "please go on" in proposal.consequence
        assert "slack:C0DE (slack)" in proposal.consequence
        assert host.chat == [], "asking does nothing"
        done = await carried_out(proposer(source), proposal)
    await close(source)
    assert "the host started a container" in done
    assert [json.loads(line) for line in host.chat] == [
        {
            "text": "please go on",
            "to": {
                "channelType": "slack",
                "platformId": "slack:C0DE",
                "threadId": "1700000000.000100",
            },
            "sender": "operator",
            "senderId": "cli:local",
        }
    ]


async def test_a_nudge_nobody_reacts_to_is_said_to_be_so(
    root: Path, docker: ScriptedDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmed_actions, "ARRIVAL_S", 0.3)
    source = opened(root, SystemClock())
    async with hosted(root):
        proposal = await proposer(source).propose(QUIET, "nudge")
        done = await carried_out(proposer(source), proposal)
    await close(source)
    assert "no container was seen" in done


async def test_a_nudge_without_a_host_fails_in_a_sentence(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock())
    proposal = await proposer(source).propose(QUIET, "nudge")
    with pytest.raises(UnavailableError, match=r"no cli\.sock"):
        await carried_out(proposer(source), proposal)
    await close(source)


async def test_what_changed_since_it_was_agreed_to_is_not_done(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock())
    async with hosted(root) as host:
        nudge = await proposer(source).propose(QUIET, "nudge")
        db = sqlite3.connect(root / "data" / "v2.db")
        with db:
            db.execute("UPDATE messaging_groups SET platform_id = 'slack:OTHER'")
        db.close()
        with pytest.raises(RefusedError, match="have changed"):
            await carried_out(proposer(source), nudge)
        docker.run((ALPHA, "sess-fx-mixed", NOW - 300))
        stop = await proposer(source).propose(MIXED, "stop its container")
        docker.run((ALPHA, "sess-fx-mixed", NOW - 10))
        with pytest.raises(RefusedError, match="have changed"):
            await carried_out(proposer(source), stop)
        docker.run((ALPHA, "sess-fx-empty", NOW - 10))
        with pytest.raises(RefusedError, match="no longer"):
            await carried_out(proposer(source), nudge)
    await close(source)
    assert host.chat == []
    assert not [one for one in docker.asked if one[0] == "stop"]


async def test_one_container_is_stopped_as_the_host_would(
    root: Path, docker: ScriptedDocker
) -> None:
    name, _ = docker.run((ALPHA, "sess-fx-mixed", NOW), (ALPHA, "sess-fx-claimed", NOW))
    source = opened(root, SystemClock())
    proposal = await proposer(source).propose(MIXED, "stop its container")
    assert proposal.target == name
    assert "was stopped" in await carried_out(proposer(source), proposal)
    await close(source)
    assert [one for one in docker.asked if one[0] == "stop"] == [["stop", "-t", "1", name]]


async def test_a_group_is_restarted_with_words_and_stopped_without(
    root: Path, docker: ScriptedDocker
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW), (ALPHA, "sess-fx-claimed", NOW))
    source = opened(root, SystemClock())
    async with hosted(root) as host:
        restart = await proposer(source).propose(MIXED, "restart its group")
        assert "2 containers" in restart.consequence
        assert "nothing running" in await carried_out(proposer(source), restart)
        await carried_out(proposer(source), await proposer(source).propose(MIXED, "stop its group"))
    await close(source)
    acted = [one for one in host.requests if one["command"] == "groups-restart"]
    assert [set(one["args"]) for one in acted] == [{"id", "message"}, {"id"}]
    assert {one["args"]["id"] for one in acted} == {ALPHA}


@pytest.mark.parametrize("verb", ["stop its container", "restart its group", "stop its group"])
async def test_nothing_running_is_nothing_to_stop(
    root: Path, docker: ScriptedDocker, verb: str
) -> None:
    source = opened(root, SystemClock())
    proposal = await proposer(source).propose(MIXED, verb)
    assert "runs" in proposal.refusal
    with pytest.raises(RefusedError):
        await carried_out(proposer(source), proposal)
    await close(source)


async def test_verbs_and_sessions_nobody_knows_are_refused(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock())
    for sandbox, verb in ((MIXED, "rebuild"), (SandboxId("other", "x"), "nudge")):
        with pytest.raises(NotFoundError):
            await proposer(source).propose(sandbox, verb)
    with pytest.raises(NotFoundError):
        await proposer(source).propose(SandboxId("claw", "sess-none"), "nudge")
    await close(source)


def post_due(root: Path, name: str) -> None:
    db = sqlite3.connect(session(root, name) / "inbound.db")
    with db:
        db.execute(
            """INSERT INTO messages_in (id, seq, kind, timestamp, status, content)
               VALUES ('due-now', 1000, 'chat', datetime('now'), 'pending', '{"text":"x"}')"""
        )
    db.close()


async def test_an_attempt_waits_for_the_hosts_sweep_and_says_so(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    post_due(root, "sess-fx-empty")
    source = opened(root, SystemClock())
    attempts = Attempts({"claw": source}, SystemClock(), tmp_path / "locks", lambda _: None)
    (tmp_path / "locks").mkdir()
    async with hosted(root), asyncio.timeout(60):
        handle = attempts.request(Verb.WAKE, QUIET)
        await eventually(
            lambda: any("sweep starts it" in step.detail for step in handle.attempt.steps)
        )
        assert handle.attempt.state is AttemptState.VERIFY
        mark_running(root, "sess-fx-empty")
        beat = session(root, "sess-fx-empty") / ".heartbeat"
        beat.touch()
        docker.run((ALPHA, "sess-fx-empty", beat.stat().st_mtime - 3))
        ended = await handle.wait()
    await attempts.close()
    await close(source)
    assert ended.state is AttemptState.DONE
    assert ended.wakes == 0
    assert "was starting by itself and is serving" in ended.summary


async def test_an_attempt_on_what_sleeps_ends_with_the_nudge_to_confirm(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    source = opened(root, SystemClock())
    (tmp_path / "locks").mkdir()
    attempts = Attempts({"claw": source}, SystemClock(), tmp_path / "locks", lambda _: None)
    async with hosted(root) as host, asyncio.timeout(60):
        ended = await attempts.request(Verb.WAKE, QUIET).wait()
    await attempts.close()
    await close(source)
    assert (ended.state, ended.confirmable) == (AttemptState.FAILED, "nudge")
    assert "Nothing was started." in ended.summary
    assert host.chat == []
    assert {one["command"] for one in host.requests} <= {"help"}


async def test_a_wake_on_its_own_counts_down_and_ends(root: Path, docker: ScriptedDocker) -> None:
    post_due(root, "sess-fx-empty")
    clock = SystemClock()
    source = opened(root, clock)
    async with hosted(root):
        steps = source.actor.wake(QUIET)
        async with aclosing(cast("AsyncIterator[object]", steps)):  # type: ignore[type-var]
            seen = [await anext(steps) for _ in range(3)]
    assert [(one.name, one.state) for one in seen] == [
        ("start", StepState.SKIPPED),
        ("wait", StepState.RUNNING),
        ("wait", StepState.RUNNING),
    ]
    assert "sweep starts it within" in seen[2].detail
    without_host = [one async for one in source.actor.wake(QUIET)]
    await close(source)
    assert without_host[-1].state is StepState.FAILED
    assert "host is stopped" in without_host[-1].detail


async def test_a_link_is_a_container_with_this_sessions_mount(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock())
    failed = (await link_steps(source.actor, MIXED))[-1]
    assert (failed.state, failed.transient) == (StepState.FAILED, True)
    (name,) = docker.run((ALPHA, "sess-fx-mixed", NOW))
    done = (await link_steps(source.actor, MIXED))[-1]
    await close(source)
    assert (done.state, done.detail) == (StepState.OK, f"container {name}")


async def read_until(source: OpenSource, typed: bytes, wanted: bytes) -> tuple[bytes, CloseReason]:
    transport = source.actor.shell(MIXED, ShellChoice(shell="sh"))
    output = bytearray()
    async with asyncio.timeout(60):
        await transport.open(80, 24)
        await transport.write(typed)
        try:
            while not isinstance(part := await transport.read(), CloseReason):
                output += part
        finally:
            await transport.close()
    assert wanted in output
    return bytes(output), part


async def test_a_shell_is_docker_exec_on_our_terminal(root: Path, docker: ScriptedDocker) -> None:
    (name,) = docker.run((ALPHA, "sess-fx-mixed", NOW))
    source = opened(root, SystemClock())
    transport = source.actor.shell(MIXED, ShellChoice())
    assert transport.notice == NOTICE
    assert "outbound.db" in NOTICE
    await transport.close()
    _, ending = await read_until(source, b"stty size; exit 7\n", b"24 80")
    await close(source)
    assert (ending.state, ending.code) == (ShellState.ENDED, 7)
    assert [one for one in docker.asked if one[0] == "exec"] == [
        ["exec", "-it", "-e", "TERM=xterm-256color", "-w", "/workspace/agent", name, "sh"]
    ]


async def test_a_shell_without_a_container_says_what_to_do(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock())
    transport = source.actor.shell(MIXED, ShellChoice())
    with pytest.raises(ShellError, match="No container of sess-fx-mixed runs"):
        await transport.open(80, 24)
    await transport.close()
    docker.fail("permission denied while trying to connect to the Docker daemon socket\n")
    transport = source.actor.shell(MIXED, ShellChoice())
    with pytest.raises(ShellError, match="permission denied"):
        await transport.open(80, 24)
    for choice in (ShellChoice(pod="p"), ShellChoice(first_pod=True), ShellChoice(shell="fish")):
        with pytest.raises(UnavailableError):
            source.actor.shell(MIXED, choice)
    await close(source)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, ShellState.ENDED),
        (1, ShellState.ENDED),
        (125, ShellState.FAILED),
        (126, ShellState.FAILED),
        (127, ShellState.FAILED),
        (137, ShellState.LOST),
    ],
)
def test_the_exit_code_of_docker_is_not_the_shells_word(code: int, state: ShellState) -> None:
    assert interpret(code, "bash").state is state


async def test_a_command_brings_back_its_own_code(root: Path, docker: ScriptedDocker) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW))
    source = opened(root, SystemClock())
    done = await ran(source.actor, MIXED, ["sh", "-c", "echo out; echo err >&2; exit 3"], 10)
    assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 3)
    late = await ran(source.actor, MIXED, ["sleep", "30"], 0.3, ShellChoice())
    assert late.code is None
    assert "it was stopped" in late.reason
    with pytest.raises(UnavailableError):
        await ran(source.actor, MIXED, [], 1, ShellChoice())
    await close(source)


async def test_logs_are_the_hosts_lines_about_it_and_the_containers(
    root: Path, docker: ScriptedDocker
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW))
    (docker.folder / "logs").write_text("[poll-loop] polling\n\x1b[31mtoken=abcdefghijkl\n")
    (docker.folder / "live").touch()
    with (root / "logs" / "nanoclaw.error.log").open("a") as log:
        log.write('[17:04:59.000] WARN Killing container sessionId="sess-fx-mixed"\n')
    source = opened(root, SystemClock())
    await source.observer.observe()
    told: list[str] = []
    async with asyncio.timeout(60):
        lines = source.observer.logs(MIXED)
        async for line in lines:
            told.append(log_line(line).text)
            if "container: token=***" in told and any("Killing" in one for one in told):
                break
        await lines.aclose()  # type: ignore[attr-defined]
    await close(source)
    assert "container: [poll-loop] polling" in told
    assert "container log: it vanishes when the container ends" in told
    assert [one for one in told if one.startswith("host")] == [
        'host error: [17:04:59.000] WARN Killing container sessionId="sess-fx-mixed"'
    ]


async def test_a_container_whose_log_ends_at_once_is_told_of_once(
    root: Path, docker: ScriptedDocker
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW))
    (docker.folder / "logs").write_text("[poll-loop] polling\n")
    clock = FakeClock(NOW)
    source = opened(root, clock)
    await source.observer.observe()
    told: list[str] = []

    async def listen() -> None:
        async for line in source.observer.logs(MIXED, "container"):
            told.append(line.text)

    def asked() -> int:
        return sum("logs" in one for one in docker.asked)

    listening = asyncio.create_task(listen())
    for _ in range(4):
        before = asked()
        while asked() == before:
            await asyncio.sleep(0.01)  # a real child has to write
            await clock.advance(5)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await close(source)
    notes = [one for one in told if one.startswith("container log")]
    assert notes == ["container log: it vanishes when the container ends"]


async def test_the_log_of_an_ended_container_is_said_to_be_gone(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, FakeClock(NOW))
    await source.observer.observe()
    lines = source.observer.logs(MIXED)
    async with asyncio.timeout(60):
        assert (await anext(lines)).text == "container log: no container runs"
        await lines.aclose()  # type: ignore[attr-defined]
    await close(source)


async def test_a_group_without_a_config_is_not_offered_a_nudge(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, SystemClock())
    async with hosted(root):
        verdict = await source.observer.probe(NOWAKE)
        proposal = await proposer(source).propose(NOWAKE, "nudge")
    await close(source)
    assert verdict.kind is VerdictKind.TERMINAL
    assert verdict.confirmable == ""
    assert "no chat leads" in proposal.refusal


async def told_by(source: OpenSource, stream: str, count: int) -> list[str]:
    """The first lines of one stream."""
    told: list[str] = []
    lines = source.observer.logs(MIXED, stream)
    async with asyncio.timeout(60):
        async for line in lines:
            told.append(log_line(line).text)
            if len(told) == count:
                break
    await lines.aclose()  # type: ignore[attr-defined]
    return told


async def test_both_host_logs_are_told_as_one_in_the_order_they_were_written(
    root: Path, docker: ScriptedDocker
) -> None:
    sid = 'sessionId="sess-fx-mixed"'
    (root / "logs" / "nanoclaw.log").write_text(
        f"[23:59:58.000] INFO a {sid}\n[00:00:03.000] INFO c {sid}\n[00:00:05.000] INFO other\n"
    )
    (root / "logs" / "nanoclaw.error.log").write_text(
        f"[00:00:01.000] WARN b {sid}\n[00:00:04.000] ERROR d {sid}\n"
    )
    midnight = time.mktime((2026, 11, 21, 0, 0, 6, 0, 0, -1))
    for name in ("nanoclaw.log", "nanoclaw.error.log"):
        os.utime(root / "logs" / name, (midnight, midnight))
    source = opened(root, FakeClock(midnight - 60))
    await source.observer.observe()
    told = [line for line in await told_by(source, "session", 6) if line.startswith("host")]
    assert [line.split("] ")[1].split(" ")[1] for line in told] == ["a", "b", "c", "d"]
    assert (await told_by(source, "errors", 3))[0] == "— 2026-11-21"
    host = await told_by(source, "host", 4)
    assert [host[1], host[3]] == ["— 2026-11-21", "[00:00:05.000] INFO other"]
    names = [one.name for one in await source.observer.log_streams(MIXED)]
    assert names == ["session", "host", "errors", "container"]
    with pytest.raises(NotFoundError):
        await told_by(source, "nonsense", 1)
    await close(source)


async def test_a_host_log_that_is_away_is_said_and_waited_for(
    root: Path, docker: ScriptedDocker
) -> None:
    log = root / "logs" / "nanoclaw.log"
    log.unlink()
    source = opened(root, SystemClock())
    await source.observer.observe()
    lines = source.observer.logs(MIXED, "host")
    async with asyncio.timeout(60):
        assert (await anext(lines)).text == "— the host log is not there: waited for"
        log.write_text(f"[{time.strftime('%H:%M:%S')}.000] INFO begins\n")
        assert (await anext(lines)).text == "— the host log can be read"
        assert (await anext(lines)).text.endswith(".000] INFO begins")
        with log.open("r+") as stream:
            stream.truncate(0)
            stream.write("short\n")
        assert (await anext(lines)).text == "— the host log was cut: told from its beginning"
        assert (await anext(lines)).text == "short"
        await lines.aclose()  # type: ignore[attr-defined]
    await close(source)
