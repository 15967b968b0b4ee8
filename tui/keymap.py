"""The operator's own keys: checked against every binding before the screen opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from textual.binding import Binding, BindingType

from services.config_file import nearest
from services.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Bound:
    """One action that can be rebound."""

    id: str
    keys: tuple[str, ...]
    description: str
    place: str
    """Where it is live: a clash matters only where two are live at once."""


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
        ConfigError: an id nobody has, an empty key, or one key for two actions of one place; the
            sentence names both.
    """
    every = list(known)
    ids = {one.id for one in every}
    for name, typed in wanted.items():
        if name not in ids:
            raise ConfigError(
                f"{where(name)}: no action is called {name!r}{nearest(name, ids)}",
                advice="docs/keys.md lists every action; so does ? in the panel.",
            )
        if not all(part.strip() for part in typed.split(",")):
            raise ConfigError(f"{where(name)}: {name!r} is given an empty key.")
    taken: dict[tuple[str, str], Bound] = {}
    for one in every:
        keys = (
            tuple(part.strip() for part in wanted[one.id].split(","))
            if (one.id in wanted)
            else one.keys
        )
        for key in keys:
            other = taken.setdefault((one.place, key), one)
            if other.id != one.id and (one.id in wanted or other.id in wanted):
                named = one.id if one.id in wanted else other.id
                raise ConfigError(
                    f"{where(named)}: {key!r} would mean both {other.id!r} ({other.description}) "
                    f"and {one.id!r} ({one.description}).",
                    advice="Give one of them another key.",
                )
    return dict(wanted)
