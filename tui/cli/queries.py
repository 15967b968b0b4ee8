"""Commands that only read: `status`, `sandboxes`, `queues`, `logs`, `events`."""

from __future__ import annotations

import click

from tui.cli import completions
from tui.cli.exit import exit_with_code, json_option, settings_of
from tui.cli.since import Since


@click.command()
@json_option
@click.pass_context
@exit_with_code
def status(context: click.Context, as_json: bool) -> int:
    """One line per gateway and totals. Exits 1 when something needs attention."""
    from tui.cli import query_report
    from tui.panel import screen_config

    settings = settings_of(context)
    screen_config.check(settings)
    return query_report.status(settings, as_json)


@click.command()
@json_option
@click.pass_context
@exit_with_code
def sandboxes(context: click.Context, as_json: bool) -> int:
    """Every sandbox with its state and queues."""
    from tui.cli import query_report

    return query_report.sandboxes(settings_of(context), as_json)


@click.command()
@click.argument("sandbox", shell_complete=completions.sandboxes)
@json_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 2000))
@click.pass_context
@exit_with_code
def queues(context: click.Context, sandbox: str, as_json: bool, limit: int) -> int:
    """The newest messages of one sandbox. Exits 4 where there is none of that name."""
    from tui.cli import query_report

    return query_report.queues(settings_of(context), sandbox, limit, as_json)


@click.command()
@click.argument("sandbox", shell_complete=completions.sandboxes)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, across losses.")
@click.option("--stream", default="", metavar="NAME", help="One of --streams; else the usual one.")
@click.option("--streams", is_flag=True, help="List what the log can be read from.")
@click.option("--tail", type=click.IntRange(0, 100_000), help="At most this many lines there are.")
@click.pass_context
@exit_with_code
def logs(
    context: click.Context,
    sandbox: str,
    follow: bool,
    stream: str,
    streams: bool,
    tail: int | None,
) -> int:
    """The log of one sandbox. Exits 1 where there is none, 4 where there is no such sandbox."""
    from tui.cli import log_output

    if streams:
        return log_output.streams(settings_of(context), sandbox)
    request = log_output.LogRequest(stream, follow, tail)
    return log_output.run(settings_of(context), sandbox, request)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON, one event per line.")
@click.option("--search", metavar="TEXT", help="Only events that say this.")
@click.option(
    "--since", type=Since(), help="Only from then on: 30m, 2h, 1d, 1w, a date, a date and time."
)
@click.option(
    "--sandbox",
    metavar="NAME",
    help="Only about this sandbox or gateway.",
    shell_complete=completions.sandboxes,
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 50_000))
@click.option("--all", "everything", is_flag=True, help="All that is kept, whatever the limit.")
@click.option("--repair", is_flag=True, help="Bring back what damaged journals still tell.")
@click.pass_context
@exit_with_code
def events(
    context: click.Context,
    as_json: bool,
    search: str | None,
    since: float | None,
    sandbox: str | None,
    limit: int,
    everything: bool,
    repair: bool,
) -> int:
    """What changed and what was done, newest last, across restarts.

    Exits 1 where what was recorded cannot be read.
    With --json one JSON object a line: `wakedeck events --all --json > events.jsonl` exports it.
    """
    from tui.cli import event_report

    if repair:
        settings_of(context)
        return event_report.repair()
    wanted = event_report.Search(None if everything else limit, since, search, sandbox)
    return event_report.run(settings_of(context), wanted, as_json)
