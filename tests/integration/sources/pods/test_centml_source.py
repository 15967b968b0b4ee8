"""The CentML source against a platform of our own on real shells."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import CentmlTable
from services.errors import ChoiceError, ShellError, UnavailableError
from services.models import Capability, SandboxId, SandboxState, ShellState, StepState
from services.net.http import ApiError
from services.sources.pods import centml_sign_in
from services.sources.pods.source import open_centml
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support.http_peer import WebSocket
from tests.support.platform_api import TOKEN, Centml, centml
from tests.support.ran import link_steps, ran
from tests.support.shells import opened, read_to_end, read_until
from tests.support.waiting import eventually

ONE = SandboxId("ml", "1")


def signed_in(home: Path, access: str = TOKEN, refresh: str = "refresh-1") -> Path:
    """A credential where the platform's own client keeps it."""
    place = home / ".centml" / "credentials.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({"access_token": access, "refresh_token": refresh}))
    return place


def jwt(until: float, mark: str = "x") -> str:
    """A token that says when it ends."""
    parts = ({"alg": "HS256"}, {"exp": until, "m": mark}, "signature")
    coded = (base64.urlsafe_b64encode(json.dumps(one).encode()).decode() for one in parts)
    return ".".join(one.rstrip("=") for one in coded)


@asynccontextmanager
async def platform(folder: Path, **options: Any) -> AsyncIterator[tuple[Centml, OpenSource]]:
    async with centml(folder / "pod") as api:
        api.deploy(1, box="Running")
        url = f"http://127.0.0.1:{api.peer.port}/"
        source = open_centml("ml", CentmlTable(url=url, **options), SystemClock())
        try:
            yield api, source
        finally:
            await source.actor.close()
            await source.observer.close()


async def test_deployments_and_their_pods_are_seen(tmp_path: Path, home: Path) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        api.deploy(2, a="Running", b="CrashLoopBackOff")
        api.deploy(3, c="ImagePullBackOff")
        api.deploy(4)
        api.deploy(5, d="SomethingNew")
        api.deploy(6, e="Running")
        api.deployments[6]["status"] = "paused"
        api.deploy(7, f="Running")
        api.old.add(7)
        seen = await source.observer.observe()
        rows = {one.id.native_id: one for one in seen.sandboxes}
        assert rows["1"].state is SandboxState.READY and rows["1"].name == "model-1"
        assert set(rows) == {"1", "2", "2/a", "2/b", "3", "4", "5", "6", "7"}
        assert rows["2"].state is SandboxState.READY
        assert rows["2/b"].state is SandboxState.BROKEN and "crashes" in rows["2/b"].reason
        assert rows["3"].state is SandboxState.BROKEN
        assert rows["4"].state is SandboxState.ASLEEP
        assert rows["5"].state is SandboxState.UNKNOWN and "SomethingNew" in rows["5"].reason
        assert rows["6"].state is SandboxState.ASLEEP and "paused" in rows["6"].reason
        assert rows["7"].reason == "deployment 7 reports no pod list (v2)"
        assert Capability.SHELL in dict(rows["7"].unavailable)
        assert TOKEN not in repr(seen)


async def test_one_deployment_that_cannot_be_had_hides_no_other(tmp_path: Path, home: Path) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        api.deploy(2, a="Running")
        api.sick.add(2)
        api.odd = [None, {"id": "three"}, {"id": True}]
        seen = await source.observer.observe()
        assert [one.id for one in seen.sandboxes] == [ONE]
        [(front, why)] = seen.unknown
        assert front == seen.gateways[0].id
        assert "3 lines of the list not understood" in why.reason
        assert "deployment 2: " in why.reason
        api.sick.add(1)
        with pytest.raises(UnavailableError):
            await source.observer.observe()


