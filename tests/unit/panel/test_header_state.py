"""What the header says is of all sources, also of one that never answered."""

from __future__ import annotations

from services.board.board import Board
from services.board.poller import ProbeFailure
from services.config.settings import Settings
from services.models import Observation, Source
from tests.support.clock import FakeClock
from tui.panel.header_state import HeaderBuilder
from widgets.panes.header import HeaderState


def told(board: Board) -> HeaderState:
    return HeaderBuilder(Settings("default", ()), "r").header(board, 1001.0, False, False)


def test_a_source_that_never_answered_is_waited_for_and_nothing_is_called_fresh() -> None:
    sources = [Source(key, "local", key, "/") for key in ("here", "there")]
    board = Board(FakeClock(1000), sources, interval_s=5)
    assert told(board).waiting
    board.merge(Observation("here", 1000.0, (), ()))
    one = told(board)
    assert one.waiting and one.last_success_at is None, "no age speaks for both"
    board.merge(ProbeFailure("there", 1000.0, "No such host.", 3))
    lost = told(board)
    assert lost.waiting and lost.lost == ("there",)
    board.merge(ProbeFailure("here", 1000.0, "No such host.", 3))
    assert told(board).last_success_at is None, "nor for two that are lost"
    board.merge(Observation("here", 1000.0, (), ()))
    board.merge(Observation("there", 1000.5, (), ()))
    both = told(board)
    assert not both.waiting and both.last_success_at == 1000.0
