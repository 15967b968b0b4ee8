"""kubectl judges our test server as a client, and our client passes through its proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.terminal.transport.k8s_channels import ChannelFraming
from services.terminal.transport.pty import PtyProcess
from services.terminal.transport.websocket import WebSocketTransport
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod
from tests.support.kubectl import environment, kubeconfig, kubectl
from tests.support.shells import opened, read_to_end, read_until
from tests.support.tls import Authority

pytestmark = pytest.mark.kit("kubectl")


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[tuple[KubeApi, Path]]:
    """kubectl sends credentials over TLS alone, so the server speaks it."""
    authority = Authority(folder / "ca")
    async with kube_api(folder / "pod", authority.server("localhost", "127.0.0.1")) as api:
        await api.put(pod("box"))
        server = f"https://localhost:{api.peer.port}"
        yield api, kubeconfig(folder, server, TOKEN, authority.certificate)


async def run(config: Path, *words: str, stdin: bytes = b"") -> tuple[int | None, bytes, bytes]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        kubectl(), *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(config)
    )
    async with asyncio.timeout(60):
        out, err = await child.communicate(stdin)
    return child.returncode, out, err


async def test_kubectl_finds_our_server_genuine(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, config):
        code, out, err = await run(config, "exec", "box", "--", "sh", "-c", "echo a; echo b >&2")
        assert (code, out, err) == (0, b"a\n", b"b\n")
        code, _, err = await run(config, "exec", "box", "--", "sh", "-c", "exit 42")
        assert code == 42
        code, out, _ = await run(config, "exec", "-i", "box", "--", "cat", stdin=b"piped\n" * 100)
        assert (code, out) == (0, b"piped\n" * 100)
        code, _, err = await run(config, "exec", "box", "--", "no-such-program")
        assert code != 0 and b"executable file not found" in err
        assert api.peer.requests[-1].headers["sec-websocket-protocol"] == "v5.channel.k8s.io"


async def test_kubectl_has_a_terminal_with_a_live_size(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (_, config):
        argv = [kubectl(), "exec", "-it", "box", "--", "bash", "--norc"]
        process = await PtyProcess.start(
            argv, env={**environment(config), "TERM": "xterm"}, columns=101, lines=33
        )
        try:
            await seen(process, b"pod$ ")
            process.write(b"stty size\r")
            await seen(process, b"33 101")
            process.resize(132, 40)
            for _ in range(20):
                process.write(b"stty size\r")
                if b"40 132" in await seen(process, b"pod$ "):
                    break
            else:
                pytest.fail("the new size never arrived")
            process.write(b"exit 7\r")
            await seen(process, b"exit code 7")
            assert await process.wait(20)
        finally:
            assert await process.terminate() == 7


async def seen(process: PtyProcess, wanted: bytes) -> bytes:
    output = b""
    async with asyncio.timeout(60):
        while wanted not in output:
            data = await process.read()
            assert data, output
            output += data
    return output


@asynccontextmanager
async def proxy(config: Path) -> AsyncIterator[int]:
    """`kubectl proxy` between; its port."""
    child = await asyncio.create_subprocess_exec(
        kubectl(),
        "proxy",
        "--port=0",
        "--reject-paths=^/nothing$",
        stdout=asyncio.subprocess.PIPE,
        env=environment(config),
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(60):
            line = await child.stdout.readline()
        yield int(line.rsplit(b":", 1)[1])
    finally:
        child.terminate()
        await child.wait()


async def test_our_client_passes_through_kubectl_proxy(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/pods/box/exec?command=bash&command=--norc"
    async with cluster(tmp_path) as (_, config), proxy(config) as port:
        url = f"ws://127.0.0.1:{port}{path}&stdin=true&stdout=true&tty=true"
        one = WebSocketTransport(url, {}, framing=ChannelFraming())
        async with opened(one, 90, 30):
            await read_until(one, b"pod$ ")
            await one.write(b"stty size; exit 9\r")
            output, ending = await read_to_end(one)
        assert b"30 90" in output
        assert ending.code == 9


async def test_our_client_speaks_tls_to_the_name_on_the_certificate(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, _):
        context = ssl.create_default_context(cafile=str(tmp_path / "ca" / "ca.pem"))
        path = "/api/v1/namespaces/default/pods/box/exec?command=sh&stdin=1&stdout=1&tty=1"
        one = WebSocketTransport(
            f"wss://127.0.0.1:{api.peer.port}{path}",
            {"Authorization": f"Bearer {TOKEN}"},
            framing=ChannelFraming(),
            tls=context,
            server_name="localhost",
        )
        async with opened(one):
            await one.write(b"exit 5\r")
            _, ending = await read_to_end(one)
        assert ending.code == 5
