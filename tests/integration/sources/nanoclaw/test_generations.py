"""What is said of an install of each generation, through the whole source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.models import InLabel, Message, OutLabel, Sandbox, SandboxId, SandboxState
from services.sources.protocol.source import OpenSource
from tests.support.clock import FakeClock
from tests.support.nanoclaw import ScriptedDocker, opened, short_folder
from tests.support.nanoclaw_install import GROUP, SmallInstall, answering, iso

NOW = float(int(time.time()))
SID = "sess-1795193316631-cbbi85"


@pytest.fixture
def top() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture
def docker(top: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDocker:
    monkeypatch.setenv("PATH", str(top / "bin"), prepend=":")
    return ScriptedDocker(top / "bin", top / "claw")


class World:
    """One install with a host that answers, looked at with a clock of ours."""

    def __init__(self, install: SmallInstall) -> None:
        self.install = install
        self.clock = FakeClock(NOW)
        self.source: OpenSource = opened(install.root, self.clock)

    async def row(self, name: str = SID) -> Sandbox:
        seen = await self.source.observer.observe()
        return next(one for one in seen.sandboxes if one.id.native_id == name)

    async def messages(self, name: str = SID) -> dict[str, Message]:
        await self.source.observer.observe()
        page = await self.source.observer.queue(SandboxId("claw", name), 50)
        return {one.id: one for one in page.messages}


@pytest.fixture
def host(top: Path) -> Iterator[None]:
    with answering(top / "claw"):
        yield


def world(top: Path, version: str = "", *marks: str, started: float = NOW - 9000) -> World:
    install = SmallInstall(top / "claw", version, *marks)
    install.started(started)
    return World(install)


def new_container(
    docker: ScriptedDocker, install: SmallInstall, up: float, name: str = SID, **more: str
) -> None:
    """As a newer host makes it: no time in its name, the session in its labels."""
    labels = install.labels(name, NOW - up) | {
        key.replace("_", "-"): value for key, value in more.items() if key != "state"
    }
    state = more.get("state", "running")
    docker.add(f"ncl-{install.slug}-{name}", labels, NOW - up, install, name, state)


async def test_a_young_container_of_the_new_names_is_starting_and_no_orphan(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    there.install.session(SID, "stopped", at=NOW - 1)
    new_container(docker, there.install, 1)
    assert (await there.row()).state is SandboxState.SETTLING
    there.install.row(SID, "running")
    await there.clock.advance(3)
    assert (await there.row()).state is SandboxState.SETTLING


@pytest.mark.parametrize(
    ("version", "marks", "end"),
    [
        ("2.1.53", ("old",), "nothing will end it by itself"),
        ("2.3.0", ("mailbox", "driver"), "the host ends it in 25 min"),
        ("2.4.0", ("mailbox", "durable"), "the host ends it in 25 min"),
        ("", (), "NanoClaw 2.3 and later ends it 30 min after its start"),
    ],
)
async def test_a_container_that_was_never_active_says_what_ends_it(
    top: Path,
    docker: ScriptedDocker,
    host: None,
    version: str,
    marks: tuple[str, ...],
    end: str,
) -> None:
    there = world(top, version, *marks)
    session = there.install.session(SID, "running")
    session.beat(NOW - 3600)  # an earlier container's
    new_container(docker, there.install, 300)
    row = await there.row()
    assert (row.state, row.reason) == (
        SandboxState.STUCK,
        f"Started 5 min ago and never active: {end}.",
    )


async def test_a_container_that_ends_is_ending_and_one_that_stays_is_an_orphan(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    session = there.install.session(SID, "running", at=NOW - 100)
    session.beat(NOW - 1)
    new_container(docker, there.install, 300)
    assert (await there.row()).state is SandboxState.READY
    there.install.row(SID, "stopped")
    first = await there.row()
    assert (first.state, first.reason) == (
        SandboxState.SETTLING,
        "Its row says stopped and its container is listed: it ends.",
    )
    await there.clock.advance(3)
    assert (await there.row()).state is SandboxState.SETTLING
    await there.clock.advance(3)
    assert (await there.row()).state is SandboxState.STUCK
    assert "Orphan container" in (await there.row()).reason


async def test_a_row_ahead_of_its_container_is_no_restart_of_the_host(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, "running", at=NOW - 1)
    session.post("m", 2, NOW - 1)
    row = await there.row()
    assert row.state is SandboxState.SETTLING
    assert "restarted" not in row.reason
    for _ in range(2):
        await there.clock.advance(6)
        row = await there.row()
    assert "Its row still says running." in row.reason
    assert "restarted" not in row.reason  # the host has been up for hours


async def test_a_stale_row_older_than_the_host_says_that_it_was_restarted(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old", started=NOW - 60)
    there.install.session(SID, "running", at=NOW - 9000)
    assert "the host was restarted" in (await there.row()).reason


async def test_an_empty_list_beside_a_live_agent_is_another_daemons(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, "running", at=NOW - 60)
    session.post("m", 2, NOW - 20)
    session.ack("m", "processing", NOW - 2)
    session.beat(NOW - 1)
    row = await there.row()
    assert row.state is SandboxState.READY
    assert "restarted" not in row.reason
    assert "another daemon or context" in dict(row.evidence)["container"]
    assert (await there.messages())["m"].label is InLabel.PROCESSING


async def test_a_claim_is_orphaned_by_two_lists_and_not_by_the_first(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, "running", at=NOW - 60)
    session.post("m", 2, NOW - 30)
    session.ack("m", "processing", NOW - 12)
    session.beat(NOW - 10)
    assert (await there.messages())["m"].label is InLabel.PROCESSING
    assert dict((await there.row()).inbound) == {InLabel.PROCESSING.value: 1}
    for _ in range(2):
        await there.clock.advance(6)
        row = await there.row()
    assert dict(row.inbound) == {InLabel.ORPHAN.value: 1}
    assert (await there.messages())["m"].label is InLabel.ORPHAN


async def test_heartbeats_that_move_past_empty_lists_are_another_daemons_later_too(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, "stopped", at=NOW - 60)
    assert (await there.row()).state is SandboxState.ASLEEP
    there.install.row(SID, "running")
    for _ in range(5):
        await there.clock.advance(3)
        session.beat(there.clock.now() - 0.5)
        row = await there.row()
    assert "by its heartbeat" in row.reason


@pytest.mark.parametrize(
    ("version", "state"), [("2.1.53", SandboxState.UNKNOWN), ("2.3.0", SandboxState.READY)]
)
async def test_a_heartbeat_older_than_the_host_is_no_life_where_a_start_stops_everything(
    top: Path, docker: ScriptedDocker, host: None, version: str, state: SandboxState
) -> None:
    there = world(top, version, started=NOW - 120)
    session = there.install.session(SID, "running", at=NOW - 900)
    session.beat(NOW - 480)
    docker.fail("Cannot connect to the Docker daemon")
    assert (await there.row()).state is state


async def test_a_closed_session_is_closed_whatever_the_runtime_says(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", started=NOW - 120)
    there.install.session(SID, "running", at=NOW - 900, status="closed").beat(NOW - 480)
    docker.fail("Cannot connect to the Docker daemon")
    row = await there.row()
    assert (row.state, row.reason[:6]) == (SandboxState.ASLEEP, "Closed")


async def test_two_agents_are_said_and_other_roles_are_not_counted(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    there.install.session(SID, "running", at=NOW - 60).beat(NOW - 1)
    new_container(docker, there.install, 300)
    labels = there.install.labels(SID, NOW - 300)
    docker.add("helper", labels | {"nanoclaw-role": "browser"}, NOW - 9, there.install, SID)
    assert (await there.row()).state is SandboxState.READY
    docker.add("by-hand", labels, NOW - 5, there.install, SID)
    await there.clock.advance(3)
    row = await there.row()
    assert row.state is SandboxState.STUCK
    assert row.reason.startswith("Two containers on one session")


@pytest.mark.parametrize(
    ("word", "state", "said"),
    [
        ("created", SandboxState.SETTLING, "is made and starts"),
        ("restarting", SandboxState.SETTLING, "restarts"),
        ("paused", SandboxState.STUCK, "Paused"),
        ("exited", SandboxState.SETTLING, "no container is listed"),
        ("dead", SandboxState.SETTLING, "no container is listed"),
    ],
)
async def test_what_a_container_does_is_its_own_word(
    top: Path, docker: ScriptedDocker, host: None, word: str, state: SandboxState, said: str
) -> None:
    there = world(top, "2.4.0", "mailbox")
    there.install.session(SID, "running", at=NOW - 60).beat(NOW - 10)
    new_container(docker, there.install, 300, state=word)
    row = await there.row()
    assert row.state is state
    assert said in row.reason


async def test_a_backoff_that_has_run_out_is_due_at_that_moment(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, "stopped", at=NOW - 60)
    session.post("m", 2, NOW - 60, process_after=iso(NOW + 7), tries=1)
    row = await there.row()
    assert row.reason.startswith("Backs off")
    assert row.until == NOW + 7
    await there.clock.advance(7.2)
    row = await there.row()
    assert row.state is SandboxState.SETTLING
    assert "nothing waits" not in row.reason
    assert (await there.messages())["m"].label is InLabel.DUE


@pytest.mark.parametrize("due", [40, 400])
async def test_the_first_failed_start_says_why_at_once(
    top: Path, docker: ScriptedDocker, host: None, due: int
) -> None:
    there = world(top, "2.1.53", "old")
    there.install.session(SID, "stopped", at=NOW - 60).post("m", 2, NOW - due)
    tail = '["[agent-runner] Starting","[agent-runner] Fatal error: Unknown provider: mock"]'
    log_failure(there.install, 30, f'sessionId="{SID}" code=1 stderrTail={tail}')
    row = await there.row()
    assert row.state is SandboxState.BROKEN
    assert row.reason.startswith("Start failed: its container exited with code 1: Unknown provider")


async def test_a_crash_loop_is_one_state_while_the_host_tries_again(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    there.install.session(SID, "stopped", at=NOW - 60).post("m", 2, NOW - 300)
    name = f"ncl-{there.install.slug}-{SID}"
    for age in (150, 90, 30):  # no session in the line of the newer host: its container names it
        log_failure(there.install, age, f'code=1 containerName="{name}" stderrTail=["boom"]')
    first = await there.row()
    assert first.reason.startswith("Start fails every time: its container exited with code 1: boom")
    there.install.row(SID, "running")
    new_container(docker, there.install, 2)
    await there.clock.advance(3)
    again = await there.row()
    assert (again.state, again.reason) == (first.state, first.reason)


def log_failure(install: SmallInstall, age: float, words: str) -> None:
    at = time.strftime("%H:%M:%S", time.localtime(NOW - age))
    with (install.root / "logs/nanoclaw.error.log").open("a", encoding="utf-8") as log:
        log.write(f"[{at}.000] WARN Container exited non-zero {words}\n")


async def starving(there: World, order: str) -> Sandbox:
    session = there.install.session(SID, "running", at=NOW - 60)
    session.beat(NOW - 1)
    if order == "behind context":
        session.post("user", 2, NOW - 60)
        for number in range(10):
            session.post(f"c{number}", 4 + 2 * number, NOW - 50, trigger=0)
    else:
        for number in range(10):
            session.post(f"a{number}", 2 + 2 * number, NOW - 60, kind="system")
        session.post("user", 40, NOW - 50)
    return await there.row()


@pytest.mark.parametrize(
    ("version", "mark", "order", "starved"),
    [
        ("2.1.53", "old", "behind context", True),
        ("2.1.53", "old", "behind answers", False),
        ("2.4.0", "mailbox", "behind context", False),
        ("2.4.0", "mailbox", "behind answers", True),
        ("", "", "behind context", False),
        ("", "", "behind answers", False),
    ],
)
async def test_starved_is_judged_by_the_runner_that_is_installed(
    top: Path,
    docker: ScriptedDocker,
    host: None,
    version: str,
    mark: str,
    order: str,
    starved: bool,
) -> None:
    there = world(top, version, *[mark] * bool(mark))
    new_container(docker, there.install, 300)
    row = await starving(there, order)
    assert row.reason.startswith("Starved") is starved
    assert ("order of work" in dict(row.evidence)) is (mark == "")


@pytest.mark.parametrize("status", ["pending", "failed"])
async def test_a_failed_script_of_a_task_is_said_before_and_after_the_sync(
    top: Path, docker: ScriptedDocker, host: None, status: str
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, thread="system:tasks:watch-5adb")
    session.post("watch-5adb", 2, NOW - 60, kind="task", status=status)
    session.ack("watch-5adb", "script-skip:error", NOW - 10)
    row = await there.row()
    label = InLabel.SCRIPT_FAILED if status == "failed" else InLabel.SCRIPT_UNSYNCED
    assert dict(row.inbound) == {label.value: 1}
    assert "due" not in row.reason
    message = (await there.messages())["watch-5adb"]
    assert (message.label, message.note) == (label, "script-skip:error")


async def test_words_nobody_knows_are_shown_as_they_are(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    session = there.install.session(SID)
    session.post("a", 2, NOW - 60)
    session.ack("a", "script-skip:quiet", NOW - 10)
    session.post("b", 4, NOW - 60, status="shelved")
    session.post("c", 6, NOW - 60, kind="task", status="cancelled")
    found = await there.messages()
    assert (found["a"].label, found["a"].note) == (InLabel.UNKNOWN_ACK, "script-skip:quiet")
    assert (found["b"].label, found["b"].note) == (InLabel.UNKNOWN_STATUS, "shelved")
    assert found["c"].label is InLabel.CANCELLED
    assert (await there.row()).state is SandboxState.ASLEEP


async def test_rows_of_a_run_log_are_no_messages(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.1.53", "old")
    session = there.install.session(SID, thread="system:tasks:daily-0bc1")
    session.reply("log", 3, NOW - 40, kind="task_log")
    session.reply("next", 5, NOW - 1, kind="task_log")
    session.reply("lost", 7, NOW - 40, kind="chat")
    session.deliver("log", NOW - 38)
    session.deliver("lost", NOW - 38)
    found = await there.messages()
    assert found["log"].label is OutLabel.LOGGED
    assert found["next"].label is OutLabel.UNLOGGED
    assert found["lost"].label is OutLabel.DROPPED


@pytest.mark.parametrize(
    ("version", "labels"),
    [
        ("2.1.43", (OutLabel.DEFERRED, OutLabel.UNDELIVERED, OutLabel.DEFERRED)),
        ("2.1.44", (OutLabel.UNDELIVERED, OutLabel.NEVER_SENT, OutLabel.NEVER_SENT)),
    ],
)
async def test_times_of_deliveries_are_compared_as_that_host_does(
    top: Path, docker: ScriptedDocker, host: None, version: str, labels: tuple[OutLabel, ...]
) -> None:
    there = world(top, version, "old")
    session = there.install.session(SID)
    values = (iso(NOW - NOW % 86400), "", "tomorrow")
    for number, value in enumerate(values):
        more = {"deliver_after": value, "channel_type": "x", "platform_id": "y"}
        session.reply(f"o{number}", 1 + 2 * number, NOW - 5, **more)
    found = await there.messages()
    assert tuple(found[f"o{number}"].label for number in range(3)) == labels


async def test_lost_replies_are_in_the_row_and_need_a_person(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    session = there.install.session(SID)
    for number in range(4):
        session.reply(f"o{number}", 1 + 2 * number, NOW - 60)
        session.deliver(f"o{number}", NOW - 50, "failed")
    row = await there.row()
    assert row.needs_me == "4 messages not delivered."
    assert row.reason == "4 messages not delivered. Stopped."
    assert not row.asleep_by_design


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("pending", "Waits for an admin: “install”"),
        ("awaiting_reason", "Rejected, waits for the reason: “install”, until 20"),
        ("escalated", "Waits for an admin: “install”, escalated."),
        ("approved", ""),
    ],
)
async def test_approvals_are_said_by_their_status(
    top: Path, docker: ScriptedDocker, host: None, status: str, said: str
) -> None:
    there = world(top, "2.4.0", "mailbox")
    there.install.session(SID)
    there.install.central(
        "INSERT INTO pending_approvals VALUES ('p', ?, ?, 'x', 'install', ?, '', ?, NULL)",
        *(SID, GROUP, status, iso(NOW + 300)),
    )
    row = await there.row()
    assert row.needs_me.startswith(said)
    assert bool(row.needs_me) is bool(said)


async def test_a_host_that_claims_its_sessions_counts_from_its_own_start(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox", "durable", started=NOW - 300)
    session = there.install.session(SID, "running", at=NOW - 60)
    session.beat(NOW - 4000)
    session.post("m", 2, NOW - 5000)
    session.ack("m", "processing", NOW - 4000)
    there.install.coordinate()
    there.install.note("session_claims", session_id=SID, claimed_by="h", claimed_at=iso(NOW - 30))
    new_container(docker, there.install, 5000)
    assert (await there.row()).state is SandboxState.READY  # a fresh minute for the old claim
    await there.clock.advance(31)
    row = await there.row()
    assert row.state is SandboxState.STUCK
    assert "the next sweep kills it" in row.reason


async def test_tasks_are_named_by_their_series_and_spent_ones_are_folded_away(
    top: Path, docker: ScriptedDocker, host: None
) -> None:
    there = world(top, "2.4.0", "mailbox")
    session = there.install.session(SID, thread="system:tasks:daily-0bc1")
    for number, status in enumerate(("completed", "failed", "completed")):
        more = {"kind": "task", "status": status, "series_id": "daily-0bc1"}
        session.post(f"task-{number}", 2 + 2 * number, NOW - 900, **more)
        session.ack(f"task-{number}", "completed", NOW - 890)
    more = {"kind": "task", "series_id": "daily-0bc1", "process_after": iso(NOW + 3600)}
    session.post("daily-0bc1", 20, NOW, **more)
    there.install.session("sess-old", thread="system:tasks:once-77aa", status="closed")
    row = await there.row()
    assert row.name == "Ann · task daily-0bc1"
    assert row.asleep_by_design
    told = dict(row.evidence)
    assert (told["runs in its queue"], told["task daily-0bc1"][:5]) == ("3, 1 failed", "in 60")
    seen = await there.source.observer.observe()
    assert [one.id.native_id for one in seen.sandboxes] == [SID]
    assert dict(seen.gateways[0].evidence)["spent tasks"] == "1: once-77aa"


@pytest.mark.parametrize(("failures", "needs"), [(0, False), (8, True)])
async def test_a_paused_task_needs_a_person_where_it_kept_failing(
    top: Path, docker: ScriptedDocker, host: None, failures: int, needs: bool
) -> None:
    there = world(top, "2.4.0", "mailbox")
    session = there.install.session(SID, thread="system:tasks:watch-5adb")
    for number in range(failures):
        name = f"task-{number}"
        more = {"kind": "task", "status": "failed", "series_id": "watch-5adb"}
        session.post(name, 2 + 2 * number, NOW - 600, **more)
        session.ack(name, "script-skip:error", NOW - 590)
    session.post("last", 90, NOW, kind="task", status="paused", series_id="watch-5adb")
    row = await there.row()
    assert row.reason.startswith("Task paused")
    assert bool(row.needs_me) is needs
    assert row.asleep_by_design is not needs


@pytest.mark.parametrize(
    ("marker", "said"),
    [(None, "recorded none"), ("2.3.0", "recorded 2.3.0"), ("2.4.0", "")],
)
async def test_a_host_that_will_refuse_its_next_start_says_so(
    top: Path, docker: ScriptedDocker, host: None, marker: str | None, said: str
) -> None:
    there = world(top, "2.4.0", "mailbox")
    if marker is not None:
        path = there.install.root / "data/upgrade-state.json"
        path.write_text(f'{{"version": "{marker}"}}', "utf-8")
    told = dict((await there.source.observer.observe()).gateways[0].evidence)
    assert said in told.get("next start", "")
    assert ("next start" in told) is bool(said)


async def test_a_host_that_refused_to_start_has_not_crashed(
    top: Path, docker: ScriptedDocker
) -> None:
    there = world(top, "2.4.0", "mailbox")
    reason = (await there.source.observer.observe()).gateways[0].reason
    assert reason.startswith("The host refuses to start: updated outside the supported way")
    assert "/update-nanoclaw" in reason


@pytest.mark.parametrize(
    ("mailbox", "state"),
    [('{"kind": "postgres"}', SandboxState.UNKNOWN), ("null", SandboxState.ASLEEP)],
)
async def test_a_mailbox_of_another_kind_is_never_empty(
    top: Path, docker: ScriptedDocker, host: None, mailbox: str, state: SandboxState
) -> None:
    there = world(top, "2.4.0", "mailbox")
    session = there.install.session(SID)
    for name in ("inbound.db", "outbound.db"):
        (session.folder / name).unlink()
    place = session.folder.parent / ".context"
    place.mkdir()
    (place / f"{SID}.json").write_text(f'{{"mailbox": {mailbox}}}', "utf-8")
    row = await there.row()
    assert row.state is state
    assert ("cannot read (postgres)" in row.reason) is (state is SandboxState.UNKNOWN)
