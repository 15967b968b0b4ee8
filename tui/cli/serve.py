"""`wakedeck serve`: the panel as a page on loopback, for a browser."""

from __future__ import annotations

import click

from services.web.gate import DEFAULT_HOST, DEFAULT_PORT
from tui.cli.exit import exit_with_code, settings_of


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="N",
    help="Listen there; 0 takes a free one.",
)
@click.option(
    "--host",
    default=DEFAULT_HOST,
    show_default=True,
    metavar="ADDRESS",
    help="Listen on this address; off loopback only behind a proxy with TLS.",
)
@click.option(
    "--public-url",
    default="",
    metavar="URL",
    help="How browsers reach it through a reverse proxy: https://NAME.",
)
@click.option("--allow-actions", is_flag=True, help="Let the page wake, reconnect and open shells.")
@click.option(
    "--viewers",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    metavar="N",
    help="At most so many panels at once.",
)
@click.pass_context
@exit_with_code
def serve(
    context: click.Context,
    port: int,
    host: str,
    public_url: str,
    allow_actions: bool,
    viewers: int,
) -> int:
    """The panel as a page in a browser, until a signal ends it. Looks, and acts where allowed.

    Prints the address to open. Whoever has it may look, so it is changed at every start.
    """
    settings = settings_of(context)
    from tui.cli import serve_run

    request = serve_run.Request(host, port, public_url, allow_actions, viewers)
    return serve_run.run(context.find_root().obj, settings, request)
