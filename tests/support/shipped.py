"""Writes what a wheel ships beside the code, from the parser itself: `make shipped`.

The manual page and completions under `share/`; the wheel puts them where a system looks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from tui.cli.completions import PROGRAM, SHELLS, VARIABLE
from tui.cli.exit import Exit
from tui.cli.main import main as command

ROOT = Path(__file__).resolve().parents[2]
SHARE = ROOT / "share"
PLACES = {"bash": PROGRAM, "zsh": f"_{PROGRAM}", "fish": f"{PROGRAM}.fish"}
"""Names that shells look for."""
_RELEASED = re.compile(r"^## \d+\.\d+\.\d+ \((\d{4}-\d{2}-\d{2})\)$", re.M)


def released() -> str:
    """The day of the newest release of the changelog, or nothing before the first."""
    found = _RELEASED.search((ROOT / "CHANGELOG.md").read_text("utf-8"))
    return found[1] if found else ""


def files() -> dict[str, str]:
    """Everything there is to ship, by its place below `share`."""
    found = {f"man/{PROGRAM}.1": "\n".join(_page()) + "\n"}
    for shell in SHELLS:
        kind = get_completion_class(shell)
        assert kind is not None
        found[f"completions/{PLACES[shell]}"] = kind(command, {}, PROGRAM, VARIABLE).source()
    return found


def _page() -> Iterator[str]:
    context = click.Context(command, info_name=PROGRAM, **command.context_settings)
    yield f'.TH {PROGRAM.upper()} 1 "{released()}" "{PROGRAM} {version(PROGRAM)}"'
    yield ".SH NAME"
    yield f"{PROGRAM} \\- see every agent sandbox live, wake it, work in a shell inside it"
    yield ".SH SYNOPSIS"
    yield _usage(context)
    yield ".SH DESCRIPTION"
    yield from _prose(command.help)
    yield ".SH OPTIONS"
    yield from _options(context)
    yield ".SH COMMANDS"
    for name in command.list_commands(context):
        yield from _command(name, context)
    yield ".SH EXIT STATUS"
    for code in Exit:
        yield from (".TP", f"\\fB{code.value}\\fP", _text(code.name.lower().replace("_", " ")))
    yield ".SH FILES"
    yield r"\fBwakedeck config path\fP prints where the configuration is read."


def _command(name: str, parent: click.Context) -> Iterator[str]:
    assert isinstance(parent.command, click.Group)
    found = parent.command.get_command(parent, name)
    assert found is not None
    if found.hidden:
        return
    context = click.Context(found, info_name=name, parent=parent, **found.context_settings)
    if isinstance(found, click.Group) and not found.invoke_without_command:
        for one in found.list_commands(context):
            yield from _command(one, context)
        return
    yield f".SS {_text(context.command_path.removeprefix(PROGRAM).strip())}"
    yield _usage(context)
    yield ".PP"
    yield from _prose(found.help)
    yield from _options(context)
    if isinstance(found, click.Group):
        for one in found.list_commands(context):
            yield from _command(one, context)


def _usage(context: click.Context) -> str:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return f"\\fB{_text(context.command_path)}\\fP {_text(pieces)}"


def _options(context: click.Context) -> Iterator[str]:
    for one in context.command.get_params(context):
        record = one.get_help_record(context)
        if record is not None:
            yield from (".TP", f"\\fB{_text(record[0])}\\fP", _text(record[1]))


def _prose(said: str | None) -> Iterator[str]:
    for line in cleandoc(said or "").splitlines():
        yield _text(line) if line.strip("\b ") else ".PP"


def _text(words: str) -> str:
    """As the formatter of manual pages has to be given plain words."""
    plain = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain


def main() -> None:
    """Write them."""
    for name, text in files().items():
        path = SHARE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
