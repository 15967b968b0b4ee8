"""`wakedeck source`: the far side of a remote source, and the suite for sources of others."""

from __future__ import annotations

import click

from services.config.settings import Flags
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit, exit_with_code, json_option


@click.group(invoke_without_command=True)
@click.option("--stdio", is_flag=True, help="Serve this machine's sources on stdin and stdout.")
@click.option("--profile", metavar="P", help="Use this profile of the configuration here.")
@click.option("--only", multiple=True, metavar="S", help="Only this source; may be repeated.")
@click.option("--read-only", is_flag=True, help="Look, never act.")
@click.pass_context
def source(
    context: click.Context,
    stdio: bool,
    profile: str | None,
    only: tuple[str, ...],
    read_only: bool,
) -> None:
    """Serve this machine's sources to a panel elsewhere. Panels start it, mostly through ssh."""
    if context.invoked_subcommand is None:
        if not stdio:
            raise click.UsageError("Say --stdio, or a command: check.", context)
        _serve(context.find_root().obj, profile, only, read_only)


@exit_with_code
def _serve(flags: Flags, profile: str | None, only: tuple[str, ...], read_only: bool) -> int:
    from tui.cli import source_stdio

    return source_stdio.run(flags, profile, only, read_only)


@source.command(context_settings={"ignore_unknown_options": True})
@json_option
@click.option(
    "--act-on", default="", metavar="SANDBOX", help="Also wake this one and open a shell."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@exit_with_code
def check(as_json: bool, act_on: str, command: tuple[str, ...]) -> int:
    """Run the conformance suite against a source program. Exits 1 where something is missing."""
    import json
    from dataclasses import asdict

    from services.sources.remote.check import SourceCheck
    from tui.cli import tables

    found = run_command(SourceCheck(command, act_on).run())
    wanting = [one for one in found if not one.ok]
    if as_json:
        shape = {"schema": tables.SCHEMA, "findings": [asdict(one) for one in found]}
        click.echo(json.dumps(shape, indent=2))
    else:
        for one in found:
            sign = "–" if one.skipped else "✓" if one.ok else "✕"
            click.echo(f"{sign} {one.name}" + (f": {one.said}" if one.said else ""))
        said = f"{len(wanting)} of {len(found)} are not met" if wanting else "all are met"
        click.echo(said, err=True)
    return Exit.FAILED if wanting else Exit.DONE
