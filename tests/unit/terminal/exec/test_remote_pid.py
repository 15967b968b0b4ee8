"""A process that runs elsewhere says its pid ahead of its output, which is whole otherwise."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.terminal.exec import remote_pid
from services.terminal.exec.remote_pid import PidPreamble, RemoteProcess

REPORT = b"\x1b]7733;42;1234;bash\x07"
OTHER = b"\x1b]7733;43;1;sh\x07"


@given(st.lists(st.integers(0, 60), max_size=6))
def test_the_report_is_found_at_every_split(cuts: list[int]) -> None:
    whole = b"exec sh\r\n" + REPORT + b"$ ls\r\n"
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    preamble = PidPreamble()
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    shown = b"".join(preamble.feed(piece) for piece in pieces) + preamble.flush()
    assert shown == b"exec sh\r\n$ ls\r\n"
    assert preamble.remote == RemoteProcess(42, 1234, "bash")


def test_what_a_program_prints_later_is_no_report() -> None:
    preamble = PidPreamble()
    preamble.feed(REPORT)
    assert preamble.feed(OTHER) == OTHER, "a report after the first is output"
    assert preamble.remote == RemoteProcess(42, 1234, "bash")


def test_after_enough_output_nothing_is_held_back_or_taken_out() -> None:
    preamble = PidPreamble()
    much = b"x" * (remote_pid._SEARCH_LIMIT + 1)
    assert preamble.feed(much) == much
    assert preamble.feed(REPORT) == REPORT and preamble.remote is None
    just = PidPreamble()
    just.feed(b"x" * remote_pid._SEARCH_LIMIT)
    assert just.feed(REPORT) == b"" and just.remote is not None


def test_what_is_too_long_for_a_report_is_let_go() -> None:
    began = b"\x1b]7733;"
    held = began + b"1" * (remote_pid._LONGEST - len(began) - 1)
    preamble = PidPreamble()
    assert preamble.feed(held) == b"", "it may still become a report"
    assert preamble.feed(b"1") == held + b"1"
