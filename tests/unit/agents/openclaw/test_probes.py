"""What answers of the probes mean: JSON with the expected words, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.agents.openclaw.probes import (
    Answers,
    HealthWord,
    Reach,
    Reply,
    ask,
    read_health,
    read_readiness,
    read_startup,
)


def reply(value: object, status: int = 200) -> Reply:
    return Reply(Reach.ANSWERED, status, True, json.dumps(value).encode())


PAGE = Reply(Reach.ANSWERED, 200, False, b"<!doctype html><title>OpenClaw</title>")
STARTED = {"ok": True, "status": "started", "version": "2026.9.6", "uptimeMs": 5000}
READY = {
    "ready": True,
    "failing": [],
    "eventLoop": {
        "degraded": True,
        "delayP99Ms": 1200,
        "cpuBreakdown": {"hostUtilization": 0.5, "mainThreadCoreRatio": 0.1},
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    max_leaves=8,
)
FIELDS = ("ok", "status", "ready", "failing", "suppressed", "eventLoop", "uptimeMs", "version")


@pytest.mark.parametrize(
    ("given_reply", "health", "word"),
    [
        (reply({"ok": True, "status": "live"}), HealthWord.LIVE, ""),
        (PAGE, HealthWord.OTHER, ""),
        (Reply(Reach.ANSWERED, 200, False, b'{"ok":true,"status":"live"}'), HealthWord.OTHER, ""),
        (reply({"ok": True, "status": "live"}, 404), HealthWord.UNKNOWN, "live"),
        (reply({"ok": True}), HealthWord.OTHER, ""),
        (reply([]), HealthWord.OTHER, ""),
        (reply({"ok": False, "status": "\x1b[31mlimbo"}), HealthWord.UNKNOWN, "limbo"),
        (Reply(Reach.ANSWERED, 200, True, b"{" * 90), HealthWord.OTHER, ""),
    ],
)
def test_health(given_reply: Reply, health: HealthWord, word: str) -> None:
    assert read_health(given_reply) == (health, word)


def test_startup_and_readiness() -> None:
    started = read_startup(reply(STARTED))
    assert started is not None
    assert (started.word, started.version, started.uptime_s) == ("started", "2026.9.6", 5.0)
    waits = read_startup(
        reply({"ok": False, "status": "starting", "pendingReason": "startup-sidecars"}, 503)
    )
    assert waits is not None
    assert (waits.word, waits.waits_for) == ("starting", "startup-sidecars")
    assert read_startup(PAGE) is None
    ready = read_readiness(reply(READY))
    assert ready is not None
    assert ready.ready and ready.event_loop.degraded
    assert (ready.event_loop.delay_ms, ready.event_loop.host_busy) == (1200.0, 0.5)
    assert ready.event_loop.own_busy == 0.1
    assert read_readiness(PAGE) is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"ok": True, "status": "started"}, 503), ({"ok": False, "status": "started"}, 200)],
)
def test_a_start_that_contradicts_itself_is_no_known_word(
    fields: dict[str, object], status: int
) -> None:
    found = read_startup(reply(fields, status))
    assert found is not None
    assert found.word not in ("started", "starting", "draining")


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.integers(100, 599))
def test_any_answer_is_read_or_refused(fields: dict[str, object], status: int) -> None:
    answer = reply(fields, status)
    health, word = read_health(answer)
    assert health is not HealthWord.LIVE or (status == 200 and fields["status"] == "live")
    assert word.isprintable()
    read_startup(answer)
    ready = read_readiness(answer)
    assert ready is None or not ready.ready or (status == 200 and fields["ready"] is True)


async def asked(*replies: Reply, took: float = 0.0) -> tuple[Answers, list[str]]:
    """What was learned from these replies in turn, and the paths that were asked.

    The first one took so long.
    """
    left, paths = list(replies), []

    async def carry(path: str, limit_s: float) -> Reply:
        assert limit_s == 2.0 if not took else 0 < limit_s <= 2.0
        paths.append(path)
        return left.pop(0)

    async def no_wait(_: float) -> None:
        return

    return await ask(carry, lambda: took if paths else 0.0, no_wait), paths


async def test_silence_and_refusal_count_at_the_second() -> None:
    live = reply({"ok": True, "status": "live"})
    for miss in (Reach.SILENT, Reach.REFUSED):
        found, paths = await asked(Reply(miss), live, reply(STARTED), reply(READY))
        assert found.health is HealthWord.LIVE
        assert paths == ["/healthz", "/healthz", "/startupz", "/readyz"]
        found, paths = await asked(Reply(miss), Reply(miss))
        assert (found.reach, paths) == (miss, ["/healthz"] * 2)


async def test_silence_about_readiness_counts_at_the_second_where_there_is_time_for_one() -> None:
    live, silent = reply({"ok": True, "status": "live"}), Reply(Reach.SILENT)
    found, _ = await asked(live, silent, reply(STARTED), silent, reply(READY))
    assert found.startup is not None and found.readiness is not None and not found.silent
    found, paths = await asked(live, silent, silent, silent, silent)
    assert (found.health, found.readiness, found.silent) == (HealthWord.LIVE, None, True)
    assert sorted(paths) == ["/healthz", *["/readyz"] * 2, *["/startupz"] * 2]
    found, paths = await asked(live, silent, silent, took=5.0)
    assert (found.silent, len(paths)) == (True, 3), "a poll is over by then"
    found, _ = await asked(live, PAGE, PAGE)
    assert (found.readiness, found.silent) == (None, False), "an answer of another kind is one"


async def test_what_is_no_gateway_is_asked_nothing_more() -> None:
    found, paths = await asked(PAGE)
    assert (found.health, paths) == (HealthWord.OTHER, ["/healthz"])
