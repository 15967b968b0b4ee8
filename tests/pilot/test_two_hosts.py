"""Two hosts with sandboxes of one name: whatever is said or asked of one says which it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Static

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import RemoteTable
from services.models import Event, SandboxId, Verb
from services.sources.registry import open_sources
from tests.support.panels import toasts
from tests.support.remote import program
from tests.support.waiting import eventually, on_screen
from tui.app import WakedeckApp
from tui.panel.palette import PanelCommands
from widgets.dialogs.confirm import ConfirmDialog

BOX, CABIN = SandboxId("box", "home/alpha"), SandboxId("cabin", "home/alpha")
SOLO = SandboxId("cabin", "home/solo")
FAR_SIDE = """
import threading
info = m.SourceInfo("home", "folder", "home", capabilities=["wake", "reconnect", "logs"],
                    verbs=[("restart", "Restart")])
hello(sources=[info])
rows = [m.WireSandbox(id=one, state="down", reason="It has stopped") for one in NAMES]
seq = 0
def push():
    global seq
    while True:
        seq, now = seq + 1, time.time()
        say(m.Delta("home", seq, now, now, full=True, sandboxes=rows))
        time.sleep(1)
threading.Thread(target=push, daemon=True).start()
VERDICT = {"verdict": {"kind": "terminal", "reason": "Its disk is full"}}
ASKED = {"verb": "restart", "title": "Restart alpha?", "target": "alpha, its process",
         "consequence": "What it does is lost.", "button": "Restart", "act": "restarting"}
for said in incoming():
    if isinstance(said, m.Ping):
        say(m.Pong(said.t))
    elif isinstance(said, m.Call) and said.method in ("probe", "propose"):
        say(m.Item(said.id, ASKED if said.method == "propose" else VERDICT))
        say(m.Done(said.id))
    elif isinstance(said, m.Call):
        say(m.Failed(said.id, "unavailable", "It cannot be done there."))
"""


@asynccontextmanager
async def panel(folder: Path) -> AsyncIterator[WakedeckApp]:
    """A panel that two far sides have told all they have."""
    sources = []
    for key, names in (("box", ["alpha"]), ("cabin", ["alpha", "solo"])):
        (folder / key).mkdir()
        argv = program(folder / key, f"NAMES = {names!r}\n{FAR_SIDE}")
        table = RemoteTable(command=tuple(argv), interval_s=1.0)
        sources.append(SourceSettings(key, "remote", table))
    settings, clock = Settings("default", tuple(sources)), SystemClock()
    app = WakedeckApp(settings, open_sources(settings, clock), clock, state=folder / "state")
    async with app.run_test(size=(140, 40)):
        await eventually(lambda: {BOX, CABIN, SOLO} <= app.engine.board.sandboxes.keys())
        try:
            yield app
        finally:
            await app.engine.close()


async def test_the_palette_names_the_host_where_two_are_called_alike(tmp_path: Path) -> None:
    async with panel(tmp_path) as app:
        palette, board = PanelCommands(app.dashboard), app.engine.board
        for key, name in ((BOX, "box/alpha"), (CABIN, "cabin/alpha"), (SOLO, "solo")):
            row = board.sandboxes[key]
            texts = {one.text for one in (*palette._verbs(row), *palette._proposals(row))}
            assert {f"Wake {name}", f"Reconnect {name}", f"Restart {name}…"} <= texts
            assert all(one.removesuffix("…").endswith(f" {name}") for one in texts), texts


async def test_a_question_says_on_which_host(tmp_path: Path) -> None:
    async with panel(tmp_path) as app:
        app.confirmations.ask(CABIN, "restart")
        await eventually(lambda: on_screen(app, ConfirmDialog))

        def drawn() -> str:
            return "\n".join(str(one.render()) for one in app.screen.query(Static))

        await eventually(lambda: "cabin/alpha: alpha, its process" in drawn(), what=drawn)
        assert "box" not in drawn()
        app.screen.dismiss(False)


@pytest.mark.slow
@pytest.mark.parametrize("verb", Verb)
async def test_toasts_and_the_history_say_on_which_host(tmp_path: Path, verb: Verb) -> None:
    async with panel(tmp_path) as app:
        for key in (CABIN, BOX, SOLO):
            app.actions.repair(verb, key)

        def ended() -> bool:
            attempts = [app.engine.latest_attempt(key) for key in (CABIN, BOX, SOLO)]
            return all(one is not None and one.ended_at is not None for one in attempts)

        await eventually(ended)
        goal = "woken" if verb is Verb.WAKE else "reconnected"
        wanted = {f"{one} could not be {goal}:" for one in ("box/alpha", "cabin/alpha", "solo")}
        await eventually(lambda: len(toasts(app)) >= 3)
        assert {one.partition(":")[0] + ":" for one in toasts(app)} == wanted, toasts(app)

        async def failed() -> list[Event]:
            told = await app.engine.journal.recent(50)
            found = [one for one in told if one.kind == "attempt" and one.after == "failed"]
            assert len(found) == 3, told
            return found

        for one in await eventually(failed):
            host = {"box": "box/alpha", "cabin": "cabin/alpha"}[one.source]
            name = "solo" if one.subject.endswith("solo") else host
            assert one.text.startswith(f"{verb.value}: {name} could not be {goal}:"), one.text


async def test_a_verb_for_all_of_them_says_of_each_on_which_host(tmp_path: Path) -> None:
    async with panel(tmp_path) as app:
        app.bulk.start(Verb.WAKE, (BOX, CABIN, SOLO))
        await eventually(lambda: any("Woke 0 of 3" in one for one in toasts(app)))
        said = next(one for one in toasts(app) if "Woke 0 of 3" in one)
        for name in ("box/alpha", "cabin/alpha", "solo"):
            assert f"✕ {name}: " in said, said
