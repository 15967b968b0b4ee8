"""Shell completions, from the real parser; and what can be completed beyond it."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from services.config.settings import Flags
from services.errors import WakedeckError
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit, exit_with_code

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "wakedeck"
VARIABLE = "_WAKEDECK_COMPLETE"
_MAX_EVENTS = 5000


def sandboxes(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Sandboxes the journal has heard of: asking the sources would make Tab wait."""
    try:
        names = run_command(_known())
    except (WakedeckError, OSError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(typed)]


async def _known() -> list[str]:
    from services.clock import SystemClock
    from services.config import paths
    from services.journal.store import Journal

    path = paths.journal_file()
    if not path.exists():
        return []
    journal = Journal(path, SystemClock())
    await journal.open()
    try:
        heard = await journal.recent(_MAX_EVENTS)
    finally:
        await journal.close()
    wanted = {one for one in heard if one.kind in ("sandbox", "attempt", "shell") and one.subject}
    plainly = {one.subject for one in wanted}
    return sorted(plainly | {f"{one.source}/{one.subject}" for one in wanted})


def profiles(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Profiles of the configuration file."""
    from services.config import paths
    from services.config.settings import read_file

    flags = context.find_root().obj
    named = flags.config if isinstance(flags, Flags) else context.params.get("config")
    try:
        table = read_file(named or paths.config_file())
    except WakedeckError:
        return []
    return [CompletionItem(name) for name in sorted(table.profiles) if name.startswith(typed)]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
@exit_with_code
def completions(context: click.Context, shell: str) -> int:
    """Print what makes a shell complete `wakedeck`.

    bash: source <(wakedeck completions bash). zsh: the same after compinit. fish: wakedeck
    completions fish > ~/.config/fish/completions/wakedeck.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = context.find_root().command
    click.echo(kind(root, {}, PROGRAM, VARIABLE).source())
    return Exit.DONE
