"""What is loaded before the panel paints its first frame: a list that may only become shorter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from services.terminal.transport.pty import PtyProcess

ROOT = Path(__file__).parents[3]
MOST = 149
"""Modules of ours. Take one away rather than add one: each is some tenths of a millisecond."""
LATER = (
    "aiohttp",
    "aiosqlite",
    "hashlib",
    "httpcore",
    "httpx",
    "psutil",
    "pyte",
    "sqlite3",
    "tomllib",
    "websockets",
    "services.journal.store",
    "services.repair.attempts",
    "services.repair.machine",
    "services.repair.runner",
    "services.sources.local.actor",
    "services.sources.local.observer",
    "services.sources.protocol.proposer",
    "services.sources.protocol.verdict",
    "services.terminal.emulator",
    "services.terminal.exec.requests",
    "services.terminal.session",
    "services.terminal.transport",
    "services.web",
    "tui.cli.actions",
    "tui.cli.completions",
    "tui.panel.log_screen",
    "tui.panel.palette",
    "widgets.dialogs",
    "widgets.log",
    "widgets.panes.details",
    "widgets.panes.first_steps",
    "widgets.terminal.view",
)
"""What only comes after it: sources, repair, shells, logs, the network, dialogs, commands."""


async def test_the_first_frame_loads_no_more_than_it_shows(tmp_path: Path) -> None:
    """The panel on a terminal, as a user starts it, asked when its first frame is painted."""
    listed = tmp_path / "modules"
    code = (
        "import os, sys\n"
        "import tui.gc_control\n"
        "def painted():\n"
        f"    open({str(listed)!r}, 'w').write('\\n'.join(sys.modules))\n"
        "    os._exit(0)\n"
        "tui.gc_control.freeze_startup_objects = painted\n"
        "from wakedeck import main\n"
        "main()\n"
    )
    env = {
        **{"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        **{"TERM": "xterm-256color", "LANG": "C.UTF-8"},
    }
    argv = [sys.executable, "-c", code]
    process = await PtyProcess.start(argv, env=env, cwd=ROOT, columns=160, lines=45)
    painted = b""
    try:
        while data := await process.read():
            painted += data
    finally:
        await process.terminate()
    assert listed.exists(), painted[-2_000:].decode("utf-8", "replace")
    loaded = listed.read_text("utf-8").split("\n")
    early = [
        one for one in loaded if any(one == name or one.startswith(f"{name}.") for name in LATER)
    ]
    assert not early, f"loaded before the first frame: {early}"
    ours = [one for one in loaded if one.partition(".")[0] in ("services", "tui", "widgets")]
    assert len(ours) <= MOST, f"{len(ours)} modules of ours, {MOST} before"
