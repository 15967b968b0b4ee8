"""Words nobody knows reach `doctor` by the journal."""

from __future__ import annotations

from pathlib import Path

from services.board.board import Board
from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Observation, Source, UnknownWord
from tui.cli.doctor import unknown_words, word_lines, words_to_json


async def test_a_word_of_two_panels_is_listed_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    assert await unknown_words(path) == ()
    assert not path.exists()
    word = UnknownWord("pods", "phase", "Hibernated")
    for _ in range(2):
        journal = Journal(path, SystemClock())
        await journal.open()
        board = Board(SystemClock(), [Source("pods", "pods", "Pods", "/")])
        now = SystemClock().now()
        for _ in range(3):
            seen = Observation("pods", now, unknown_words=(word,))
            journal.record(*board.merge(seen).events)
        await journal.close()
    found = await unknown_words(path)
    assert [one for one, _ in found] == [word]
    assert words_to_json(found)[0]["word"] == "Hibernated"
    assert "  ? pods: phase 'Hibernated'" in word_lines(found)[-1]
    assert word_lines(()) == []
