"""Whether the agent inside serves: a real `curl` asks real servers, and JSON alone is believed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.models import AttemptState, Step, StepState, Verb
from services.sources.protocol.source import OpenSource
from tests.integration.sources.openshell.test_script import ALPHA, repair, source
from tests.support.http_peer import Exchange, http_peer
from tests.support.openclaw_peer import LIVE, READY, STARTED
from tests.support.openshell_script import Script, curl_said, register, script
from tests.support.ports import free_port

OK, FAILED = StepState.OK, StepState.FAILED
PAGE = (200, "<!doctype html><title>OpenClaw</title>")
STARTING = {"ok": False, "status": "starting", "pendingReason": "startup-sidecars"}
SERVED = [
    ({}, OK, "its agent answers on {port} and is ready"),
    ({"/healthz": PAGE}, FAILED, "something else than its agent answers on {port}"),
    ({"/healthz": (200, LIVE, "text/plain")}, FAILED, "something else than its agent"),
    ({"/healthz": (401, {"error": "no"})}, FAILED, "something else than its agent"),
    ({"/healthz": (200, {"ok": True, "status": "limbo"})}, FAILED, "says “limbo” of itself"),
    ({"/startupz": (503, STARTING)}, FAILED, "it is starting, waiting for startup-sidecars"),
    ({"/readyz": (503, {"ready": False, "failing": ["telegram"]})}, FAILED, "not ready: telegram"),
    ({"/readyz": PAGE}, FAILED, "does not say whether it is ready"),
]


@asynccontextmanager
async def agent(**answers: tuple[object, ...]) -> AsyncIterator[tuple[int, list[str]]]:
    """The port of a server that answers so inside, and the paths it was asked for."""
    told = {"/healthz": (200, LIVE), "/startupz": (200, STARTED), "/readyz": (200, READY)}
    told |= answers  # type: ignore[arg-type]
    paths: list[str] = []

    async def handle(exchange: Exchange) -> None:
        assert exchange.request.method == "GET"
        paths.append(exchange.request.path)
        status, body, *kind = told.get(exchange.request.path, PAGE)
        if isinstance(body, str):
            await exchange.answer(status, body, kind="text/html")
        else:
            named = kind[0] if kind else "application/json; charset=utf-8"
            await exchange.answer(status, json.dumps(body), kind=str(named))

    async with http_peer(handle) as peer:
        yield peer.port, paths


async def ask(one: OpenSource) -> Step:
    """The answer to the operator who asks from the palette."""
    assert one.proposer is not None
    proposal = await one.proposer.propose(ALPHA, "ask-agent")
    assert not proposal.refusal
    return [step async for step in one.proposer.carry_out(proposal)][-1]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Script:
    return script(tmp_path / "os", monkeypatch)


def curls(made: Script) -> list[str]:
    return [call for call in made.calls() if "curl" in call]


@pytest.mark.parametrize(("answers", "state", "words"), SERVED)
async def test_only_json_with_its_words_is_believed(
    made: Script,
    home: Path,
    answers: dict[str, tuple[object, ...]],
    state: StepState,
    words: str,
) -> None:
    async with agent(**answers) as (port, paths):
        register(home, "alpha", dashboardPort=port)
        one = source()
        step = await ask(one)
        assert step.state is state
        assert words.format(port=port) in step.detail[:1].lower() + step.detail[1:]
        assert len(curls(made)) == 1
        assert set(paths) == {"/healthz", "/startupz", "/readyz"}
        row = (await one.observer.observe()).sandboxes[0]
        assert words.format(port=port) in dict(row.evidence)["agent gateway"]


async def test_a_refused_connection_is_believed_at_the_second(made: Script, home: Path) -> None:
    register(home, "alpha", dashboardPort=(port := free_port()))
    step = await ask(source())
    assert step.state is FAILED
    assert step.detail == f"Its agent does not answer on {port}: the connection is refused."
    assert len(curls(made)) == 2


async def test_a_port_that_is_kept_without_an_answer(made: Script, home: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        register(home, "alpha", dashboardPort=port)
        step = await ask(source())
    assert step.state is FAILED
    assert step.detail == f"Its agent keeps port {port} but does not answer."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([127, ""], "Whether its agent lives is not known (no curl in it)."),
        ([0, "hello"], "Whether its agent lives is not known (it broke off)."),
        ([0, "200"], "Whether its agent lives is not known (it broke off)."),
        ([52, curl_said((0, "", ""))], "Whether its agent lives is not known (it broke off)."),
    ],
    ids=["no curl", "other words", "a bare code", "no answer"],
)
async def test_what_says_nothing_is_not_known(
    made: Script, home: Path, answer: list[object], words: str
) -> None:
    made.set(agent=answer)
    register(home, "alpha", dashboardPort=18789)
    step = await ask(source())
    assert (step.state, step.detail) == (FAILED, words)


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ((200, {"status": "ok", "platform": "hermes-agent"}), OK, "answers on {port} and is well"),
        (PAGE, FAILED, "not known (200, and not its words)"),
        ((200, {"status": "ok"}), FAILED, "not known (200, and not its words)"),
        ((404, {"error": "no"}), FAILED, "not known (404, and not its words)"),
    ],
)
async def test_hermes_is_asked_in_its_own_way(
    made: Script, home: Path, answer: tuple[object, ...], state: StepState, words: str
) -> None:
    async with agent(**{"/health": answer}) as (port, paths):
        register(home, "alpha", agent="hermes", hermesApiPort=port)
        step = await ask(source())
    assert (step.state, paths) == (state, ["/health"])
    assert words.format(port=port) in step.detail


async def test_a_reconnect_asks_once_and_a_look_never(
    made: Script, tmp_path: Path, home: Path
) -> None:
    async with agent(**{"/startupz": (503, STARTING)}) as (port, _):
        register(home, "alpha", dashboardPort=port, agent="openclaw")
        # A forward of its own holds the port, as far as the list tells.
        made.set(forwards=[["alpha", "127.0.0.1", port, 77, "running"]])
        one = source()
        for _ in range(3):
            before = (await one.observer.observe()).sandboxes[0]
            await one.observer.probe(ALPHA)
        assert dict(before.evidence)["agent gateway"] == "not asked"
        assert not curls(made), "never on a timer"
        ended = await repair(one, Verb.RECONNECT, ALPHA, tmp_path / "locks")
        words = f"its agent answers on {port}: it is starting, waiting for startup-sidecars"
        assert ended.state is AttemptState.DONE
        assert words in ended.summary
        assert "nothing had to be repaired" not in ended.summary
        assert len(curls(made)) == 1
        assert dict((await one.observer.observe()).sandboxes[0].evidence)[
            "agent gateway"
        ].startswith(words)
        assert len(curls(made)) == 1
