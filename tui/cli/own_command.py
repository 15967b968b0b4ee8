"""The command that is running, to be started once more with the same configuration."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from services.config.settings import Flags


def words(flags: Flags) -> list[str]:
    """Its whole path and the options that choose a configuration."""
    found = _program()
    if flags.config is not None:
        found += ["--config", str(flags.config.absolute())]
    if flags.profile:
        found += ["--profile", flags.profile]
    if flags.local:
        found.append("--local")
    return found


def _program() -> list[str]:
    started = Path(sys.argv[0])
    found = shutil.which(str(started)) if started.name.startswith("wakedeck") else None
    if found is not None:
        return [str(Path(found).absolute())]
    return [sys.executable, "-m", "wakedeck"]
