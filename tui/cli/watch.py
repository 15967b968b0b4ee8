"""`wakedeck watch`: the board without a screen, for ever; `wakedeck notify`: whom it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from services.config.settings import Flags, Settings
from services.errors import ConfigError
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit, exit_with_code, print_stderr, settings_of
from tui.cli.since import Since

if TYPE_CHECKING:
    from services.journal.tail import Position

UNIT = """\
# ~/.config/systemd/user/wakedeck-watch.service, then:
#   systemctl --user daemon-reload && systemctl --user enable --now wakedeck-watch
#   loginctl enable-linger     (so that it runs while nobody is logged in)
#   journalctl --user --unit wakedeck-watch --follow
[Unit]
Description=Wakedeck without a screen

[Service]
ExecStart={command}
Restart=always
RestartSec=5
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""
"""A systemd user unit that keeps `wakedeck watch` running."""


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
        click.echo(unit_text(context.find_root().obj, metrics, label_sandboxes), nl=False)
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
    return _send_test(settings_of(context), name)


def _send_test(settings: Settings, name: str) -> int:
    """Send one notice; 1 where it could not be sent.

    Raises:
        ConfigError: there is no such table, or it names nobody.
        UnavailableError: apprise is not installed.
    """

    from services.config.notify import urls_of
    from services.config.parser import nearest
    from services.watch.digest import Notice
    from services.watch.sender import Sender

    if name not in settings.notify:
        known = ", ".join(sorted(settings.notify)) or "none"
        hint = nearest(name, settings.notify)
        raise ConfigError(f"There is no [notify.{name}]; there are: {known}{hint}")
    notice = Notice("Wakedeck: a test", "Nothing is wrong: somebody asked whether this arrives.")
    problem = run_command(Sender(name, urls_of(name, settings.notify[name])).send(notice))
    if problem:
        print_stderr(f"wakedeck: not sent: {problem}")
        return Exit.FAILED
    click.echo(f"sent to {name}")
    return Exit.DONE


def unit_text(flags: Flags, metrics: str = "", label_sandboxes: bool = False) -> str:
    """The unit, for the command and the configuration that are in use now."""
    from tui.cli import own_command

    words = own_command.words(flags)
    words += ["watch", "--json"]
    words += ["--metrics", metrics] if metrics else []
    words += ["--label-sandboxes"] if label_sandboxes else []
    return UNIT.format(command=" ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    """One argument as a unit file spells it, whatever is in it."""
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = safe == word and word and not any(one.isspace() or one in "';" for one in word)
    return word if plain else f'"{safe}"'
