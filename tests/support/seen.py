"""A session with the panel's own emulator, and what an operator does in one on any platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.models import SandboxId, Shell
from services.terminal.emulator.emulator import Emulator
from services.terminal.session.scheduler import ParseScheduler
from services.terminal.session.session import ShellSession
from services.terminal.transport.base import Transport
from tests.support.debian import htop

PROMPT = "pod$"


class Seen:
    """One shell on a screen."""

    def __init__(self, transport: Transport) -> None:
        self.emulator = Emulator(80, 24)
        self.skipped = False
        self.paintings = 0
        self._happened = asyncio.Event()
        self.session = ShellSession(
            "shell-1",
            SandboxId("peer", "box"),
            transport,
            self.emulator,
            clock=SystemClock(),
            scheduler=ParseScheduler(),
            on_change=self._changed,
            on_paint=self._painted,
        )

    def _changed(self, shell: Shell) -> None:
        self.skipped = self.skipped or shell.skipping
        self._happened.set()

    def _painted(self) -> None:
        self.paintings += 1
        self._happened.set()

    @property
    def shell(self) -> Shell:
        return self.session.shell

    @property
    def text(self) -> str:
        """The screen, without blanks at the ends."""
        return "\n".join(line.rstrip() for line in self.emulator.display).rstrip()

    @property
    def prompted(self) -> bool:
        """Whether the last line is a prompt that waits."""
        return self.text.endswith(PROMPT)

    async def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    self._happened.clear()
                    await self._happened.wait()
        except TimeoutError:
            pytest.fail(f"never seen; the shell is {self.shell}; the screen:\n{self.text}")

    async def shows(self, words: str) -> None:
        await self.until(lambda: words in self.text)

    def type(self, text: str) -> None:
        self.session.type(text.encode())

    async def run(self, line: str, words: str) -> None:
        """Type a line at the prompt, see the words and the next prompt."""
        self.type(f"{line}\r")
        await self.until(lambda: words in self.text and self.prompted)


@asynccontextmanager
async def seen(transport: Transport, columns: int = 80, lines: int = 24) -> AsyncIterator[Seen]:
    """A session at its first prompt; left politely at the end."""
    one = Seen(transport)
    task = asyncio.create_task(one.session.run(columns, lines))
    try:
        await one.until(lambda: one.prompted or one.shell.state.over)
        yield one
    finally:
        one.session.detach()
        try:
            async with asyncio.timeout(60):
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


# Left at once, vim is gone before the answers to its questions arrive: it is told to ask none.
VIM = "vim -u NONE -N --cmd 'set t_RV= t_u7= t_RB= t_RF='"


async def edit_a_file(one: Seen, folder: Path, program: str = VIM) -> None:
    """A full-screen editor: opened, typed into, saved, left."""
    one.type(f"{program} note.txt\r")
    # The typed command names the file as well: only the editor's own line counts.
    await one.shows('"note.txt" [New')
    assert one.emulator.modes.alternate_screen
    one.type("iwide 中文 words\x1b")
    await one.shows("wide 中文 words")
    one.type(":wq\r")
    await one.until(lambda: one.prompted and not one.emulator.modes.alternate_screen)
    assert (folder / "note.txt").read_text("utf-8") == "wide 中文 words\n"


async def look_at_processes(one: Seen) -> None:
    """htop draws itself and leaves."""
    one.type(f"{htop()} -d 5\r")
    await one.shows("Load average")
    one.session.resize(100, 30)
    await one.shows("F10")
    one.type("q")
    await one.until(lambda: one.prompted and not one.emulator.modes.alternate_screen)


async def storm_of_sizes(one: Seen) -> None:
    """Two hundred sizes while typing end at the last."""
    for number in range(200):
        one.session.resize(60 + number % 50, 20 + number % 11)
        if number % 20 == 0:
            one.type("#")
            await asyncio.sleep(0.005)  # sizes come over time, as when a window is dragged
    one.session.resize(90, 31)
    one.type("\x03")
    await one.until(lambda: one.prompted)
    # The last size travels a little after the keys.
    for number in range(50):
        await one.run(f"echo size-{number}: $(stty size).", f"size-{number}: ")
        if f"size-{number}: 31 90." in one.text:
            return
    pytest.fail(one.text)


async def odd_characters(one: Seen) -> None:
    """What is no text is shown as such; what is wide takes its place."""
    await one.run("printf 'a\\377\\376b 中文 e\\314\\201\\n'", "中文 e\u0301")
    assert "a\ufffd\ufffdb" in one.text


async def flood_and_interrupt(one: Seen) -> None:
    """`yes`, then Ctrl-C: the prompt is back."""
    one.type("yes\r")
    await one.until(lambda: one.text.count("\ny") > 10)
    before = one.paintings
    await one.until(lambda: one.paintings > before + 20)
    one.type("\x03")
    await one.until(lambda: one.prompted)
    await one.run("echo cal''m", "calm")


async def paste_into_the_deaf(one: Seen) -> None:
    """A megabyte pasted where nobody reads; Ctrl-C drops the rest at once.

    The peer's terminal is full, so whether it hears that key is the peer's affair.
    """
    one.type("stty -icanon -echo; echo de''af; sleep 300\r")
    await one.shows("deaf")
    one.session.paste(b"x" * (1 << 20))
    await one.until(lambda: one.shell.input_blocked)
    assert one.session.unsent_paste_bytes > 900_000
    one.type("\x03")
    assert one.session.unsent_paste_bytes == 0


async def a_hundred_megabytes(one: Seen) -> None:
    """Read at the rate of the line, never hoarded, ended at the prompt."""
    line = "0123456789abcdef" * 4
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, one.session.waiting)
        return "done" in one.text and one.prompted

    one.type(f"yes {line} | head -c 100000000; echo d''one\r")
    await one.until(ended, 300)
    assert most < 2 << 20
