"""Which logs a pod has, what each is called and how it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from services.errors import NotFoundError
from services.logs.reader import LogEndedError
from services.sources.pods.pod import Pod
from services.sources.pods.pod_logs import (
    BEFORE,
    LINES,
    PodLog,
    check_ended,
    log_lines,
    log_named,
    log_streams,
)


def status(name: str, restarts: int = 0, state: str = "running") -> dict[str, Any]:
    return {"name": name, "restartCount": restarts, "state": {state: {}}, "ready": True}


POD: Pod = msgspec.convert(
    {
        "metadata": {"name": "box", "namespace": "default"},
        "spec": {
            "containers": [{"name": "main"}, {"name": "side"}],
            "initContainers": [{"name": name} for name in ("first", "later", "never")],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [status("main", 2), status("side")],
            "initContainerStatuses": [
                status("first", state="terminated"),
                status("later", state="waiting"),
            ],
        },
    },
    Pod,
)


@pytest.mark.parametrize(
    ("preferred", "names"),
    [
        ("", ["main", "main/previous", "side", "first"]),
        ("side", ["side", "main", "main/previous", "first"]),
        ("other", ["main", "main/previous", "side", "first"]),
    ],
)
def test_the_usual_log_comes_first_and_what_never_ran_has_none(
    preferred: str, names: list[str]
) -> None:
    found = log_streams(POD, preferred)
    assert [one.name for one in found] == names
    titles = {one.name: one.title for one in found}
    assert titles["main"] == "main"
    assert titles["main/previous"] == "main, the run before"
    assert titles["first"] == "first, before the others"


def test_a_log_is_found_by_its_name() -> None:
    assert log_named(POD, "side", "") == PodLog("side")
    assert log_named(POD, "side", "main/previous") == PodLog("main", previous=True)
    for name in ("side/previous", "later", "x"):
        with pytest.raises(NotFoundError, match="box has no log"):
            log_named(POD, "", name)


def test_only_what_still_runs_is_followed() -> None:
    assert PodLog("a").query == (("container", "a"), ("follow", "true"), ("tailLines", str(LINES)))
    assert PodLog("").query == (("follow", "true"), ("tailLines", str(LINES)))
    over = PodLog("a", previous=True)
    assert over.query == (("container", "a"), ("previous", "true"), ("tailLines", str(BEFORE)))
    check_ended(PodLog("a"))
    with pytest.raises(LogEndedError):
        check_ended(over)


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc"], [b"ab", b"c"]),
        ([b"\n\n"], [b"", b""]),
        ([b"1234", b"5\n"], [b"12345"]),
        ([b"12345", b"6\n"], [b"12345", b"6"]),
    ],
)
def test_lines_of_what_comes_in_pieces(parts: list[bytes], lines: list[bytes]) -> None:
    async def told() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def read() -> list[bytes]:
        return [line async for line in log_lines(told(), longest=4)]

    assert asyncio.run(read()) == lines
