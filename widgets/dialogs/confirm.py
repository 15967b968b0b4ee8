"""A confirmation dialog for what cannot be undone."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from widgets.panes.binding_rows import keys_of
from widgets.text.cell_text import sanitize_block, sanitize_line


class ConfirmDialog(ModalScreen[bool]):
    """Returns True where the operator confirmed, False for every other way out.

    Cancel has the focus. With `type_to_confirm` the name has to be typed first: the focus is then
    in that line, and neither Enter nor the button does anything until the two are equal.
    """

    DEFAULT_CSS = """
    ConfirmDialog {
        align: center middle;

        #confirm-box {
            width: 64;
            max-width: 90%;
            height: auto;
            max-height: 90%;
            padding: 1 2;
            border: round $warning;
            border-title-color: $text-warning;
            background: $surface;
        }
        #confirm-words { height: auto; max-height: 12; overflow-y: auto; margin: 1 0 0 0; }
        #confirm-ask { margin: 1 0 0 0; }
        #confirm-typed { margin: 0; }
        #confirm-buttons { height: 1; margin: 1 0 0 0; align-horizontal: right; }
        Button { min-width: 0; margin: 0 0 0 2; }
        #confirm-no.-style-default { background: $foreground 12%; }
        #confirm-no.-style-default:focus {
            background: $foreground;
            color: $background;
            text-style: bold;
        }
        #confirm-yes.-warning { background: $warning 25%; color: $text-warning; }
        #confirm-yes.-warning:focus { background: $warning; color: $background; text-style: bold; }
        #confirm-yes:disabled { background: $foreground 4%; color: $foreground-disabled; }
        Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes", id="confirm.yes"),
        Binding("escape,n,q", "no", "Cancel", id="confirm.no"),
        Binding("left,h", "app.focus_previous", "Previous", id="confirm.left", show=False),
        Binding("right,l", "app.focus_next", "Next", id="confirm.right", show=False),
    ]

    def __init__(
        self,
        title: str,
        target: str,
        consequence: str,
        *,
        verb: str = "Confirm",
        type_to_confirm: str | None = None,
    ) -> None:
        """`title` is the question, `target` what it is about, `consequence` what will happen."""
        super().__init__()
        self._question = sanitize_line(title, 60)
        self._target = sanitize_line(target, 120)
        self._consequence = sanitize_block(consequence)
        self._verb = sanitize_line(verb, 24)
        self._typed_name = None if type_to_confirm is None else sanitize_line(type_to_confirm, 120)

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm-box") as box:
            box.border_title = Content(self._question)
            yield Static(Content.styled(self._target, "bold"), id="confirm-target", markup=False)
            yield Static(Content(self._consequence), id="confirm-words", markup=False)
            if self._typed_name is not None:
                ask = Content.assemble("Type to confirm: ", (self._typed_name, "bold"))
                yield Static(ask, id="confirm-ask", markup=False)
                yield Input(id="confirm-typed", compact=True)
            with Horizontal(id="confirm-buttons"):
                yield Button(Content("Cancel"), id="confirm-no", compact=True)
                yield Button(
                    Content(self._verb),
                    id="confirm-yes",
                    variant="warning",
                    compact=True,
                    disabled=self._typed_name is not None,
                )

    def on_mount(self) -> None:
        no, yes = keys_of(self, "confirm.no"), keys_of(self, "confirm.yes")
        if self._typed_name is not None:
            no, yes = no.split(", ")[0], "enter"
        self.query_one("#confirm-no", Button).label = Content(f"Cancel ({no})")
        self.query_one("#confirm-yes", Button).label = Content(f"{self._verb} ({yes})")
        self.query_one("#confirm-typed" if self._typed_name is not None else "#confirm-no").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return True if action != "yes" or self._confirmed else None

    @property
    def _confirmed(self) -> bool:
        if self._typed_name is None:
            return True
        # The bindings are asked about before the input is there.
        typed = self.query("#confirm-typed").results(Input)
        return any(one.value == self._typed_name for one in typed)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one("#confirm-yes", Button).disabled = not self._confirmed

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_yes()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "confirm-yes":
            self.action_yes()
        else:
            self.action_no()

    def action_yes(self) -> None:
        """Confirm, once the name is typed where that is required."""
        if self._confirmed:
            self.dismiss(True)

    def action_no(self) -> None:
        """Cancel."""
        self.dismiss(False)
