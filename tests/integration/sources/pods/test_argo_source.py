"""The Argo CD source against a server of our own on real shells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import ArgoTable
from services.errors import NotFoundError, ShellError, UnavailableError
from services.logs.follower import log_line
from services.models import Retry, SandboxId, SandboxState, ShellState, StepState
from services.sources.pods import argo_api as words
from services.sources.pods.source import open_argo
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from tests.support.http_peer import WebSocket
from tests.support.platform_api import TOKEN, Argo, _token_of, argo
from tests.support.ran import link_steps, ran
from tests.support.shells import opened, read_to_end, read_until
from tests.support.waiting import eventually

BOX = SandboxId("cd", "shop/agents/box")


@asynccontextmanager
async def server(folder: Path, **options: Any) -> AsyncIterator[tuple[Argo, OpenSource]]:
    token = folder / "token"
    token.write_text(f"{TOKEN}\n")
    async with argo(folder / "pod") as api:
        url = f"http://127.0.0.1:{api.peer.port}"
        wanted = ArgoTable(url=url, token_file=str(token), **options)
        source = open_argo("cd", wanted, SystemClock())
        try:
            yield api, source
        finally:
            await source.actor.close()
            await source.observer.close()


async def test_pods_of_applications_are_seen(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        api.pods = {"box": "Running", "sick": "CrashLoopBackOff", "young": "ContainerCreating"}
        seen = await source.observer.observe()
        rows = {one.name: one for one in seen.sandboxes}
        assert rows["box"].id == BOX and rows["box"].state is SandboxState.READY
        assert rows["sick"].state is SandboxState.BROKEN
        assert rows["young"].state is SandboxState.SETTLING and rows["young"].unavailable
        assert ("Containers", "1/1") in rows["box"].evidence
        assert TOKEN not in repr(seen)


async def test_named_applications_are_asked_one_by_one(tmp_path: Path) -> None:
    async with server(tmp_path, applications=("argocd/shop",)) as (_, source):
        assert len((await source.observer.observe()).sandboxes) == 1
    async with server(tmp_path / "pod", applications=("other",)) as (_, source):
        with pytest.raises(NotFoundError, match="no application 'other'"):
            await source.observer.observe()


async def test_one_application_that_cannot_be_had_hides_no_other(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        api.listed = [*api.listed, {"metadata": {"name": "lost", "namespace": "argocd"}}]
        seen = await source.observer.observe()
        assert [one.id for one in seen.sandboxes] == [BOX]
        [(front, why)] = seen.unknown
        assert front == seen.gateways[0].id and "application lost: " in why.reason
        api.listed = [api.listed[1]]
        with pytest.raises(UnavailableError):
            await source.observer.observe()
    async with server(tmp_path / "pod", applications=("shop", "other")) as (_, source):
        seen = await source.observer.observe()
        assert [one.id for one in seen.sandboxes] == [BOX]
        assert "no application 'other'" in seen.unknown[0][1].reason


@pytest.mark.parametrize("listed", ["shop", {"shop": {}}, 3, [None], [{"metadata": {}}]])
async def test_applications_that_are_no_list_are_not_none(tmp_path: Path, listed: Any) -> None:
    async with server(tmp_path) as (api, source):
        api.listed = listed
        with pytest.raises(UnavailableError, match="something else than"):
            await source.observer.observe()
        api.listed = None
        assert (await source.observer.observe()).sandboxes == ()


@pytest.mark.parametrize(
    ("health", "state"),
    [
        ("Healthy", SandboxState.READY),
        ("Progressing", SandboxState.SETTLING),
        ("Degraded", SandboxState.STUCK),
        ("Missing", SandboxState.UNKNOWN),
        ("Unknown", SandboxState.UNKNOWN),
        ("Levitating", SandboxState.UNKNOWN),
    ],
)
async def test_a_running_pod_is_as_healthy_as_argo_cd_says(
    tmp_path: Path, health: str, state: SandboxState
) -> None:
    async with server(tmp_path) as (api, source):
        api.health = health
        [row] = (await source.observer.observe()).sandboxes
        assert row.state is state
        assert bool(row.reason) is (health != "Healthy")


async def test_a_shell_is_named_and_its_end_is_no_loss(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        shell = source.actor.shell(BOX, ShellChoice())
        async with opened(shell, 90, 30):
            await read_until(shell, b"pod$ ")
            await shell.write(b"stty size; exit 3\r")
            output, ending = await read_to_end(shell)
        assert b"30 90" in output
        assert (ending.state, ending.code) == (ShellState.ENDED, None)
        assert "exited" in ending.reason
        asked = next(one for one in api.peer.requests if one.path == "/terminal")
        assert asked.one("shell") == "bash" and asked.one("container") == "main"
        assert asked.one("appNamespace") == "argocd"
        assert asked.headers["cookie"] == f"argocd.token={TOKEN}"


async def test_a_shell_that_is_missing_is_followed_by_the_next(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        api.missing = {"bash"}
        shell = source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            output = await read_until(shell, b"$ ")
        assert b"bash ended at once (not there?); trying sh" in output


async def test_the_container_can_be_named(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        shell = source.actor.shell(BOX, ShellChoice(container="side"))
        async with opened(shell):
            await read_until(shell, b"pod$ ")
        assert api.peer.requests[-1].one("container") == "side"
        with pytest.raises(ShellError, match="no container 'x'"):
            await source.actor.shell(BOX, ShellChoice(container="x")).open(80, 24)


async def test_a_renewed_token_means_a_new_shell_once(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        sessions = 0

        async def renew(socket: WebSocket) -> None:
            nonlocal sessions
            sessions += 1
            try:
                while True:
                    await api.send(socket, "token refreshed\r\n")
                    await socket.send('{"Code":1}')
            except ConnectionError:
                pass

        api.script = renew
        shell = source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"new shell")
            _, ending = await read_to_end(shell)
        assert sessions == 2
        assert (ending.state, ending.retry) == (ShellState.LOST, Retry.AUTO)
        api.script = None


async def test_a_lost_right_is_a_hint_only(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):

        async def deny(socket: WebSocket) -> None:
            await api.send(socket, "Permission denied")
            await socket.drop()

        api.script = deny
        shell = source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            _, ending = await read_to_end(shell)
        assert "right to exec" in ending.reason


async def test_input_is_never_longer_than_the_server_reads(tmp_path: Path) -> None:
    async with server(tmp_path) as (_, source):
        shell = source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            await shell.write(b"stty -icanon -echo; echo re''ady; head -c 100000 | wc -c\r")
            await read_until(shell, b"ready\r\n")
            await shell.write(b"x" * 100_000)
            await read_until(shell, b"100000")


@pytest.mark.parametrize("busy", [False, True])
async def test_a_shell_that_is_left_does_not_stay_behind(tmp_path: Path, busy: bool) -> None:
    async with server(tmp_path) as (api, source):
        shell = source.actor.shell(BOX, ShellChoice())
        await shell.open(80, 24)
        await read_until(shell, b"pod$ ")
        if busy:
            await shell.write(b"echo go''ing; sleep 300\r")
            await read_until(shell, b"going")
        await shell.close()
        await eventually(lambda: not api.alive)


async def test_commands_have_codes_although_the_platform_has_none(tmp_path: Path) -> None:
    async with server(tmp_path) as (_, source):
        done = await ran(source.actor, BOX, ("sh", "-c", "echo hi; exit 42"), 30, ShellChoice())
        assert (done.stdout, done.code) == (b"hi\n", 42)


async def test_the_link_is_proved_step_by_step(tmp_path: Path) -> None:
    async with server(tmp_path) as (_, source):
        steps = [step for step in await link_steps(source.actor, BOX) if step.ended_at is not None]
        assert [(one.name, one.state) for one in steps] == [
            ("credential", StepState.OK),
            ("sandbox", StepState.OK),
            ("connect", StepState.OK),
        ]
        assert (await source.observer.probe(BOX)).kind is VerdictKind.READY
        gone = await source.observer.probe(SandboxId("cd", "shop/agents/gone"))
        assert gone.kind is VerdictKind.TERMINAL


async def test_a_terminal_that_is_switched_off_is_said(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        api.exec_enabled = False
        with pytest.raises(ShellError, match="switched off") as caught:
            await source.actor.shell(BOX, ShellChoice()).open(80, 24)
        assert caught.value.retry is Retry.NO and "exec.enabled" in caught.value.advice


async def test_a_token_that_is_refused_says_what_to_do(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        api.tokens = set()
        with pytest.raises(UnavailableError, match="401") as caught:
            await source.observer.observe()
        assert "generate-token" in caught.value.advice


async def test_without_a_token_nothing_is_asked(tmp_path: Path) -> None:
    source = open_argo("cd", ArgoTable(url="https://127.0.0.1:1"), SystemClock())
    with pytest.raises(UnavailableError, match="no token"):
        await source.observer.observe()


def test_a_long_token_travels_in_several_cookies() -> None:
    token = "".join(chr(97 + number % 26) for number in range(10_000))
    header = words.cookies(token)
    assert header.startswith("argocd.token=3:") and "argocd.token-2=" in header
    assert _token_of(header) == token
    assert _token_of(words.cookies("short")) == "short"


async def test_logs_are_read_through_argo_cd(tmp_path: Path) -> None:
    async with server(tmp_path) as (api, source):
        streams = await source.observer.log_streams(BOX)
        assert [one.name for one in streams] == ["main", "side"]
        api.entries = [
            {"result": {"content": "first\x1b[2J", "last": False, "podName": "box"}},
            {"result": {"content": f"Authorization: Bearer {TOKEN}"}},
            {"result": {"content": "", "last": True}},
        ]
        lines = [log_line(line).text async for line in source.observer.logs(BOX, "side")]
        assert lines[0] == "first" and len(lines) == 2 and TOKEN not in "".join(lines)
        asked = api.peer.requests[-1]
        assert asked.path == "/api/v1/applications/shop/pods/box/logs"
        assert (asked.one("container"), asked.one("namespace")) == ("side", "agents")
        with pytest.raises(NotFoundError, match="has no log"):
            await anext(source.observer.logs(BOX, "nobody"))
        api.entries = [
            {"result": {"content": "some"}},
            {"error": {"grpc_code": 7, "message": f"permission denied: {TOKEN}"}},
        ]
        with pytest.raises(UnavailableError, match="permission denied"):
            assert [log_line(line).text async for line in source.observer.logs(BOX)] == ["some"]


@pytest.mark.parametrize(
    "line", [b"", b" ", b"[]", b"{", b'{"result":1}', b'{"result":{"content":1}}', b"null"]
)
def test_an_entry_that_is_none_says_nothing(line: bytes) -> None:
    assert words.read_log(line) == b""


@pytest.mark.parametrize("takes", ["cookie", "bearer"])
@pytest.mark.parametrize("length", [40, 3800, 7000])
async def test_both_ways_to_show_a_token_open_a_shell(
    tmp_path: Path, takes: str, length: int
) -> None:
    async with server(tmp_path) as (api, source):
        token = "t" * length
        api.takes, api.tokens = takes, {token}
        (tmp_path / "token").write_text(token)
        done = await ran(source.actor, BOX, ("sh", "-c", "exit 42"), 30)
        assert done.code == 42
        api.tokens = {"another"}
        with pytest.raises(ShellError, match=r"does not accept the token|says no") as caught:
            await source.actor.shell(BOX, ShellChoice()).open(80, 24)
        assert token not in str(caught.value)


FRAMES = (
    '{"operation":"stdout","data":"\\u001b[?2004hbash-5.2$ ","rows":0,"cols":0}',
    '{"operation":"stdout","data":"","rows":0,"cols":0}',
    '{"operation":"stdout","data":"caf\\ufffd\\ufffd \\u4e2d\\r\\n","rows":0,"cols":0}',
    '{"operation":"stdout","data":"exit\\r\\n","rows":0,"cols":0}',
)
"""As its Go encoder writes them: sizes always there, a code point that was cut in two as U+FFFD."""


async def test_its_frames_are_shown_as_they_are_and_a_silent_end_is_no_code(
    tmp_path: Path,
) -> None:
    async with server(tmp_path) as (api, source):

        async def play(socket: WebSocket) -> None:
            sizes = 0
            async for _ in socket.frames():
                sizes += 1
                if sizes == 1:
                    await socket.ping()
                    await socket.send(FRAMES[0])
                else:
                    # The size again, after the first output.
                    for frame in FRAMES[1:]:
                        await socket.send(frame)
                    break
            await socket.drop()

        api.script = play
        shell = source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            output, ending = await read_to_end(shell)
        assert output == "\x1b[?2004hbash-5.2$ caf\ufffd\ufffd 中\r\nexit\r\n".encode()
        assert ending.code is None and "no exit code" in ending.reason
