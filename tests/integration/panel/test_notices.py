"""Notices to a real receiver: the right ones, once each, none lost, whatever goes down."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.clock import SystemClock
from services.config.notify import NotifyTable
from services.files.bounded import parse_json
from services.models import Gateway, GatewayId, GatewayState, Sandbox, SandboxId, SandboxState
from services.process.identity import ProcessId
from services.watch import digest, notifier, outbox
from services.watch.notifier import Notifier, advice_of
from services.watch.outbox import Outbox
from services.watch.sender import Sender
from services.watch.watcher import Watcher
from tests.support.acted import Script, scripted
from tests.support.waiting import eventually

pytest.importorskip("apprise", reason="apprise is not installed: the extra is `notify`")

GATE = GatewayId("gate", "main")
ALL = NotifyTable(when=("worse", "needs-me", "recovered"), at_most="100/10m")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "GATHER_S", 0.5)
    monkeypatch.setattr(outbox, "FIRST_RETRY_S", 0.3)
    monkeypatch.setattr(notifier, "ROUND_S", 0.1)


@pytest.fixture(autouse=True, scope="module")
def no_threads_left() -> Iterator[None]:
    """Apprise keeps its threads for the next notice."""
    yield
    from apprise import apprise

    apprise.get_shared_executor().shutdown()
    apprise._shared_executor = None


def box(name: str, state: SandboxState = SandboxState.READY, **more: Any) -> Sandbox:
    return Sandbox(SandboxId("gate", name), name, state, "", 0.0, gateway=GATE, **more)


class Receiver:
    """A real HTTP server for apprise's json:// scheme, which can be taken down and brought back."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.port = 0
        self._server: HTTPServer | None = None

    def up(self) -> None:
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = parse_json(self.rfile.read(int(self.headers["Content-Length"])))
                heard.append((body["title"], body["message"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def text(self) -> str:
        return "\n".join(f"{title}\n{body}" for title, body in self.heard)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    one.up()
    yield one
    one.down()


@asynccontextmanager
async def night(
    state: Path, script: Script, receiver: Receiver, table: NotifyTable = ALL
) -> AsyncIterator[Watcher]:
    """A watcher of the script with one rule, both ended afterwards."""
    clock = SystemClock()
    source = scripted(script, clock, "gate")
    watcher = Watcher(
        [source.observer],
        clock,
        intervals={"gate": 0.05},
        journal=state / "journal.db",
        jitter=random.Random(1),
    )
    process = ProcessId.capture()
    assert process is not None
    one = Notifier(
        Outbox("night", table, process, advice=advice_of(watcher.board, watcher.sources)),
        Sender("night", [f"json://user:sesame-secret@127.0.0.1:{receiver.port}/hook"]),
        state / "journal.db",
        clock,
    )
    await watcher.journal.open()
    tasks = [asyncio.create_task(watcher.run()), asyncio.create_task(one.run())]
    try:
        await eventually(watcher.looked.is_set)
        yield watcher
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await watcher.close()


async def history(watcher: Watcher, kind: str) -> list[str]:
    return [one.text for one in await watcher.journal.recent(5_000) if one.kind == kind][::-1]


def world(*rows: Sandbox, gate: GatewayState = GatewayState.READY) -> Script:
    return Script((Gateway(GATE, "main", gate, "", 0.0),), rows)


async def started(watcher: Watcher) -> None:
    """Until the rule has its place in the history, after which everything is news."""
    await eventually(lambda: _rows(one_state(watcher), "SELECT 1 FROM notice_targets"))


def one_state(watcher: Watcher) -> Path:
    return watcher.journal.path.parent


async def test_a_night(tmp_path: Path, receiver: Receiver) -> None:
    names = [f"box{number}" for number in range(40)]
    script = world(*map(box, names))
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(night(tmp_path, script, receiver))
        await stack.enter_async_context(night(tmp_path, script, receiver))  # beside it
        await started(one)
        # Killed, and told once although two look.
        script.sandboxes = (box("box0", SandboxState.DOWN), *map(box, names[1:]))
        await eventually(lambda: "box0 is down" in receiver.text)
        # Recovered: over, and all quiet.
        script.sandboxes = tuple(map(box, names))
        await eventually(lambda: "All quiet again." in receiver.text)
        assert receiver.text.count("box0 is down, since") == 1
        assert receiver.text.count("gate/box0: box0 is ready") == 1
        # A hang while the receiver is down is told when it is back.
        receiver.down()
        script.sandboxes = (box("box1", SandboxState.STUCK), *map(box, [names[0], *names[2:]]))
        await eventually(lambda: _unsent(one))
        # A flood meanwhile is one summary.
        script.sandboxes = tuple(box(name, SandboxState.DOWN) for name in names)
        await eventually(lambda: _recorded(one, "sandbox", 43))
        before = len(receiver.heard)
        receiver.up()
        await eventually(lambda: "And 29 more of gate." in receiver.text)
        assert receiver.text.count("box1 is stuck, since") == 1
        assert len(receiver.heard) == before + 2
        told = await history(one, "notice")
        assert sum("not sent, tried again" in text for text in told) == 1
        assert sum("sent at try" in text for text in told) == 1
        assert "sesame" not in "".join(told)
    assert len(receiver.heard) == before + 2, "nothing came twice"


async def _unsent(watcher: Watcher) -> bool:
    return any("not sent" in text for text in await history(watcher, "notice"))


async def _recorded(watcher: Watcher, kind: str, number: int) -> bool:
    return len(await history(watcher, kind)) >= number


async def test_what_waits_for_a_person_is_told_and_what_one_key_would_do(
    tmp_path: Path, receiver: Receiver
) -> None:
    script = world(box("a"), box("b"))
    async with night(tmp_path, script, receiver) as one:
        await started(one)
        script.sandboxes = (
            replace(box("a"), needs_me="an approval"),
            box("b", SandboxState.DOWN),
        )
        await eventually(lambda: "needs you: an approval" in receiver.text)
        await eventually(lambda: "wakedeck wake gate/b" in receiver.text)
        script.sandboxes = (box("a"), box("b"))
        await eventually(lambda: "All quiet again." in receiver.text)


async def test_a_watch_that_was_killed_between_claim_and_send_leaves_it_to_the_next(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = world(box("a"))

    async def never(self: Sender, notice: digest.Notice) -> str:
        raise asyncio.CancelledError

    async with night(tmp_path, script, receiver) as one:
        await started(one)
        with monkeypatch.context() as patched:
            patched.setattr(Sender, "send", never)
            script.sandboxes = (box("a", SandboxState.DOWN),)
            await eventually(lambda: _recorded(one, "sandbox", 1))
            await eventually(lambda: _claimed(tmp_path))
    assert not receiver.heard
    with someone_gone(tmp_path):
        async with night(tmp_path, script, receiver):
            await eventually(lambda: "a is down" in receiver.text)
    assert receiver.text.count("a is down, since") == 1


async def test_who_is_ended_at_the_instant_of_an_answer_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(asyncio, "to_thread", lambda *_: answered)
    sending = asyncio.create_task(
        Sender("night", ["json://127.0.0.1/"]).send(digest.Notice("a is down", ""))
    )
    await asyncio.sleep(0)  # one turn of the loop: it waits for its answer
    answered.set_result("")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


def _claimed(state: Path) -> bool:
    return bool(_rows(state, "SELECT 1 FROM notices WHERE pid IS NOT NULL"))


def _rows(state: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(state / "journal.db", timeout=5)) as db, db:
        return db.execute(query).fetchall()


@contextmanager
def someone_gone(state: Path) -> Iterator[None]:
    """The claim is that of a process that has ended."""
    _rows(state, "UPDATE notices SET start_ticks = 1")
    yield


async def test_quiet_hours_and_the_budget_hold_back_and_lose_nothing(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet: list[bool] = [True]
    monkeypatch.setattr(outbox, "is_quiet", lambda *_: quiet[0])
    script = world(box("a"), box("b"))
    table = replace_table(ALL, at_most="1/4s")
    async with night(tmp_path, script, receiver, table) as one:
        await started(one)
        script.sandboxes = (box("a", SandboxState.DOWN), box("b"))
        await eventually(lambda: _recorded(one, "sandbox", 1))
        script.sandboxes = (box("a"), box("b", SandboxState.DOWN))
        await eventually(lambda: _recorded(one, "sandbox", 3))
        assert not receiver.heard
        quiet[0] = False
        await eventually(lambda: len(receiver.heard) == 1)
        assert "b is down" in receiver.text and "a is ready" in receiver.text
        assert "from" in receiver.text and "a is down" in receiver.text
        script.sandboxes = (box("a"), box("b"))
        await eventually(lambda: len(receiver.heard) == 2)
        assert receiver.heard[1][0].startswith("all quiet again")


def replace_table(table: NotifyTable, **more: Any) -> NotifyTable:
    changed: NotifyTable = msgspec.structs.replace(table, **more)
    return changed


async def test_no_part_of_an_url_is_in_what_is_said_of_a_failure() -> None:
    for url in (
        "json://:@127.0.0.1:9/deeply-hidden?token=qwertyuiop",
        "jsons://swordfish@[::1]:9/",
    ):
        problem = await Sender("night", [url]).send(digest.Notice("title", "body"))
        assert problem not in ("", "it was not accepted"), "apprise says why"
        for part in ("deeply", "qwerty", "swordfish"):
            assert part not in problem
