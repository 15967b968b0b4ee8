"""Pictures of the screen the operator asked for: SVG, owner only, secrets masked."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

from textual.app import App

from services.paths import private_dir
from services.redact import redact


def _write(folder: Path, name: str, text: str) -> Path:
    path = private_dir(folder) / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


async def save(app: App[int], folder: Path, now: float) -> Path | None:
    """Write one; None where the folder cannot be written."""
    name = datetime.fromtimestamp(now).strftime("wakedeck-%Y%m%d-%H%M%S.svg")
    picture = redact(app.export_screenshot(simplify=True))
    try:
        return await asyncio.to_thread(_write, folder, name, picture)
    except OSError:
        return None
