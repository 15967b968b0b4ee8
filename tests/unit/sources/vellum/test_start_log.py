"""Instants in the log of starts."""

from __future__ import annotations

from services.sources.vellum.probes import _instant


def test_an_instant_without_a_zone_is_universal_time() -> None:
    assert _instant("2027-01-15T08:00:00") == 1_800_000_000.0
    assert _instant("2027-01-15T09:00:00+01:00") == 1_800_000_000.0
    assert _instant("yesterday") is None
