"""Commands that act on a sandbox or work in it: `wake`, `reconnect`, `shell`, `exec`."""

from __future__ import annotations

import click

from tui.cli.completions import sandboxes
from tui.cli.exit import exit_with_code, json_option, settings_of

confirm_option = click.option(
    "--confirm",
    "confirmed",
    metavar="REPAIR",
    default="",
    help="Agree beforehand to this one repair, such as repair-guardian: it runs only where the "
    "attempt ends by asking for exactly that. Without it, what it would cost is said.",
)
"""What a panel would ask in a dialog."""


@click.command()
@click.argument("sandbox", shell_complete=sandboxes)
@json_option
@confirm_option
@click.pass_context
@exit_with_code
def wake(context: click.Context, sandbox: str, as_json: bool, confirmed: str) -> int:
    """Bring one sandbox back. Exits 0 done, 1 failed, 3 refused or to confirm, 4 unknown."""
    from services.models import Verb
    from tui.cli import attempt

    return attempt.run(settings_of(context), Verb.WAKE, sandbox, as_json, confirmed)


@click.command()
@click.argument("sandbox", required=False, shell_complete=sandboxes)
@json_option
@confirm_option
@click.pass_context
@exit_with_code
def reconnect(context: click.Context, sandbox: str | None, as_json: bool, confirmed: str) -> int:
    """Bring one sandbox back and prove the link to it.

    Without a name: NemoClaw's default sandbox, or the only one there is. With SOURCE/: sign in to
    that source and list it.
    """
    from services.models import Verb
    from tui.cli import attempt

    return attempt.run(settings_of(context), Verb.RECONNECT, sandbox, as_json, confirmed)


@click.command()
@click.argument("sandbox", shell_complete=sandboxes)
@click.option("--pod", help="The pod, where a sandbox has several.")
@click.option("--first-pod", is_flag=True, help="Take the first pod without asking.")
@click.option("--container", help="The container, where a pod has several.")
@click.option("--shell", type=click.Choice(["bash", "sh", "zsh"]), help="The shell to run.")
@click.option("--agent", is_flag=True, help="Attach to the agent itself, after a warning.")
@click.pass_context
@exit_with_code
def shell(
    context: click.Context,
    sandbox: str,
    pod: str | None,
    first_pod: bool,
    container: str | None,
    shell: str | None,
    agent: bool,
) -> int:
    """A shell in a sandbox, in this terminal. Exits with its code; 255 when it was lost."""
    from services.terminal.exec.requests import AGENT, ShellChoice
    from tui.cli import raw_shell

    chosen = AGENT if agent else shell
    return raw_shell.run(
        settings_of(context), sandbox, ShellChoice(pod, first_pod, chosen, container)
    )


@click.command(name="exec", context_settings={"ignore_unknown_options": True})
@click.argument("sandbox", shell_complete=sandboxes)
@click.option("--pod", help="The pod, where a sandbox has several.")
@click.option("--first-pod", is_flag=True, help="Take the first pod without asking.")
@click.option("--container", help="The container, where a pod has several.")
@click.option("--shell", type=click.Choice(["bash", "sh", "zsh"]), help="The shell that runs it.")
@click.option("--timeout", type=click.FloatRange(0.1, 604_800), help="Seconds until it is stopped.")
@click.option("-i", "--stdin", is_flag=True, help="Pass this process's own input on to it.")
@click.option("-t", "--tty", is_flag=True, help="Give it this terminal: for an editor, a pager.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
@exit_with_code
def exec_(
    context: click.Context,
    sandbox: str,
    pod: str | None,
    first_pod: bool,
    container: str | None,
    shell: str | None,
    timeout: float | None,
    stdin: bool,
    tty: bool,
    command: tuple[str, ...],
) -> int:
    """Run one command in a sandbox. Exits with its code; 255 when the outcome is unknown."""
    from services.terminal.exec.requests import ShellChoice

    choice = ShellChoice(pod, first_pod, shell, container)
    if tty:
        from tui.cli import raw_shell

        if timeout is not None:
            raise click.UsageError("-t takes no --timeout: leave it with ~. after Enter.")
        return raw_shell.run_on_terminal(settings_of(context), sandbox, command, choice)
    from tui.cli import exec_command

    return exec_command.run(settings_of(context), sandbox, command, timeout, choice, stdin=stdin)
