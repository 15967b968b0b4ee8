"""The selected sandbox, the two verbs as buttons, and the attempt as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from services.models import (
    Attempt,
    Capability,
    Sandbox,
    SandboxId,
    Verb,
)
from widgets.panes.action_button import ActionButton
from widgets.panes.repair_words import (
    outcome_lines,
    present_words,
    progress_words,
    refusal_lines,
    strip_lines,
    title_words,
    waits_for,
)
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import joined, styled

_NOTHING = "no sandbox is selected"


class RepairKeys(NamedTuple):
    """The keys as they read on the buttons; the bindings themselves live in the keymap."""

    wake: str = "w"
    reconnect: str = "r"
    cancel: str = "c"
    offer: str = "a"


class RepairBar(Vertical):
    """One sandbox: what it is and why, Wake, Reconnect, Cancel, the steps, and how it ended."""

    DEFAULT_CSS = """
    RepairBar {
        height: auto;
        overflow-y: auto;
        padding: 0 1;
        background: $surface;

        #repair-head { height: 1; }
        #repair-head.-stacked { layout: vertical; height: 2; }
        #repair-name { width: 1fr; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #repair-buttons { width: auto; height: 1; }
        .-stacked #repair-wake { margin: 0; }
        #repair-offer { height: 1; display: none; }
        #repair-asks { width: auto; }
        #repair-confirm { margin: 0 0 0 1; max-width: 100%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "wake", "Wake", id="repair.wake"),
        Binding("r", "reconnect", "Reconnect", id="repair.reconnect"),
        Binding("a", "offer", "Approve…", id="repair.offer"),
        Binding("c,escape", "cancel", "Cancel", id="repair.cancel"),
        Binding("left,h", "app.focus_previous", "Previous button", id="repair.left", show=False),
        Binding("right,l", "app.focus_next", "Next button", id="repair.right", show=False),
    ]

    @dataclass
    class WakeRequested(Message):
        """The operator asks to start what is stopped."""

        sandbox: SandboxId

    @dataclass
    class ReconnectRequested(Message):
        """The operator asks for the whole link."""

        sandbox: SandboxId

    @dataclass
    class CancelRequested(Message):
        """The operator asks to stop a running attempt."""

        attempt: str

    @dataclass
    class OfferRequested(Message):
        """The operator asks about what an attempt that ended needs confirmed."""

        sandbox: SandboxId
        verb: str

    @dataclass
    class VerbRefused(Message):
        """A verb was asked for that cannot be had now; the reason is fit to show."""

        verb: Verb
        reason: str

    def __init__(
        self,
        *,
        keys: RepairKeys | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._keys = keys or RepairKeys()
        self._sandbox: Sandbox | None = None
        self._attempt: Attempt | None = None
        self._dismissed = ""
        self._refusals: dict[Verb, str] = {}
        self._offer = ""
        self._confirm = ActionButton(Content(""), id="repair-confirm", warning=True)
        self._overtaken = ""
        self._now = 0.0
        self._rendered: dict[str, Content] = {}
        self._enabled_state: tuple[str, str, bool, bool] | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="repair-head"):
            yield Static(id="repair-name", markup=False)
            with Horizontal(id="repair-buttons"):
                for verb in self._buttons:
                    yield ActionButton(Content(self._label(verb)), id=f"repair-{verb}")

    def on_mount(self) -> None:
        self._draw()

    def _mount_lines(self) -> bool:
        """Whether the lines below the name are there, which are for a sandbox alone."""
        if self._sandbox is not None and not self.query_children("#repair-words"):
            asks = Static(styled("! only you can decide:", "warn"), id="repair-asks")
            self.mount(
                Static(id="repair-reason", markup=False),
                Static(id="repair-steps", markup=False),
                Horizontal(asks, self._confirm, id="repair-offer"),
                Static(id="repair-words", markup=False),
            )
        return bool(self.query_children("#repair-words"))  # a bar that is closing mounts nothing

    @property
    def _buttons(self) -> tuple[str, ...]:
        return (Verb.WAKE.value, Verb.RECONNECT.value, "cancel")

    def _label(self, verb: str) -> str:
        return f"{verb.title()} ({getattr(self._keys, verb)})"

    def on_resize(self) -> None:
        self._stack()
        if self._mount_lines():
            self._draw_attempt()

    def _stack(self) -> None:
        """Give the buttons a line of their own where they would cut the name."""
        named = self._rendered.get("#repair-name")
        if named is not None and self.content_size.width:
            shown = [v for v in self._buttons if v != "cancel" or self.running is not None]
            room = self.content_size.width - sum(len(self._label(v)) + 3 for v in shown)
            head = self.query_one("#repair-head")
            head.set_class(named.cell_length > room, "-stacked")

    def show(
        self,
        sandbox: Sandbox | None,
        attempt: Attempt | None,
        refusals: Mapping[Capability, str],
        now: float | None = None,
        *,
        offer: str = "",
        overtaken: str = "",
    ) -> None:
        """Say this from now on; an attempt of another sandbox is not shown.

        `refusals` gives the reason for each verb that cannot be had; `offer` is what the attempt,
        which ended, needs confirmed, as it is called; `overtaken` is what takes the place of its
        result.
        """
        ours = sandbox is not None and attempt is not None and attempt.sandbox == sandbox.id
        self._sandbox = sandbox
        self._attempt = attempt if ours else None
        self._refusals = {
            verb: refusals[capability]
            for verb in Verb
            if (capability := Capability(verb.value)) in refusals
        }
        self._offer = sanitize_line(offer, 56) if ours else ""
        self._overtaken = sanitize_line(overtaken) if ours else ""
        if now is not None:
            self._now = now
        if self.is_mounted:
            self._draw()

    def tick(self, now: float) -> None:
        """Redraw elapsed times at `now`, seconds since the epoch."""
        self._now = now
        if self.running is not None and self.is_mounted:
            self._draw_attempt()

    @property
    def running(self) -> Attempt | None:
        """The shown attempt while it is not over."""
        if self._attempt is None or self._attempt.state.ended:
            return None
        return self._attempt

    def refusal(self, verb: Verb) -> str:
        """Why a verb cannot be had now; empty where it can."""
        if self._sandbox is None:
            return _NOTHING
        running = self.running
        if running is not None and verb in (running.verb, Verb.WAKE):
            what = running.act or f"a {running.verb.value}"
            return f"{what} is already running{waits_for(running, self._now)}"
        return self._refusals.get(verb, "")

    def action_wake(self) -> None:
        """Ask to wake the sandbox shown now, or say why that cannot be."""
        self._request_verb(Verb.WAKE)

    def action_reconnect(self) -> None:
        """Ask to reconnect the sandbox shown now, or say why that cannot be."""
        self._request_verb(Verb.RECONNECT)

    def action_cancel(self) -> None:
        """Ask to cancel the attempt shown now; put away one that is over."""
        running = self.running
        if running is not None:
            if not running.cancelling:
                self.post_message(self.CancelRequested(running.id))
        elif self._attempt is not None:
            self._dismissed = self._attempt.id
            self._draw()

    def action_offer(self) -> None:
        """Ask about what the attempt shown now needs confirmed."""
        message = self._offer_message()
        if message is not None:
            self.post_message(message)

    def _offer_message(self) -> OfferRequested | None:
        """What a press of the offer says; None while nothing is offered."""
        attempt = self._attempt
        if not self._offer or attempt is None or not attempt.state.ended:
            return None
        if attempt.id == self._dismissed:
            return None
        return self.OfferRequested(attempt.sandbox, attempt.confirmable)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "cancel":
            return self._visible_attempt is not None
        if action == "offer":
            return self._offer_message() is not None
        if action in ("wake", "reconnect"):
            return None if self.refusal(Verb(action)) else True
        return True

    @property
    def _visible_attempt(self) -> Attempt | None:
        attempt = self._attempt
        if attempt is None or attempt.id == self._dismissed or self._overtaken:
            return None
        return attempt

    def _request_verb(self, verb: Verb) -> None:
        reason = self.refusal(verb)
        if self._sandbox is None or reason:
            self.post_message(self.VerbRefused(verb, reason))
        elif verb is Verb.WAKE:
            self.post_message(self.WakeRequested(self._sandbox.id))
        else:
            self.post_message(self.ReconnectRequested(self._sandbox.id))

    def _draw(self) -> None:
        sandbox = self._sandbox
        reason = Content("") if sandbox is None else present_words(sandbox, self._overtaken)
        self._update_static("#repair-name", title_words(sandbox), layout=False)
        self._draw_buttons()
        if self._mount_lines():
            self._line("#repair-reason", [reason] if self._visible_attempt is None else [])
            self._draw_offer()
            self._draw_attempt()
        self._stack()
        able = (
            self.refusal(Verb.WAKE),
            self.refusal(Verb.RECONNECT),
            self.running is None,
            self._offer_message() is None,
        )
        if able != self._enabled_state:
            self._enabled_state = able
            self.refresh_bindings()

    def _draw_buttons(self) -> None:
        sandbox, running = self._sandbox, self.running
        for verb, message in (
            (Verb.WAKE, self.WakeRequested),
            (Verb.RECONNECT, self.ReconnectRequested),
        ):
            button = self.query_one(f"#repair-{verb.value}", ActionButton)
            reason = self.refusal(verb)
            button.disabled = bool(reason)
            button.tooltip = Content(sanitize_line(reason)) if reason else None
            button.make_message = None if sandbox is None else partial(message, sandbox.id)
        cancel = self.query_one("#repair-cancel", ActionButton)
        cancel.display = running is not None
        cancel.disabled = running is None or running.cancelling
        cancel.make_message = None if running is None else partial(self.CancelRequested, running.id)

    def _draw_offer(self) -> None:
        offered = self._offer_message()
        self.query_one("#repair-offer").display = offered is not None
        self._confirm.make_message = None
        if offered is not None:
            self._confirm.update(Content(f"{self._offer} ({self._keys.offer})"))
            self._confirm.make_message = partial(self.OfferRequested, offered.sandbox, offered.verb)

    def _draw_attempt(self) -> None:
        attempt = self._visible_attempt
        steps: list[Content] = []
        words: list[Content] = []
        if attempt is not None:
            steps = strip_lines(attempt.steps, self._now, max(20, self.content_size.width))
            if attempt.state.ended:
                words = outcome_lines(attempt, offered=bool(self._offer))
            else:
                words = [progress_words(attempt, self._now)]
        elif self._sandbox is not None:
            words = refusal_lines(self._refusals)
        self._line("#repair-steps", steps)
        self._line("#repair-words", words)

    def _line(self, selector: str, lines: list[Content]) -> None:
        self.query_one(selector, Static).display = any(lines)
        self._update_static(selector, joined(lines, "\n"))

    def _update_static(self, selector: str, words: Content, *, layout: bool = True) -> None:
        """Change a line; one that says the same costs nothing."""
        rendered = self._rendered.get(selector)
        if rendered is None or not rendered.is_same(words):
            self._rendered[selector] = words
            static = self.query_one(selector, Static)
            if layout and rendered is not None and (width := static.content_size.width):
                layout = len(words.wrap(width)) != len(rendered.wrap(width))
            static.update(words, layout=layout)
