"""The file of the view: for its owner alone, and harmless whatever stands in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui.panel.view_state import (
    MOST_BYTES,
    PaneViewState,
    ViewState,
    load_view,
    save_view,
    view_file,
)

SEEN = ViewState("queues", "queues", True, {"sandboxes": PaneViewState("broken", "age", True)})


def test_what_was_written_is_read_again_for_its_owner_alone(tmp_path: Path) -> None:
    path = view_file(tmp_path, "prod")
    os.umask(0o022)
    save_view(path, SEEN)
    assert load_view(path) == SEEN
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["prod.json"], "nothing is left over"


def test_profiles_have_files_of_their_own_and_no_name_leads_elsewhere(tmp_path: Path) -> None:
    assert view_file(tmp_path, "a") != view_file(tmp_path, "b")
    assert view_file(tmp_path, "../../etc/x").parent == tmp_path / "views"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"focus": 3}',
        b'{"panes": {"sandboxes": {"filter": ["x"]}}}',
        b"[" * 100_000,
        b'{"focus": "' + b"x" * MOST_BYTES + b'"}',
    ],
    ids=["empty", "cut", "list", "bytes", "type", "inner", "deep", "large"],
)
def test_a_corrupt_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = view_file(tmp_path, "default")
    path.parent.mkdir()
    path.write_bytes(content)
    assert load_view(path) == ViewState()


def test_unknown_names_are_passed_over_and_text_is_made_harmless(tmp_path: Path) -> None:
    path = view_file(tmp_path, "default")
    path.parent.mkdir()
    path.write_text('{"future": 1, "panes": {"x": {"filter": "a\\u001b]52;c;aGk=\\u0007b"}}}')
    assert load_view(path).panes["x"].filter == "ab"


def test_what_is_not_a_file_of_ours_is_not_opened(tmp_path: Path) -> None:
    path = view_file(tmp_path, "default")
    path.parent.mkdir()
    save_view(path.with_name("other.json"), SEEN)
    path.symlink_to(path.with_name("other.json"))
    assert load_view(path) == ViewState()
    path.unlink()
    os.mkfifo(path)
    assert load_view(path) == ViewState()
    path.unlink()
    path.mkdir()
    assert load_view(path) == ViewState()


def test_a_place_that_cannot_be_written_is_no_complaint(tmp_path: Path) -> None:
    (tmp_path / "views").write_text("a file where the folder should be")
    save_view(view_file(tmp_path, "default"), SEEN)
    assert load_view(view_file(tmp_path, "default")) == ViewState()
