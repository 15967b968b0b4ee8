"""`wakedeck doctor`: what was found, and where everything is."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from importlib.metadata import version

import click

from services import paths
from services.config import Settings

# What each kind of source needs on this machine.
_PROGRAMS = {
    "nanoclaw": ("docker",),
    "openshell": ("openshell",),
    "vellum": ("vellum", "bun"),
    "pods": ("kubectl",),
}


def _files() -> dict[str, str]:
    return {
        "config": str(paths.config_file()),
        "journal": str(paths.journal_file()),
        "log": str(paths.log_file()),
        "locks": str(paths.locks_dir()),
        "screenshots": str(paths.pictures_dir()),
        "embedded world": str(paths.local_world()),
    }


def _systems() -> dict[str, dict[str, str]]:
    return {
        kind: {name: shutil.which(name) or "not found" for name in names}
        for kind, names in _PROGRAMS.items()
    }


def run(settings: Settings, as_json: bool) -> int:
    """Report; nothing is started and nothing is asked over a network."""
    report = {
        "schema": 1,
        "wakedeck": version("wakedeck"),
        "python": platform.python_version(),
        "textual": version("textual"),
        "terminal": sys.stdout.isatty(),
        "profile": settings.profile,
        "sources": {one.key: one.kind for one in settings.sources},
        "files": _files(),
        "programs": _systems(),
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0
    click.echo(f"wakedeck {report['wakedeck']}, Python {report['python']}")
    click.echo(f"profile  {settings.profile}")
    for source in settings.sources:
        click.echo(f"source   {source.key} ({source.kind})")
    click.echo("\nFiles")
    for name, place in _files().items():
        click.echo(f"  {name:<16}{place}")
    click.echo("\nPrograms other sources would need")
    for kind, programs in _systems().items():
        found = ", ".join(f"{name}: {place}" for name, place in programs.items())
        click.echo(f"  {kind:<16}{found}")
    return 0
