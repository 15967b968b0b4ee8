"""A NanoClaw install as pictures show it: read once by the real source, then played as a script."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

from services.config.sources import NanoClawTable
from services.sources.nanoclaw.source import open_nanoclaw
from services.sources.protocol.observer import Describes
from tests.support.acted import Script
from tests.support.clock import FakeClock
from tests.support.nanoclaw import ScriptedDocker, hosted, short_folder
from tests.support.nanoclaw_install import GROUP, SmallInstall, iso
from tests.support.stage import NOW

SERIES = "daily-report-0bc1"
TASK, CHAT = "sess-1788993316631-cbbi85", "sess-1788990000000-k2v7qd"
HOUR = 3600.0
FAILED = [
    f"2026-09-09 {hour:02}:00 — failed: script ended with 22: curl: (22) 401 Unauthorized"
    for hour in range(16, 24)
]
ROW = {
    **{"series_id": SERIES, "session_id": TASK, "status": "paused", "has_script": 1, "runs": 40},
    **{"failed_runs": 8, "last_run": iso(NOW - HOUR / 2), "next_run": iso(NOW + HOUR / 2)},
}


def _install(root: Path) -> SmallInstall:
    """A task that is paused since its script kept failing, and a chat that waits for an admin."""
    install = SmallInstall(root, "2.4.0", "mailbox")
    task = install.session(TASK, thread=f"system:tasks:{SERIES}", at=NOW - HOUR / 2)
    report = {"content": json.dumps({"text": "the daily report"}), "kind": "task"}
    for number in range(8):
        name, at = f"task-{number}", NOW - (8 - number) * HOUR
        task.post(name, 2 + 2 * number, at, status="failed", series_id=SERIES, **report)
        task.ack(name, "script-skip:error", at + 10)
    more = {"recurrence": "0 * * * *", "process_after": iso(NOW + HOUR / 2)}
    task.post("next", 90, NOW - HOUR / 2, status="paused", series_id=SERIES, **report, **more)
    chat = install.session(CHAT, at=NOW - 300)
    chat.post(
        *("in-1", 2, NOW - 400),
        content=json.dumps({"text": "Make text of the attached PDF"}),
        status="completed",
    )
    chat.ack("in-1", "completed", NOW - 390)
    install.central(
        "INSERT INTO pending_approvals VALUES ('p', ?, ?, 'install_packages', ?, 'pending', ?, ?,"
        " 'telegram:anna')",
        *(CHAT, GROUP, "Install poppler-utils", iso(NOW - 370), iso(NOW + 2 * HOUR)),
    )
    return install


def _answer(line: bytes) -> bytes:
    request = json.loads(line)
    log = {"completed_runs": 32, "recent_log": FAILED}
    data = {"tasks-list": [ROW], "tasks-get": ROW | log}.get(request["command"], [])
    return json.dumps({"id": request["id"], "ok": True, "data": data}).encode() + b"\n"


async def _seen(top: Path) -> Script:
    root = top / "claw"
    ScriptedDocker(top / "bin", root)
    install = _install(root)
    table = NanoClawTable(label="claw", root=str(install.root))
    async with hosted(install.root, _answer):
        source = open_nanoclaw("local", table, FakeClock(NOW))
        observer = source.observer
        assert isinstance(observer, Describes)
        observed = await observer.observe()
        queues = {one.id: await observer.queue(one.id, 50) for one in observed.sandboxes}
        told = {one.id: await observer.describe(one.id) for one in observed.sandboxes}
        await source.actor.close()
        await observer.close()
    # How long an answer took is no fact of the picture.
    gateways = tuple(
        one if one.latency_s is None else replace(one, latency_s=0.0042)
        for one in observed.gateways
    )
    return Script(gateways, observed.sandboxes, queues, described=told)


@cache
def _world() -> Script:
    found: list[Script] = []

    def look() -> None:
        with short_folder() as top:
            path = os.environ["PATH"]
            os.environ["PATH"] = f"{top / 'bin'}:{path}"
            try:
                found.append(asyncio.run(_seen(top)))
            finally:
                os.environ["PATH"] = path

    # A loop may run in this thread.
    thread = threading.Thread(target=look, name="nanoclaw scene")
    thread.start()
    thread.join()
    return found[0]


def claw() -> Script:
    """What it says."""
    return replace(_world())
