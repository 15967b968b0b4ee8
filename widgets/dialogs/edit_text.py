"""A confirmation whose text can be edited, and the dialog that edits it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from widgets.dialogs.confirm import ConfirmDialog
from widgets.panes.binding_rows import keys_of
from widgets.text.cell_text import sanitize_line

LONGEST = 400


class EditableConfirm(ConfirmDialog):
    """A confirmation with a third button that edits the text first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "reword", "Other words", id="confirm.reword"),
    ]
    edit_requested = False
    """Whether it was left for other words; it is then no yes."""

    def on_mount(self) -> None:
        """Put the button between no and yes."""
        words = Content(f"Other words ({keys_of(self, 'confirm.reword')})")
        row = self.query_one("#confirm-buttons")
        row.mount(Button(words, id="confirm-reword", compact=True), before="#confirm-yes")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The third button is ours; the question answers to the other two."""
        if event.button.id == "confirm-reword":
            event.stop()
            event.prevent_default()
            self.action_reword()

    def action_reword(self) -> None:
        """Close and ask for an edited text."""
        self.edit_requested = True
        self.dismiss(False)


class EditTextDialog(ModalScreen[str]):
    """Returns the typed text, or an empty string where it was cancelled."""

    DEFAULT_CSS = """
    EditTextDialog {
        align: center middle;

        #words-box {
            width: 76;
            max-width: 94%;
            height: auto;
            padding: 1 2;
            border: round $accent;
            border-title-color: $foreground;
            background: $surface;
        }
        #words-problem { color: $text-warning; margin: 1 0 0 0; }
        #words-text { margin: 1 0 0 0; }
        #words-buttons { height: 1; margin: 1 0 0 0; align-horizontal: right; }
        Button { min-width: 0; margin: 0 0 0 2; }
        Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="words.cancel"),
    ]

    def __init__(self, target: str, words: str, *, problem: str = "") -> None:
        """`words` are what stands there at first; `problem` is why they will not do."""
        super().__init__()
        self._target = sanitize_line(target, 120)
        self._words = sanitize_line(words, LONGEST)
        self._problem = sanitize_line(problem, 400)

    def compose(self) -> ComposeResult:
        with Vertical(id="words-box") as box:
            box.border_title = Content("Which words?")
            yield Static(Content.styled(self._target, "bold"), markup=False)
            if self._problem:
                yield Static(Content(f"! Not so: {self._problem}."), id="words-problem")
            yield Input(self._words, max_length=LONGEST, id="words-text", compact=True)
            with Horizontal(id="words-buttons"):
                yield Button(Content("Cancel (esc)"), id="words-no", compact=True)
                yield Button(Content("Show what it would do (enter)"), id="words-yes", compact=True)

    def on_mount(self) -> None:
        self.query_one("#words-text").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What is typed is asked about next."""
        event.stop()
        self._submit()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Either way out."""
        event.stop()
        if event.button.id == "words-yes":
            self._submit()
        else:
            self.action_cancel()

    def action_cancel(self) -> None:
        """Cancel."""
        self.dismiss("")

    def _submit(self) -> None:
        words = self.query_one("#words-text", Input).value.strip()
        if words:
            self.dismiss(words)
