"""Disk, credentials and errors of an install, as its host's details say them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from services.sources.nanoclaw.health import (
    HealthReader,
    install_facts,
    read_credentials,
    read_health,
    sum_folder,
)
from services.sources.nanoclaw.host_log import LoggedError, last_errors, parse
from services.sources.nanoclaw.install import Install
from tests.support.clock import FakeClock
from tests.support.nanoclaw_install import SmallInstall
from tests.support.waiting import eventually

NOW = 1_795_194_300.0
SECRET = "sk-ant-oat01-" + "q" * 60


@pytest.fixture
def install(tmp_path: Path) -> Install:
    from services.sources.nanoclaw.install import install_at

    SmallInstall(tmp_path / "claw")
    return install_at(tmp_path / "claw")


def sign_in(install: Install, group: str, expires: object, refresh: str = "") -> Path:
    folder = install.sessions / group / ".claude-shared"
    folder.mkdir(parents=True)
    about = {"accessToken": SECRET, "refreshToken": refresh, "expiresAt": expires}
    path = folder / ".credentials.json"
    path.write_text(json.dumps({"claudeAiOauth": about}), "utf-8")
    return path


def test_a_folder_is_summed_up_as_the_disk_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "one").write_bytes(b"x" * 100_000)
    os.link(folder / "one", folder / "deep" / "same")
    (tmp_path / "elsewhere").write_bytes(b"x" * 5_000_000)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "around").symlink_to(folder, target_is_directory=True)
    found = sum_folder(folder, NOW)
    assert found is not None
    assert found.whole
    assert found.files == 3
    assert 100_000 <= found.used < 300_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_part_that_cannot_be_listed_is_said(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    found = sum_folder(tmp_path, NOW)
    assert found is not None
    assert not found.whole


def test_a_sum_that_is_no_longer_wanted_ends(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    assert sum_folder(tmp_path, NOW, lambda: True) is None
    assert sum_folder(tmp_path / "gone", NOW) is None


def test_a_credential_says_when_it_expires_and_nothing_of_itself(install: Install) -> None:
    sign_in(install, "ag-old", (NOW - 7200) * 1000)
    sign_in(install, "ag-new", (NOW + 10_800) * 1000, refresh=SECRET)
    found = read_health(install, NOW)
    assert SECRET not in repr(found)
    said = dict(install_facts(found, {"ag-new": "Ann"}, NOW))
    assert said["credential of ag-old"] == "expired 2 h ago: sign that agent in again"
    assert said["credential of Ann"] == "expires in 3 h, renewed by its agent when it is used"
    assert "B in " in said["data folder"]
    assert " of " in said["disk free"]


def test_a_credential_behind_a_link_is_not_read(install: Install, tmp_path: Path) -> None:
    real = sign_in(install, "ag-one", (NOW + 60) * 1000)
    outside = tmp_path / "outside.json"
    real.rename(outside)
    real.symlink_to(outside)
    assert read_credentials(install) == ()


@pytest.mark.parametrize("expires", [None, True, "soon", [], {}])
def test_a_credential_without_an_instant_is_passed_over(install: Install, expires: object) -> None:
    sign_in(install, "ag-one", expires)
    assert read_credentials(install) == ()


async def test_the_reading_is_made_beside_the_polls(install: Install) -> None:
    clock = FakeClock(NOW)
    reader = HealthReader(install, clock)
    assert install_facts(reader.latest(), {}, NOW) == (("data folder", "not measured yet"),)
    await eventually(lambda: reader.latest() is not None)
    first = reader.latest()
    assert first is not None and first.disk is not None
    (install.data / "more").write_bytes(b"x" * 400_000)
    await clock.advance(120)
    await eventually(lambda: (found := reader.latest()) is not None and found.at > NOW)
    again = reader.latest()
    assert again is not None and again.disk == first.disk, "summed up again too soon"
    await clock.advance(1000)
    await eventually(
        lambda: (
            (found := reader.latest()) is not None
            and found.disk is not None
            and found.disk.at > NOW
        )
    )
    last = reader.latest()
    assert last is not None and last.disk is not None
    assert last.disk.used >= first.disk.used + 400_000
    await reader.close()
    await reader.close()


def test_errors_that_say_the_same_are_one_and_the_newest_is_first() -> None:
    raw = [
        '[10:00:00.000] ERROR Adapter failed channel="slack" token="abcdefghijklmnop"',
        "[10:00:01.000] WARN Nothing of note",
        '[10:00:02.000] ERROR Adapter failed channel="telegram"',
        "[10:00:03.000] FATAL Out of \x1b[31mmemory",
        *(f"[10:00:0{n}.000] ERROR Kind {n}" for n in range(4, 6)),
    ]
    lines = [(float(at), one) for at, text in enumerate(raw) if (one := parse(text)) is not None]
    found = last_errors(lines)
    assert [one.text for one in found] == ["Kind 5", "Kind 4", "Out of memory"]
    again = last_errors(lines[:3])
    assert again == (LoggedError(2.0, 'Adapter failed channel="telegram"', 2),)
    assert "abcdefghijklmnop" not in repr(last_errors(lines[:1]))
