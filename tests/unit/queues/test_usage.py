"""Tokens and cost as an agent's file tells them: what is not reported is never a nought."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from services.queues.readonly import open_readonly
from services.queues.schema import SchemaCache
from services.queues.usage import SessionUsage, TokenUsage, read_usage, total

LOG = """CREATE TABLE token_usage_log (id INTEGER PRIMARY KEY, timestamp TEXT, task_series_id TEXT,
  prompt_preview TEXT, prompt_chars INTEGER, input_tokens INTEGER, output_tokens INTEGER,
  cache_read_tokens INTEGER, cache_creation_tokens INTEGER, cost_usd REAL)"""
TURN = """INSERT INTO token_usage_log (input_tokens, output_tokens, cache_read_tokens,
  cache_creation_tokens, cost_usd) VALUES (?, ?, ?, ?, ?)"""
STATE = "CREATE TABLE session_state (key TEXT PRIMARY KEY, value TEXT, updated_at TEXT)"


def read(path: Path) -> SessionUsage | None:
    with open_readonly(path) as db:
        return read_usage(db, SchemaCache().of(db))


def made(
    path: Path, *statements: str, turns: list[tuple[object, ...]], life: object = None
) -> Path:
    db = sqlite3.connect(path)
    with db:
        for one in statements:
            db.execute(one)
        if turns:
            db.executemany(TURN, turns)
        if life is not None:
            value = life if isinstance(life, str | bytes) else json.dumps(life)
            db.execute("INSERT INTO session_state VALUES ('token_usage', ?, '')", (value,))
    db.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbound.db"


def test_a_file_without_table_and_key_says_nothing(path: Path) -> None:
    made(path, STATE, turns=[])
    assert read(path) is None


def test_turns_are_summed_and_the_newest_is_told_apart(path: Path) -> None:
    made(path, LOG, turns=[(100, 10, 1000, 50, 0.5), (200, 20, 2000, 0, 0.25)])
    assert read(path) == SessionUsage(
        TokenUsage(300, 30, 3000, 50, 0.75, 2, recent=True),
        TokenUsage(200, 20, 2000, 0, 0.25, 1),
    )


def test_what_a_turn_does_not_report_is_named_and_not_added(path: Path) -> None:
    made(path, LOG, turns=[(100, None, None, None, 0.5), (200, None, None, None, None)])
    found = read(path)
    assert found is not None
    assert found.total == TokenUsage(300, cost_usd=0.5, turns=2, uncosted=1, recent=True)
    assert found.last == TokenUsage(200, turns=1)


def test_lifetime_totals_go_before_the_window_of_the_log(path: Path) -> None:
    life = {"input_tokens": 9000, "output_tokens": 800, "cost_usd": 4.5, "turns": 70}
    made(path, LOG, STATE, turns=[(100, 10, 0, 0, None)], life=life)
    found = read(path)
    assert found is not None
    assert found.total == TokenUsage(9000, 800, None, None, 4.5, 70, uncosted=1)
    assert found.last == TokenUsage(100, 10, 0, 0, None, 1)


@pytest.mark.parametrize(
    "turn",
    [
        ("many", b"\xff", -5, 1e300, "free"),
        (float("inf"), -1, "", "0x10", float("-inf")),
        (2**62, 10**18, -(2**62), "9" * 400, 1e308),
    ],
)
def test_what_is_no_amount_is_not_reported(path: Path, turn: tuple[object, ...]) -> None:
    made(path, LOG, turns=[turn, (1, 2, 3, 4, 0.5)])
    found = read(path)
    assert found is not None
    assert found.total == TokenUsage(1, 2, 3, 4, 0.5, 2, uncosted=1, recent=True)


@pytest.mark.parametrize(
    "life",
    [
        "",
        "[]",
        "{",
        "7",
        '{"cost_usd": NaN}',
        '{"cost_usd": true, "input_tokens": "9"}',
        '{"cost_usd": -1, "turns": -3}',
        "[" * 2000,
        b"\xff\xfe",
        '{"a":' * 60 + "1" + "}" * 60,
        '{"pad": "' + "x" * 9000 + '", "cost_usd": 1}',
    ],
)
def test_a_key_that_is_something_else_says_nothing(path: Path, life: object) -> None:
    made(path, STATE, LOG, turns=[], life=life)
    assert read(path) is None


def test_a_table_of_another_shape_breaks_nothing(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE token_usage_log (day TEXT PRIMARY KEY) WITHOUT ROWID")
    db.execute("INSERT INTO token_usage_log VALUES ('today')")
    db.commit()
    db.close()
    assert read(path) is None


def test_a_sum_over_sessions_names_those_that_do_not_report() -> None:
    some = [
        TokenUsage(10, 1, None, None, 1.0, 3),
        TokenUsage(20, None, 5, None, None, None),
        TokenUsage(None, None, None, None, 0.5, 2, uncosted=1),
    ]
    summed = total(some)
    assert (summed.input, summed.output, summed.cache_read, summed.cost_usd) == (30, 1, 5, 1.5)
    assert (summed.turns, summed.uncosted) == (5, 2)
    assert total([]) == TokenUsage()
