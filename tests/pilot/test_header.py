"""The header and the footer on a screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button

from services.models import GatewayState, Sandbox, SandboxId, SandboxState
from services.text.signs import GATEWAYS
from tests.support.totals import totals_of
from widgets.panes.footer import KeyFooter
from widgets.panes.header import HeaderState, HealthHeader

NOW = 1_750_000_000.0
HOSTILE = "[red]prod[/red]\x1b[2J\n"


def line_of(app: App[None], y: int) -> str:
    return "".join(segment.text for segment in app.screen._compositor.render_strips()[y])


class Host(App[None]):
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "wake", "Wake", id="wake"),
        Binding("r", "reconnect", "Reconnect", id="reconnect", tooltip="read-only"),
        Binding("question_mark", "help", "Help", id="help"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.may_reconnect = False

    def compose(self) -> ComposeResult:
        yield HealthHeader()
        yield Button("focus")
        yield KeyFooter(pinned=("help",))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if action == "reconnect" and not self.may_reconnect else True

    def action_wake(self) -> None:
        self.done.append("wake")

    def action_reconnect(self) -> None:
        self.done.append("reconnect")

    def action_help(self) -> None:
        self.done.append("help")


def state(**more: object) -> HeaderState:
    box = Sandbox(SandboxId("l", "b"), "b", SandboxState.BROKEN, "", NOW)
    fields: dict[str, object] = {
        "profile": "prod",
        "now": NOW,
        "totals": totals_of([box]),
        "gateways": ((GATEWAYS[GatewayState.READY], 1),),
        "last_success_at": NOW - 1,
    }
    return HeaderState(**{**fields, **more})  # type: ignore[arg-type]


async def test_the_header_fills_one_line_and_ages_by_ticks_alone() -> None:
    app = Host()
    async with app.run_test(size=(100, 10)) as pilot:
        header = app.query_one(HealthHeader)
        assert "Wakedeck" in line_of(app, 0)
        header.show(state(lost=("l",), retry_at=NOW + 9, profile=HOSTILE))
        await pilot.pause()
        first = line_of(app, 0)
        assert header.size.height == 1
        assert "⊗ 1 broken" in first
        assert "[red]prod[/red]" in first
        assert "\x1b" not in first
        assert "retry in 9s" in first
        header.tick(NOW + 5)
        await pilot.pause()
        assert "retry in 4s" in line_of(app, 0)
        assert "stale 6s ago" in line_of(app, 0)


async def test_the_header_redraws_for_its_new_width() -> None:
    app = Host()
    async with app.run_test(size=(160, 10)) as pilot:
        app.query_one(HealthHeader).show(state(latency_s=0.01, samples=(0.01, 0.02)))
        await pilot.pause()
        assert "10–20 ms" in line_of(app, 0)
        await pilot.resize_terminal(60, 10)
        await pilot.pause()
        assert "⊗ 1 broken" in line_of(app, 0)
        assert "10–20 ms" not in line_of(app, 0)


async def test_the_footer_shows_live_keys_and_a_click_runs_the_action() -> None:
    app = Host()
    async with app.run_test(size=(80, 10)) as pilot:
        await pilot.pause()
        foot = line_of(app, 9)
        assert foot.strip().startswith("w Wake  r Reconnect")
        assert foot.rstrip().endswith("? Help")
        await pilot.click(KeyFooter, offset=(foot.index("Wake"), 0))
        await pilot.click(KeyFooter, offset=(foot.index("Reconnect"), 0))
        await pilot.click(KeyFooter, offset=(foot.index("Help"), 0))
        await pilot.click(KeyFooter, offset=(50, 0))
        assert app.done == ["wake", "help"]
        app.may_reconnect = True
        app.refresh_bindings()
        await pilot.pause()
        await pilot.click(KeyFooter, offset=(foot.index("Reconnect"), 0))
        assert app.done == ["wake", "help", "reconnect"]


async def test_the_footer_follows_the_keymap() -> None:
    app = Host()
    async with app.run_test(size=(80, 10)) as pilot:
        app.set_keymap({"wake": "f5"})
        await pilot.pause()
        assert line_of(app, 9).strip().startswith("f5 Wake")
