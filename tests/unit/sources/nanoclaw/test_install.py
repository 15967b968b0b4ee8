"""Where an install is, what follows from its path, and why one is not taken for one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.sources.nanoclaw import install
from services.sources.nanoclaw.install import check, find, install_at, owner_trouble
from tests.support.powerless import powerless


def made(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "v2.db").touch()
    return folder


def test_the_slug_is_the_digest_of_the_path_as_the_host_sees_it(tmp_path: Path) -> None:
    root = made(tmp_path / "claw")
    link = tmp_path / "by-link"
    link.symlink_to(root)
    expected = hashlib.sha1(os.path.realpath(root).encode()).hexdigest()[:8]
    for spelled in (root, link, tmp_path / "x" / ".." / "claw"):
        one = install_at(spelled)
        assert one.slug == expected
        assert one.service == f"nanoclaw-v2-{expected}"
        assert one.label == f"nanoclaw-install={expected}"
        assert one.admin_socket == Path(os.path.realpath(root)) / "data" / "ncl.sock"
        assert one.chat_socket.name == "cli.sock"


def test_a_named_root_is_taken_where_it_is_one(tmp_path: Path) -> None:
    assert find(str(made(tmp_path / "a"))).root == tmp_path / "a"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "is not there"),
        (lambda path: path.touch(), "is a file"),
        (lambda path: path.mkdir(), "it has no data folder"),
        (lambda path: (path / "data").mkdir(parents=True), "no data/v2.db"),
    ],
)
def test_what_is_no_install_is_said_in_one_line(tmp_path: Path, make, said: str) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "claw"
    make(root)
    with pytest.raises(UnavailableError) as caught:
        find(str(root))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("which", ["", "data"])
def test_a_folder_that_cannot_be_read_is_said_to_be_so(tmp_path: Path, which: str) -> None:
    root = made(tmp_path / "claw")
    closed = root / which
    closed.chmod(0)
    try:
        with powerless(), pytest.raises(UnavailableError, match="cannot be read by this user"):
            find(str(root))
    finally:
        closed.chmod(0o700)


def test_the_only_one_in_the_usual_places_is_found(tmp_path: Path) -> None:
    made(tmp_path / "two")
    (tmp_path / "three").mkdir()
    candidates = [tmp_path / name for name in ("one", "two", "three")]
    assert find("", candidates).root == tmp_path / "two"


def test_the_same_one_by_two_names_is_one(tmp_path: Path) -> None:
    made(tmp_path / "two")
    (tmp_path / "link").symlink_to(tmp_path / "two")
    assert find("", [tmp_path / "link", tmp_path / "two"]).root == tmp_path / "two"


def test_several_are_named_and_none_is_chosen(tmp_path: Path) -> None:
    made(tmp_path / "one")
    made(tmp_path / "two")
    with pytest.raises(UnavailableError) as caught:
        find("", [tmp_path / "one", tmp_path / "two"])
    assert str(tmp_path / "one") in str(caught.value)
    assert str(tmp_path / "two") in str(caught.value)
    assert "own source" in caught.value.advice


def test_none_in_the_usual_places_says_what_to_do(home: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        find("", [home / "nanoclaw"])
    assert "root" in caught.value.advice


def test_the_usual_places_are_below_home(home: Path) -> None:
    assert home / "nanoclaw" in install.expected_roots()


def test_another_users_database_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = install_at(made(tmp_path / "claw"))
    assert owner_trouble(one) == ""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    assert "belongs to user" in owner_trouble(one)


def test_an_install_without_a_database_yet_is_one(tmp_path: Path) -> None:
    (tmp_path / "claw" / "data" / "v2-sessions").mkdir(parents=True)
    check(install_at(tmp_path / "claw"))
    assert owner_trouble(install_at(tmp_path / "claw")) == ""