async def test_a_shell_opens_and_ends_without_an_invented_code(tmp_path: Path, home: Path) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        shell = source.actor.shell(ONE, ShellChoice(shell="bash"))
        async with opened(shell, 90, 30):
            await read_until(shell, b"pod$ ")
            await shell.write(b"stty size; exit 3\r")
            output, ending = await read_to_end(shell)
        assert b"30 90" in output
        assert (ending.state, ending.code) == (ShellState.ENDED, None)
        assert api.peer.requests[-1].target == "/deployments/1/terminal?pod=box&shell=bash"


@pytest.mark.parametrize("busy", [False, True])
async def test_a_shell_that_is_left_does_not_stay_behind(
    tmp_path: Path, home: Path, busy: bool
) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        shell = source.actor.shell(ONE, ShellChoice())
        await shell.open(80, 24)
        await read_until(shell, b"pod$ ")
        if busy:
            await shell.write(b"echo go''ing; sleep 300\r")
            await read_until(shell, b"going")
        await shell.close()
        await eventually(lambda: not api.alive)


@pytest.mark.parametrize(
    ("pods", "choice", "words"),
    [
        ({}, ShellChoice(), "no running pod"),
        ({"a": "Failed"}, ShellChoice(), "no running pod"),
        ({"a": "Running"}, ShellChoice(pod="x"), "running are: a"),
        ({"a": "Running", "b": "Running"}, ShellChoice(), "2 running pods: a, b"),
    ],
)
async def test_pods_are_refused_by_the_rules(
    tmp_path: Path, home: Path, pods: dict[str, str], choice: ShellChoice, words: str
) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        api.deploy(1, **pods)
        with pytest.raises(ShellError) as caught:
            await source.actor.shell(ONE, choice).open(80, 24)
        assert words in f"{caught.value.sentence} {caught.value.advice}"
        if len(pods) == 2:
            assert isinstance(caught.value, ChoiceError) and caught.value.choices == ("a", "b")


@pytest.mark.parametrize(
    ("target", "choice", "pod"),
    [
        ("1", ShellChoice(first_pod=True), "a"),
        ("1", ShellChoice(pod="b"), "b"),
        ("1", ShellChoice(pod="b", first_pod=True), "b"),
        ("1/b", ShellChoice(), "b"),
    ],
)
async def test_pods_are_chosen_by_the_rules(
    tmp_path: Path, home: Path, target: str, choice: ShellChoice, pod: str
) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        api.deploy(1, a="Running", b="Running")
        shell = source.actor.shell(SandboxId("ml", target), choice)
        async with opened(shell):
            await read_until(shell, b"pod$ ")
        assert api.peer.requests[-1].one("pod") == pod


async def test_names_are_quoted_whole(tmp_path: Path, home: Path) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        api.deploy(1, **{"a/b&shell=c": "Running"})
        shell = source.actor.shell(ONE, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
        assert api.peer.requests[-1].target.endswith("?pod=a%2Fb%26shell%3Dc")


@pytest.mark.parametrize(
    ("argv", "output", "code"),
    [
        (("echo", "hello world"), b"hello world\n", 0),
        (("sh", "-c", "exit 42"), b"", 42),
        (("sh", "-c", "exit 300"), b"", 44),
        (("sh", "-c", "echo a; echo b >&2"), b"a\nb\n", 0),
        (("printf", "no newline"), b"no newline", 0),
        (("cat",), b"", 0),
        (("sh", "-c", "exit 5 # a comment"), b"", 5),
        (("exit", "7"), b"", 7),
        (("kill", "-KILL", "$$"), None, None),
        (("no-such-command-at-all",), None, 127),
        (("echo", "x" * 20_000), b"x" * 20_000 + b"\n", 0),
        (("echo", "__CENTML_END_5f3a__:0"), b"__CENTML_END_5f3a__:0\n", 0),
        (("sh", "-c", "kill -INT $$"), None, 130),
        (("sh", "-c", "kill -KILL $$"), None, 137),
    ],
    ids=range(14),
)
async def test_commands_end_with_their_own_code(
    tmp_path: Path, home: Path, argv: tuple[str, ...], output: bytes | None, code: int | None
) -> None:
    signed_in(home)
    async with platform(tmp_path) as (_, source):
        if argv[0] == "kill":
            # The words are quoted: the shell is asked to kill a process called $$.
            code = 1
        done = await ran(source.actor, ONE, argv, 30, ShellChoice(shell="bash"))
        assert done.code == code, done
        if output is not None:
            assert done.stdout == output


async def test_a_socket_that_drops_before_the_end_leaves_the_outcome_unknown(
    tmp_path: Path, home: Path
) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):

        async def script(socket: WebSocket) -> None:
            async for frame in socket.frames():
                if b"stdin" in bytes(frame.data):
                    await api.send(socket, "some output\r\n")
                    socket.reset()

        api.script = script
        done = await ran(source.actor, ONE, ("true",), 30, ShellChoice())
        assert done.code is None and "before the command's status" in done.reason


