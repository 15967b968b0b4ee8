"""What a frame of the terminal view costs, down to the bytes for the outer terminal.

Interleaved in one run: one line changed, all lines with strips cached on their rows, all lines
drawn anew from their runs.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.geometry import Region

from services.terminal.cells import PLAIN, RGB, CellStyle
from tests.support.screens import GivenRow, GivenScreen
from widgets.terminal.view import TerminalView

COLUMNS, LINES, ROUNDS = 200, 60, 40
GOAL = 1.5
"""Milliseconds a full frame may take (upstream/terminal: Drawing)."""


def text_rows(chance: random.Random) -> list[GivenRow]:
    """A plain log."""
    return [
        GivenRow([("".join(chance.choices("abcdefghij /.-0123456789", k=COLUMNS)), PLAIN)])
        for _ in range(LINES)
    ]


def colour_rows(chance: random.Random) -> list[GivenRow]:
    """A colour about every ten characters."""
    styles = [CellStyle(foreground=index % 16, bold=index > 15) for index in range(32)]
    return [
        GivenRow([("0123456789", chance.choice(styles)) for _ in range(COLUMNS // 10)])
        for _ in range(LINES)
    ]


def truecolour_rows(chance: random.Random) -> list[GivenRow]:
    """Both colours different in every cell."""
    styles = [
        CellStyle(RGB | chance.randrange(1 << 24), RGB | chance.randrange(1 << 24))
        for _ in range(4096)
    ]
    return [GivenRow([("#", chance.choice(styles)) for _ in range(COLUMNS)]) for _ in range(LINES)]


class Host(App[None]):
    """One view, as large as the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.view = TerminalView()

    def compose(self) -> ComposeResult:
        yield self.view

    def frame(self, *regions: Region) -> int:
        """Draw what is out of date; the size of the bytes."""
        self.view.refresh(*regions)
        compositor = self.screen._compositor
        compositor.update_widgets({self.view})
        update = compositor.render_update(screen_stack=self._background_screens)
        assert update is not None
        assert not isinstance(update, str)
        return len(update.render_segments(self.console).encode())  # type: ignore[union-attr]


def milliseconds(draw: Callable[[], int]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    draw()
    return (time.perf_counter() - start) * 1000


async def measure() -> None:
    """Print the table."""
    app = Host()
    print(f"Drawing, {COLUMNS}x{LINES}, median ms a frame of {ROUNDS} interleaved rounds")
    print(f"{'':12}{'one line':>10}{'all, cached':>13}{'all, anew':>11}{'ratio':>8}{'kB':>7}")
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        for name, rows_of in (
            ("text", text_rows),
            ("colour", colour_rows),
            ("truecolour", truecolour_rows),
        ):
            screen = GivenScreen(rows_of(random.Random(7)), columns=COLUMNS)
            app.view.terminal = screen
            await pilot.pause()
            size = app.frame()

            def anew(screen: GivenScreen = screen) -> int:
                for row in screen.rows:
                    row.cache = None
                return app.frame()

            def one(screen: GivenScreen = screen) -> int:
                screen.rows[30].cache = None
                return app.frame(Region(0, 30, COLUMNS, 1))

            taken: dict[str, list[float]] = {"one": [], "cached": [], "anew": []}
            for _ in range(ROUNDS):
                taken["one"].append(milliseconds(one))
                taken["anew"].append(milliseconds(anew))
                taken["cached"].append(milliseconds(app.frame))
            one_ms, cached, new = (statistics.median(values) for values in taken.values())
            verdict = "" if cached <= GOAL else f"  (goal {GOAL})"
            print(
                f"{name:12}{one_ms:10.2f}{cached:13.2f}{new:11.2f}{new / cached:7.1f}x"
                f"{size / 1000:7.0f}{verdict}"
            )


def main() -> None:
    """Run it."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
