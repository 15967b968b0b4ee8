"""Started where signals are ignored: what we start is interrupted and hung up on as ever."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.openshell_script import script

ROOT = Path(__file__).resolve().parents[3]
IGNORING = ("sh", "-c", "trap '' INT QUIT HUP TERM USR1 USR2 ALRM CHLD TSTP; exec \"$@\"", "sh")
"""Becomes the command that follows, with these ignored: as under nohup, or beside a script."""
IGNORED = (
    "import signal, sys; mine = (signal.SIGPIPE, signal.SIGXFSZ);"
    "sys.stderr.write(str([n for n in range(1, 32)"
    " if n not in mine and signal.getsignal(n) is signal.SIG_IGN]))"
)
"""What a program finds ignored when it begins, without those Python itself ignores."""

EVERY_START = """
import asyncio, os, signal, sys
from pathlib import Path
from services.process.run import run
from services.sources.local import spawn
from services.sources.local.layout import World
from services.sources.vellum.runner import UninterruptibleCommands
from services.terminal.transport.pty import PtyProcess

ASK = [sys.executable, "-c", sys.argv[1]]

async def main(place):
    print("piped", (await run(ASK, timeout_s=30)).stderr.decode())
    shell = await PtyProcess.start(ASK, env=dict(os.environ), columns=80, lines=24)
    said = b""
    while data := await shell.read():
        said += data
    await shell.terminate()
    print("terminal", said.decode())
    ended = await UninterruptibleCommands().run("k", ASK, environ=os.environ, cwd=place, limit_s=30)
    print("unbroken", ended.stderr)
    world = World(place)
    world.log("gateway").parent.mkdir(parents=True, exist_ok=True)
    pid = spawn.start(world, "gateway")
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        (mask,) = (line for line in status.read_text().splitlines() if line.startswith("SigIgn"))
        left = int(mask.split()[1], 16) & ~(1 << signal.SIGPIPE - 1) & ~(1 << signal.SIGXFSZ - 1)
        print("detached", [n for n in range(1, 32) if left >> n - 1 & 1])
    os.kill(pid, signal.SIGKILL)

asyncio.run(main(Path(sys.argv[2])))
"""


def ignoring(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IGNORING, *argv],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_child_of_any_kind_begins_with_a_signal_ignored(tmp_path: Path) -> None:
    asked = ignoring(sys.executable, "-c", IGNORED, cwd=tmp_path)
    assert "2" in asked.stderr.strip("[]").split(", "), "they are ignored to begin with"
    done = ignoring(sys.executable, "-c", EVERY_START, IGNORED, str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kinds = ["piped", "terminal", "unbroken", "detached"]
    if not Path("/proc/self/status").exists():
        kinds.remove("detached")
    assert done.stdout.splitlines() == [f"{kind} []" for kind in kinds]


@pytest.mark.parametrize(("name", "code"), [("INT", 130), ("QUIT", 131), ("USR1", 138)])
def test_wakedeck_beside_a_script_tells_that_a_signal_ended_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    gateways = {"nemoclaw": "connected"}
    script(tmp_path / "os", monkeypatch, gateways=gateways)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = tmp_path / "wakedeck.toml"
    config.write_text('[sources.os]\nkind = "openshell"\n')
    wakedeck = str(Path(sys.executable).with_name("wakedeck"))
    words = ("--config", str(config), "exec", "alpha", "--", "sh", "-c", f"kill -{name} $$")
    done = ignoring(wakedeck, *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr


def test_every_place_that_starts_a_child_catches_what_is_ignored_first() -> None:
    starts = re.compile(
        r"subprocess\.Popen\(|subprocess_exec\(|subprocess\.run\(|posix_spawn|os\.fork"
    )
    found = {}
    for folder in ("services", "tui", "widgets"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if starts.search(text):
                found[path.relative_to(ROOT).as_posix()] = "catch_ignored()" in text
    assert found and all(found.values()), found
