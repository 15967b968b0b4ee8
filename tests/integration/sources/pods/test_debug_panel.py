"""The panel: a debug container is asked for, agreed to, and entered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.widgets import Button

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.sources.registry import open_sources
from tests.integration.sources.pods.test_kube_source import BOX, cluster
from tests.integration.sources.pods.test_pods_panel import kubernetes
from tests.support.waiting import eventually, on_screen
from tui.app import WakedeckApp
from widgets.dialogs.confirm import ConfirmDialog


async def test_yes_adds_it_and_opens_its_shell(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        settings = load(Flags(config=kubernetes(one, home)), {})
        clock = SystemClock()
        app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)
        async with app.run_test(size=(120, 40)):
            await eventually(lambda: BOX in app.engine.board.sandboxes)
            app.confirmations.ask(BOX, "debug")
            await eventually(lambda: on_screen(app, ConfirmDialog))
            await eventually(lambda: bool(app.screen.query("#confirm-yes")))
            assert not one.api.added
            yes = app.screen.query_one("#confirm-yes", Button)
            await eventually(lambda: yes.region.width > 0)
            yes.press()
            await eventually(lambda: bool(one.api.added))

            def display() -> str:
                shells: list[Any] = list(app.shells)
                return "".join(shells[0].emulator.display) if shells else ""

            await eventually(lambda: "pod$" in display(), what=display)
            assert next(iter(app.shells)).choice.container == "debug-1"
            app.action_leave()
            await eventually(lambda: not app.is_running)
        assert len(one.api.added) == 1
