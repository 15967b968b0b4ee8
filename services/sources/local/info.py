"""What is known of the embedded world before anything of it is loaded."""

from __future__ import annotations

from pathlib import Path

from services.config.sources import LocalTable
from services.models import Capability, Source


def local_info(key: str, table: LocalTable, root: Path) -> Source:
    """Who it is; it can do all there is."""
    return Source(key, "local", table.label, str(root), frozenset(Capability))
