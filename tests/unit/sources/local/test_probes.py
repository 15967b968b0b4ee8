"""What the embedded world's processes are asked, and when they are not asked at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from services.process.identity import Liveness, ProcessId
from services.sources.local import probes, starts
from services.sources.local.gateway_probe import GatewayEvidence
from services.sources.local.judge import ProcessFacts
from services.sources.local.layout import ProcessRecord, World, write_record_file


@pytest.mark.parametrize("liveness", list(Liveness))
async def test_only_a_gateway_that_runs_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, liveness: Liveness
) -> None:
    world = World(tmp_path)
    asked: list[World] = []

    async def probe(world: World, _: ProcessRecord) -> GatewayEvidence:
        asked.append(world)
        raise OSError

    monkeypatch.setattr(probes, "probe_gateway", probe)
    world.create()
    record = ProcessRecord("gateway", os.getpid(), 1000.0, socket="gateway.sock")
    world.write_record(record)
    facts = ProcessFacts(os.getpid(), liveness)
    if liveness is Liveness.RUNNING:
        with pytest.raises(OSError):
            await probes.gateway(world, facts)
    else:
        assert await probes.gateway(world, facts) is None
    world.write_record(replace(record, socket=""))
    assert await probes.gateway(world, facts) is None, "it has no socket yet"
    assert bool(asked) is (liveness is Liveness.RUNNING)


def recorded(role: str, *, earlier_s: int = 0, alive: bool = True) -> ProcessRecord:
    """The record of this process, or of one that had its number before."""
    me = ProcessId.capture()
    assert me is not None
    ticks = me.start_ticks - earlier_s * os.sysconf("SC_CLK_TCK") - (0 if alive else 1)
    return ProcessRecord(role, me.pid, 1000.0, None, ticks, me.boot_id)


@pytest.mark.parametrize(
    ("own", "noted", "liveness", "starting"),
    [
        (None, None, Liveness.DEAD, False),
        (recorded("host"), None, Liveness.RUNNING, False),
        (recorded("host"), recorded("host", alive=False), Liveness.RUNNING, False),
        (None, recorded("host"), Liveness.RUNNING, True),
        (None, recorded("host", alive=False), Liveness.DEAD, True),
        (recorded("host", alive=False), recorded("host"), Liveness.RUNNING, True),
        (
            recorded("host", earlier_s=90, alive=False),
            recorded("host", earlier_s=10, alive=False),
            *(Liveness.DEAD, True),
        ),
        (
            recorded("host", earlier_s=10, alive=False),
            recorded("host", earlier_s=90, alive=False),
            *(Liveness.DEAD, False),
        ),
    ],
)
def test_who_plays_a_role(
    tmp_path: Path,
    own: ProcessRecord | None,
    noted: ProcessRecord | None,
    liveness: Liveness,
    starting: bool,
) -> None:
    world = World(tmp_path)
    world.create()
    if own is not None:
        world.write_record(own)
    if noted is not None:
        write_record_file(world.starts / "host", noted)
    facts = probes.process(world, "host")
    assert (facts.liveness, facts.starting) == (liveness, starting)
    chosen = noted if starting else own
    told = probes.process_of(chosen, starting=starting)
    assert facts.started_at == pytest.approx(told.started_at, abs=1.0)


def test_a_record_that_comes_as_its_note_goes_is_not_missed(tmp_path: Path) -> None:
    """The look read no record; before it reads the note, the process leaves one."""
    world = World(tmp_path)
    world.create()
    read: list[str] = []

    def just_before(role: str) -> ProcessRecord | None:
        found = world.read_record(role)
        read.append(role)
        if len(read) == 1:
            world.write_record(recorded(role))
        return found

    record, facts = probes.role_process(world, just_before, "host")
    assert record is not None and not facts.starting
    assert facts.liveness is Liveness.RUNNING


def test_a_note_of_who_has_left_its_record_already_does_not_stay(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create()
    world.write_record(recorded("host"))
    starts.note(world, "host", os.getpid())
    assert starts.read(world, "host") is None
    starts.note(world, "gateway", os.getpid())
    noted = starts.read(world, "gateway")
    assert noted is not None and noted.process == ProcessId.capture()
    starts.leave(world, "gateway")
    assert not starts.everyone(world)
    starts.note(world, "gateway", os.getppid())
    starts.leave(world, "gateway")
    assert len(starts.everyone(world)) == 1, "another's start is not ours to end"


def test_a_start_without_a_folder_to_note_it_in_goes_on(tmp_path: Path) -> None:
    starts.note(World(tmp_path / "gone"), "host", os.getpid())
    assert not (tmp_path / "gone").exists()
