"""The whole panel and the command line over Vellum assistants."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import VellumTable
from services.models import AttemptState, GatewayState, SandboxId, SandboxState
from services.sources.registry import open_sources
from tests.support.clock import settle
from tests.support.vellum import ID, RENEWED, SANDBOX, Ground, Peer, serving, token_text
from tests.support.vellum_processes import Processes
from tests.support.waiting import eventually, on_screen
from tui.app import WakedeckApp
from tui.panel.palette import PanelCommands
from widgets.dialogs.confirm import ConfirmDialog
from widgets.panes.action_button import ActionButton
from widgets.panes.repair_bar import RepairBar

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as made:
        yield made


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    await eventually(holds)


@asynccontextmanager
async def panel(
    ground: Ground, state: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[WakedeckApp, Pilot[int]]]:
    for name, value in ground.environ.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        "default", (SourceSettings("vellum", "vellum", VellumTable(interval_s=0.5)),)
    )
    app = WakedeckApp(settings, open_sources(settings, SystemClock()), SystemClock(), state=state)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: SANDBOX in app.engine.board.sandboxes)
        try:
            yield app, pilot
        finally:
            await app.engine.close()


def bar(app: WakedeckApp) -> str:
    return "\n".join(str(one.render()) for one in app.query_one(RepairBar).query(Static))


def ended(app: WakedeckApp) -> bool:
    attempt = app.engine.latest_attempt(SANDBOX)
    return attempt is not None and attempt.state.ended


async def test_a_dead_gateway_is_named_woken_cancelled_and_never_called_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Peer(serving()) as peer:
        await peer.stop()
        ground = Ground(tmp_path / "g", peer.port)
        ground.write_token()
        ground.command("echo 'Starting gateway'; exec sleep 600")
        async with panel(ground, tmp_path / "state", monkeypatch) as (app, pilot):
            row = app.engine.board.sandboxes[SANDBOX]
            assert row.reason == "It is asleep."
            await pilot.press("1", "r")
            await until(pilot, lambda: "starting the gateway" in bar(app))
            await pilot.press("c")
            await until(pilot, lambda: ended(app))
            attempt = app.engine.latest_attempt(SANDBOX)
            assert attempt is not None
            assert attempt.state is AttemptState.CANCELLED
            assert "It is asleep" in attempt.summary
            assert ground.called() == [f"wake {ID}"]


async def test_one_bad_look_is_forgiven_and_the_second_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Peer(serving()) as peer:
        ground = Ground(tmp_path / "g", peer.port)
        ground.write_token()
        ground.command()
        async with panel(ground, tmp_path / "state", monkeypatch) as (app, _):
            board = app.engine.board
            gateway = next(iter(board.gateways))
            assert board.gateways[gateway].state is GatewayState.READY
            app.engine.pollers.pause(True)
            # A look that has begun is still delivered.
            pollers = app.engine.pollers._sources.values()
            await eventually(
                lambda: all(one._probe_task is None or one._probe_task.done() for one in pollers)
            )
            await settle()
            healthy, peer.replies["/healthz"] = peer.replies["/healthz"], None
            observer = app.engine.sources["vellum"].observer
            board.merge(await observer.observe())
            assert board.gateways[gateway].state is GatewayState.READY
            assert board.sandboxes[SANDBOX].state is SandboxState.READY
            board.merge(await observer.observe())
            assert board.gateways[gateway].state is GatewayState.HUNG
            peer.replies["/healthz"] = healthy
            board.merge(await observer.observe())
            assert board.gateways[gateway].state is GatewayState.READY
            await peer.stop()
            board.merge(await observer.observe())
            # A refused connection is definite.
            assert board.gateways[gateway].state is GatewayState.DOWN


async def test_a_rejected_credential_is_offered_asked_about_and_issued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Peer(serving()) as peer:
        ground = Ground(tmp_path / "g", peer.port)
        ground.write_token(access_s=-10, refresh_s=-10)
        (tmp_path / "new").write_text(token_text(86400, 864000, RENEWED))
        ground.command(f"cp {tmp_path}/new {ground.token}")
        async with panel(ground, tmp_path / "state", monkeypatch) as (app, pilot):
            await pilot.press("1", "r")
            await until(pilot, lambda: ended(app))
            assert "only you can decide" in bar(app)
            assert "signs every other device out" in bar(app)
            button = app.query_one("#repair-confirm", ActionButton)
            assert str(button.content) == "Re-issue the credential of Stub One… (a)"
            names = [entry.text for entry in PanelCommands(app.screen)._entries()]
            assert "Re-issue the credential of Stub One…" in names
            await pilot.press("a")
            await until(pilot, lambda: on_screen(app, ConfirmDialog))
            assert "stub-1" in str(app.screen.query_one("#confirm-target").render())
            assert "signed out" in str(app.screen.query_one("#confirm-words").render())
            await until(pilot, lambda: app.focused is not None and app.focused.id == "confirm-no")
            assert ground.called() == []
            before = app.engine.latest_attempt(SANDBOX)
            # Cancel has the focus: Enter leaves everything as it is.
            await pilot.press("enter")
            await until(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
            assert app.engine.latest_attempt(SANDBOX) == before
            await pilot.click("#repair-confirm")
            await until(pilot, lambda: on_screen(app, ConfirmDialog))
            await pilot.press("y")
            await until(pilot, lambda: app.engine.latest_attempt(SANDBOX) != before and ended(app))
            attempt = app.engine.latest_attempt(SANDBOX)
            assert attempt is not None
            assert attempt.state is AttemptState.DONE, attempt
            assert RENEWED in ground.token.read_text()
            assert ground.called() == [f"wake {ID} --repair-guardian"]
            await until(pilot, lambda: "A new credential was issued" in bar(app))
            assert "is connected" in bar(app)
            assert not app.query_one("#repair-offer").display

            async def recorded() -> bool:
                told = [event.text for event in await app.engine.journal.recent(50)]
                assert "agreed to re-issuing the credential" in told
                assert any(one.startswith("Stub One is connected") for one in told), told
                return True

            await eventually(recorded)
            # What is no longer offered is not asked about.
            await pilot.press("a")
            await pilot.pause()
            assert not isinstance(app.screen, ConfirmDialog)


async def test_the_offer_belongs_to_its_own_assistant_and_stale_results_show_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 18: an attempt that ends behind another row changes nothing in sight."""
    async with Peer(serving()) as peer:
        ground = Ground(tmp_path / "g", peer.port)
        ground.write_token(access_s=-10, refresh_s=-10)
        other = SandboxId("vellum", "stub-2")
        second = {**ground.entry(peer.port), "assistantId": "stub-2", "name": "Stub Two"}
        ground.write_lockfile([ground.entry(peer.port), second])
        ground.command()
        async with panel(ground, tmp_path / "state", monkeypatch) as (app, pilot):
            await until(pilot, lambda: other in app.engine.board.sandboxes)
            await pilot.press("1", "home")
            await until(pilot, lambda: app.dashboard.selected == SANDBOX)
            held = peer.replies["/readyz"]
            peer.replies["/readyz"] = (503, {"status": "starting"})
            await pilot.press("r")
            await until(pilot, lambda: "reconnecting" in bar(app))
            rows = app.engine.board.sandboxes
            await until(pilot, lambda: rows[SANDBOX].state is SandboxState.SETTLING)
            await pilot.press("down")
            await until(pilot, lambda: app.dashboard.selected == other)
            await until(pilot, lambda: "reconnecting" not in bar(app))
            peer.replies["/readyz"] = held
            await until(pilot, lambda: ended(app))
            # A look that sees it serve again says nothing of the credential.
            await until(pilot, lambda: rows[SANDBOX].state is SandboxState.READY)
            await until(pilot, lambda: "Stub Two" in bar(app))
            assert "only you" not in bar(app) or not app.query_one("#repair-offer").display
            await pilot.press("a")
            await pilot.pause()
            assert not isinstance(app.screen, ConfirmDialog)
            await pilot.press("up")
            await until(pilot, lambda: app.query_one("#repair-offer").display)
            await pilot.press("a")
            await until(pilot, lambda: on_screen(app, ConfirmDialog))
            target = str(app.screen.query_one("#confirm-target").render())
            assert target.startswith("Stub One (stub-1,")
            assert ground.called() == []


