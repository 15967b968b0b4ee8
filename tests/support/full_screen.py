"""Real full-screen programs on a pseudo terminal, each led through a few of its pictures."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.terminal.emulator import Emulator
from services.terminal.transport.pty import PtyProcess
from tests.support import debian
from tests.support.seen import VIM

PATIENCE_S = 50.0
QUIET_S = 8.0


@dataclass(frozen=True)
class Program:
    """What to type, the kit it needs, and what it shows with the keys that come then."""

    kit: str
    command: Callable[[], str]
    steps: tuple[tuple[str, str], ...]


PROGRAMS = {
    "vim": Program(
        "vim",
        lambda: f"{VIM} -c 'syntax on' source.py",
        (
            ('"source.py"', ":set number hlsearch | vsplit | split\r"),
            ("  1 ", "50Gzt"),
            (" 50 ", "Vjj"),
            ("VISUAL LINE", "\x1b:qa!\r"),
        ),
    ),
    "less": Program(
        "less",
        lambda: "less -R -N lines.txt",
        (
            ("line 3 ", "G"),
            ("line 300 ", "?line 12[0-9]\r"),
            ("line 129 ", "g"),
            ("line 1 ", "q"),
        ),
    ),
    "htop": Program(
        "htop", debian.htop, (("F10", "t"), ("List", "\x1bOQ"), ("Display options", "q"))
    ),
    "mc": Program(
        "full-screen",
        lambda: f"{debian.full_screen('mc')} -u -x",
        (("10Quit", "\x1b[20~\r"), ("Listing format", "\x1b\x1b"), ("10Quit", "\x1b[21~")),
    ),
    "fzf": Program(
        "full-screen",
        lambda: f"seq 1 2000 | {debian.full_screen('fzf')} --reverse --border -m",
        (("2000/2000", "42"), ("> 42", "\t\x1b[B"), ("(1)", "\x1b")),
    ),
    "btop": Program(
        "full-screen",
        lambda: f"{debian.full_screen('btop')} --utf-force",
        (("cpu", "o"), ("Color theme", "q")),
    ),
    "tmux": Program(
        "tmux",
        lambda: "tmux -u -S socket -f /dev/null new-session \"PS1='first$ ' sh\"",
        (
            ("first$", "\x02%"),
            ("│", "cat lines.txt | head -50\r"),
            ("line 50 ", '\x02"'),
            ("─", "less -R lines.txt\r"),
            ("line 2 ", "\x02:kill-server\r"),
        ),
    ),
}


class Playing:
    """A program that runs, our screen of it, and whoever else is shown the same bytes."""

    def __init__(self, process: PtyProcess, columns: int, lines: int) -> None:
        self.emulator = Emulator(columns, lines, process.write)
        self._process = process
        self._others: list[Callable[[bytes], object]] = []

    def also(self, feed: Callable[[bytes], object]) -> None:
        """Give somebody else what the program writes from now on."""
        self._others.append(feed)

    async def pictures(self, program: Program) -> AsyncIterator[str]:
        """What the program shows at each step, its name, before the step's keys are sent."""
        typed = b""
        for shows, keys in program.steps:
            deadline = time.monotonic() + PATIENCE_S
            while not any(shows in row for row in self.emulator.display):
                if not await self._read():
                    assert time.monotonic() < deadline, f"{shows!r} never came"
                    # A program that has just started may drop what was typed before it listened.
                    self._process.write(typed)
            yield shows
            typed = keys.encode()
            self._process.write(typed)

    async def _read(self) -> bool:
        """Whether something came in a while."""
        try:
            async with asyncio.timeout(QUIET_S):
                data = await self._process.read()
        except TimeoutError:
            return False
        assert data, "the program ended:\n" + "\n".join(self.emulator.display)
        self.emulator.feed(data)
        for feed in self._others:
            feed(data)
        return True


def make_files(folder: Path) -> None:
    """What the programs look at."""
    source = Path(__file__).with_name("reference_terminal.py").read_text("utf-8")
    (folder / "source.py").write_text(source, "utf-8")
    lines = (
        f"line {n} \x1b[3{n % 8}mcolour {n}\x1b[m 漢字 e\u0301 ✅ " + "x" * n for n in range(1, 301)
    )
    (folder / "lines.txt").write_text("\n".join(lines), "utf-8")
    for name in ("alpha", "beta", "日本語"):
        (folder / name).mkdir()


@asynccontextmanager
async def playing(program: Program, folder: Path, size: tuple[int, int]) -> AsyncIterator[Playing]:
    """The program on a terminal of that size, in a folder with something to see."""
    make_files(folder)
    environ = {
        "PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}",
        "HOME": str(folder),
        "SHELL": "/bin/sh",  # tmux starts it, and the user's own may be none
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "LESSHISTFILE": "-",
    }
    process = await PtyProcess.start(
        ["sh", "-c", program.command()], env=environ, cwd=folder, columns=size[0], lines=size[1]
    )
    try:
        yield Playing(process, *size)
    finally:
        await process.terminate()
        if (folder / "socket").exists():
            await _run(folder, ["tmux", "-S", "socket", "kill-server"])


async def _run(folder: Path, argv: list[str]) -> None:
    ended = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await ended.wait()
