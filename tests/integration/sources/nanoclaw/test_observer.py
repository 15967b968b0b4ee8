"""A whole install observed: upstream's files, a scripted container runtime, a host that talks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import NotFoundError, UnavailableError
from services.models import (
    Activity,
    Capability,
    Direction,
    Gateway,
    GatewayState,
    Sandbox,
    SandboxId,
    SandboxState,
)
from services.sources.nanoclaw.install import install_at
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from tests.support.clock import FakeClock
from tests.support.nanoclaw import (
    ALPHA,
    BETA,
    FIXTURES,
    NOW,
    ScriptedDocker,
    hosted,
    install_states,
    opened,
    orphan_socket,
    session,
    short_folder,
)
from tests.support.powerless import powerless
from tests.support.waiting import eventually


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        yield install_states(folder / "claw")


@pytest.fixture
def docker(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedDocker:
    made = ScriptedDocker(tmp_path / "bin", root)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


async def seen(source: OpenSource) -> tuple[dict[str, Sandbox], dict[str, Gateway]]:
    observed = await source.observer.observe()
    return (
        {one.id.native_id: one for one in observed.sandboxes},
        {one.id.native_id: one for one in observed.gateways},
    )


def named(name: str) -> SandboxId:
    return SandboxId("claw", name)


async def test_every_session_of_every_group_is_shown(root: Path, docker: ScriptedDocker) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300), (ALPHA, "sess-fx-claimed", NOW - 300))
    source = opened(root, FakeClock(NOW))
    async with hosted(root):
        sandboxes, gateways = await seen(source)
    await source.observer.close()
    assert {name: (one.state, one.asleep_by_design) for name, one in sandboxes.items()} == {
        "sess-fx-mixed": (SandboxState.READY, False),
        "sess-fx-claimed": (SandboxState.READY, False),
        "sess-fx-accumulate": (SandboxState.ASLEEP, True),
        "sess-fx-empty": (SandboxState.ASLEEP, True),
        "sess-fx-orphan-claim": (SandboxState.BROKEN, False),
        "sess-fx-closed": (SandboxState.ASLEEP, True),
        "sess-fx-nofolder": (SandboxState.ASLEEP, True),
        "sess-fx-norow": (SandboxState.ASLEEP, True),
        "sess-fx-nowake": (SandboxState.BROKEN, False),
    }
    assert sandboxes["sess-fx-mixed"].name == "Alpha · Local CLI"
    assert sandboxes["sess-fx-claimed"].name == "Alpha #000200 · slack:C0DE"
    assert sandboxes["sess-fx-nowake"].name == "Beta (made with ncl) · sess-fx-nowake"
    assert sandboxes["sess-fx-norow"].name == "sess-fx-norow"
    assert "no folder" in sandboxes["sess-fx-nofolder"].reason
    assert "No row" in sandboxes["sess-fx-norow"].reason
    assert "Accumulates only: 3" in sandboxes["sess-fx-accumulate"].reason
    assert "no container config" in sandboxes["sess-fx-nowake"].reason
    assert "Closed" in sandboxes["sess-fx-closed"].reason
    assert gateways["host"].state is GatewayState.READY
    assert gateways["containers"].state is GatewayState.READY


async def test_one_session_in_full(root: Path, docker: ScriptedDocker) -> None:
    (name,) = docker.run((ALPHA, "sess-fx-mixed", NOW - 300))
    source = opened(root, FakeClock(NOW))
    async with hosted(root):
        sandboxes, _ = await seen(source)
    await source.observer.close()
    mixed = sandboxes["sess-fx-mixed"]
    assert (mixed.activity, mixed.tool) == (Activity.WORKING, "Bash")
    assert mixed.reason.startswith("Asks a human: “Deploy?” and 1 more.")
    assert dict(mixed.inbound)["due"] == 5
    assert dict(mixed.outbound)["undelivered"] == 5
    assert mixed.unavailable == ()
    told = dict(mixed.evidence)
    assert told["container"] == f"{name}, up 5 min"
    assert told["row"] == "active, running"
    assert told["host's due count"] == "10"
    assert told["claims"] == "1, since 3 min ago"
    assert told["next due"].endswith("after 2 resets")
    assert told["waiting question"].startswith("Deploy?; asked 2026-11-20 ")
    assert told["waiting approval"].startswith("Install packages; asked 2026-11-20 ")
    assert told["task in-14-recurring-original"].endswith("0 9 * * 1-5: daily digest")
    assert told["task in-18-paused"] == "paused, */10 * * * *: poll"
    assert told["tool"] == "Bash, declared 10 min"


async def test_sources_that_disagree_are_shown_to(root: Path, docker: ScriptedDocker) -> None:
    docker.run((ALPHA, "sess-fx-orphan-claim", NOW - 300))
    source = opened(root, FakeClock(NOW))
    sandboxes, gateways = await seen(source)
    await source.observer.close()
    stale = dict(sandboxes["sess-fx-mixed"].evidence)
    assert "no container has this session's mount" in stale["disagreement"]
    orphan = sandboxes["sess-fx-orphan-claim"]
    assert orphan.state is SandboxState.STUCK
    assert "a container has this session's mount" in dict(orphan.evidence)["disagreement"]
    assert gateways["host"].state is GatewayState.DOWN


async def test_containers_are_asked_as_they_are_labelled(
    root: Path, docker: ScriptedDocker
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300), (BETA, "sess-fx-nowake", NOW - 9))
    ids = [json.loads(line)["ID"] for line in (docker.folder / "ps").read_text().splitlines()]
    clock = FakeClock(NOW)
    source = opened(root, clock)
    for _ in range(3):
        await seen(source)
        await clock.advance(5)
    await source.observer.close()
    slug = install_at(root).slug
    listing = ["ps", "-a", "--no-trunc", "--filter", f"label=nanoclaw-install={slug}"]
    asked = docker.asked
    assert [one for one in asked if one[0] == "ps"] == [[*listing, "--format", "{{json .}}"]] * 3
    inspected = [one for one in asked if one[0] == "inspect"]
    assert len(inspected) == 1, "mounts never change"
    assert inspected[0][-2:] == ids


@pytest.mark.parametrize("source_path", ["/host_mnt{root}", "/run/desktop/mnt/host{root}"])
async def test_a_virtual_machines_spelling_of_a_mount_is_understood(
    root: Path, docker: ScriptedDocker, source_path: str
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300), source=source_path)
    source = opened(root, FakeClock(NOW))
    sandboxes, _ = await seen(source)
    await source.observer.close()
    assert sandboxes["sess-fx-mixed"].state is SandboxState.READY


async def test_a_container_of_another_folder_is_nobodys(
    root: Path, docker: ScriptedDocker, tmp_path: Path
) -> None:
    foreign = tmp_path / "other"
    session(foreign, "sess-fx-mixed").mkdir(parents=True)
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300), source=str(foreign))
    source = opened(root, FakeClock(NOW))
    sandboxes, gateways = await seen(source)
    await source.observer.close()
    assert sandboxes["sess-fx-mixed"].state is SandboxState.ASLEEP
    assert "belong to no session" in gateways["containers"].reason


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        ("not json\n", "cannot read"),
        ('{"ID": 1}\n', "cannot read"),
        ('{"ID":"a","Names":"--rm"}\n', "cannot"),
    ],
)
async def test_a_listing_that_is_none_is_said(
    root: Path, docker: ScriptedDocker, listing: str, said: str
) -> None:
    (docker.folder / "ps").write_text(listing)
    source = opened(root, FakeClock(NOW))
    sandboxes, gateways = await seen(source)
    await source.observer.close()
    assert said in gateways["containers"].reason
    assert "Container state unknown" in sandboxes["sess-fx-mixed"].reason


async def test_a_runtime_that_fails_leaves_row_and_heartbeat(
    root: Path, docker: ScriptedDocker
) -> None:
    docker.fail("Cannot connect to the \x1b[31mDocker daemon\x1b[0m\n")
    clock = FakeClock(NOW)
    source = opened(root, clock)
    sandboxes, gateways = await seen(source)
    assert gateways["containers"].state is GatewayState.DOWN
    assert gateways["containers"].reason == (
        "Container state unknown: docker: Cannot connect to the Docker daemon."
    )
    assert sandboxes["sess-fx-claimed"].state is SandboxState.READY
    assert dict(sandboxes["sess-fx-claimed"].unavailable).keys() == {
        Capability.SHELL,
        Capability.EXEC,
    }
    docker.heal()
    docker.run((ALPHA, "sess-fx-claimed", NOW - 300))
    await clock.advance(5)
    sandboxes, gateways = await seen(source)
    await source.observer.close()
    assert gateways["containers"].state is GatewayState.READY
    assert sandboxes["sess-fx-claimed"].unavailable == ()


async def test_a_runtime_that_hangs_holds_nothing_up(root: Path, docker: ScriptedDocker) -> None:
    docker.hang()
    source = opened(root, FakeClock(NOW))
    async with asyncio.timeout(60):
        sandboxes, gateways = await seen(source)
        assert "docker has not answered" in gateways["containers"].reason
        assert len(sandboxes) == 9
        await source.observer.close()


async def test_without_docker_nothing_is_spawned(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    source = opened(root, FakeClock(NOW))
    sandboxes, gateways = await seen(source)
    await source.observer.close()
    assert gateways["containers"].state is GatewayState.ABSENT
    assert "not installed" in gateways["containers"].reason
    assert sandboxes["sess-fx-mixed"].activity is Activity.WORKING


async def test_the_hosts_crash_backoff_is_counted_down(root: Path, docker: ScriptedDocker) -> None:
    (root / "data" / "circuit-breaker.json").write_text(
        json.dumps({"attempt": 4, "timestamp": "2026-11-20T17:04:50.000Z"})
    )
    orphan_socket(root / "data" / "ncl.sock")
    source = opened(root, FakeClock(NOW))
    _, gateways = await seen(source)
    await source.observer.close()
    assert gateways["host"].state is GatewayState.SETTLING
    assert "20 s left of 30 s" in gateways["host"].reason


async def test_queue_and_content_of_one_session(root: Path, docker: ScriptedDocker) -> None:
    source = opened(root, FakeClock(NOW))
    await seen(source)
    snapshot = await source.observer.queue(named("sess-fx-mixed"), 100)
    assert len(snapshot.messages) == 34
    content = await source.observer.content(named("sess-fx-mixed"), Direction.IN, "in-08-due")
    assert json.loads(content)["sender"] == "Dana"
    with pytest.raises(NotFoundError):
        await source.observer.content(named("sess-fx-mixed"), Direction.OUT, "in-08-due")
    with pytest.raises(NotFoundError):
        await source.observer.queue(named("sess-none"), 10)
    await source.observer.close()


async def test_a_dead_hosts_wal_is_read(root: Path, docker: ScriptedDocker) -> None:
    for name in ("v2.db", "v2.db-wal"):
        shutil.copy(FIXTURES / "wal-left" / name, root / "data" / name)
    before = hashlib.sha256((root / "data" / "v2.db").read_bytes()).digest()
    wal = hashlib.sha256((root / "data" / "v2.db-wal").read_bytes()).digest()
    source = opened(root, FakeClock(NOW))
    sandboxes, _ = await seen(source)
    await source.observer.close()
    for name in ("sess-fx-mixed", "sess-fx-claimed"):
        assert dict(sandboxes[name].evidence)["row"] == "active, stopped"
    assert hashlib.sha256((root / "data" / "v2.db").read_bytes()).digest() == before
    assert hashlib.sha256((root / "data" / "v2.db-wal").read_bytes()).digest() == wal


async def test_another_users_database_is_asked_of_the_host(
    root: Path, docker: ScriptedDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    source = opened(root, FakeClock(NOW))
    async with hosted(root) as host:
        sandboxes, gateways = await seen(source)
    await source.observer.close()
    asked = [one["command"] for one in host.requests]
    assert asked.count("sessions-list") == 1
    assert set(asked) <= {
        *("help", "sessions-list", "groups-list", "messaging-groups-list", "wirings-list"),
        *("approvals-list", "groups-config-get"),
    }
    assert sandboxes["sess-1795193316631-cbbi85"].name == "Andy · Local CLI"
    assert "the host's own lists are shown" in gateways["host"].reason
    assert "No row" in sandboxes["sess-fx-mixed"].reason
    assert not list((root / "data").glob("v2.db-*")), "it was not opened"


async def test_without_any_central_data_folders_speak_for_themselves(
    root: Path, docker: ScriptedDocker
) -> None:
    (root / "data" / "v2.db").unlink()
    source = opened(root, FakeClock(NOW))
    sandboxes, gateways = await seen(source)
    await source.observer.close()
    assert len(sandboxes) == 8
    assert "known by their folders alone" in gateways["host"].reason
    assert sandboxes["sess-fx-accumulate"].reason.startswith("Accumulates only")


async def test_a_damaged_database_keeps_the_last_good_reading(
    root: Path, docker: ScriptedDocker
) -> None:
    clock = FakeClock(NOW)
    source = opened(root, clock)
    await seen(source)
    good = (root / "data" / "v2.db").read_bytes()
    for one in (root / "data").glob("v2.db*"):
        one.unlink()
    (root / "data" / "v2.db").write_bytes(b"this is no database" * 300)
    for _ in range(3):
        await clock.advance(6)
        sandboxes, gateways = await seen(source)
        assert sandboxes["sess-fx-mixed"].name == "Alpha · Local CLI"
    assert "corrupt" in gateways["host"].reason
    (root / "data" / "v2.db").write_bytes(good)
    await clock.advance(6)
    _, gateways = await seen(source)
    await source.observer.close()
    assert "corrupt" not in gateways["host"].reason


async def test_a_root_that_moves_away_is_said_and_comes_back(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, FakeClock(NOW))
    await seen(source)
    away = root.with_name("away")
    root.rename(away)
    with pytest.raises(UnavailableError, match="it was moved, or never made"):
        await source.observer.observe()
    verdict = await source.observer.probe(named("sess-fx-mixed"))
    assert verdict.kind is VerdictKind.UNKNOWN
    away.rename(root)
    sandboxes, _ = await seen(source)
    assert len(sandboxes) == 9
    await source.observer.close()


async def test_a_session_that_appears_and_one_that_goes_are_followed(
    root: Path, docker: ScriptedDocker
) -> None:
    clock = FakeClock(NOW)
    source = opened(root, clock)
    await seen(source)
    shutil.copytree(session(root, "sess-fx-norow"), session(root, "sess-new"))
    shutil.rmtree(session(root, "sess-fx-norow"))
    await clock.advance(5)
    sandboxes, _ = await seen(source)
    await source.observer.close()
    assert "sess-new" in sandboxes
    assert "sess-fx-norow" not in sandboxes


async def test_the_same_id_in_two_groups_is_two_sessions(
    root: Path, docker: ScriptedDocker
) -> None:
    shutil.copytree(session(root, "sess-fx-norow"), session(root, "sess-fx-nowake"))
    source = opened(root, FakeClock(NOW))
    sandboxes, _ = await seen(source)
    await source.observer.close()
    assert f"{ALPHA}/sess-fx-nowake" in sandboxes
    assert f"{BETA}/sess-fx-nowake" in sandboxes


async def test_names_that_mean_harm_are_made_harmless(root: Path, docker: ScriptedDocker) -> None:
    for name in ("--rm", "a\x1b[2Jb", "new\nline"):
        shutil.copytree(session(root, "sess-fx-norow"), session(root, name))
    source = opened(root, FakeClock(NOW))
    sandboxes, _ = await seen(source)
    await source.observer.close()
    names = set(sandboxes) - {one for one in sandboxes if one.startswith("sess-")}
    assert names == {f"{ALPHA}/--rm", "ab", "new line"}
    for one in sandboxes.values():
        assert one.name.isprintable()
        assert all(word.isprintable() for fact in one.evidence for word in fact)


VERDICTS = {
    "sess-fx-mixed": (VerdictKind.READY, ""),
    "sess-fx-accumulate": (VerdictKind.TERMINAL, ""),
    "sess-fx-empty": (VerdictKind.TERMINAL, ""),
    "sess-fx-nowake": (VerdictKind.TERMINAL, ""),
    "sess-fx-orphan-claim": (VerdictKind.TERMINAL, ""),
    "sess-none": (VerdictKind.TERMINAL, ""),
}


async def test_verdicts_with_a_host_that_is_up(root: Path, docker: ScriptedDocker) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300))
    source = opened(root, FakeClock(NOW))
    async with hosted(root):
        for name, (kind, confirmable) in VERDICTS.items():
            verdict = await source.observer.probe(named(name))
            assert (verdict.kind, verdict.confirmable) == (kind, confirmable), name
            assert not verdict.wakeable
            assert verdict.reason or kind is VerdictKind.READY
        docker.run()
        await source.observer.observe()
    await source.observer.close()


async def test_without_a_host_the_advice_names_its_service(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, FakeClock(NOW))
    verdict = await source.observer.probe(named("sess-fx-accumulate"))
    await source.observer.close()
    assert verdict.kind is VerdictKind.TERMINAL
    assert f"nanoclaw-v2-{install_at(root).slug}" in verdict.advice


async def test_looks_at_the_same_time_do_not_trip_over_each_other(
    root: Path, docker: ScriptedDocker
) -> None:
    source = opened(root, FakeClock(NOW))
    looks = asyncio.gather(*(source.observer.observe() for _ in range(4)))
    probes = asyncio.gather(*(source.observer.probe(named("sess-fx-mixed")) for _ in range(4)))
    observed = await looks
    await probes
    await source.observer.close()
    assert {len(one.sandboxes) for one in observed} == {9}


async def test_a_look_that_is_cancelled_leaves_nothing(root: Path, docker: ScriptedDocker) -> None:
    docker.hang()
    source = opened(root, FakeClock(NOW))
    task = asyncio.create_task(source.observer.observe())
    await eventually(lambda: docker.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await source.observer.close()
    docker.heal()
    sandboxes, _ = await seen(source)
    await source.observer.close()
    assert len(sandboxes) == 9


async def test_no_file_of_an_install_changes_over_a_hundred_polls(
    root: Path, docker: ScriptedDocker
) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300))

    def marks() -> dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(root)): (
                hashlib.sha256(path.read_bytes()).digest(),
                path.stat().st_mtime_ns,
            )
            for path in root.rglob("*")
            if path.is_file() and not path.name.endswith(("-shm", "-wal"))
        }

    before = marks()
    clock = FakeClock(NOW)
    source = opened(root, clock)
    for number in range(100):
        await source.observer.observe()
        await source.observer.queue(named("sess-fx-mixed"), 100)
        await source.observer.probe(named("sess-fx-claimed"))
        if number % 20 == 0:
            await source.observer.content(named("sess-fx-mixed"), Direction.IN, "in-08-due")
        await clock.advance(6)
    await source.observer.close()
    assert marks() == before
    left = {path.name for path in root.rglob("*") if path.is_file()} - {
        Path(name).name for name in before
    }
    assert left <= {"v2.db-shm", "v2.db-wal"}, "what SQLite itself needs to read a WAL file"


async def test_a_clock_set_back_breaks_nothing(root: Path, docker: ScriptedDocker) -> None:
    docker.run((ALPHA, "sess-fx-mixed", NOW - 300))
    source = opened(root, FakeClock(NOW - 86_400))
    sandboxes, _ = await seen(source)
    await source.observer.close()
    assert "ahead of our clock" in dict(sandboxes["sess-fx-mixed"].evidence)["heartbeat"]


@pytest.fixture
def bound_by_permissions() -> Iterator[None]:
    with powerless():
        yield


async def test_permissions_withdrawn_while_looking_are_said(
    root: Path, docker: ScriptedDocker, bound_by_permissions: None
) -> None:
    clock = FakeClock(NOW)
    source = opened(root, clock)
    await seen(source)
    closed = session(root, "sess-fx-mixed")
    closed.chmod(0)
    try:
        await clock.advance(6)
        sandboxes, _ = await seen(source)
        assert "permission" in dict(sandboxes["sess-fx-mixed"].evidence)["files"]
        assert sandboxes["sess-fx-mixed"].stale
    finally:
        closed.chmod(0o700)
        await source.observer.close()


def test_the_nudge_settings_reach_the_plan(root: Path) -> None:
    source = opened(root, FakeClock(NOW), nudge_text="wake up", nudge_sender="telegram:1001")
    plan = source.observer.nudge_plan(named("sess-fx-mixed"))  # type: ignore[attr-defined]
    assert (plan.text, plan.sender) == ("wake up", "telegram:1001")
    assert replace(plan, refusal="").address is None
