"""Which session folders are looked at in a round, and which in their turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.queues.file_marks import changed_at
from services.sources.nanoclaw import folders
from services.sources.nanoclaw.containers import SessionKey
from services.sources.nanoclaw.folders import Folders
from services.sources.nanoclaw.install import Install, find
from tests.support.nanoclaw import install_states

COUNT = 40


@pytest.fixture
def install(tmp_path: Path) -> Install:
    return find(str(install_states(tmp_path / "claw")), None)


@pytest.fixture
def homes(install: Install, monkeypatch: pytest.MonkeyPatch) -> list[SessionKey]:
    monkeypatch.setattr(folders, "A_ROUND", COUNT // 4)
    made = []
    for number in range(COUNT):
        folder = install.sessions / "ag-many" / f"sess-{number:03}"
        folder.mkdir(parents=True)
        (folder / "inbound.db").write_bytes(b"")
        made.append(("ag-many", folder.name))
    return made


def touch(install: Install, homes: list[SessionKey], second: int) -> None:
    for group, name in homes:
        os.utime(install.sessions / group / name / "inbound.db", (second, second))


def seen(
    install: Install, sweeper: Folders, homes: list[SessionKey], now: float, second: int
) -> int:
    """How many of the changed ones a round has noticed."""
    found = sweeper.sweep(now, (), set(homes))
    return sum(
        1
        for session_key in homes
        if (mark := found[session_key].inbound) and changed_at(mark) == second
    )


def test_every_session_at_rest_has_its_turn(install: Install, homes: list[SessionKey]) -> None:
    sweeper = Folders(install)
    sweeper.sweep(0.0, ())
    touch(install, homes, 1_000)
    noticed = [seen(install, sweeper, homes, float(turn), 1_000) for turn in range(1, 5)]
    assert noticed == [COUNT // 4, COUNT // 2, COUNT * 3 // 4, COUNT]


def test_slow_rounds_look_at_all_of_them(install: Install, homes: list[SessionKey]) -> None:
    sweeper = Folders(install)
    sweeper.sweep(0.0, ())
    touch(install, homes, 1_000)
    assert seen(install, sweeper, homes, 5.0, 1_000) == COUNT


def test_what_moved_and_what_is_not_at_rest_is_looked_at_each_time(
    install: Install, homes: list[SessionKey]
) -> None:
    sweeper = Folders(install)
    sweeper.sweep(0.0, ())
    for turn in range(1, 6):
        touch(install, homes, 1_000 + turn)
        found = sweeper.sweep(float(turn), (), set(homes[2:]), {homes[5]})
        for session_key in (homes[0], homes[1], homes[5]):
            mark = found[session_key].inbound
            assert mark is not None
            assert changed_at(mark) == 1_000 + turn


def test_a_session_that_goes_is_noticed_in_its_turn(
    install: Install, homes: list[SessionKey]
) -> None:
    sweeper = Folders(install)
    sweeper.sweep(0.0, ())
    (install.sessions / homes[7][0] / homes[7][1] / "inbound.db").unlink()
    for turn in range(1, 5):
        found = sweeper.sweep(float(turn), (), set(homes))
    assert homes[7] not in found
    assert len(set(found) & set(homes)) == COUNT - 1
