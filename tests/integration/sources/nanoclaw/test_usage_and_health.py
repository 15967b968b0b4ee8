"""What an install costs and how it is, through the whole source."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.models import Observation
from services.sources.nanoclaw import surveyor
from services.sources.protocol.source import OpenSource
from tests.support.clock import FakeClock
from tests.support.nanoclaw import ScriptedDocker, opened, short_folder
from tests.support.nanoclaw_install import GROUP, Session, SmallInstall, answering
from tests.support.waiting import eventually

NOW = float(int(time.time()))
LOG = """CREATE TABLE token_usage_log (id INTEGER PRIMARY KEY, timestamp TEXT, task_series_id TEXT,
  prompt_preview TEXT, prompt_chars INTEGER, input_tokens INTEGER, output_tokens INTEGER,
  cache_read_tokens INTEGER, cache_creation_tokens INTEGER, cost_usd REAL)"""
PRIVATE = "what only its user should read"


@pytest.fixture
def top(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with short_folder() as folder:
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
        ScriptedDocker(folder / "bin", folder / "claw")
        yield folder


@pytest.fixture
def install(top: Path) -> Iterator[SmallInstall]:
    made = SmallInstall(top / "claw", "2.4.0", "mailbox")
    made.started(NOW - 7200)
    with answering(made.root):
        yield made


def spend(session: Session, *turns: tuple[int | None, int | None, float | None]) -> None:
    session.write("outbound", LOG)
    for read, written, cost in turns:
        session.write(
            "outbound",
            "INSERT INTO token_usage_log (prompt_preview, input_tokens, output_tokens, cost_usd)"
            " VALUES (?, ?, ?, ?)",
            *(PRIVATE, read, written, cost),
        )


async def looked(source: OpenSource) -> Observation:
    seen = await source.observer.observe()
    assert PRIVATE not in repr(seen)
    return seen


async def test_sessions_say_what_they_cost_and_the_host_sums_them(install: SmallInstall) -> None:
    install.central("INSERT INTO agent_groups VALUES ('ag-two', 'Bob', 'bob')")
    spend(install.session("sess-a"), (1_000_000, 2000, 1.5), (500, None, None))
    spend(install.session("sess-b"), (None, None, None))
    install.session("sess-c")
    other = install.root / "data/v2-sessions/ag-two/sess-d"
    spend(Session(other, ("ag-two", "sess-d")), (2000, 100, 0.25))
    source = opened(install.root, FakeClock(NOW))
    seen = await looked(source)
    rows = {one.id.native_id: dict(one.evidence) for one in seen.sandboxes}
    assert rows["sess-a"]["tokens"] == "1.0M read, 2.0k written, only of the last 2 turns"
    assert rows["sess-a"]["cost"] == "$1.50 as the provider reports it; 1 turn not reported"
    assert rows["sess-a"]["last turn"] == "500 read, written not reported, cost not reported"
    assert rows["sess-b"]["cost"] == "not reported"
    assert "tokens" not in rows["sess-c"] and "cost" not in rows["sess-c"]
    costs = {one.id.native_id: one.cost_usd for one in seen.sandboxes}
    assert costs == {"sess-a": 1.5, "sess-b": None, "sess-c": None, "sess-d": 0.25}
    host = dict(seen.gateways[0].evidence)
    assert host["tokens"] == "1.0M read, 2.1k written: 3 of 4 sessions report them"
    assert host["cost"] == (
        "$1.75 as the provider reports it; 2 sessions not, or not wholly, reported"
    )
    assert host["cost of Ann"].startswith("$1.50 ")
    assert host["cost of Bob"] == "$0.2500 as the provider reports it; 2.0k read, 100 written"
    await source.observer.close()


async def test_an_install_that_reports_no_use_says_nothing_of_it(install: SmallInstall) -> None:
    install.session("sess-a")
    source = opened(install.root, FakeClock(NOW))
    seen = await looked(source)
    for facts in (seen.gateways[0].evidence, seen.sandboxes[0].evidence):
        assert not {"tokens", "cost", "last turn"} & dict(facts).keys()
    await source.observer.close()


async def test_a_turn_that_was_added_is_in_the_next_look(install: SmallInstall) -> None:
    session = install.session("sess-a")
    spend(session, (1000, 10, 0.5))
    clock = FakeClock(NOW)
    source = opened(install.root, clock)
    await looked(source)
    session.write(
        "outbound", "INSERT INTO token_usage_log (input_tokens, cost_usd) VALUES (9000, 2.0)"
    )
    await clock.advance(6)
    seen = await looked(source)
    assert dict(seen.sandboxes[0].evidence)["cost"] == "$2.50 as the provider reports it"
    await source.observer.close()


async def test_the_first_look_says_how_many_are_not_read_yet(
    install: SmallInstall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        install.session(f"sess-{number:02d}").post("m", 2, NOW - number, status="completed")
    monkeypatch.setattr(surveyor, "BUDGET_S", 0.0)
    clock = FakeClock(NOW)
    source = opened(install.root, clock)
    said = dict((await looked(source)).gateways[0].evidence)
    assert said["reading"] == "40 of 40 sessions not read yet"
    monkeypatch.setattr(surveyor, "BUDGET_S", 3.0)
    await clock.advance(6)
    seen = await looked(source)
    assert "reading" not in dict(seen.gateways[0].evidence)
    assert all(one.inbound == (("completed", 1),) for one in seen.sandboxes)
    await source.observer.close()


async def test_the_host_says_how_its_install_is(install: SmallInstall) -> None:
    folder = install.root / f"data/v2-sessions/{GROUP}/.claude-shared"
    folder.mkdir(parents=True)
    about = {"accessToken": "sk-ant-oat01-secret", "expiresAt": (NOW + 7200) * 1000}
    (folder / ".credentials.json").write_text(json.dumps({"claudeAiOauth": about}), "utf-8")
    log = install.root / "logs/nanoclaw.error.log"
    stamp = time.strftime("%H:%M:%S", time.localtime(NOW - 10_800))
    log.write_text(f'[{stamp}.000] ERROR Adapter failed to start channel="slack"\n', "utf-8")
    os.utime(log, (NOW - 10_800, NOW - 10_800))
    main = install.root / "logs/nanoclaw.log"
    main.touch()
    os.utime(main, (NOW - 86_400, NOW - 86_400))
    source = opened(install.root, FakeClock(NOW))
    said: dict[str, str] = {}

    async def measured() -> bool:
        seen = await looked(source)
        said.update(seen.gateways[0].evidence)
        return said["data folder"] != "not measured yet"

    await eventually(measured)
    assert said["version"] == "2.4.0 (package.json)"
    assert said["host up"] == "2 h"
    assert said["host log"] == "last written 3 h ago, before this start: its silence is no sign"
    assert said["last error"] == '3 h ago: Adapter failed to start channel="slack"'
    assert said["credential of Ann"] == "expires in 2 h: after that, sign that agent in again"
    assert "secret" not in repr(said)
    assert "disk free" in said
    await source.observer.close()
