"""Half a minute of the soak: faults at random under a panel whose operator cannot sit still."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.journal.rows import ADDITIONS, INSERT, SCHEMA
from services.sources.local.faults import InjectedFault
from tests.soak.gauges import Sample, leaks
from tests.soak.injected import Injected, missing
from tests.soak.run import soak

SECONDS = 30.0


@pytest.mark.slow
async def test_a_panel_lives_through_faults_and_remembers_every_one(tmp_path: Path) -> None:
    found = await soak(tmp_path, SECONDS, seed=8)
    assert found.wrong == [], json.dumps(found.wrong, indent=1)
    assert found.injected and found.rounds and found.keys > 20


def journal(path: Path, *events: tuple[float, str, str, str]) -> Path:
    """A journal with (instant, kind, subject, state after) events."""
    with closing(sqlite3.connect(path)) as db:
        for statement in (*SCHEMA, *ADDITIONS):
            db.execute(statement)
        rows = [
            (at, "info", "local", who, kind, "", "", after, None) for at, kind, who, after in events
        ]
        db.executemany(INSERT, rows)
        db.commit()
    return path


def test_a_transition_that_is_not_in_the_journal_is_missed(tmp_path: Path) -> None:
    path = journal(
        tmp_path / "journal.db",
        (1.0, "sandbox", "one", "down"),
        (12.0, "sandbox", "one", "down"),
        (13.0, "sandbox", "one", "settling"),
        (14.0, "sandbox", "one", "ready"),
        (15.0, "sandbox", "two", "ready"),
        (16.0, "gateway", "gateway", "down"),
    )
    kept = Injected(11.0, InjectedFault.AGENT_KILL, "one")
    early = Injected(12.5, InjectedFault.AGENT_KILL, "one")
    other = Injected(11.0, InjectedFault.AGENT_HANG, "two")
    front = Injected(11.0, InjectedFault.GATEWAY_KILL, "two")
    assert missing(path, [kept]) == []
    assert [line.split("lacks ")[1] for line in missing(path, [early, other, front])] == [
        "down → ready",
        "stuck → ready",
        "ready",
    ]


def rest(**changed: float) -> Sample:
    held: dict[str, float] = {
        "at_s": 0,
        "memory_mb": 80,
        "descriptors": 13,
        "tasks": 60,
        "threads": 4,
        "residents": 6,
        "zombies": 0,
    }
    return Sample(**{**held, **changed})  # type: ignore[arg-type]


def test_what_grows_and_stays_is_a_leak() -> None:
    calm = [rest() for _ in range(12)]
    assert leaks(calm, 3) == []
    # One sample that is higher is something that was just ending.
    assert leaks([*calm, rest(tasks=90), rest()], 3) == []
    for name, grown in (("descriptors", 20), ("tasks", 90), ("threads", 9), ("residents", 7)):
        [said] = leaks([*calm, *[rest(**{name: grown})] * 3], 3)
        assert said.startswith(name)
    assert leaks([*calm, rest(zombies=1)], 3)


def test_memory_that_keeps_growing_is_a_leak() -> None:
    assert leaks([rest(memory_mb=80 + 3 * at) for at in range(24)], 3)
    # It fills its bounded buffers, then stays.
    assert leaks([rest(memory_mb=min(80 + 3 * at, 110)) for at in range(30)], 3) == []
