"""`wakedeck watch`: the board without a screen, for ever, as lines on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tui.cli.exit import Exit, exit_with_code, settings_of
from tui.cli.since import Since

if TYPE_CHECKING:
    from services.journal.tail import Position


class Key(click.ParamType):  # type: ignore[type-arg]
    """The `key` of a line that was printed before."""

    name = "key"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Position:
        """A position in the history; a usage error where it is none."""
        from services.journal.tail import Position

        try:
            return Position.parse(str(value))
        except ValueError:
            self.fail(f"{str(value)!r} is no key; give the `key` of a line of `watch`.", param, ctx)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON, one transition per line.")
@click.option("--since", type=Since(), help="Begin with what was recorded from then on.")
@click.option("--after", type=Key(), help="Go on after the line with this key.")
@click.option(
    "--metrics",
    is_flag=False,
    flag_value="127.0.0.1:9646",
    default="",
    metavar="[HOST:PORT]",
    help="Serve /metrics for Prometheus on loopback; 127.0.0.1:9646 unless said.",
)
@click.option("--label-sandboxes", is_flag=True, help="Name sandboxes one by one in the metrics.")
@click.option("--print-unit", is_flag=True, help="Print a systemd user unit and end.")
@click.pass_context
@exit_with_code
def watch(
    context: click.Context,
    as_json: bool,
    since: float | None,
    after: Position | None,
    metrics: str,
    label_sandboxes: bool,
    print_unit: bool,
) -> int:
    """Every change as a line, until a signal ends it. Looks, and never acts.

    The lines are those of the one history: what a panel beside it records is among them, once.
    """
    if since is not None and after is not None:
        raise click.UsageError("--since and --after both say where to begin; give one of them.")
    settings = settings_of(context)
    if print_unit:
        from tui.cli import watch_unit

        click.echo(watch_unit.text(context.find_root().obj, metrics, label_sandboxes), nl=False)
        return Exit.DONE
    from tui.cli import watch_run

    request = watch_run.Request(as_json, since, after, metrics, label_sandboxes)
    return watch_run.run(settings, request)


@click.group()
def notify() -> None:
    """Whom `watch` calls."""


@notify.command("test")
@click.argument("name")
@click.pass_context
@exit_with_code
def try_notice(context: click.Context, name: str) -> int:
    """Send a notice to everybody of [notify.NAME] now. Exits 1 where it could not be sent."""
    from tui.cli import notify_probe

    return notify_probe.run(settings_of(context), name)
