"""What `make run` and `make test` install: every file by its hash, and all that is needed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
_HASHES = r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+"
_PIN = re.compile(rf"^([A-Za-z0-9_.-]+)==([^\s;]+)(?: ; [^\\\n]+)?{_HASHES}\n", re.MULTILINE)


def pins() -> dict[str, str]:
    text = (ROOT / "hashes.txt").read_text("utf-8")
    return {canonicalize_name(name): version for name, version in _PIN.findall(text)}


def test_every_line_is_a_version_with_hashes_and_names_no_place() -> None:
    text = (ROOT / "hashes.txt").read_text("utf-8")
    rest = re.sub(r"^#.*\n", "", _PIN.sub("", text), flags=re.MULTILINE)
    assert rest == ""
    assert "://" not in text and "index" not in text


def test_everything_that_is_asked_for_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = list(project["build-system"]["requires"]) + project["project"]["dependencies"]
    wanted += project["project"]["optional-dependencies"]["dev"]
    pinned = pins()
    assert len(pinned) > 50
    for one in map(Requirement, wanted):
        version = pinned.get(canonicalize_name(one.name))
        assert version is not None, f"{one.name} is not pinned: make pins"
        assert one.specifier.contains(version), f"{one} is pinned as {version}: make pins"


def test_both_files_name_the_same_versions() -> None:
    plain = re.findall(
        r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
    named: dict[str, str] = {canonicalize_name(name): version for name, version in plain}
    differ = {name for name, version in pins().items() if named.get(name, version) != version}
    assert not differ, "make pins"
