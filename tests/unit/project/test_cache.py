"""What tests fetch is fetched once; half of it is none, and a failure is believed for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import cache


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_it_is_made_once_for_the_same_pins() -> None:
    made: list[Path] = []
    first = cache.once("tool", "1.0", made.append)
    assert cache.once("tool", "1.0", made.append) == first == made[0]
    other = cache.once("tool", "1.1", made.append)
    assert other != first and made == [first, other]


def test_half_of_it_is_none(place: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.once("tool", "1.0", breaks)

    def works(folder: Path) -> None:
        assert not list(folder.iterdir())
        (folder / "whole").touch()

    assert (cache.once("tool", "1.0", works) / "whole").exists()


def test_a_failure_is_believed_until_it_is_forgotten() -> None:
    tries = 0

    def fails(folder: Path) -> None:
        nonlocal tries
        tries += 1
        raise cache.UnobtainableError("no way there")

    for _ in range(3):
        with pytest.raises(cache.UnobtainableError, match="no way there"):
            cache.once("tool", "1.0", fails)
    assert tries == 1
    cache.forget_failures()
    with pytest.raises(cache.UnobtainableError):
        cache.once("tool", "1.0", fails)
    assert tries == 2


def test_a_cache_that_cannot_be_written_is_a_reason(place: Path) -> None:
    place.write_text("a file where the folder should be")
    with pytest.raises(cache.UnobtainableError, match=r"cannot be filled: .*ot a directory"):
        cache.once("tool", "1.0", lambda folder: None)
