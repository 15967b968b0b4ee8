"""The host's sockets, real ones, with every way to misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.errors import UnavailableError
from services.sources.nanoclaw import commands
from services.sources.nanoclaw.client import NoAnswer, NoAnswerError
from services.sources.nanoclaw.engagement import Address, NudgePlan
from services.sources.nanoclaw.frames import FrameError, HostQuery, ask, probe, records
from services.sources.nanoclaw.install import Install, install_at
from tests.support.nanoclaw import Answer, hosted, orphan_socket, recorded, short_folder
from tests.support.powerless import powerless
from tests.support.waiting import eventually

LIMIT = 0.4


@pytest.fixture
def root() -> Iterator[Path]:
    with short_folder() as folder:
        (folder / "data").mkdir()
        yield folder


@pytest.fixture
def install(root: Path) -> Install:
    return install_at(root)


async def no_answer(install: Install) -> NoAnswer:
    with pytest.raises(NoAnswerError) as caught:
        await ask(install, HostQuery.SESSIONS, timeout_s=LIMIT)
    assert "\n" not in str(caught.value)
    return caught.value.no_answer


async def test_recorded_answers_are_understood(install: Install) -> None:
    async with hosted(install.root) as host:
        sessions = await records(install, HostQuery.SESSIONS)
        assert [row["container_status"] for row in sessions][:2] == ["running", "stopped"]
        assert len(await records(install, HostQuery.GROUPS)) == 4
        assert (await records(install, HostQuery.CHATS))[3]["name"] == "Delta room"
        assert (await records(install, HostQuery.WIRINGS))[2]["engage_pattern"] == "@gamma"
        config = await ask(install, HostQuery.CONFIG, {"id": "ag-1795193286602-i12oxy"})
        assert isinstance(config, dict)
        assert config["provider"] == "scripted"
    assert host.requests[0]["args"]["limit"] >= 10_000
    assert all(set(one) == {"id", "command", "args"} for one in host.requests)


def says(text: bytes) -> Answer:
    return lambda _: text


def framed(**frame: object) -> Answer:
    return lambda line: json.dumps({"id": json.loads(line)["id"], **frame}).encode() + b"\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda _: None, NoAnswer.NO_REPLY),
        (says(b""), NoAnswer.CLOSED),
        (says(b'{"id":"x","ok":tr'), NoAnswer.CLOSED),
        (says(b"\n"), NoAnswer.MALFORMED),
        (says(b"HTTP/1.1 400 Bad Request\n"), NoAnswer.MALFORMED),
        (says(b"[1, 2]\n"), NoAnswer.MALFORMED),
        (says(b'{"id":"somebody-else","ok":true,"data":[]}\n'), NoAnswer.MALFORMED),
        (says(b'{"id":"wakedeck-sessions-list"}\n'), NoAnswer.MALFORMED),
        (says(b'{"ok":"yes"}\n'), NoAnswer.MALFORMED),
        (says(b"\xff\xfe\x00\n"), NoAnswer.MALFORMED),
        (says(b"[" * 100_000 + b"\n"), NoAnswer.MALFORMED),
    ],
)
async def test_every_wrong_answer_is_told_apart(
    install: Install, answer: Answer, expected: NoAnswer
) -> None:
    async with hosted(install.root, answer):
        assert await no_answer(install) is expected


async def test_a_list_that_is_none_is_odd(install: Install) -> None:
    async with hosted(install.root, framed(ok=True, data="no")):
        with pytest.raises(NoAnswerError):
            await records(install, HostQuery.SESSIONS, timeout_s=LIMIT)


async def test_rows_that_are_none_are_left_out(install: Install) -> None:
    async with hosted(install.root, framed(ok=True, data=[1, None, {"id": "s"}])):
        assert await records(install, HostQuery.SESSIONS) == [{"id": "s"}]


async def test_a_refusal_is_the_hosts_own_word_made_harmless(install: Install) -> None:
    error = {"code": "permission-denied", "message": "no \x1b[31mway\x1b[0m"}
    async with hosted(install.root, framed(ok=False, error=error)):
        with pytest.raises(FrameError) as caught:
            await ask(install, HostQuery.SESSIONS)
    assert caught.value.code == "permission-denied"
    assert str(caught.value) == "The host refused: no way (permission-denied)."
    async with hosted(install.root, framed(ok=False, error="what")):
        with pytest.raises(FrameError, match="unknown"):
            await ask(install, HostQuery.SESSIONS)


async def test_absent_refused_and_unusable_are_told_apart(install: Install) -> None:
    assert await no_answer(install) is NoAnswer.ABSENT
    orphan_socket(install.admin_socket)
    assert await no_answer(install) is NoAnswer.REFUSED
    install.admin_socket.unlink()
    install.admin_socket.touch()
    assert await no_answer(install) is NoAnswer.REFUSED


async def test_a_socket_of_another_user_is_denied(install: Install) -> None:
    async with hosted(install.root):
        install.admin_socket.chmod(0)
        with powerless():
            assert await no_answer(install) is NoAnswer.DENIED


async def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    long = install_at(tmp_path / ("x" * 120))
    assert await no_answer(long) is NoAnswer.MALFORMED


async def test_the_probe_says_up_even_where_help_is_refused(install: Install) -> None:
    async with hosted(install.root, framed(ok=False, error={"code": "unknown-command"})):
        seen = await probe(install, SystemClock())
    assert seen.up
    assert seen.latency_s is not None
    assert not (await probe(install, SystemClock())).up


async def test_cancelling_a_question_leaves_no_connection(install: Install) -> None:
    async with hosted(install.root, lambda _: None) as host:
        task = asyncio.create_task(ask(install, HostQuery.HELP, timeout_s=30))
        await eventually(lambda: host.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


TO = {"channelType": "telegram", "platformId": "telegram:-100", "threadId": "17.1"}
PLAN = NudgePlan("please go on", "cli:local", address=Address("telegram", "telegram:-100", "17.1"))


async def test_a_nudge_is_one_line_and_nothing_is_waited_for(install: Install) -> None:
    async with hosted(install.root) as host:
        await commands.nudge(install, PLAN)
        async with asyncio.timeout(60):
            await host.came.wait()
        assert [json.loads(line) for line in host.chat] == [
            {
                "text": "please go on",
                "to": {
                    "channelType": "telegram",
                    "platformId": "telegram:-100",
                    "threadId": "17.1",
                },
                "sender": "operator",
                "senderId": "cli:local",
            }
        ]


async def test_a_nudge_to_nobody_says_so(install: Install) -> None:
    with pytest.raises(UnavailableError, match=r"no cli\.sock"):
        await commands.nudge(install, PLAN)
    orphan_socket(install.chat_socket)
    with pytest.raises(UnavailableError, match="Nobody listens"):
        await commands.nudge(install, PLAN)


async def test_a_restart_names_the_group_alone(install: Install) -> None:
    async with hosted(install.root, framed(ok=True, data={"restarted": 2})) as host:
        assert await commands.restart(install, "ag-1", "go on") == 2
        assert await commands.restart(install, "ag-1", None) == 2
    assert [one["command"] for one in host.requests] == ["groups-restart"] * 2
    assert [one["args"] for one in host.requests] == [
        {"id": "ag-1", "message": "go on"},
        {"id": "ag-1"},
    ]


async def test_a_restart_that_is_refused_or_unheard_says_so(install: Install) -> None:
    with pytest.raises(UnavailableError, match=r"no ncl\.sock"):
        await commands.restart(install, "ag-1", None)
    error = {"code": "handler-error", "message": "group not found"}
    async with hosted(install.root, framed(ok=False, error=error)):
        with pytest.raises(UnavailableError, match="group not found"):
            await commands.restart(install, "ag-1", None)
    async with hosted(install.root, framed(ok=True, data="fine")):
        assert await commands.restart(install, "ag-1", None) == -1


async def test_the_recorded_restart_answer_is_understood(install: Install) -> None:
    async with hosted(install.root, recorded):
        assert await commands.restart(install, "nope", None) == 0
