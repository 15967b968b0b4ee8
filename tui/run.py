"""The panel opened on a terminal, from settings to its exit code."""

from __future__ import annotations

import os
from dataclasses import replace

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Settings
from services.logs import own_log
from services.sources.registry import open_sources
from tui import gc_control
from tui.app import WakedeckApp
from tui.panel import drivers, themes, welcome


def run_panel(settings: Settings) -> int:
    """Open the panel; gives the exit code.

    Raises:
        ConfigError: a theme or a key that cannot be.
    """
    clock = SystemClock()
    state = paths.state_dir()
    own_log.configure(paths.log_file())
    app = WakedeckApp(
        replace(settings, theme=themes.choose_theme(settings, os.environ)),
        open_sources(settings, clock),
        clock,
        state=state,
        views=paths.view_root(),
        on_first_frame=gc_control.freeze_startup_objects,
        welcomes=welcome.claim_first_start(state),
    )
    with drivers.given_back(app):
        return app.run() or 0
