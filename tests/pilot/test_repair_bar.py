"""The repair bar: what it shows, and whom a press is for."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button

from services.models import (
    Attempt,
    AttemptState,
    Capability,
    Sandbox,
    SandboxId,
    SandboxState,
    Step,
    StepState,
    Verb,
)
from widgets.panes.action_button import ActionButton
from widgets.panes.repair_bar import RepairBar

NOW = 1_750_000_000.0
HOSTILE = "[b]x[/b]\x1b]0;t\x07\x1b[2J"
ONE, TWO = SandboxId("local", "one"), SandboxId("local", "two")
STEPS = (
    Step("check", StepState.OK, NOW - 3, NOW - 2.9),
    Step("start", StepState.RUNNING, NOW - 2.3, limit_s=30, detail="waiting for a heartbeat"),
    Step("connect", StepState.PENDING),
)


def box(id: SandboxId = ONE, **more: object) -> Sandbox:
    fields: dict[str, object] = {"name": id.native_id, "reason": "its process is gone"}
    return Sandbox(
        id=id,
        state=SandboxState.BROKEN,
        **{"observed_at": NOW, **fields, **more},  # type: ignore[arg-type]
    )


def attempt(state: AttemptState = AttemptState.WAKE, **more: object) -> Attempt:
    fields: dict[str, object] = {"verb": Verb.RECONNECT, "steps": STEPS}
    return Attempt(id="a1", sandbox=ONE, state=state, started_at=NOW - 3, **{**fields, **more})  # type: ignore[arg-type]


class Host(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("W", "wake", "Wake", id="sandbox.wake")]

    def __init__(self) -> None:
        super().__init__()
        self.said: list[object] = []

    def compose(self) -> ComposeResult:
        yield RepairBar()

    def action_wake(self) -> None:
        self.query_one(RepairBar).action_wake()

    def on_repair_bar_wake_requested(self, event: RepairBar.WakeRequested) -> None:
        self.said.append(("wake", event.sandbox))

    def on_repair_bar_reconnect_requested(self, event: RepairBar.ReconnectRequested) -> None:
        self.said.append(("reconnect", event.sandbox))

    def on_repair_bar_cancel_requested(self, event: RepairBar.CancelRequested) -> None:
        self.said.append(("cancel", event.attempt))

    def on_repair_bar_verb_refused(self, event: RepairBar.VerbRefused) -> None:
        self.said.append(("refused", event.verb, event.reason))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.said.append("a bare button press")


def shown(app: App[None]) -> str:
    bar = app.query_one(RepairBar)
    strips = app.screen._compositor.render_strips()
    lines = ["".join(s.text for s in strip).rstrip() for strip in strips]
    return "\n".join(lines[: bar.size.height])


def button(app: App[None], name: str) -> ActionButton:
    return app.query_one(f"#repair-{name}", ActionButton)


async def test_a_bar_that_is_being_closed_takes_what_it_is_told() -> None:
    app = Host()
    async with app.run_test():
        bar = app.query_one(RepairBar)
        bar._closing = True
        bar.show(box(), attempt(), {})
        assert not bar.query("#repair-words")
        bar._closing = False
        bar.show(box(), attempt(), {})
        assert bar.query("#repair-words")


async def test_buttons_carry_the_sandbox_shown_when_they_were_pressed() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.query_one(RepairBar)
        bar.show(box(ONE), None, {})
        await pilot.pause()
        assert "⊗ one  broken" in shown(app)
        assert "its process is gone" in shown(app)
        assert "Wake (w)" in shown(app)
        await pilot.click("#repair-wake")
        await pilot.click("#repair-reconnect")
        assert app.said == [("wake", ONE), ("reconnect", ONE)]
        app.said.clear()
        # The selection moves on before the press is delivered.
        button(app, "wake").press()
        bar.show(box(TWO), None, {})
        await pilot.pause()
        assert app.said == [("wake", ONE)]
        button(app, "reconnect").press()
        await pilot.pause()
        assert app.said[-1] == ("reconnect", TWO)


async def test_keys_work_from_the_bar_and_through_the_screen() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(RepairBar).show(box(), None, {})
        await pilot.pause()
        await pilot.press("W")
        button(app, "wake").focus()
        await pilot.press("w", "r", "right", "enter")
        assert app.said == [("wake", ONE), ("wake", ONE), ("reconnect", ONE), ("reconnect", ONE)]


async def test_a_refused_verb_is_disabled_and_says_why() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.query_one(RepairBar)
        bar.show(box(), None, {Capability.WAKE: "this panel is read-only"})
        await pilot.pause()
        assert button(app, "wake").disabled
        assert not button(app, "reconnect").disabled
        assert "Wake is off: this panel is read-only" in shown(app)
        await pilot.click("#repair-wake")
        assert app.said == []
        await pilot.press("W")
        assert app.said == [("refused", Verb.WAKE, "this panel is read-only")]
        bar.show(None, None, {})
        await pilot.pause()
        assert "No sandbox selected" in shown(app)
        assert button(app, "wake").disabled
        assert button(app, "reconnect").disabled
        both = {Capability.WAKE: "closed", Capability.RECONNECT: "closed"}
        bar.show(box(), None, both)
        await pilot.pause()
        assert "Wake and Reconnect are off: closed" in shown(app)


async def test_a_running_attempt_ticks_and_can_be_cancelled() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.query_one(RepairBar)
        bar.show(box(), attempt(), {}, NOW)
        await pilot.pause()
        assert "✓ check 0.1s  ▸ start 2.3s/30s  ◦ connect" in shown(app)
        assert "reconnecting 3.0s · waiting for a heartbeat" in shown(app)
        assert button(app, "wake").disabled
        assert button(app, "reconnect").disabled
        bar.tick(NOW + 10)
        await pilot.pause()
        assert "▸ start 12s/30s" in shown(app)
        assert "cancel is safe" in shown(app)
        await pilot.click("#repair-cancel")
        button(app, "cancel").focus()
        await pilot.press("c", "escape")
        assert app.said == [("cancel", "a1")] * 3
        bar.show(box(), attempt(cancelling=True), {}, NOW)
        await pilot.pause()
        assert "cancelling" in shown(app)
        await pilot.press("c")
        assert len(app.said) == 3


async def test_a_wake_may_become_a_reconnect_but_not_a_second_wake() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(RepairBar).show(box(), attempt(verb=Verb.WAKE), {}, NOW)
        await pilot.pause()
        assert button(app, "wake").disabled
        await pilot.click("#repair-reconnect")
        await pilot.press("W")
        assert app.said == [
            ("reconnect", ONE),
            (
                *("refused", Verb.WAKE),
                "a wake is already running and has waited 2 s for this: waiting for a heartbeat",
            ),
        ]


async def test_an_attempt_of_another_sandbox_is_not_shown() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(RepairBar).show(box(TWO), attempt(), {}, NOW)
        await pilot.pause()
        assert "check" not in shown(app)
        assert not button(app, "cancel").display
        await pilot.click("#repair-wake")
        assert app.said == [("wake", TWO)]


async def test_the_end_reads_as_sentences_until_put_away() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.query_one(RepairBar)
        ended = attempt(
            AttemptState.FAILED,
            ended_at=NOW,
            original="the gateway does not answer",
            summary="Started it once.",
            advice="Read its log.",
            last="exit code 1",
        )
        bar.show(box(), ended, {}, NOW)
        await pilot.pause()
        said = shown(app)
        places = [
            said.index(words)
            for words in (
                "✕ failed 3.0s  the gateway does not answer",
                "Started it once.",
                "→ Read its log.",
                "last error: exit code 1",
            )
        ]
        assert places == sorted(places)
        assert not button(app, "wake").disabled
        button(app, "wake").focus()
        await pilot.press("escape")
        await pilot.pause()
        assert "Started it once." not in shown(app)
        assert "its process is gone" in shown(app)
        assert app.said == []


async def test_hostile_words_stay_words_in_a_narrow_bar() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        bar = app.query_one(RepairBar)
        steps = tuple(Step(f"{HOSTILE}{n}", StepState.OK, NOW - 1, NOW) for n in range(9))
        name = "long-name-" * 12
        bar.show(box(name=name, reason=HOSTILE), None, {Capability.WAKE: HOSTILE}, NOW)
        await pilot.pause()
        assert "[b]x[/b]" in shown(app)
        assert "Reconnect (r)" in shown(app)
        bar.show(
            box(name=name, reason=HOSTILE),
            attempt(AttemptState.FAILED, steps=steps, original=HOSTILE, summary="y " * 300),
            {},
            NOW,
        )
        await pilot.pause()
        assert "\x1b" not in shown(app)
        assert "\x07" not in shown(app)
        assert bar.size.height <= 10


async def test_what_is_newer_takes_the_place_of_a_result() -> None:
    app = Host()
    async with app.run_test(size=(100, 12)) as pilot:
        bar = app.query_one(RepairBar)
        done = attempt(AttemptState.DONE, ended_at=NOW, summary="It was woken and is serving.")
        bar.show(replace(box(observed_at=NOW + 1), state=SandboxState.READY), done, {})
        await pilot.pause()
        assert "woken" in shown(app)
        bar.show(box(reason="It is stopped."), done, {}, overtaken="Its gateway is down.")
        await pilot.pause()
        assert "woken" not in shown(app)
        assert "Its gateway is down." in shown(app)
