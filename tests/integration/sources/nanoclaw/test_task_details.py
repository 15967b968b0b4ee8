"""What the details of a task say: asked of a real socket, else read from the run log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.models import Facts, SandboxId
from services.sources.protocol.observer import Describes
from services.sources.protocol.source import OpenSource
from services.text.format import clock_time
from tests.support.clock import FakeClock
from tests.support.nanoclaw import Answer, ScriptedDocker, hosted, opened, recorded, short_folder
from tests.support.nanoclaw_install import SmallInstall, iso

NOW = float(int(time.time()))
SID, SERIES = "sess-1795193316631-cbbi85", "daily-0bc1"
SECRET = "sk-" + "a1" * 20
LOG = [f"2026-11-30 0{n}:00 — run {n}" for n in range(9)]
ROW = {
    **{"series_id": SERIES, "session_id": SID, "status": "pending", "has_script": 1},
    **{"runs": 12, "failed_runs": 1, "last_run": iso(NOW - 900), "next_run": iso(NOW + 3600)},
}
TASK = {
    **ROW,
    **{"prompt": f"use {SECRET}", "script": f"curl -H 'Authorization: Bearer {SECRET}'"},
    **{"completed_runs": 12, "recent_log": [*LOG, f"token={SECRET}\x1b[31m"]},
}


class Here:
    """An install with one series, and a chat."""

    def __init__(self, top: Path) -> None:
        ScriptedDocker(top / "bin", top / "claw")
        self.install = SmallInstall(top / "claw", "2.4.0", "mailbox")
        session = self.install.session(SID, thread=f"system:tasks:{SERIES}")
        self.install.session("sess-chat")
        for number, status in enumerate(("completed", "failed"), start=1):
            more = {"kind": "task", "status": status, "series_id": SERIES}
            session.post(f"task-{number}", 2 * number, NOW - 900, **more)
            session.ack(f"task-{number}", "completed", NOW - 890)
        more = {"kind": "task", "series_id": SERIES, "process_after": iso(NOW + 3600)}
        session.post(SERIES, 20, NOW, **more)
        self.source: OpenSource = opened(self.install.root, FakeClock(NOW))

    async def described(self, name: str = SID) -> Facts:
        await self.source.observer.observe()
        assert isinstance(self.source.observer, Describes)
        facts = await self.source.observer.describe(SandboxId("claw", name))
        assert SECRET not in repr(facts) and "\x1b" not in repr(facts)
        return facts

    def run_log(self) -> Path:
        path = self.install.root / "groups/ann/tasks" / f"{SERIES}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    with short_folder() as top:
        monkeypatch.setenv("PATH", str(top / "bin"), prepend=":")
        yield Here(top)


def log_of(facts: Facts) -> list[str]:
    names = [name for name, _ in facts]
    return [value for _, value in facts[names.index("run log") :]]


def telling(rows: object, task: object) -> Answer:
    """A host that answers those two questions with that data."""

    def answer(line: bytes) -> bytes | None:
        request = json.loads(line)
        data = {"tasks-list": rows, "tasks-get": task}.get(request["command"], [])
        return json.dumps({"id": request["id"], "ok": True, "data": data}).encode() + b"\n"

    return answer


async def test_details_of_a_task_are_asked_of_the_host_and_by_no_poll_round(here: Here) -> None:
    async with hosted(here.install.root, telling([{"series_id": "other"}, ROW], TASK)) as host:
        facts = await here.described()
        assert await here.described("sess-chat") == ()
    told = dict(facts)
    assert told["told by"].startswith("the host")
    assert told["last result"].startswith("failed")
    assert told["next run"] == clock_time(NOW + 3600, with_date=True)
    assert told["last run"] == clock_time(NOW - 900, with_date=True)
    assert (told["runs"], told["script"][:3]) == ("12 completed, 1 failed", "yes")
    assert log_of(facts) == [*LOG, "token=***"]
    asked = [one for one in host.requests if one["command"].startswith("tasks")]
    assert [(one["command"], one["args"]) for one in asked] == [
        ("tasks-list", {"session": SID}),
        ("tasks-get", {"id": SERIES, "session": SID}),
    ]


@pytest.mark.parametrize(
    ("rows", "task", "next_run"),
    [
        ([], {}, "none"),
        ([ROW | {"status": "paused"}], TASK | {"recent_log": []}, "none while it is paused"),
        ([ROW | {"next_run": "soon"}], {"completed_runs": "9"}, "not told"),
        ("rows", ["task"], "not told"),
        ([None, 7, [ROW]], TASK | {"recent_log": [None, 7]}, "none"),
    ],
    ids=["spent", "paused", "odd-words", "no-lists", "odd-rows"],
)
async def test_what_the_host_does_not_tell_is_said_to_be_so(
    here: Here, rows: object, task: object, next_run: str
) -> None:
    async with hosted(here.install.root, telling(rows, task)):
        facts = await here.described()
    assert dict(facts)["next run"] == next_run
    assert log_of(facts) in (["not told"], ["empty"])


async def test_where_the_host_does_not_tell_the_end_of_the_run_log_is_read(here: Here) -> None:
    begun = "-----BEGIN PRIVATE KEY-----\n" + "".join(f"{SECRET}\n" for _ in range(12))
    older = f"half a line {SECRET}" + "x" * 70_000 + "\n"
    here.run_log().write_text(older + begun + "-----END PRIVATE KEY-----\n", "utf-8")
    with here.run_log().open("a", encoding="utf-8") as file:
        file.write("\n".join(LOG) + "\n")
    async with hosted(here.install.root, recorded):
        facts = await here.described()
    told = dict(facts)
    assert told["told by"] == "files alone: this host cannot be asked for tasks"
    assert told["last result"].startswith("failed")
    assert log_of(facts) == ["***", *LOG]
    facts = await here.described()
    assert dict(facts)["told by"] == "files alone: There is no ncl.sock."
    assert log_of(facts)[1:] == LOG


async def test_no_link_is_followed_to_a_run_log(here: Here, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{SERIES}.md").write_text("what is not the group's\n", "utf-8")
    assert log_of(await here.described()) == ["none yet"]
    path = here.run_log()
    path.symlink_to(outside / f"{SERIES}.md")
    assert log_of(await here.described()) == ["cannot be read"]
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(outside)
    assert log_of(await here.described()) == ["cannot be read"]
    for folder in ("..", "../ann", ""):
        here.install.central("UPDATE agent_groups SET folder = ?", folder)
        fresh = opened(here.install.root, FakeClock(NOW))
        here.source = fresh
        assert log_of(await here.described()) == ["cannot be read"]


async def test_a_series_with_a_name_of_another_kind_is_no_part_of_a_path(here: Here) -> None:
    here.install.central("UPDATE sessions SET thread_id = 'system:tasks:../../x'")
    async with hosted(here.install.root, telling([], {})) as host:
        facts = await here.described()
    assert log_of(facts) == ["not read"]
    assert "such a name" in dict(facts)["told by"]
    assert not [one for one in host.requests if one["command"].startswith("tasks")]
