"""The life of `wakedeck serve`: the page served until a signal, and every panel ended with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Flags, Settings
from services.errors import WakedeckError
from services.sources.registry import open_sources
from services.web.gate import place
from services.web.server import Serving, serving
from tui.cli import own_command
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit, print_stderr
from tui.cli.until_signal import run_until_signal


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    host: str
    port: int
    public_url: str
    allow_actions: bool
    viewers: int


def run(flags: Flags, settings: Settings, request: Request) -> int:
    """Serve until a signal; 0.

    Raises:
        ConfigError: it may not be served there.
        UnavailableError: it cannot be.
    """
    read_only = settings.read_only or not request.allow_actions
    argv = own_command.words(flags)
    if flags.theme:
        argv += ["--theme", flags.theme]
    if read_only:
        argv.append("--read-only")

    def counted(viewers: int) -> None:
        print_stderr(f"wakedeck: {viewers} of {request.viewers} viewers")

    named = "" if settings.profile == "default" else f" · {settings.profile}"
    wanted = Serving(
        place(request.host, request.port, request.public_url),
        argv,
        request.viewers,
        paths.page_views_dir(),
        f"Wakedeck{named}",
        counted,
    )
    return run_command(_served(wanted, settings, _notice(settings, request)))


def _notice(settings: Settings, request: Request) -> str:
    if not request.allow_actions:
        return "the page looks and never acts; --allow-actions lets it"
    if settings.read_only:
        origin = settings.origins.get("read_only", "the configuration")
        return f"the page looks and never acts: read_only is set by {origin}"
    return "whoever has this address can act and open shells on your sandboxes"


@asynccontextmanager
async def held(settings: Settings) -> AsyncIterator[None]:
    """What lives as long as a panel, while inside: a page loaded again finds the same agents."""
    opened = open_sources(settings, SystemClock())
    lives = [one.lifecycle for one in opened if one.lifecycle is not None]
    try:
        for one in lives:
            try:
                await one.enter()
            except WakedeckError as error:
                print_stderr(f"wakedeck: {error.sentence}")
        yield
    finally:
        for one in lives:
            await one.leave()


async def _served(wanted: Serving, settings: Settings, notice: str) -> int:
    async with serving(wanted) as gate, held(settings):
        click.echo(gate.address)
        print_stderr(f"wakedeck: {notice}; Ctrl+C ends it and every panel of it")
        await run_until_signal()
    return Exit.DONE
