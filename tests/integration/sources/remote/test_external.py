"""Programs of others: the example passes the suite and serves; what is wrong is named."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import psutil
import pytest

from services.clock import SystemClock
from services.config.sources import ExternalTable
from services.models import AttemptState, Direction, SandboxState, Verb
from services.repair.attempts import Attempts
from services.sources.remote import check
from services.sources.remote.check import SourceCheck
from services.sources.remote.gate import ConnectGate
from services.sources.remote.source import open_external
from tests.support.remote import ROOT, embedded_world, far_side, program
from tests.support.waiting import eventually

EXAMPLE = str(ROOT / "examples/folder-source.mjs")


def agents(folder: Path) -> Path:
    """Two agents that were never started."""
    for name in ("alpha", "beta"):
        (folder / name).mkdir(parents=True)
        start = folder / name / "start"
        start.write_text("#!/bin/sh\ntouch beat\necho started >> log\n")
        start.chmod(0o755)
    return folder


@pytest.mark.kit("node")
async def test_the_example_passes_the_suite(tmp_path: Path) -> None:
    argv = ["node", EXAMPLE, str(agents(tmp_path / "agents"))]
    found = await SourceCheck(argv, "alpha").run()
    assert [one for one in found if not one.ok] == []
    assert [one.name for one in found if one.skipped] == ["a shell opens and is left"]


@pytest.mark.kit("node")
async def test_the_example_serves_and_is_woken(tmp_path: Path) -> None:
    clock = SystemClock()
    table = ExternalTable(command=("node", EXAMPLE, str(agents(tmp_path / "agents"))))
    source = open_external("mine", table, clock, ConnectGate(random.Random(1)))
    attempts = Attempts({"mine": source}, clock, tmp_path / "locks", lambda _: None)
    try:
        seen = await source.observer.observe()
        assert [str(one.id) for one in seen.sandboxes] == [
            "mine/folders/alpha",
            "mine/folders/beta",
        ]
        assert {one.state for one in seen.sandboxes} == {SandboxState.ASLEEP}
        ended = await attempts.request(Verb.WAKE, seen.sandboxes[0].id).wait()
        assert ended.state is AttemptState.DONE, ended

        async def ready() -> bool:
            rows = (await source.observer.observe()).sandboxes
            return rows[0].state is SandboxState.READY and rows[1].state is SandboxState.ASLEEP

        await eventually(ready)
        told = source.observer.logs(seen.sandboxes[0].id)
        assert (await anext(told)).text == "started"
        await told.aclose()  # type: ignore[attr-defined]
    finally:
        await attempts.close()
        await source.observer.close()


@pytest.mark.kit("perl")
async def test_mail_agents_are_looked_at_and_woken_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example in Perl: queue, log and wake; without a name the suite acts upon nothing."""
    monkeypatch.setattr(check, "REST_S", 0.5)
    alpha = tmp_path / "agents/alpha"
    (alpha / "Maildir/new").mkdir(parents=True)
    (alpha / "Maildir/new/1700000000.1.box").write_text("Subject: Report\n\nNow.\n")
    (alpha / "run").write_text("#!/bin/sh\necho started\nexec sleep 60\n")
    (alpha / "run").chmod(0o755)
    argv = (str(ROOT / "examples/maildir-source.pl"), str(alpha.parent))
    found = await SourceCheck(argv).run()
    assert [one for one in found if not one.ok] == []
    assert not (alpha / "lock").exists(), "it was woken, and nobody named it"
    found = await SourceCheck(argv, "alpha").run()
    assert [one for one in found if not one.ok] == []
    agent = psutil.Process(int((alpha / "lock").read_text()))  # it outlives the source
    source = open_external(
        "mine", ExternalTable(command=argv), SystemClock(), ConnectGate(random.Random(1))
    )
    try:
        row = (await source.observer.observe()).sandboxes[0]
        assert (row.state, row.inbound) == (SandboxState.READY, (("due", 1),))
        queue = await source.observer.queue(row.id, 10)
        assert [one.text for one in queue.messages] == ["Report"]
        text = await source.observer.content(row.id, Direction.IN, queue.messages[0].id)
        assert text.endswith("Now.\n")
        told = source.observer.logs(row.id)
        assert (await anext(told)).text == "started"
        await told.aclose()  # type: ignore[attr-defined]
        agent.kill()

        async def down() -> str:
            row = (await source.observer.observe()).sandboxes[0]
            return row.reason if row.state is SandboxState.DOWN else ""

        assert await eventually(down) == "It does not run, and one message waits."
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            agent.kill()
        await source.observer.close()


async def test_our_own_far_side_passes_the_suite(tmp_path: Path) -> None:
    async with embedded_world(tmp_path / "far"):
        found = await SourceCheck(far_side(tmp_path / "far"), "data-pull").run()
    assert [one for one in found if not one.ok or one.skipped] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('hello, world', flush=True)\nhello()\n", "13 bytes came before the hello"),
        ("hello(protocol=2)\n", "protocol is 2, not 1"),
        ("hello(now=0.0)\n", "now is not this machine's time"),
        ("hello(sources=[])\n", "sources is empty"),
        ("hello()\n", "no reason why it lacks"),
        ("sys.exit(3)\n", "it ended (status 3)"),
        ("out.write(b'\\0\\0\\0\\2\\x81\\xa1'); out.flush()\n", "a message cannot be read"),
    ],
)
async def test_what_is_wrong_with_a_source_is_named(code: str, said: str, tmp_path: Path) -> None:
    found = await SourceCheck(program(tmp_path, code + "for _ in incoming(): pass\n")).run()
    assert any(said in one.said for one in found if not one.ok), found


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("m.WireSandbox(id='a', state='zombie')", "no sandbox state is called 'zombie'"),
        ("m.WireSandbox(id='a', state='down')", "down without a reason"),
        ("m.WireSandbox(id='a\\n', state='ready')", "empty, long or not printable"),
        ("m.WireSandbox(id='a', state='ready', needs=['g'])", "no gateway is called ['g']"),
        ("m.WireSandbox(id='a', state='ready'), m.WireSandbox(id='a', state='ready')", "twice"),
    ],
)
async def test_what_is_wrong_with_a_row_is_named(rows: str, said: str, tmp_path: Path) -> None:
    code = (
        "none = {c: 'none' for c in ('queue', 'wake', 'reconnect', 'shell', 'exec', 'logs')}\n"
        "hello(sources=[m.SourceInfo('home', unavailable=none)])\n"
        f"say(m.Delta('home', 1, time.time(), time.time(), full=True, sandboxes=[{rows}]))\n"
        "for _ in incoming(): pass\n"
    )
    found = await SourceCheck(program(tmp_path, code)).run()
    assert any(said in one.said for one in found if not one.ok), found


async def test_a_program_that_stays_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "LEAVE_S", 0.5)  # it stays however long it is waited for
    code = "hello()\nos.close(0)\ntime.sleep(600)\n"
    async with asyncio.timeout(40):
        found = await SourceCheck(program(tmp_path, code)).run()
    assert found[-1].said == "it is still there"
