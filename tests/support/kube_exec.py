"""The far end of a Kubernetes exec: real processes on this machine, behind the channels.

Written from a page alone (upstream/pods: Channels) and validated by kubectl; like a real runtime it
leaves the process behind when its client goes away (upstream/pods: Processes left behind).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.errors import ProcessError
from services.terminal.transport.pty import PtyProcess
from tests.support.http_peer import WebSocket

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
ESTABLISHED = b"\x01"


def success() -> bytes:
    return b"\x03" + json.dumps({"metadata": {}, "status": "Success"}).encode()


def failure(reason: str, message: str, causes: Sequence[Mapping[str, str]], code: int = 0) -> bytes:
    status: dict[str, object] = {
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "details": {"causes": list(causes)},
    }
    if code:
        status["code"] = code
    return b"\x03" + json.dumps(status).encode()


def ended(code: int) -> bytes:
    """The status of a command that ran."""
    if code == 0:
        return success()
    return failure(
        "NonZeroExitCode",
        f"command terminated with non-zero exit code: exit status {code}",
        [{"reason": "ExitCode", "message": str(code)}],
    )


def not_run(message: str) -> bytes:
    """The status of a command that never ran."""
    return failure("InternalError", message, [{"message": message}], 500)


class ExecServer:
    """Runs what is asked for and remembers what it left behind."""

    def __init__(self, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self.cwd = cwd
        self.env = dict(
            env
            or {
                # What may not be searched would make a missing program a forbidden one.
                "PATH": os.pathsep.join(p for p in os.get_exec_path() if os.access(p, os.X_OK)),
                "HOME": str(cwd),  # a shell reads no start-up file of this machine's user
                "TERM": "xterm",
                "PS1": "pod$ ",
                "PROMPT_COMMAND": "PS1='pod$ '",
            }
        )
        self.terminals: list[PtyProcess] = []
        self.sizes: list[tuple[int, int]] = []
        self.children: list[asyncio.subprocess.Process] = []
        self.missing: set[str] = set()
        """Programs that are not there although this machine has them."""
        self.forbidden: set[str] = set()
        """Programs that are there and may not be run."""
        self.wedged = False
        """A malformed resize stops the reading for good."""

    @property
    def alive(self) -> int:
        """How many terminals still run."""
        return sum(one.alive for one in self.terminals)

    async def run(self, socket: WebSocket, argv: Sequence[str], tty: bool, stdin: bool) -> None:
        """One session, to its end or to the client's."""
        await socket.send(ESTABLISHED)
        try:
            if argv[0] in self.missing:
                await self._refuse(socket, argv, "")
                return
            if argv[0] in self.forbidden:
                await self._refuse(socket, argv, "permission denied")
                return
            await (self._terminal(socket, argv) if tty else self._pipes(socket, argv, stdin))
        except ConnectionError:
            pass

    async def _terminal(self, socket: WebSocket, argv: Sequence[str]) -> None:
        try:
            process = await PtyProcess.start(argv, env=self.env, cwd=self.cwd, columns=80, lines=24)
        except ProcessError as error:
            await self._refuse(socket, argv, str(error))
            return
        self.terminals.append(process)
        typing = asyncio.create_task(self._typed(socket, process), name="peer typing")
        try:
            while data := await process.read(32 * 1024):
                with contextlib.suppress(ConnectionError):
                    await socket.send(b"\x01" + data)
            await process.wait(5)
            await socket.send(ended(await process.terminate()))
            await socket.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(typing, 2)
        finally:
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)

    async def _typed(self, socket: WebSocket, process: PtyProcess) -> None:
        async for frame in socket.frames():
            data = bytes(frame.data)
            if data[:1] == b"\x00":
                process.write(data[1:])
                await process.drain()
            elif data[:1] == b"\x04":
                self._resize(data[1:], process)
            elif data[:1] == b"\xff" and len(data) != 2:
                return
            if self.wedged:
                await asyncio.Event().wait()

    def _resize(self, payload: bytes, process: PtyProcess) -> None:
        try:
            size = {name.lower(): value for name, value in json.loads(payload).items()}
            columns, lines = size["width"], size["height"]
            assert type(columns) is int and type(lines) is int
            assert 0 <= columns <= 65535 and 0 <= lines <= 65535
        except (ValueError, KeyError, AssertionError, AttributeError):
            self.wedged = True
            return
        self.sizes.append((columns, lines))
        if columns and lines:
            process.resize(columns, lines)

    async def _pipes(self, socket: WebSocket, argv: Sequence[str], stdin: bool) -> None:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=pipe if stdin else asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                cwd=self.cwd,
                env=self.env,
                start_new_session=True,
                preexec_fn=_default_signals,
            )
        except OSError as error:
            await self._refuse(socket, argv, (error.strerror or "").lower())
            return
        self.children.append(process)
        assert process.stdout is not None and process.stderr is not None

        async def copy(lead: bytes, stream: asyncio.StreamReader) -> None:
            while data := await stream.read(32 * 1024):
                await socket.send(lead + data)

        feeding = asyncio.create_task(self._fed(socket, process), name="peer feeding")
        try:
            await asyncio.gather(copy(b"\x01", process.stdout), copy(b"\x02", process.stderr))
            code = await process.wait()
            await socket.send(ended(128 - code if code < 0 else code))
            await socket.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(feeding, 2)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _fed(self, socket: WebSocket, process: asyncio.subprocess.Process) -> None:
        async for frame in socket.frames():
            data = bytes(frame.data)
            if process.stdin is None:
                continue
            if data[:1] == b"\x00":
                process.stdin.write(data[1:])
                with contextlib.suppress(ConnectionError):
                    await process.stdin.drain()
            elif data == b"\xff\x00" and socket.subprotocol == V5:
                process.stdin.close()

    async def _refuse(self, socket: WebSocket, argv: Sequence[str], why: str) -> None:
        why = "permission denied" if "permission" in why else "executable file not found in $PATH"
        await socket.send(
            not_run(
                "Internal error occurred: error executing command in container: failed to exec in"
                f' container: failed to start exec: OCI runtime exec failed: exec: "{argv[0]}": '
                f"{why}: unknown"
            )
        )
        await socket.close()
        async for _ in socket.frames():
            pass

    async def close(self) -> None:
        """End everything that was left behind."""
        for terminal in self.terminals:
            await terminal.terminate()
        for child in self.children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            vars(child)["_transport"].close()  # what outlives its group may hold the pipes


def _default_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
