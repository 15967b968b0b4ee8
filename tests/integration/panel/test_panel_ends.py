"""The panel ends when it is told to, or when nobody is at the other end; and says nothing ugly."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.terminal.transport.pty import PtyProcess
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
PANEL = "import sys; from tui.start import main; sys.argv = ['wakedeck', '--local']; main()"
SERVED = {
    "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "TERM": "xterm",
    "COLUMNS": "120",
    "ROWS": "40",
}


def environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "COLORTERM"}
    return {**kept, "TERM": "xterm-256color", **more}


@pytest.mark.parametrize("seen", [b"\x1b[?1049h", b"data-pull"], ids=["first frame", "drawn"])
async def test_an_interrupt_ends_the_panel_once(home: Path, seen: bytes) -> None:
    process = await PtyProcess.start(
        [sys.executable, "-c", PANEL], env=environ(), cwd=ROOT, columns=120, lines=40
    )
    drawn = bytearray()

    async def draw() -> None:
        while data := await process.read(65536):
            drawn.extend(data)

    drawing = asyncio.create_task(draw())
    try:
        await eventually(lambda: seen in drawn, what="nothing was drawn")
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGINT)
        assert await process.wait(30), "the panel lives on"
        await drawing
        assert b"\x1b[?1049l" in drawn and b"Traceback" not in drawn
    finally:
        await process.terminate()
        await asyncio.gather(drawing, return_exceptions=True)


@pytest.mark.parametrize("end", ["input", "output", "quit"])
async def test_a_served_panel_is_drawn_and_ends_with_its_server(home: Path, end: str) -> None:
    panel = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PANEL),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environ(**SERVED),
    )
    assert panel.stdin is not None and panel.stdout is not None and panel.stderr is not None
    said = bytearray()
    reading = panel.stdout
    try:
        async with asyncio.timeout(60):
            while b"data-pull" not in said or b"38;2;" not in said:
                piece = await reading.read(65536)
                assert piece, (await panel.stderr.read()).decode()
                said.extend(piece)
        assert said.startswith(b"__GANGLION__\n")
        if end == "input":
            panel.stdin.close()
        elif end == "quit":
            words = b'{"type": "quit"}'
            panel.stdin.write(b"M" + len(words).to_bytes(4, "big") + words)
        else:
            panel._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            rest = asyncio.create_task(reading.read())
            assert b"Traceback" not in await panel.stderr.read()
            assert await panel.wait() == 0
            await rest
    finally:
        if panel.returncode is None:
            panel.kill()
            await panel.wait()


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"TEXTUAL_DRIVER": "no.such:Driver"}, "cannot be loaded"),
        ({"TEXTUAL_DRIVER": "pathlib:Path"}, "no driver of Textual"),
        ({"TEXTUAL_DRIVER": "textual.drivers.linux_driver:LinuxDriver"}, "needs a terminal"),
        ({"TEXTUAL_COLOR_SYSTEM": "mauve"}, "no set of colours"),
        ({}, "needs a terminal"),
    ],
)
def test_what_cannot_draw_is_refused_in_a_sentence(
    home: Path, named: dict[str, str], says: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PANEL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environ(**named),
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2 and says in ran.stderr and "Traceback" not in ran.stderr


def test_an_interrupt_while_the_program_loads_is_a_quiet_end(home: Path) -> None:
    """Interrupted by the first module of a library it loads."""
    code = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from tui.start import main\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("arguments", ["--help", "status", "completions bash", "nonsense"])
@pytest.mark.parametrize("also_stderr", [False, True])
def test_a_full_place_to_print_to_is_a_sentence(
    home: Path, arguments: str, also_stderr: bool
) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", "from tui.start import main; main()", *arguments.split()],
            stdout=full,
            stderr=full if also_stderr else subprocess.PIPE,
            text=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
    assert ran.returncode in (1, 2)
    if not also_stderr:
        assert "Traceback" not in ran.stderr and ran.stderr.strip()
