"""What docker leaves out or words anew: no container is lost over it, nor taken for another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.sources.nanoclaw.containers import Containers, Listing
from services.sources.nanoclaw.install import install_at

KEYS = ("a" * 64, "b" * 64)


def rows(*told: dict[str, str]) -> str:
    listed = [
        {"ID": key, "Names": f"box-{at}", **more}
        for at, (key, more) in enumerate(zip(KEYS, told, strict=False))
    ]
    return "".join(json.dumps(row) + "\n" for row in listed)


async def listing(folder: Path, monkeypatch: pytest.MonkeyPatch, ps: str, inspect: str) -> Listing:
    """What is made of that output of `ps`, where `inspect` is that script."""
    root = folder / "claw"
    root.mkdir()
    (folder / "ps").write_text(ps)
    program = folder / "docker"
    program.write_text(
        f"#!/bin/sh\n[ \"$1\" = inspect ] || exec cat '{folder}/ps'\n{inspect}\n", "utf-8"
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return await Containers().ask(install_at(root), 1.0)


def inspected(root: Path, *keys: str) -> str:
    told = [
        [key, {}, "2026-01-01T00:00:00Z", "", [
            {"Destination": "/workspace", "Source": f"{root}/claw/data/v2-sessions/g/s{at}"}]]
        for at, key in enumerate(keys)
    ]  # fmt: skip
    return "".join(f"echo '{json.dumps(one)}'\n" for one in told)


@pytest.mark.parametrize(
    ("inspect", "why"),
    [
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Cannot connect"),
        ("echo 'permission denied while trying to connect' >&2; exit 1", "permission denied"),
        ("echo something else", "inspects containers in a way this panel cannot read"),
    ],
)
async def test_containers_that_cannot_be_inspected_are_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inspect: str, why: str
) -> None:
    found = await listing(tmp_path, monkeypatch, rows({"State": "running"}), inspect)
    assert not found.known and why in found.problem


async def test_one_that_ended_meanwhile_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect = f"{inspected(tmp_path, KEYS[0])}echo 'Error: No such object: x' >&2; exit 1"
    ps = rows({"State": "running"}, {"State": "running"})
    found = await listing(tmp_path, monkeypatch, ps, inspect)
    assert found.known and [one.id for one in found.containers] == [KEYS[0]]


@pytest.mark.parametrize("names", ["", None, []])
async def test_one_that_lost_its_name_while_it_is_removed_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: object
) -> None:
    dead = {"ID": KEYS[1], "Names": names, "State": "dead"}
    ps = rows({"State": "running"}) + json.dumps(dead) + "\n"
    found = await listing(tmp_path, monkeypatch, ps, inspected(tmp_path, *KEYS))
    assert found.known and [one.id for one in found.containers] == [KEYS[0]]


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"Status": "Up 5 minutes"}, "running"),
        ({"Status": "Up 5 minutes (Paused)"}, "paused"),
        ({"Status": "Restarting (1) 5 seconds ago"}, "restarting"),
        ({"Status": "Created"}, "created"),
        ({"Status": "Exited (0) 5 minutes ago"}, None),
        ({"Status": "Removal In Progress"}, None),
        ({"Status": "Dead"}, None),
        ({"State": "stopped", "Status": "Up 5 minutes"}, None),
        ({"State": "stopping"}, "stopping"),
        ({}, "unknown"),
    ],
)
async def test_a_state_is_told_by_its_word_or_by_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: dict[str, str], status: str | None
) -> None:
    inspect = inspected(tmp_path, KEYS[0])
    found = await listing(tmp_path, monkeypatch, rows(row), inspect)
    assert found.known
    assert [one.status for one in found.containers] == ([status] if status else [])
    assert bool(found.by_session) is (status is not None)
