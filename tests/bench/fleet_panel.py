"""The program `tests.bench.scale` looks at: the panel as the user has it, on a fleet of N.

`python -m tests.bench.fleet_panel N STATE_FOLDER` opens the panel on the terminal it is given;
with `bare` as a third word it only looks, once a second at every source, and shows nothing: what
the fleet itself costs; with `watch` it is `wakedeck watch --json` with metrics on the same fleet.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from services.clock import SystemClock
from services.config.settings import Settings, SourceSettings
from services.config.sources import LocalTable
from tests.bench.fleet import SOURCES, fleets, open_fleets


async def _only_look(size: int) -> None:
    observers = fleets(size, SystemClock())
    print("sandboxes", flush=True)
    while True:
        for one in observers:
            await one.observe()
            await asyncio.sleep(1 / len(observers))


def _settings() -> Settings:
    # Only the interval of each source is taken from its table.
    sources = tuple(SourceSettings(f"site-{at}", "fleet", LocalTable()) for at in range(SOURCES))
    return Settings("scale", sources)


def _watch(size: int) -> None:
    from tui.cli import watch_run

    vars(watch_run)["open_sources"] = lambda _, clock: open_fleets(size, clock)
    watch_run.run(_settings(), watch_run.Request(as_json=True, metrics="127.0.0.1:0"))


def main() -> None:
    """Until it is ended."""
    size, state = int(sys.argv[1]), Path(sys.argv[2])
    if "bare" in sys.argv:
        asyncio.run(_only_look(size))
        return
    if "watch" in sys.argv:
        _watch(size)
        return
    from tui import gc_control
    from tui.app import WakedeckApp

    clock = SystemClock()
    app = WakedeckApp(
        _settings(),
        open_fleets(size, clock),
        clock,
        state=state,
        on_first_frame=gc_control.freeze_startup_objects,
    )
    app.run()


if __name__ == "__main__":
    main()
