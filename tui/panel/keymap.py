"""The operator's own keys: checked against every binding before the screen opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from textual.binding import Binding, BindingType

from services.config.parser import nearest
from services.errors import ConfigError

DASHBOARD: list[BindingType] = [
    Binding("w", "wake", "Wake", id="repair.wake"),
    Binding("r", "reconnect", "Reconnect", id="repair.reconnect"),
    Binding("s", "shell", "Shell", id="panel.shell"),
    Binding("A", "attach", "Attach to the agent", id="panel.attach", show=False),
    Binding("L", "logs", "Logs", id="panel.logs"),
    Binding("N", "next_needing", "Next that needs you", id="panel.next-needing", show=False),
    Binding("n", "only_needing", "Only what needs you", id="panel.only-needing", show=False),
    Binding("c", "cancel", "Cancel", id="repair.cancel", show=False),
    Binding("a", "offer", "Approve repair", id="repair.offer", show=False),
    Binding("z", "zoom", "Zoom", id="panel.zoom"),
    Binding("1", "pane('sandboxes')", "Sandboxes", id="panel.sandboxes", show=False),
    Binding("2", "pane('gateways')", "Gateways", id="panel.gateways", show=False),
    Binding("3", "pane('queues')", "Queues", id="panel.queues", show=False),
    Binding("4", "pane('shell')", "Shells", id="panel.shells", show=False),
    Binding("5", "pane('events')", "Events", id="panel.events", show=False),
    Binding("tab", "cycle(1)", "Next pane", id="panel.next", show=False),
    Binding("shift+tab", "cycle(-1)", "Previous pane", id="panel.previous", show=False),
    Binding("right_square_bracket", "shell_tab(1)", "Next shell", id="shell.next", show=False),
    Binding("left_square_bracket", "shell_tab(-1)", "Previous shell", id="shell.back", show=False),
    Binding("x", "close_shell", "Close shell", id="shell.close", show=False),
    Binding("R", "refresh_now", "Refresh now", id="panel.refresh", show=False),
    Binding("p", "pause", "Pause refresh", id="panel.pause", show=False),
    Binding("y", "copy_record", "Copy record as JSON", id="panel.copy", show=False),
    Binding("C", "copy_cell", "Copy a cell", id="panel.copy-cell", show=False),
    Binding("Y", "copy_name", "Copy name or text", id="panel.copy-name", show=False),
]
"""Which key does what on the dashboard; an operator's keymap names the ids."""


class Bound(NamedTuple):
    """One action that can be rebound."""

    id: str
    keys: tuple[str, ...]
    description: str
    place: str
    """Where it is live: a clash matters only where two are live at once (`live_together`)."""


_DASHBOARD = frozenset(("repair", "pane", "table", "stream", "queues", "shells", "tabs"))
_IN_THE_SHELLS = frozenset(("shells", "tabs"))
_IN_A_LIST = frozenset(("pane", "table", "stream", "queues"))


def live_together(one: str, other: str) -> bool:
    """Whether two places are live at once, so that one key cannot serve both."""
    pair = {one, other}
    return (
        one == other
        or "app" in pair
        or ("panel" in pair and not pair.isdisjoint(_DASHBOARD))
        or pair <= _IN_A_LIST
        or pair <= _IN_THE_SHELLS
    )


def bound_in(place: str, bindings: Iterable[BindingType]) -> list[Bound]:
    """The rebindable actions of one place; those without an id keep their keys."""
    found: dict[str, Bound] = {}
    for binding in bindings:
        if not isinstance(binding, Binding) or not binding.id:
            continue
        keys = tuple(part.strip() for part in binding.key.split(","))
        before = found.get(binding.id)
        if before is not None:
            keys = before.keys + keys
        found[binding.id] = Bound(binding.id, keys, binding.description, place)
    return list(found.values())


def resolve(
    known: Iterable[Bound],
    wanted: Mapping[str, str],
    where: Callable[[str], str] = lambda _: "[keys]",
) -> dict[str, str]:
    """What to give Textual's keymap: id to keys. `where` tells the place of an id in the file.

    Raises:
        ConfigError: an id nobody has, an empty key, or one key for two actions that are live at
            once, which are both named; everything that is wrong, a line each.
    """
    every = list(known)
    ids = {one.id for one in every}
    wrong: list[str] = []
    for name, typed in wanted.items():
        if name not in ids:
            wrong.append(f"{where(name)}: no action is called {name!r}{nearest(name, ids)}")
        elif not all(part.strip() for part in typed.split(",")):
            wrong.append(f"{where(name)}: {name!r} is given an empty key.")
    taken: dict[str, list[Bound]] = {}
    for one in every:
        given = wanted.get(one.id)
        keys = one.keys if given is None else tuple(part.strip() for part in given.split(","))
        for key in keys:
            for other in taken.setdefault(key, []):
                if (
                    other.id != one.id
                    and (one.id in wanted or other.id in wanted)
                    and live_together(one.place, other.place)
                ):
                    named = one.id if one.id in wanted else other.id
                    wrong.append(
                        f"{where(named)}: {key!r} would mean both {other.id!r} "
                        f"({other.description}) and {one.id!r} ({one.description})."
                    )
            taken[key].append(one)
    if wrong:
        raise ConfigError(
            "\n".join(wrong), advice="docs/keys.md lists every action; so does ? in the panel."
        )
    return dict(wanted)
