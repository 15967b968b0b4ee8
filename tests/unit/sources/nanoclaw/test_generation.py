"""Which NanoClaw an install is: by its code, by its version where no code tells, else not known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.sources.nanoclaw.generation import (
    DATED,
    DURABLE,
    MAILBOX,
    TRIPWIRE,
    UNKNOWN_GENERATION,
    Ceiling,
    Version,
    parse_version,
    read_generation,
)
from services.sources.nanoclaw.install import Install

RUNNER = "container/agent-runner/src"
NEW_CODE = (f"{RUNNER}/mailbox", "src/modules/cross-session-context")
DRIVER, RECONCILE = "src/drivers/docker-driver.ts", "src/reconcile-session.ts"
OLD_RUNNER = f"{RUNNER}/db/messages-in.ts"


def spelled(version: Version) -> str:
    return ".".join(map(str, version))


def before(version: Version) -> str:
    major, minor, patch = version
    return f"{major}.{minor}.{patch - 1}" if patch else f"{major}.{minor - 1}.99"


def made(root: Path, version: str, *files: str) -> Install:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if version:
        (root / "package.json").write_text(json.dumps({"version": version}), "utf-8")
    return Install(root, "0a1b2c3d")


@pytest.mark.parametrize(
    ("version", "files", "oldest_first", "ceiling", "adopts", "dated"),
    [
        ("", (), None, None, None, None),
        ("odd", (), None, None, None, None),
        ("2.0.0", (), False, Ceiling.HEARTBEAT, False, False),
        (before(DATED), (), False, Ceiling.HEARTBEAT, False, False),
        (spelled(DATED), (), False, Ceiling.HEARTBEAT, False, True),
        (before(MAILBOX), (), False, Ceiling.HEARTBEAT, False, True),
        (spelled(MAILBOX), (), True, Ceiling.TRACKED, True, True),
        (before(DURABLE), (), True, Ceiling.TRACKED, True, True),
        (spelled(DURABLE), (), True, Ceiling.CLAIMED, True, True),
        # Code outweighs the version.
        *(("2.0.0", (name,), True, Ceiling.TRACKED, True, True) for name in NEW_CODE),
        ("2.0.0", (DRIVER,), False, Ceiling.TRACKED, True, True),
        ("2.0.0", (RECONCILE,), False, Ceiling.CLAIMED, True, True),
        ("", (DRIVER,), None, Ceiling.TRACKED, True, True),
        ("", (RECONCILE,), None, Ceiling.CLAIMED, True, True),
        ("3.0.0", (OLD_RUNNER,), False, Ceiling.CLAIMED, True, True),
        ("3.0.0", (OLD_RUNNER, NEW_CODE[0]), True, Ceiling.CLAIMED, True, True),
    ],
)
def test_what_its_code_does(
    tmp_path: Path,
    version: str,
    files: tuple[str, ...],
    oldest_first: bool | None,
    ceiling: Ceiling | None,
    adopts: bool | None,
    dated: bool | None,
) -> None:
    found = read_generation(made(tmp_path, version, *files))
    assert (found.oldest_first, found.ceiling) == (oldest_first, ceiling)
    assert (found.adopts, found.dated) == (adopts, dated)
    assert (found.code_at is None) is (not version)
    claims = read_generation(made(tmp_path, version, *files), claims=True)
    assert (claims.ceiling, claims.adopts, claims.dated) == (Ceiling.CLAIMED, True, True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.1.44", (2, 1, 44)),
        ("v2.1.44-rc.1", (2, 1, 44)),
        ("2.1", None),
        ("", None),
        ("x2.1.4", None),
        ("123456.0.0", None),
    ],
)
def test_a_version(text: str, number: Version | None) -> None:
    assert parse_version(text) == number


@pytest.mark.parametrize(
    ("version", "marker", "why"),
    [
        (spelled(TRIPWIRE), spelled(TRIPWIRE), ""),
        (spelled(TRIPWIRE), None, "recorded none"),
        (spelled(TRIPWIRE), before(TRIPWIRE), f"recorded {before(TRIPWIRE)}"),
        (before(TRIPWIRE), None, ""),
        ("", None, ""),
    ],
)
def test_a_host_refuses_its_start_after_an_update_of_another_kind(
    tmp_path: Path, version: str, marker: str | None, why: str
) -> None:
    install = made(tmp_path, version, "data/x")
    if marker is not None:
        (install.data / "upgrade-state.json").write_text(json.dumps({"version": marker}), "utf-8")
    found = read_generation(install).refuses_start
    assert found.startswith(f"updated outside the supported way (code {version}, ") if why else True
    assert (why in found) if why else not found
    assert not UNKNOWN_GENERATION.refuses_start


def test_what_a_file_says_that_is_none(tmp_path: Path) -> None:
    install = made(tmp_path, "2.1.0", "data/x")
    for text in ("[1]", "{", '{"version": 7}'):
        (install.data / "upgrade-state.json").write_text(text, "utf-8")
        assert read_generation(install).marker is None
    assert replace(UNKNOWN_GENERATION, version="2.1.0").number == (2, 1, 0)


def test_the_last_runtime_a_host_told_counts(tmp_path: Path) -> None:
    install = made(tmp_path, "2.4.0")
    assert read_generation(install).driver == ""
    install.log.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'Session runtime driver selected driver="{one}"' for one in ("docker", "apple")]
    install.log.write_text("\n".join(lines), "utf-8")
    assert read_generation(install).driver == "apple"
