"""Peers that listen in the test's own process count as the assistant's gateway."""

from __future__ import annotations

import os

import pytest

from services.process.identity import Program
from services.sources.vellum import history
from services.sources.vellum.ownership import Marks


@pytest.fixture(autouse=True)
def _own_process_is_the_gateway(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Whose a process is has tests of its own, with processes of their own (`real_identity`)."""
    if "real_identity" in request.keywords:
        return
    fits = Marks.fits
    monkeypatch.setattr(Marks, "fits", lambda self, found: _ours(found) or fits(self, found))
    monkeypatch.setattr(history, "WATCH_S", 0.2)


def _ours(found: Program) -> bool:
    return found.pid == os.getpid()
