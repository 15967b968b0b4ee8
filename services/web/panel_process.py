"""One panel process behind one page: it draws for one viewer and ends with them.

It and its server speak in a first line, then in packets with their length.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from services.errors import ProcessError
from services.files.bounded import UnfitError, json_reader
from services.process.child import (
    LINGER_S,
    ChildProcess,
    run_to_completion,
    start,
    wait_for_event,
)
from services.text.redact import redact_line

DRIVER = "textual.drivers.web_driver:WebDriver"
LEAVE_S = 3.0
"""How long a panel has to close what it holds before it is ended."""
_HIGH, _LOW = 1 << 20, 1 << 18
"""Bytes held for a slow viewer before the panel has to wait, and until it goes on."""
_MOST_STDERR = 4096
_NOT_THEIRS = ("TMUX", "TMUX_PANE", "STY", "NO_COLOR", "LC_ALL", "LC_CTYPE", "SSH_TTY", "WINDOWID")
"""What tells of the terminal or the locale the server was started in: a page has its own."""
PRELUDE = b"__GANGLION__\n"
LARGEST = 8 << 20
"""Bytes of one packet; a whole screen is a hundredth of it."""
_MOST_BEFORE = 4096
"""Bytes that may stand before the prelude."""
DATA, META = b"D", b"M"


def packet(kind: bytes, payload: bytes) -> bytes:
    """One packet as it travels."""
    return b"%s%s%s" % (kind, len(payload).to_bytes(4, "big"), payload)


def meta(kind: str, **more: int) -> bytes:
    """A packet that is not input, such as another size."""
    return packet(META, msgspec.json.encode({"type": kind, **more}))


class Unpacker:
    """Takes bytes as they come and gives whole packets."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.begun = False
        """Whether what speaks is a panel: its first line said so."""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, payload) of each packet that is whole now.

        Raises:
            ProcessError: this is no panel.
        """
        held = self._held
        held += data
        if not self.begun:
            at = held.find(PRELUDE)
            if at < 0:
                if len(held) > _MOST_BEFORE:
                    raise ProcessError("What was started does not speak as a panel does.")
                return
            del held[: at + len(PRELUDE)]
            self.begun = True
        while len(held) >= 5:
            size = int.from_bytes(held[1:5], "big")
            if size > LARGEST:
                raise ProcessError("The panel sent more at once than is taken.")
            if len(held) < 5 + size:
                return
            found = bytes(held[:1]), bytes(held[5 : 5 + size])
            del held[: 5 + size]
            yield found


class _Announced(msgspec.Struct):
    type: str = ""
    url: str = ""


_read_meta = json_reader(_Announced)


def environment(base: Mapping[str, str], columns: int, lines: int, views: str) -> dict[str, str]:
    """The environment of a panel that is drawn in a page of that size."""
    kept = {name: value for name, value in base.items() if name not in _NOT_THEIRS}
    return {
        **kept,
        "TEXTUAL_DRIVER": DRIVER,
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "TERM_PROGRAM": "wakedeck-page",
        "LANG": "C.UTF-8",
        "COLUMNS": str(columns),
        "ROWS": str(lines),
        "WAKEDECK_REMEMBER": "true",
        "WAKEDECK_VIEWS": views,
    }


class PanelProcess:
    """A panel that was started; `read` gives what it draws."""

    def __init__(self) -> None:
        self._unpacker = Unpacker()
        self._drawn: list[bytes] = []
        self._held = 0
        self._some = asyncio.Event()
        self._stderr = bytearray()
        self._child: ChildProcess | None = None
        self._leaving = False
        self._problem = ""

    async def start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start it in a session of its own.

        Raises:
            ProcessError: it cannot be.
        """
        self._child = await start(
            argv, self._take, cwd=None, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._child.child.notify = self._some.set

    @property
    def pid(self) -> int:
        """Its process, which leads its group."""
        assert self._child is not None
        return self._child.group

    async def read(self) -> bytes:
        """What was drawn since; empty once the panel is at its end."""
        assert self._child is not None
        while not self._drawn:
            if self._leaving or self._problem or self._child.child.drained.is_set():
                return b""
            self._some.clear()
            await self._some.wait()
        data = b"".join(self._drawn)
        self._drawn.clear()
        self._held = 0
        self._hold(False)
        return data

    async def type(self, text: str) -> None:
        """Hand over what the viewer typed; waits while the panel does not take it."""
        await self._send(packet(DATA, text.encode("utf-8", "replace")))

    async def tell(self, kind: Literal["resize", "focus", "blur", "quit"], **more: int) -> None:
        """Hand over what is not input."""
        await self._send(meta(kind, **more))

    async def end(self) -> None:
        """Ask it to leave, then end its whole group; bounded, and done even when cancelled."""
        if self._child is not None:
            await run_to_completion(self._end(self._child))

    async def farewell(self) -> str:
        """Why it ended, for whoever looked at it."""
        if self._problem or self._child is None:
            return self._problem
        await wait_for_event(self._child.child.exited, LINGER_S)  # its pipes close a little before
        if self._child.code == 0:
            return "The panel was closed."
        said = redact_line(self._stderr.decode("utf-8", "replace").strip().partition("\n")[0], 300)
        if said:
            return said
        return "The panel ended unexpectedly; the server's log may say why."

    async def _end(self, child: ChildProcess) -> None:
        self._leaving = True
        self._some.set()
        self._drawn.clear()
        self._hold(False)  # what it still draws is dropped, so that it never waits for us
        if not child.child.exited.is_set():
            self._write(meta("quit"))
            pipe = child.pipe(0)
            if pipe is not None:
                pipe.close()  # what is written goes out first; its end alone says the same
            if not await wait_for_event(child.child.exited, LEAVE_S):
                await child.end()
        await child.release()

    async def _send(self, data: bytes) -> None:
        assert self._child is not None
        self._write(data)
        await self._child.child.writable.wait()

    def _write(self, data: bytes) -> None:
        assert self._child is not None
        pipe = self._child.pipe(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(data)

    def _take(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._stderr += data[: _MOST_STDERR - len(self._stderr)]
            return
        if self._problem:
            return
        try:
            for kind, payload in self._unpacker.feed(data):
                self._on_packet(kind, payload)
        except (ProcessError, UnfitError) as error:
            self._problem = str(error)
        self._some.set()

    def _on_packet(self, kind: bytes, payload: bytes) -> None:
        if kind == META and _read_meta(payload).type == "exit":
            return  # its end follows, and is told with its code
        if kind != DATA or self._leaving:
            return
        self._drawn.append(payload)
        self._held += len(payload)
        if self._held > _HIGH:
            self._hold(True)

    def _hold(self, on: bool) -> None:
        assert self._child is not None
        pipe = self._child.pipe(1)
        if not isinstance(pipe, asyncio.ReadTransport) or pipe.is_closing():
            return
        if on:
            pipe.pause_reading()
        else:
            pipe.resume_reading()
