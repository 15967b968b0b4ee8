"""What the embedded world's processes are asked, and when they are not asked at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from services.process.identity import Liveness
from services.sources.local import probes
from services.sources.local.gateway_probe import GatewayEvidence
from services.sources.local.judge import ProcessFacts
from services.sources.local.layout import ProcessRecord, World


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
