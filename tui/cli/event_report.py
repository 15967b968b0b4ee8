"""`wakedeck events`: the journal, searched, as lines or as JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import click

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Settings
from services.journal.store import Journal
from services.journal.writing import MAX_ROWS
from services.models import Event
from services.text.format import clock_time
from services.text.signs import SEVERITIES
from tui.cli import tables
from tui.cli.exit import Exit, print_stderr


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted of the journal."""

    limit: int | None = 50
    """The newest so many; None for all that is kept."""
    since: float | None = None
    text: str | None = None
    sandbox: str | None = None
    """A name, `source/name`, or the name of a gateway."""


def run(settings: Settings, wanted: Search, as_json: bool) -> int:
    """Newest last; nothing found is not a failure.

    Raises:
        NotFoundError, AmbiguousError: no event and no source knows the sandbox, or several do.
    """
    found = asyncio.run(_found(settings, wanted))
    for one in reversed(found):
        click.echo(json.dumps(tables.event_json(one)) if as_json else _line(one))
    if not found and not as_json:
        print_stderr(
            "nothing has been recorded" + (" that fits" if paths.journal_file().exists() else "")
        )
    return Exit.DONE


async def _found(settings: Settings, wanted: Search) -> Sequence[Event]:
    path = paths.journal_file()
    found: Sequence[Event] = ()
    if path.exists():
        journal = Journal(path, SystemClock())
        for notice in await journal.open():
            print_stderr(f"wakedeck: {notice.text}")
        try:
            found = await _ask(journal, wanted, wanted.sandbox)
            if not found and wanted.sandbox is not None:
                found = await _ask(journal, wanted, await _native(settings, wanted.sandbox))
        finally:
            await journal.close()
    elif wanted.sandbox is not None:
        await _native(settings, wanted.sandbox)
    return found


async def _ask(journal: Journal, wanted: Search, about: str | None) -> Sequence[Event]:
    limit = MAX_ROWS * 2 if wanted.limit is None else wanted.limit
    return await journal.recent(limit, since=wanted.since, text=wanted.text, about=about)


async def _native(settings: Settings, typed: str) -> str:
    """The id behind a name that only its source knows."""
    from tui.cli.query_report import probed_sources

    async with probed_sources(settings) as probed:
        return str(probed.sandbox(typed).id)


def _line(event: Event) -> str:
    when = clock_time(event.at, with_date=True)
    sign = SEVERITIES[event.severity]
    subject = f"{event.source}/{event.subject}".strip("/") or "wakedeck"
    return f"{when}  {sign.glyph} {sign.word or 'info':<7} {subject}  {event.text}"
