"""Screenshots of the panel: SVG, readable by the owner only, secrets masked.

A drawn line is cut into pieces by style, by panes and by wrapping, so no text of the picture holds
a secret whole. It is therefore looked for on the cells, before there is a picture.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from rich.cells import get_character_cell_size
from rich.console import Console
from rich.segment import Segment, SegmentLines
from textual._compositor import LayoutUpdate
from textual.app import App
from textual.geometry import Region
from textual.strip import Strip

from services.config.paths import private_dir
from services.files.private import open_private
from services.text.redact import MASK, redact

_STAR = "*"
_EDGES = dict.fromkeys(range(0x2500, 0x2580), " ")
"""Box drawing ends a word as a blank does."""


def _write(folder: Path, name: str, text: str) -> Path:
    path = private_dir(folder) / name
    handle = open_private(path, os.O_WRONLY | os.O_CREAT)
    os.ftruncate(handle, 0)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def render_svg(app: App[int]) -> str:
    """Render the screen as SVG with secrets masked."""
    screens = [app.screen, *app._background_screens]
    regions = [
        region.intersection(clip)
        for screen in screens
        for widget, (region, clip) in screen._compositor.visible_widgets.items()
        if not widget.children
    ]
    update = app.screen._compositor.render_update(
        full=True, screen_stack=app._background_screens, simplify=True
    )
    assert isinstance(update, LayoutUpdate)
    lines = redact_strips([Strip.join(line) for line in update.strips], regions)
    console = Console(
        width=app.size.width,
        height=app.size.height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
        safe_box=False,
    )
    console.print(SegmentLines([list(line) for line in lines], new_lines=True), end="")
    return redact(console.export_svg(title=app.title))


async def save(app: App[int], folder: Path, now: float) -> Path | None:
    """Write a screenshot; None where the folder cannot be written."""
    name = datetime.fromtimestamp(now).strftime("wakedeck-%Y%m%d-%H%M%S.svg")
    picture = render_svg(app)
    try:
        return await asyncio.to_thread(_write, folder, name, picture)
    except OSError:
        return None


def redacted_spans(text: str) -> list[tuple[int, int]]:
    """Where `redact` masks a text: (first, past the last) of its characters."""
    said = redact(text)
    if said == text:
        return []
    first, *rest = said.split(MASK)
    spans: list[tuple[int, int]] = []
    place = len(first)
    for number, piece in enumerate(rest, 1):
        found = len(text) - len(piece) if number == len(rest) else text.find(piece, place)
        if found < place or not rest:
            return [(0, len(text))]
        spans.append((place, found))
        place = found + len(piece)
    return spans if text.startswith(first) else [(0, len(text))]


class _Cells:
    """Drawn lines by cell; a wide character stands in its first, a mark with what it is on."""

    def __init__(self, lines: Sequence[Strip]) -> None:
        self.rows: list[list[str]] = []
        self.hidden: set[tuple[int, int]] = set()
        for strip in lines:
            row: list[str] = []
            for char in strip.text:
                width = get_character_cell_size(char)
                if width == 0 and row:
                    row[-1] += char
                else:
                    row += [char, *[""] * (width - 1)]
            self.rows.append(row)

    def hide(self, region: Region) -> None:
        """Mask what a region says, read line after line without a break."""
        places: list[tuple[int, int]] = []
        chars: list[str] = []
        for y in range(max(0, region.y), min(region.bottom, len(self.rows))):
            row = self.rows[y]
            for x in range(max(0, region.x), min(region.right, len(row))):
                places += [(y, x)] * len(row[x])
                chars.append(row[x])
        for start, end in redacted_spans("".join(chars).translate(_EDGES)):
            self.hidden.update(at for at in places[start:end] if self.rows[at[0]][at[1]] != " ")


def redact_strips(lines: Sequence[Strip], regions: Iterable[Region]) -> list[Strip]:
    """Return the lines with every secret replaced by stars, cell by cell.

    It is looked for on each line and in each of the regions, such as those of the widgets: there
    one may go on in the next line.
    """
    cells = _Cells(lines)
    for y, row in enumerate(cells.rows):
        cells.hide(Region(0, y, len(row), 1))
    for region in regions:
        cells.hide(region)
    return [_mask_cells(strip, y, cells.hidden) for y, strip in enumerate(lines)]


def _mask_cells(strip: Strip, y: int, hidden: set[tuple[int, int]]) -> Strip:
    if not any(place[0] == y for place in hidden):
        return strip
    segments: list[Segment] = []
    x = 0
    for text, style, control in strip:
        if control:
            segments.append(Segment(text, style, control))
            continue
        chars: list[str] = []
        for char in text:
            width = get_character_cell_size(char)
            known = (y, x if width else x - 1) in hidden
            chars.append(_STAR * width if known else char)
            x += width
        segments.append(Segment("".join(chars), style))
    return Strip(segments)