async def command(
    ground: Ground, root: Path, *words: str
) -> tuple[int | None, dict[str, object], str]:
    """`wakedeck … --json`: its code, its answer and its prose."""
    config = root / "config.toml"
    config.write_text('[sources.vellum]\nkind = "vellum"\n')
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from tui.cli.main import main; main()"),
        *("--config", str(config), *words, "--json"),
        cwd=ROOT,
        env={**os.environ, **ground.environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await child.communicate()
    return child.returncode, json.loads(out), err.decode()


@pytest.mark.parametrize("up", [True, False])
async def test_reconnect_on_the_command_line_tells_the_truth(
    tmp_path: Path, processes: Processes, up: bool
) -> None:
    async with Peer(serving()) as peer:
        if not up:
            await peer.stop()
        ground = Ground(tmp_path / "g", peer.port)
        if peer.listening:
            port = processes.relay(peer.port, ground.instance)
            ground.write_lockfile([ground.entry(port)])
        ground.write_token()
        ground.command("exit 1")
        code, told, err = await command(ground, tmp_path, "reconnect", ID)
        assert code == (0 if up else 1), err
        assert told["state"] == ("done" if up else "failed")
        assert ground.called() == ([] if up else [f"wake {ID}"])


async def test_the_command_line_says_what_it_would_cost_and_does_only_what_was_agreed_to(
    tmp_path: Path,
    processes: Processes,
) -> None:
    async with Peer(serving()) as peer:
        ground = Ground(tmp_path / "g", peer.port)
        if peer.listening:
            port = processes.relay(peer.port, ground.instance)
            ground.write_lockfile([ground.entry(port)])
        ground.write_token(access_s=-10, refresh_s=-10)
        (tmp_path / "new").write_text(token_text(86400, 864000, RENEWED))
        ground.command(f"cp {tmp_path}/new {ground.token}")
        for words in ((), ("--confirm", "restart")):
            code, told, err = await command(ground, tmp_path, "reconnect", ID, *words)
            assert (code, told["needs_confirmation"]) == (3, "repair-guardian"), err
            assert "Stub One (stub-1, environment production)" in err
            assert "Every other device" in err
            assert "--confirm repair-guardian" in err
            assert ground.called() == []
        code, told, err = await command(
            ground, tmp_path, "reconnect", ID, "--confirm", "repair-guardian"
        )
        assert (code, told["state"]) == (0, "done"), err
        assert told["agreed"] == "re-issuing the credential"
        assert ground.called() == [f"wake {ID} --repair-guardian"]
        # Agreed to beforehand, and not asked for: nothing of it runs.
        code, told, err = await command(
            ground, tmp_path, "reconnect", ID, "--confirm", "repair-guardian"
        )
        assert (code, told["agreed"]) == (0, "")
        assert len(ground.called()) == 1


async def test_two_commands_that_agreed_to_the_same_issue_one_credential(
    tmp_path: Path, processes: Processes
) -> None:
    """Two processes, one lock: the later one takes what the first has made."""
    async with Peer(serving()) as peer:
        ground = Ground(tmp_path / "g", peer.port)
        if peer.listening:
            port = processes.relay(peer.port, ground.instance)
            ground.write_lockfile([ground.entry(port)])
        ground.write_token(access_s=-10, refresh_s=-10)
        (tmp_path / "new").write_text(token_text(86400, 864000, RENEWED))
        ground.command(f"sleep 3; cp {tmp_path}/new {ground.token}")
        words = ("reconnect", ID, "--confirm", "repair-guardian")
        ends = await asyncio.gather(*(command(ground, tmp_path, *words) for _ in range(2)))
        assert [(code, told["state"]) for code, told, _ in ends] == [(0, "done")] * 2, ends
        assert ground.called() == [f"wake {ID} --repair-guardian"]
