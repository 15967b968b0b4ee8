"""The order of a run's files: what waits beside what computes, the longest first."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.order import TABLE, Weight, mixed, weights

ROOT = Path(__file__).resolve().parents[3]
seconds = st.integers(0, 100).map(float)
files = st.dictionaries(st.text("abc", min_size=1), st.builds(Weight, seconds, seconds), max_size=9)


def test_the_table_names_files_that_are_there() -> None:
    gone = [name for name in weights() if not (ROOT / name).is_file()]
    assert gone == [], f"make test ARGS=--weigh writes {TABLE.name} anew"
    assert {one.waits for one in weights().values()} == {True, False}


def test_waiting_and_computing_files_go_out_side_by_side() -> None:
    each = {f"w{n}": Weight(n, 0.0) for n in (1, 2, 3)} | {f"c{n}": Weight(0, n) for n in (1, 2, 3)}
    assert mixed(each) == ["c3", "w3", "c2", "w2", "c1", "w1"]


@given(files)
def test_every_file_goes_out_once_and_each_kind_the_longest_first(each: dict[str, Weight]) -> None:
    order = mixed(each)
    assert sorted(order) == sorted(each)
    for waits in (True, False):
        lengths = [each[name].whole for name in order if each[name].waits is waits]
        assert lengths == sorted(lengths, reverse=True)
