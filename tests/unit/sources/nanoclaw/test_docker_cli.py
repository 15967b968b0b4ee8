"""What the container CLI says of instants."""

from __future__ import annotations

import pytest

from services.sources.nanoclaw.docker_cli import started_at


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("nanoclaw-v2-main-1800000000123", 1_800_000_000.123),
        ("nanoclaw-v2-main-123456789012", 123_456_789.012),
        ("nanoclaw-v2-main-12345678901234", 12_345_678_901.234),
        ("nanoclaw-v2-main-12345678901", None),
        ("nanoclaw-v2-main-123456789012345", None),
        ("nanoclaw-v2-main", None),
        ("nanoclaw-v2-main-١٨٠٠٠٠٠٠٠٠١٢٣", None),
        ("nanoclaw-v2-main-18000000001x3", None),
        ("", None),
    ],
)
def test_the_end_of_a_containers_name_is_its_start(name: str, at: float | None) -> None:
    assert started_at(name) == at
