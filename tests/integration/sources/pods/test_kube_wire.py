"""The exec wire end to end: our client against a server on real processes, over v5 and v4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import pytest

from services.errors import ShellError
from services.models import ShellState
from services.terminal.exec.channels import ChannelCommand
from services.terminal.exec.requests import CollectedOutput, ExecRequest, collect_output
from services.terminal.exec.runner import run_command
from services.terminal.session.scheduler import ParseScheduler
from services.terminal.transport.base import CloseReason
from services.terminal.transport.k8s_channels import ChannelFraming, ExecStatusKind
from services.terminal.transport.websocket import WebSocketTransport
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod
from tests.support.kube_exec import V4, V5
from tests.support.ran import pieces
from tests.support.shells import opened, read_to_end, read_until, running_session


def url(api: KubeApi, argv: Sequence[str], *streams: str) -> str:
    query = [("command", word) for word in argv] + [(name, "true") for name in streams]
    path = "/api/v1/namespaces/default/pods/box/exec"
    return f"ws://127.0.0.1:{api.peer.port}{path}?{urlencode(query)}"


def transport(
    api: KubeApi, framing: ChannelFraming, argv: Sequence[str], *streams: str
) -> WebSocketTransport:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return WebSocketTransport(url(api, argv, *streams), headers, framing=framing)


def shell(api: KubeApi, argv: Sequence[str] = ("bash", "--norc")) -> WebSocketTransport:
    return transport(api, ChannelFraming(), argv, "stdin", "stdout", "tty")


async def run(
    api: KubeApi, argv: Sequence[str], stdin: bytes | None = None, timeout_s: float = 20
) -> CollectedOutput:
    async def connect(
        words: tuple[str, ...], streams: tuple[str, ...], framing: ChannelFraming
    ) -> WebSocketTransport:
        one = transport(api, framing, words, *streams)
        await one.open(80, 24)
        return one

    given = None if stdin is None else pieces(stdin)
    request = ExecRequest(tuple(argv), timeout_s=timeout_s, stdin=given)
    return await collect_output(run_command(ChannelCommand(connect), request))


@pytest.mark.parametrize("subprotocol", [V5, V4])
async def test_a_shell_has_its_size_from_the_start_and_ends_with_its_code(
    tmp_path: Path, subprotocol: str
) -> None:
    async with kube_api(tmp_path / "pod") as api:
        api.subprotocols = (subprotocol,)
        await api.put(pod("box"))
        one = shell(api)
        async with opened(one, 101, 33):
            await read_until(one, b"pod$ ")
            await one.write(b"stty size\r")
            await read_until(one, b"33 101")
            await one.resize(132, 40)
            await one.write(b"stty size\r")
            await read_until(one, b"40 132")
            await one.write(b"exit 7\r")
            _, ending = await read_to_end(one)
        assert (ending.state, ending.code) == (ShellState.ENDED, 7)


@pytest.mark.parametrize("subprotocol", [V5, V4])
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("./not-executable", 126),
        ("no-such-command-at-all", 127),
        ("kill -INT $$", 130),
        ("kill -KILL $$", 137),
        ("exit 300", 44),
    ],
)
async def test_exit_codes_are_those_of_the_command(
    tmp_path: Path, subprotocol: str, script: str, code: int
) -> None:
    async with kube_api(tmp_path / "pod") as api:
        api.subprotocols = (subprotocol,)
        await api.put(pod("box"))
        (tmp_path / "pod" / "not-executable").write_text("x")
        result = await run(api, ["sh", "-c", script])
        assert result.code == code


async def test_the_two_outputs_come_apart(tmp_path: Path) -> None:
    async with kube_api(tmp_path / "pod") as api:
        await api.put(pod("box"))
        result = await run(api, ["sh", "-c", "printf out; printf err >&2"])
        assert result == CollectedOutput(b"out", b"err", 0)


async def test_input_is_sent_whole_and_ended(tmp_path: Path) -> None:
    async with kube_api(tmp_path / "pod") as api:
        await api.put(pod("box"))
        sent = bytes(range(256)) * 1000
        result = await run(api, ["cat"], sent)
        assert (result.stdout, result.code) == (sent, 0)


async def test_input_is_refused_where_its_end_cannot_be_told(tmp_path: Path) -> None:
    async with kube_api(tmp_path / "pod") as api:
        api.subprotocols = (V4,)
        await api.put(pod("box"))
        with pytest.raises(ShellError, match="too old"):
            await run(api, ["cat"], b"x")


async def test_a_program_that_is_not_there_was_not_started(tmp_path: Path) -> None:
    async with kube_api(tmp_path / "pod") as api:
        await api.put(pod("box"))
        with pytest.raises(ShellError, match="not started"):
            await run(api, ["no-such-program-at-all"])
        framing = ChannelFraming()
        one = transport(api, framing, ["no-such-program-at-all"], "stdin", "stdout", "tty")
        async with opened(one):
            ending = await one.read()
        assert isinstance(ending, CloseReason) and ending.state is ShellState.FAILED
        assert framing.outcome is not None and framing.outcome.kind is ExecStatusKind.NO_PROGRAM


async def test_a_deadline_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async with kube_api(tmp_path / "pod") as api:
        await api.put(pod("box"))
        result = await run(api, ["sleep", "60"], timeout_s=0.5)
        assert result.code is None
        assert "may still run" in result.reason


async def test_a_session_lives_on_it(tmp_path: Path) -> None:
    async with kube_api(tmp_path / "pod") as api:
        await api.put(pod("box"))
        async with running_session(shell(api), ParseScheduler()) as running:
            await running.shows(b"pod$ ")
            running.session.type(b"echo $((6*7))\r")
            await running.shows(b"42\r\n")
            running.session.type(b"exit 3\r")
            await running.until(lambda: running.session.shell.state.over)
            assert running.session.shell.code == 3
