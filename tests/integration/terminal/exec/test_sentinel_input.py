"""Input of a command in a terminal: every shell, with and without a decoder, and nobody held up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from services.terminal.exec import sentinel
from services.terminal.exec.requests import ExecOutput, ExecRequest, collect_output
from services.terminal.exec.runner import run_command
from services.terminal.exec.sentinel import BASE64, OCTAL, SentinelCommand
from services.terminal.transport import keepalive
from services.terminal.transport.pty_transport import PtyTransport
from tests.support.debian import packages
from tests.support.ran import pieces
from tests.support.shells import undecoded

pytestmark = pytest.mark.slow
PIPE = 1 << 16
"""Bytes that a pipe to a command holds."""
every = pytest.mark.parametrize(
    ("shell", "decodes"),
    [
        ("dash", True),
        ("dash", False),
        ("bash", True),
        ("bash", False),
        pytest.param("busybox", True, marks=pytest.mark.kit("containerd")),
    ],
)


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentinel, "LINGER_S", 0)


def command(shell: str, folder: Path, *, decodes: bool = True) -> SentinelCommand:
    """One in a new shell on a terminal of ours."""
    path = os.environ["PATH"]
    argv = [shell]
    if shell == "busybox":
        # All it can call are its own programs.
        program = packages() / "bin/busybox"
        for name in ("base64", "sh", "sha256sum", "cat", "sleep", "stty", "head", "printf", "wc"):
            (folder / name).symlink_to(program)
        argv, path = [str(folder / "sh")], str(folder)
    if not decodes:
        path = f"{undecoded(folder / 'undecoded')}:{path}"
    env = {"PATH": path, "HOME": str(folder), "TERM": "xterm"}
    return SentinelCommand(PtyTransport(argv, env=env, cwd=folder), "the terminal")


@every
async def test_every_byte_arrives(shell: str, decodes: bool, tmp_path: Path) -> None:
    one = command(shell, tmp_path, decodes=decodes)
    odd = bytes(range(256)) * 5 + b"\r\n\x03\x04\x1c\x11\x13\x16%s\\" + os.urandom(100_000)
    given = (odd[:1], odd[1:764], odd[764:4600], odd[4600:])
    request = ExecRequest(("sh", "-c", "cat > got; exit 5"), timeout_s=60, stdin=pieces(*given))
    done = await collect_output(run_command(one, request))
    assert (done.stdout, done.code) == (b"", 5)
    assert (tmp_path / "got").read_bytes() == odd
    assert one._parser.coding is (BASE64 if decodes else OCTAL)


@every
async def test_a_program_that_reads_nothing_is_typed_no_more_than_a_terminal_holds(
    shell: str, decodes: bool, tmp_path: Path
) -> None:
    one = command(shell, tmp_path, decodes=decodes)
    transport = one._transport
    assert isinstance(transport, PtyTransport)
    written = 0
    write = transport.write

    async def counted(data: bytes) -> None:
        nonlocal written
        written += len(data)
        await write(data)

    transport.write = counted  # type: ignore[method-assign]

    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)  # a turn of the loop
            yield bytes(PIPE)

    request = ExecRequest(("sh", "-c", "echo u''p; sleep 60"), timeout_s=60, stdin=endless())
    async with aclosing(run_command(one, request)) as events:
        async for event in events:
            assert isinstance(event, ExecOutput), event
            if b"up" in event.data:
                break
        reading = asyncio.ensure_future(anext(events))
        try:
            while True:
                before = written
                await asyncio.sleep(1)  # real time: that long nothing is taken
                if before == written > PIPE:
                    break
            process = transport._process
            assert process is not None
            async with asyncio.timeout(10):
                await process.drain()
        finally:
            request.stop.set()
        result = await reading
        while isinstance(result, ExecOutput):
            result = await anext(events)
    assert result.code is not None


async def test_a_frozen_line_is_lost_while_input_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "PING_AFTER_S", 0.2)
    monkeypatch.setattr(keepalive, "LOST_AFTER_S", 1.0)
    one = command("dash", tmp_path)

    async def never() -> bool:
        await asyncio.Event().wait()
        return True

    one._transport.ping = never  # type: ignore[method-assign]
    request = ExecRequest(("sleep", "60"), stdin=pieces(bytes(1 << 20)))
    async with asyncio.timeout(20):
        done = await collect_output(run_command(one, request))
    assert done.code is None and "no sign of life" in done.reason
