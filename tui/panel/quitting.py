"""The question before something would be lost: shells that are open, attempts under way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import App

from services.models import Attempt
from services.text.format import plural
from services.text.signs import DOING
from tui.engine import Engine
from tui.panel.shells import OpenShell, Shells

_MOST = 4
"""Shells and attempts named one by one."""


def losses(
    shells: Sequence[OpenShell], attempts: Sequence[Attempt], engine: Engine
) -> tuple[str, str]:
    """What would end, counted in a line, and each by name; empty texts for nothing."""
    counted = [plural(len(shells), "open shell")] if shells else []
    counted += [f"{plural(len(attempts), 'attempt')} under way"] if attempts else []
    named = [
        f"shell in {engine.name_of(one.session.shell.sandbox)}"
        + ("" if one.session.idle else ", a program runs in it")
        for one in shells
    ]
    named += [f"{DOING[one.verb]} {engine.name_of(one.sandbox)}" for one in attempts]
    if len(named) > _MOST:
        named = [*named[:_MOST], f"and {len(named) - _MOST} more"]
    return " and ".join(counted), "\n".join(named)


class Quitting:
    """Asks once, names what would end, and stands on Cancel; `confirm_quit` says when."""

    def __init__(
        self,
        app: App[int],
        when: str,
        shells: Shells,
        engine: Engine,
        leave: Callable[[], None],
    ) -> None:
        """`when` is `auto`, `always` or `never`."""
        self._app, self._when = app, when
        self._shells, self._engine, self._leave = shells, engine, leave

    def ask(self) -> None:
        """Leave at once where nothing would be lost, or where the operator agrees."""
        live = [one for one in self._shells if not one.session.shell.state.over]
        counted, named = losses(live, self._engine.running_attempts, self._engine)
        if self._when == "never" or (self._when == "auto" and not counted):
            self._leave()
            return
        from widgets.dialogs.confirm import ConfirmDialog

        self._app.push_screen(
            ConfirmDialog(
                "Quit?",
                f"This ends {counted}." if counted else "Nothing is open or under way.",
                named or "`confirm_quit` in the configuration asks for this question.",
                verb="Quit",
            ),
            self._answered,
        )

    def ask_to_close(self, opened: OpenShell, close: Callable[[], None]) -> None:
        """Close a shell; one in which a program runs only where the operator agrees."""
        session = opened.session
        if self._when == "never" or session.shell.state.over or session.idle:
            close()
            return
        from widgets.dialogs.confirm import ConfirmDialog

        self._app.push_screen(
            ConfirmDialog(
                "Close this shell?",
                self._engine.name_of(session.shell.sandbox),
                "A program seems to run in it: it loses its terminal.",
                verb="Close",
            ),
            lambda agreed: close() if agreed else None,
        )

    def _answered(self, agreed: bool | None) -> None:
        if agreed:
            self._leave()
