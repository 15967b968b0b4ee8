"""`[attention]`, `[notify.NAME]`: how and whom to call, about what, and how often."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.errors import ConfigError
from services.files.bounded import UnfitError, read_text

_SPANS = {"s": 1, "m": 60, "h": 3600}
_LARGEST = 64 * 1024


class AttentionTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[attention]`: how the panel calls when something turned worse."""

    bell: bool = True
    """Ring the terminal's bell."""
    title: bool = True
    """Mark the terminal's title until a key is pressed."""
    notice: Literal["auto", "off", "osc9", "osc777"] = "auto"
    """A desktop notice by the terminal: one of two sequences, or the one it is known to take."""
    every_s: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 15.0
    """At most one call in this many seconds; what happens meanwhile is told in the next."""


class NotifyTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[notify.NAME]`: whom `wakedeck watch` calls while nobody looks."""

    urls: tuple[str, ...] = ()
    """Where to, as apprise spells it. They hold secrets: a file or a variable is a better place."""
    urls_file: str = ""
    """A file with such urls, one a line."""
    urls_variable: str = ""
    """The name of a variable that holds such urls, with blanks between."""
    when: tuple[Literal["worse", "needs-me", "recovered"], ...] = ("worse", "needs-me")
    """What is told; after trouble "all quiet again" is told in any case."""
    sources: tuple[str, ...] = ()
    """Of which sources, by their names; empty: all."""
    quiet_hours: Annotated[
        str, msgspec.Meta(pattern=r"^(|([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)$")
    ] = ""
    """Local time without notices, such as 22:00-07:00; what happens in it is told after."""
    at_most: Annotated[str, msgspec.Meta(pattern=r"^[1-9]\d{0,2}/[1-9]\d{0,3}[smh]$")] = "6/10m"
    """So many notices in such a time; what happens meanwhile is told in the next, as a summary."""


def budget(table: NotifyTable) -> tuple[int, float]:
    """How many notices may be sent in how many seconds."""
    number, _, span = table.at_most.partition("/")
    return int(number), float(span[:-1]) * _SPANS[span[-1]]


def is_quiet(table: NotifyTable, now: float) -> bool:
    """Whether an instant (epoch) is in the quiet hours of this machine's own time."""
    if not table.quiet_hours:
        return False
    begin, _, end = table.quiet_hours.partition("-")
    clock = datetime.fromtimestamp(now).strftime("%H:%M")
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def urls_of(name: str, table: NotifyTable, environ: Mapping[str, str] | None = None) -> list[str]:
    """Every url of a table, from all three places.

    Raises:
        ConfigError: there is none, or the file cannot be read; no url is in the sentence.
    """
    env = os.environ if environ is None else environ
    found = list(table.urls)
    if table.urls_file:
        path = Path(table.urls_file).expanduser()
        try:
            lines = read_text(path, _LARGEST).splitlines()
        except (OSError, UnfitError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"[notify.{name}] urls_file {path}: {why}") from error
        found += [line.strip() for line in lines if line.strip() and line.strip()[0] != "#"]
    if table.urls_variable:
        found += re.split(r"\s+", env.get(table.urls_variable, "").strip())
    found = [one for one in found if one]
    if not found:
        raise ConfigError(
            f"[notify.{name}] names nobody to call.",
            advice="Give urls, urls_file or urls_variable.",
        )
    return found
