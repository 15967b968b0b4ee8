"""Writes `docs/keys.md` from the bindings themselves: `make keys`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.keys import format_key

from tui.app import bound_actions
from tui.panel.keymap import Bound
from tui.panel.shell_keys import SHELL_KEYS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "keys.md"
HEAD = """\
# Keys

Made from the bindings by `make keys`; `?` in the panel shows those that are live, those of the
focused pane first, and searches them. Every action has an id: give it other keys in the
configuration. A key that would then mean two things at once is an error at start, naming both.

```toml
[keys]
"repair.wake" = "W"
"panel.refresh" = "f5,ctrl+r"
```

Keys are written as in the last column: single characters, `ctrl+x`, `f5`, `space`; several with
commas between.
"""
TITLES = {
    "panel": "Everywhere in the panel",
    "app": "Everywhere",
    "repair": "Repair bar",
    "pane": "In a pane",
    "table": "In a table",
    "stream": "In the queues and the events",
    "queues": "In the queues",
    "shells": "Around a shell",
    "tabs": "On the tabs of the shells",
    "log": "In a log",
    "log search": "While a log is searched",
    "words": "While other words are typed",
    "details": "In details",
    "cells": "While a cell is chosen",
    "filter": "While a filter is typed",
    "help": "In the help",
    "confirm": "In a question",
}
"""Places of `Bound.place` in the order of the page; another one stands at its end by its name."""


def shown(keys: Sequence[str]) -> str:
    """Keys as they read on a keyboard."""
    return " ".join(f"`{format_key(key)}`" for key in keys)


def sections(actions: Sequence[Bound]) -> Iterator[tuple[str, list[Bound]]]:
    """Actions by place."""
    places = dict.fromkeys([*TITLES, *(one.place for one in actions)])
    for place in places:
        found = [one for one in actions if one.place == place]
        if found:
            yield TITLES.get(place, place.capitalize()), found


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for title, actions in sections(bound_actions()):
        lines += [f"## {title}", "", "| Key | Does | `[keys]` | Default |", "|---|---|---|---|"]
        for one in actions:
            default = ",".join(one.keys).replace("|", "\\|")
            lines.append(f"| {shown(one.keys)} | {one.description} | `{one.id}` | `{default}` |")
        lines.append("")
    lines += [
        "## In a shell",
        "",
        "The shell owns every key but these, which cannot be changed.",
        "",
        "| Key | Does |",
        "|---|---|",
    ]
    lines += [f"| `{one.keys}` | {one.words.removeprefix('Shell: ')} |" for one in SHELL_KEYS]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
