"""`wakedeck source check`: what a program that speaks the source protocol still lacks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from services.sources.remote.check import SourceCheck
from tui.cli import tables
from tui.cli.exit import Exit


def run(argv: Sequence[str], act_on: str, as_json: bool) -> int:
    """Every requirement with its outcome; 1 where one is not met.

    Raises:
        ProcessError: the program cannot be started.
    """
    found = asyncio.run(SourceCheck(argv, act_on).run())
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
