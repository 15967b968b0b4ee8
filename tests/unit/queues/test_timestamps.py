"""Three spellings of an instant, and everything that is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.queues.timestamps import seconds, sqlite_utc, utc_ms

instants = st.floats(min_value=0, max_value=4e9).map(lambda at: round(at, 3))


@given(instants)
@settings(deadline=None)
def test_every_spelling_of_an_instant_is_that_instant(at: float) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    iso = moment.isoformat(timespec="milliseconds")
    whole = float(int(moment.timestamp()))
    assert seconds(sqlite_utc(at)) == whole
    parsed = seconds(iso.replace("+00:00", "Z"))
    assert parsed is not None
    assert abs(parsed - at) < 0.0015
    assert seconds(iso) == parsed
    assert seconds(iso.replace("+00:00", "+0000")) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "not a date",
        "2026-13-40 99:00:00",
        "2026-02-30",
        "2026-11-20T24:30:00Z",
        "2026-11-20 17:00:00 GMT",
        "٢٠٢٦-11-20",
        "2026-11-20T17:00:00+25:00",
        "0000-01-01",
        "9" * 5000,
        None,
        17,
        b"2026-11-20",
    ],
)
def test_what_is_no_instant_is_none(text: object) -> None:
    assert utc_ms(text) is None


@given(st.text())
@settings(deadline=None)
def test_no_text_raises(text: str) -> None:
    utc_ms(text)


def test_fractions_are_cut_to_milliseconds_and_offsets_are_applied() -> None:
    base = utc_ms("2026-11-20T17:00:00Z")
    assert base is not None
    assert utc_ms("2026-11-20T17:00:00.1239Z") == base + 123
    assert utc_ms("2026-11-20T17:00:00.1Z") == base + 100
    assert utc_ms("2026-11-20T19:30:00+02:30") == base
    assert utc_ms("1969-12-31T23:59:59.500Z") == -500
