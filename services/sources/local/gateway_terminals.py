"""The embedded gateway's terminals: a real shell on a real PTY behind the CentML JSON family."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import getpass
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from services.errors import ProcessError
from services.files.bounded import parse_json
from services.files.private import private_folder
from services.sources.local.gateway_websocket import TerminalConnection
from services.sources.local.layout import World
from services.terminal.transport.pty import PtyProcess

SHELLS: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash", "--noprofile", "--norc"),
    "sh": ("sh",),
    "zsh": ("zsh", "-f"),
}
"""Start-up files of the operator's own shells are left out: they may expect another place."""
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_UNREAD_LIMIT = 1 << 20
_MALFORMED_IN_A_ROW = 3

log = logging.getLogger("wakedeck.gateway")


@dataclass(frozen=True, slots=True)
class TerminalRequest:
    """Which shell to open where."""

    sandbox: str
    shell: str
    work: Path


def search_path() -> str:
    """Where programs are looked for."""
    return os.environ.get("PATH", DEFAULT_PATH)


def installed(shell: str) -> bool:
    """Whether that shell is on this machine."""
    return shutil.which(SHELLS[shell][0], path=search_path()) is not None


def environment(request: TerminalRequest) -> dict[str, str]:
    """What the shell may know of the gateway's environment: nothing but these."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "PATH": search_path(),
        "HOME": os.environ.get("HOME", str(request.work)),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TERM": "xterm-256color",
        "USER": user,
        "SHELL": shutil.which(SHELLS[request.shell][0], path=search_path()) or request.shell,
        "WAKEDECK_SANDBOX": request.sandbox,
        "PS1": f"{request.sandbox} $ ",
        # Without it, bash would cut the operator's own history to its default length.
        "HISTFILE": str(request.work / ".shell_history"),
    }


class GatewayTerminal:
    """One connection in front of one shell."""

    def __init__(self, connection: TerminalConnection, request: TerminalRequest) -> None:
        self.sandbox = request.sandbox
        self.opened_at = time.time()
        self._connection = connection
        self._request = request
        self._received = 0
        self._unacknowledged = asyncio.Event()

    async def serve(self) -> None:
        """Until the shell exits (close 1000), the client leaves, or this gateway ends."""
        try:
            process = await PtyProcess.start(
                SHELLS[self._request.shell],
                env=environment(self._request),
                cwd=self._request.work,
                columns=80,
                lines=24,
            )
        except ProcessError as error:
            await self._refuse(error.sentence)
            return
        log.info("%s: %s opened (pid %d)", self.sandbox, self._request.shell, process.pid)
        parts = [
            asyncio.create_task(part)
            for part in (
                self._send_output(process),
                self._handle_frames(process),
                self._acknowledge_input(process),
            )
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            code, *problems = await asyncio.gather(
                process.terminate(), *parts, return_exceptions=True
            )
            log.info("%s: %s ended (%s)", self.sandbox, self._request.shell, code)
            for problem in problems:
                if isinstance(problem, Exception) and not isinstance(problem, ConnectionClosed):
                    log.error("%s: terminal failed", self.sandbox, exc_info=problem)
        await self._send_exit_code(code)
        await self._connection.close()

    async def _send_exit_code(self, code: object) -> None:
        """Say the exit code in a frame of our own, which others of the family pass over."""
        if isinstance(code, int):
            with contextlib.suppress(ConnectionClosed):
                await self._connection.send(json.dumps({"operation": "exit", "code": code}))

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        self._connection.transport.abort()

    async def _refuse(self, sentence: str) -> None:
        try:
            await self._connection.send(json.dumps({"error": sentence}))
        except ConnectionClosed:
            return
        await self._connection.close(1011, "the shell could not be started")

    async def _send_output(self, process: PtyProcess) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := await process.read():
            await self._send(decoder.decode(data))
            await asyncio.sleep(0)
        await self._send(decoder.decode(b"", final=True))

    async def _send(self, text: str) -> None:
        if text:
            frame = {"operation": "stdout", "data": text, "rows": 0, "cols": 0}
            await self._connection.send(
                json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
            )

    async def _handle_frames(self, process: PtyProcess) -> None:
        malformed = 0
        async for frame in self._connection:
            malformed = 0 if _handle_frame(frame, process) else malformed + 1
            self._received += 1
            if malformed >= _MALFORMED_IN_A_ROW:
                await self._connection.close(1003, "not a terminal message")
                return
            if process.pending == 0:
                self._connection.acknowledge(self._received)
            else:
                self._unacknowledged.set()
            if process.pending > _UNREAD_LIMIT:
                await process.drain()

    async def _acknowledge_input(self, process: PtyProcess) -> None:
        """Say what the shell has taken whenever it has caught up."""
        while True:
            await self._unacknowledged.wait()
            self._unacknowledged.clear()
            await process.drain()
            self._connection.acknowledge(self._received)


def _handle_frame(frame: str | bytes, process: PtyProcess) -> bool:
    """Do what one client frame asks; False where it asks for nothing we know."""
    try:
        message = parse_json(frame)
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict):
        return False
    rows, columns, data = message.get("rows"), message.get("cols"), message.get("data")
    if message.get("operation") == "resize":
        if not isinstance(rows, int) or not isinstance(columns, int):
            return False
        process.resize(columns, rows)
        return True
    if message.get("operation") == "stdin" and isinstance(data, str):
        process.write(data.encode("utf-8", "replace"))
        return True
    return False


def work_folder(world: World, sandbox: str) -> Path:
    """Where its shell opens, made if it is not there yet.

    Raises:
        OSError: it cannot be made.
    """
    folder = world.work(sandbox)
    private_folder(folder)
    return folder
