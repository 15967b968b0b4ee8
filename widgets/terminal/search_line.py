"""The search line: its keys and its worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from services.terminal.cells import TerminalScreen
from widgets.terminal.canvas import TerminalCanvas
from widgets.terminal.rows import CellPosition
from widgets.terminal.search import LONGEST_QUERY, Match, Query
from widgets.terminal.viewport import end_of
from widgets.workers import run_worker

LINES_A_SLICE = 250
"""Lines looked at before other work runs."""


class SearchLine:
    """Incremental search from the tail upwards; Enter keeps it, n and N go on."""

    def __init__(self, canvas: TerminalCanvas) -> None:
        self._canvas = canvas
        self._editing = True
        self._no_match = ""
        self._query = Query("")

    @property
    def status(self) -> str:
        """The search line."""
        missed = f" · {self._no_match}" if self._no_match else ""
        if self._editing:
            return f" find: {self._query.text}▏{missed} · Enter keep · Esc close "
        return f" find: {self._query.text}{missed} · n older · N newer · / edit · Esc close "

    @property
    def position(self) -> CellPosition | None:
        """Where the current find begins."""
        return self._canvas.match.position if self._canvas.match is not None else None

    def press(self, key: str, character: str | None) -> bool:
        """Take a key; False ends the search."""
        if key == "escape":
            self.end()
            return False
        if self._editing:
            self._edit(key, character)
        elif key in ("n", "enter", "up"):
            self._older()
        elif key in ("N", "shift+n", "shift+enter", "down"):
            self._newer()
        elif key in ("slash", "backspace"):
            self._editing = True
        return True

    def insert(self, text: str) -> None:
        """Add text to what is looked for."""
        self._editing = True
        line = "".join(char for char in text.splitlines()[0] if char.isprintable()) if text else ""
        self._set_query(self._query.text + line)

    def end(self) -> None:
        """Take the marks away; the view stays where it is."""
        self._canvas.workers.cancel_group(self._canvas, "search")
        self._canvas.show_search(None, None)

    def _edit(self, key: str, character: str | None) -> None:
        text = self._query.text
        if key in ("enter", "up"):
            self._editing = False
            if key == "up":
                self._older()
        elif key == "down":
            self._editing = False
            self._newer()
        elif key in ("backspace", "ctrl+h"):
            self._set_query(text[:-1])
        elif key == "ctrl+w":
            self._set_query(text.rstrip().rpartition(" ")[0])
        elif key == "ctrl+u":
            self._set_query("")
        elif character and character.isprintable() and len(text) < LONGEST_QUERY:
            self._set_query(text + character)

    def _set_query(self, text: str) -> None:
        self._query = Query(text)
        self._canvas.show_search(self._query if text else None, None)
        self._older()

    def _older(self) -> None:
        screen = self._canvas.terminal
        if screen is not None:
            start = self.position or CellPosition(end_of(screen), 0)
            self._run_search(screen, self._query.older(screen, start), "no older one")

    def _newer(self) -> None:
        screen = self._canvas.terminal
        if screen is not None:
            start = self.position or CellPosition(screen.history_base, -1)
            self._run_search(screen, self._query.newer(screen, start), "no newer one")

    def _run_search(
        self, screen: TerminalScreen, walk: Iterator[Match | None], missed: str
    ) -> None:
        self._no_match = ""
        if self._query.text:
            run_worker(
                self._canvas, self._search, screen, walk, missed, group="search", exclusive=True
            )

    async def _search(
        self, screen: TerminalScreen, walk: Iterator[Match | None], missed: str
    ) -> None:
        for looked_at, match in enumerate(walk, 1):
            if match is not None:
                self._canvas.show_search(self._query, match)
                return
            if looked_at % LINES_A_SLICE == 0:
                await asyncio.sleep(0)
                if self._canvas.terminal is not screen:
                    return
        self._no_match = missed if self._canvas.match is not None else "not found"
        self._canvas.refresh()