async def test_a_deadline_leaves_the_outcome_unknown_and_interrupts(
    tmp_path: Path, home: Path
) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        done = await ran(source.actor, ONE, ("sleep", "300"), 1.5, ShellChoice())
        assert done.code is None and "1.5 s" in done.reason
        await eventually(lambda: not api.alive)


async def test_an_error_of_the_proxy_is_said(tmp_path: Path, home: Path) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):

        async def script(socket: WebSocket) -> None:
            await socket.send('{"error":"container is on fire\\u001b[2J"}')
            await socket.close()
            async for _ in socket.frames():
                pass

        api.script = script
        shell = source.actor.shell(ONE, ShellChoice())
        async with opened(shell):
            output, ending = await read_to_end(shell)
        assert b"container is on fire" in output and b"[2J" not in output
        assert ending == CloseReason(ShellState.FAILED, "container is on fire")
        done = await ran(source.actor, ONE, ("true",), 30, ShellChoice())
        assert done.code is None and "on fire" in done.reason


async def test_an_expired_token_is_renewed_for_the_operator_alone(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = signed_in(home, jwt(time.time() + 50))
    fresh = jwt(time.time() + 5000, "fresh")
    async with platform(tmp_path) as (api, source):
        url = f"http://127.0.0.1:{api.peer.port}/token"
        monkeypatch.setattr(centml_sign_in, "AUTHENTICATE", url)
        api.tokens = {fresh}
        api.next_token = {"access_token": fresh, "refresh_token": "refresh-2"}
        before = file.read_bytes()
        with pytest.raises(UnavailableError, match="expired"):
            await source.observer.observe()
        assert (await source.observer.probe(ONE)).kind is VerdictKind.READY
        assert not api.issued and file.read_bytes() == before
        steps = await link_steps(source.actor, ONE)
        assert [one.state for one in steps if one.ended_at is not None] == [StepState.OK] * 3
        assert steps[0].critical
        assert api.issued[0]["refresh_token"] == "refresh-1"
        assert json.loads(file.read_text())["refresh_token"] == "refresh-2"
        assert file.stat().st_mode & 0o777 == 0o600
        assert [one.name for one in file.parent.iterdir()] == ["credentials.json"]
        await source.observer.observe()


async def test_a_refused_renewal_leaves_the_file_alone(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = signed_in(home, jwt(1.0))
    before = file.read_bytes()
    async with platform(tmp_path) as (api, source):
        url = f"http://127.0.0.1:{api.peer.port}/token"
        monkeypatch.setattr(centml_sign_in, "AUTHENTICATE", url)
        api.next_token = {"error": "invalid_grant", "error_description": "token was used"}
        steps = await link_steps(source.actor, ONE)
        assert steps[-1].state is StepState.FAILED
        assert "token was used" in steps[-1].detail and "centml login" in steps[-1].detail
        assert file.read_bytes() == before


def as_robot(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A service account, whose tokens are issued there."""
    monkeypatch.setenv("CENTML_SERVICE_ACCOUNT_ID", "robot")
    monkeypatch.setenv("CENTML_SERVICE_ACCOUNT_SECRET", "robots-own-secret")
    monkeypatch.setenv("CENTML_SERVICE_ACCOUNT_TOKEN_URL", url)


async def test_a_service_account_signs_in_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platform(tmp_path) as (api, source):
        url = f"http://127.0.0.1:{api.peer.port}/token"
        as_robot(monkeypatch, url)
        api.next_token = {"access_token": TOKEN}
        with pytest.raises(UnavailableError, match="not signed in"):
            await source.observer.observe()
        shell = source.actor.shell(ONE, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
        assert api.issued == [
            {
                "grant_type": "client_credentials",
                "client_id": "robot",
                "client_secret": "robots-own-secret",
            }
        ]
        assert (await source.observer.observe()).sandboxes


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            b'{"error": "invalid_client", "error_description": "unknown robot"}',
            "unknown robot",
        ),
        (401, b'{"message": "bad secret"}', "refused: bad secret"),
        (401, b"<html>robots-own-secret</html>", "answered 401"),
        (400, b"bad client: secret robots-own-secret is wrong", "answered 400"),
        (400, b'{"error_description": "no robots-own-secret here"}', "refused: no .* here"),
        (302, b"", "answered 302"),
        (503, b"<html>busy</html>", "answered 503"),
        (200, b"<html>hello</html>", "something else than JSON"),
        (200, b'"' + b"x" * (1 << 18) + b'"', "more than is expected"),
    ],
)
async def test_a_refused_service_account_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, words: str
) -> None:
    """A status of who issues tokens is never taken for the platform's."""
    async with platform(tmp_path) as (api, source):
        url = f"http://127.0.0.1:{api.peer.port}/token?tenant=one"
        as_robot(monkeypatch, url)
        api.token_refusal = status, body
        with pytest.raises(UnavailableError, match=words) as caught:
            await source.actor.sign_in()  # type: ignore[attr-defined]
        assert not isinstance(caught.value, ApiError)
        assert "robots-own-secret" not in str(caught.value)
        assert api.token_queries == [{"tenant": ["one"]}]


async def test_an_address_of_tokens_that_is_none_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with platform(tmp_path) as (_, source):
        as_robot(monkeypatch, "https://there:port/token")
        with pytest.raises(UnavailableError, match="no address"):
            await source.actor.sign_in()  # type: ignore[attr-defined]


async def test_a_401_renews_the_token_once(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(home, "stale-but-looks-good")
    async with platform(tmp_path) as (api, source):
        url = f"http://127.0.0.1:{api.peer.port}/token"
        monkeypatch.setattr(centml_sign_in, "AUTHENTICATE", url)
        api.next_token = {"access_token": TOKEN, "refresh_token": "refresh-2"}
        shell = source.actor.shell(ONE, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
        assert len(api.issued) == 1
        api.tokens = set()
        with pytest.raises(ShellError, match="401"):
            await source.actor.shell(ONE, ShellChoice()).open(80, 24)
        assert len(api.issued) == 2


async def test_nobody_signed_in_is_said(tmp_path: Path) -> None:
    async with platform(tmp_path) as (_, source):
        with pytest.raises(UnavailableError, match="Nobody is signed in") as caught:
            await source.observer.observe()
        assert "centml login" in caught.value.advice


async def test_a_token_never_travels_in_the_clear(home: Path) -> None:
    signed_in(home)
    options = CentmlTable(url="http://platform.example.com")
    source = open_centml("ml", options, SystemClock())
    with pytest.raises(UnavailableError, match="without TLS"):
        await source.observer.observe()
    with pytest.raises(ShellError, match="without TLS"):
        await source.actor.shell(ONE, ShellChoice()).open(80, 24)
