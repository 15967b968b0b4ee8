"""Folders of ours, with hostile ones already in their place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.files.private import private_folder, write_new

OTHER = 65_533
"""A user of this machine that is not the one who runs the tests."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user's files need root")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_ours_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    if umask & 0o700 == 0:
        made = private_folder(tmp_path / "state" / "wakedeck" / "local" / "run")
        assert mode(tmp_path / "state") == 0o777 & ~umask
    else:
        made = private_folder(tmp_path / "wakedeck" / "local" / "run")
    for one in (made, made.parent, made.parent.parent):
        assert mode(one) == 0o700
    (made / "file").touch()


def test_one_of_ours_that_is_open_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "wakedeck"
    path.mkdir()
    path.chmod(0o777)
    (path / "kept").touch()
    assert mode(private_folder(path)) == 0o700
    assert (path / "kept").exists()


def test_a_folder_that_may_be_more_than_ours_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "shared-with-others"
    path.mkdir()
    path.chmod(0o755)
    assert mode(private_folder(path)) == 0o755
    path.chmod(0o777)
    with pytest.raises(OSError, match="others can write"):
        private_folder(path)
    assert mode(path) == 0o777


def test_a_link_of_our_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "wakedeck").symlink_to("elsewhere")
    assert private_folder(tmp_path / "wakedeck") == tmp_path / "wakedeck"


@pytest.mark.parametrize("target", ["missing", "file"])
def test_a_link_to_no_folder_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "wakedeck").symlink_to(target)
    with pytest.raises(OSError, match=r"No such file|Not a directory"):
        private_folder(tmp_path / "wakedeck")


def test_ours_above_in_which_everybody_can_write_is_closed(tmp_path: Path) -> None:
    ours = tmp_path / "wakedeck"
    ours.mkdir()
    ours.chmod(0o777)
    assert private_folder(ours / "local" / "run").is_dir()
    assert ours.stat().st_mode & 0o077 == 0


@needs_root
def test_what_is_another_users_is_refused(tmp_path: Path) -> None:
    folder, link, planted = (tmp_path / name / "wakedeck" for name in ("a", "b", "c"))
    for one in (folder, link, planted):
        one.parent.mkdir()
    folder.mkdir()
    os.chown(folder, OTHER, OTHER)
    (tmp_path / "mine").mkdir()
    link.symlink_to(tmp_path / "mine")
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    for one in (folder, link):
        for inside in (one, one / "local", one / "local" / "run"):
            with pytest.raises(OSError, match="belongs to another user"):
                private_folder(inside)
        assert not (one / "local").exists()
    planted.mkdir()
    planted.chmod(0o777)
    (planted / "journal.db").symlink_to("/etc/passwd")
    os.chown(planted / "journal.db", OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(OSError, match="another user has"):
        private_folder(planted)


def test_a_new_file_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    path = folder / "config.toml"
    with pytest.raises(UnicodeEncodeError):
        write_new(path, "half \ud800")
    assert list(folder.iterdir()) == []
    write_new(path, "whole")
    with pytest.raises(FileExistsError):
        write_new(path, "another")
    assert path.read_text() == "whole" and mode(path) == 0o600
    assert list(folder.iterdir()) == [path]
