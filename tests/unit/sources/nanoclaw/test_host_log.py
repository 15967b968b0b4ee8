"""Lines of a real host's log: times dated, sessions found, and why a wake failed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from services.sources.nanoclaw.host_log import (
    HostLogLine,
    HostLogReader,
    StartFailure,
    dated,
    parse,
    troubles,
)
from tests.support.nanoclaw import FIXTURES

ERRORS = FIXTURES / "logs" / "nanoclaw.error.log"
LOG = FIXTURES / "logs" / "nanoclaw.log"
FAILING = "sess-1795193703170-y99b3f"


def lines(path: Path) -> list[HostLogLine]:
    raw = path.read_text("utf-8").split("\n")
    return [one for one in map(parse, raw) if one is not None]


def test_every_line_of_a_real_log_is_a_line_or_part_of_a_stack() -> None:
    for path in (LOG, ERRORS):
        for raw in path.read_text("utf-8").split("\n"):
            parsed = parse(raw)
            assert (parsed is not None) == raw.startswith("["), raw
            assert parsed is None or "\x1b" not in parsed.text


def test_a_line_has_time_level_message_and_session() -> None:
    first = lines(ERRORS)[0]
    assert first.clock_s == 16 * 3600 + 53 * 60 + 7.815
    assert first.level == "WARN"
    assert first.text.startswith("Killing container")
    assert first.session == "sess-1795193316631-cbbi85"


def test_the_line_that_says_why_a_wake_failed_is_found() -> None:
    found = troubles([(0.0, one) for one in lines(ERRORS)])
    assert found[FAILING].why.startswith("Container config not found for agent group: 8bf133b6")


def test_a_container_that_exits_with_a_code_is_a_trouble() -> None:
    found = troubles([(0.0, one) for one in lines(LOG)][:20])
    assert found["sess-1795193316631-cbbi85"].why == "its container exited with code 127"


def test_lines_are_dated_back_from_the_time_of_the_file() -> None:
    raw = ("[23:59:58.000] INFO a", "[23:59:59.500] INFO b", "[00:00:01.000] INFO c")
    parsed = [one for one in map(parse, raw) if one is not None]
    written = datetime(2026, 11, 20, 0, 0, 1).timestamp()
    times = [at for at, _ in dated(parsed, written)]
    assert times == [written - 3, written - 1.5, written]


def test_a_file_touched_after_midnight_keeps_its_last_line_a_day_back() -> None:
    parsed = [one for one in [parse("[23:50:00.000] INFO a")] if one is not None]
    written = datetime(2026, 11, 20, 0, 10, 0).timestamp()
    assert dated(parsed, written)[0][0] == written - 1200


def test_the_eye_reads_again_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    eye = HostLogReader(path)
    assert eye.read() == {}
    path.write_text(
        '[10:00:00.000] WARN wakeContainer failed — later sessionId="s1" '
        'err={ message: "first \x1b[31mreason" }\n'
    )
    assert eye.read()["s1"].why == "first reason"
    with path.open("a") as stream:
        stream.write(
            '[10:01:00.000] WARN wakeContainer failed — later sessionId="s1" '
            'err={ message: "token=abcdefghijk" }\n'
        )
    assert eye.read()["s1"].why == "token=***"
    path.rename(tmp_path / "error.log.1")
    assert eye.read() == {}
    path.write_bytes(b"\xff\xfe not a log \x00\n" * 40_000)
    assert eye.read() == {}


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    line = '[10:00:00.000] WARN wakeContainer failed — x sessionId="%s" err={ message: "m" }\n'
    path.write_text(line % "old" + "[10:00:00.000] INFO x\n" * 20_000 + line % "new")
    assert set(HostLogReader(path).read()) == {"new"}


def test_a_failure_at_an_instant_was_not_after_it() -> None:
    failures = StartFailure(3.0, "why", (1.0, 2.0, 3.0))
    assert [failures.since(at) for at in (None, 0.0, 2.0, 3.0)] == [3, 3, 1, 0]
    assert StartFailure(3.0, "why").since(2.9) == 1, "the last one is known by itself"
