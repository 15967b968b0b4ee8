"""Screenshots of the panel: SVG, readable by the owner only, secrets masked."""

from __future__ import annotations

import asyncio
import io
import os
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.segment import SegmentLines
from textual._compositor import LayoutUpdate
from textual.app import App
from textual.strip import Strip

from services.config.paths import private_dir
from services.files.private import open_private
from services.text.redact import redact
from tui.panel.masking import redact_strips


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
