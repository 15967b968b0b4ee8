"""What an answer of the embedded gateway is taken for."""

from __future__ import annotations

import pytest

from services.sources.local.gateway_probe import ProbeOutcome, _read


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, ProbeOutcome.OK),
        (401, ProbeOutcome.DENIED),
        (403, ProbeOutcome.DENIED),
        (404, ProbeOutcome.FOREIGN),
        (500, ProbeOutcome.FOREIGN),
        (503, ProbeOutcome.UNAVAILABLE),
    ],
)
def test_an_answer_is_what_its_status_says_of_our_own_gateway(
    status: int, outcome: ProbeOutcome
) -> None:
    assert _read(status, b'{"status": "x"}', 0.1).answer is outcome
    assert _read(status, b"<html>", 0.1).answer is ProbeOutcome.FOREIGN
