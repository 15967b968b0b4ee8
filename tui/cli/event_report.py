"""`wakedeck events`: the journal, searched, as lines or as JSON lines."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

import click

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Settings
from services.errors import UnavailableError
from services.journal.file import UnusableError, is_begun, set_aside_names
from services.journal.rows import EventQuery
from services.journal.salvage import bring_back
from services.journal.store import History, Journal
from services.journal.writing import MAX_ROWS
from services.models import Event
from services.text.format import clock_time
from services.text.sanitize import sanitize
from services.text.signs import SEVERITIES
from tui.cli import tables
from tui.cli.event_loop import run_command
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
    """Newest last; nothing found is no failure, what could not be read is: 1.

    Raises:
        NotFoundError, AmbiguousError: no event and no source knows the sandbox, or several do.
    """
    found = run_command(_found(settings, wanted))
    for one in reversed(found.events):
        click.echo(json.dumps(tables.event_json(one)) if as_json else line(one))
    if found.unreadable:
        some = "1 record" if found.unreadable == 1 else f"{found.unreadable} records"
        print_stderr(f"wakedeck: {some} of the journal cannot be read and left out.")
    if found.problem:
        print_stderr(f"wakedeck: {found.problem}")
        return Exit.FAILED
    if not found.events and not as_json:
        print_stderr(
            "nothing has been recorded" + (" that fits" if is_begun(paths.journal_file()) else "")
        )
    return Exit.DONE


def repair() -> int:
    """Bring back what damaged journals still tell; 1 where something stays lost."""
    path = paths.journal_file()
    if not is_begun(path) and not set_aside_names(path):
        print_stderr("nothing has been recorded, so there is nothing to bring back")
        return Exit.DONE
    try:
        results = run_command(bring_back(path, SystemClock()))
    except UnusableError as error:
        raise UnavailableError(f"Nothing can be brought back: {error}.") from error
    except BlockingIOError as error:
        raise UnavailableError(
            "Nothing can be brought back: another panel is busy with the file.",
            advice="Try again in a moment.",
        ) from error
    except sqlite3.Error as error:
        raise UnavailableError(
            f"Nothing can be brought back: {sanitize(str(error), 120)}."
        ) from error
    for one in results:
        click.echo(
            f"{sanitize(one.name)}: {one.found} events read, {one.added} of them brought back"
            + (f", {one.missing} lost" if one.missing else "")
        )
    if not results:
        click.echo("no journal is damaged")
    return Exit.FAILED if any(one.missing or not one.found for one in results) else Exit.DONE


async def _found(settings: Settings, wanted: Search) -> History:
    path = paths.journal_file()
    found = History(())
    damaged = _set_aside_sentence(path)
    if is_begun(path) or damaged:
        journal = Journal(path, SystemClock())
        for notice in await journal.open():
            print_stderr(f"wakedeck: {notice.text}")
        try:
            found = await _ask(journal, wanted, wanted.sandbox)
            if not found.events and not found.problem and wanted.sandbox is not None:
                found = await _ask(journal, wanted, await _native(settings, wanted.sandbox))
        finally:
            await journal.close()
        if not damaged and (damaged := _set_aside_sentence(path)):
            # It was this very look that found the damage.
            found = replace(found, problem=found.problem or damaged)
        elif damaged:
            print_stderr(f"wakedeck: {damaged}")
    elif wanted.sandbox is not None:
        await _native(settings, wanted.sandbox)
    return found


def _set_aside_sentence(path: Path) -> str:
    names = [sanitize(one.name) for one in set_aside_names(path)]
    if not names:
        return ""
    which = names[-1] if len(names) == 1 else f"{names[-1]} and {len(names) - 1} more"
    return (
        f"What was recorded earlier is in a damaged journal, {which}:"
        " `wakedeck events --repair` brings back what can be read."
    )


async def _ask(journal: Journal, wanted: Search, about: str | None) -> History:
    limit = MAX_ROWS * 2 if wanted.limit is None else wanted.limit
    return await journal.search(
        EventQuery(limit, since=wanted.since, text=wanted.text, about=about)
    )


async def _native(settings: Settings, typed: str) -> str:
    """The id behind a name that only its source knows."""
    from tui.cli.query_report import probed_sources

    async with probed_sources(settings) as probed:
        return str((await probed.sandbox(typed)).id)


def line(event: Event) -> str:
    """One event as it is printed."""
    when = clock_time(event.at, with_date=True)
    sign = SEVERITIES[event.severity]
    subject = f"{event.source}/{event.subject}".strip("/") or "wakedeck"
    return f"{when}  {sign.glyph} {sign.word or 'info':<7} {subject}  {event.text}"
