"""`wakedeck config …`: every value with where it came from, and a file to begin with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from services.config import paths
from services.config.settings import Settings
from services.config.template import default_text
from services.errors import RefusedError
from services.files.private import write_new
from services.lazy_dataclass import dataclass
from services.text.redact import MASK, redact
from tui.cli import tables


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the settings."""

    name: str
    value: Any
    origin: str
    """`default`, a file and its table, a variable or a flag."""


def values(settings: Settings) -> Iterator[Value]:
    """Everything the panel would start with."""
    origins = settings.origins
    shown = asdict_plain(settings)
    for name, value in shown.items():
        yield Value(name, value, origins.get(name, "default"))
    for key, bound in settings.keys.items():
        yield Value(f"keys.{key}", bound, origins.get("keys", "default"))
    for key, table in settings.notify.items():
        for name, value in asdict(table).items():
            shown_value = [MASK for _ in value] if name == "urls" else value
            full = f"notify.{key}.{name}"
            yield Value(full, shown_value, origins.get(full, "default"))
    for source in settings.sources:
        prefix = f"sources.{source.key}"
        named = f"{prefix}.label" in origins
        whence = origins.get("sources", "default") if named else "default"
        yield Value(f"{prefix}.kind", source.kind, whence)
        for name, value in asdict(source.table).items():
            origin = origins.get(f"{prefix}.{name}", "default")
            yield Value(f"{prefix}.{name}", value, origin)


def asdict_plain(settings: Settings) -> dict[str, Any]:
    """The simple values of the settings, tables of them flattened with dots."""
    apart = ("keys", "sources", "origins", "notify")
    found: dict[str, Any] = {}
    for name in Settings.__dataclass_fields__:
        value = getattr(settings, name)
        if name in apart:
            continue
        if hasattr(value, "__struct_fields__"):
            found |= {f"{name}.{inner}": one for inner, one in asdict(value).items()}
        else:
            found[name] = value
    found["sources"] = [one.key for one in settings.sources]
    return found


def show(settings: Settings, as_json: bool) -> int:
    """Every value with its origin."""
    every = list(values(settings))
    if as_json:
        shapes = [
            {"name": one.name, "value": _redacted(one.value), "origin": one.origin} for one in every
        ]
        click.echo(json.dumps({"schema": tables.SCHEMA, "values": shapes}, indent=2))
        return 0
    rows = [(one.name, _words(one), one.origin) for one in every]
    for line in tables.table(rows):
        click.echo(line)
    return 0


def _words(one: Value) -> str:
    if one.name == "theme" and not one.value:
        return "the built-in one"
    return json.dumps(_redacted(one.value), ensure_ascii=False)


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(one) for name, one in value.items()}
    return [_redacted(one) for one in value] if isinstance(value, list | tuple) else value


def default() -> int:
    """The file with every key and its default, on stdout."""
    click.echo(default_text(), nl=False)
    return 0


def write(path: Path | None) -> int:
    """Put that file where it is read, for its owner alone.

    Raises:
        RefusedError: there is one already, or it cannot be written.
    """
    place = path or paths.config_file()
    try:
        if not place.parent.exists():
            paths.private_dir(place.parent)
        write_new(place, default_text())
    except FileExistsError as error:
        raise RefusedError(
            f"{place} is there already; it is not touched.",
            advice="`wakedeck config default` prints the whole of it to compare with.",
        ) from error
    except OSError as error:
        raise RefusedError(f"{place} cannot be written: {error.strerror}.") from error
    click.echo(str(place))
    return 0
