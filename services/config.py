"""One TOML file, then the environment, then flags; every value remembers where it came from.

The shape is given by the structs below; `wakedeck config show` prints the result. A value from a
profile wins over the same value at the top level.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec

from services import paths
from services.errors import ConfigError
from services.source_tables import LocalTable, SourceTable

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ProfileTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[profiles.NAME]`: which sources, and what differs from the top level."""

    sources: list[str] | None = None
    read_only: bool | None = None
    theme: str | None = None
    transcripts: bool | None = None


class FileTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The file itself."""

    profile: str | None = None
    read_only: bool | None = None
    theme: str | None = None
    animation: bool | None = None
    transcripts: bool | None = None
    """Record what shells say, in the state directory; off unless it says true."""
    keys: dict[str, str] = {}
    sources: dict[Name, SourceTable] = {}
    profiles: dict[Name, ProfileTable] = {}


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One source to open."""

    key: str
    kind: str
    table: SourceTable


@dataclass(frozen=True, slots=True)
class Settings:
    """What the panel was started with."""

    profile: str
    sources: tuple[SourceSettings, ...]
    read_only: bool = False
    theme: str = ""
    animation: bool = True
    transcripts: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Name of a value to where it came from: `default`, a file, a variable or a flag."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said; None where it said nothing."""

    config: Path | None = None
    profile: str | None = None
    read_only: bool | None = None
    local: bool = False


def _line_of(text: str, key: str) -> int | None:
    name = re.escape(key)
    pattern = re.compile(rf"^\s*(?:\[[^\]]*\b{name}\b[^\]]*\]|[\"']?{name}[\"']?\s*=)")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return number
    return None


def _known_keys() -> list[str]:
    return [
        name
        for table in (FileTable, ProfileTable, *get_args(SourceTable))
        for name in table.__struct_fields__
    ]


def _explain(error: msgspec.ValidationError, path: Path, text: str) -> ConfigError:
    said = str(error)
    unknown = re.search(r"unknown field `([^`]+)`", said)
    where = re.search(r"`\$\.?([^`]*)`$", said)
    place = where.group(1) if where else ""
    key = unknown.group(1) if unknown else place.rsplit(".", 1)[-1]
    line = _line_of(text, key) if key else None
    at = f"{path}, line {line}" if line else str(path)
    if unknown:
        near = difflib.get_close_matches(key, _known_keys(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        inside = f" in [{place}]" if place else ""
        return ConfigError(f"{at}: unknown key {key!r}{inside}{hint}")
    what = said.split(" - at ", maxsplit=1)[0]
    return ConfigError(f"{at}: {place or 'the file'}: {what[:1].lower()}{what[1:]}")


def read_file(path: Path) -> FileTable:
    """The file as it stands; an empty table where it does not exist.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds a key or a value we do not know.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return FileTable()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        return msgspec.convert(tomllib.loads(text), FileTable)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    except msgspec.ValidationError as error:
        raise _explain(error, path, text) from error


def _flag(value: str, name: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ConfigError(f"{name}: {value!r} is neither true nor false")


def load(flags: Flags, environ: Mapping[str, str] | None = None) -> Settings:
    """Merge file, environment and flags, later ones winning.

    Raises:
        ConfigError: with the file, line and key, or the variable.
    """
    env = os.environ if environ is None else environ
    path = flags.config or paths.config_file()
    if flags.config is not None and not flags.config.exists():
        raise ConfigError(f"{flags.config}: there is no such file")
    table = read_file(path)
    origins: dict[str, str] = {}

    def pick(name: str, default: Any, *candidates: tuple[Any, str]) -> Any:
        for value, origin in candidates:
            if value is not None:
                origins[name] = origin
                return value
        origins[name] = "default"
        return default

    profile = pick(
        "profile",
        "default",
        (flags.profile, "--profile"),
        (env.get("WAKEDECK_PROFILE") or None, "WAKEDECK_PROFILE"),
        (table.profile, str(path)),
    )
    chosen = table.profiles.get(profile)
    if chosen is None and origins["profile"] != "default":
        known = ", ".join(sorted(table.profiles)) or "none"
        raise ConfigError(f"{path}: no profile {profile!r}; there are: {known}")
    chosen = chosen or ProfileTable()
    in_profile = f"{path} [profiles.{profile}]"
    said = env.get("WAKEDECK_READ_ONLY")
    read_only = pick(
        "read_only",
        False,
        (flags.read_only or None, "--read-only"),
        (None if said is None else _flag(said, "WAKEDECK_READ_ONLY"), "WAKEDECK_READ_ONLY"),
        (chosen.read_only, in_profile),
        (table.read_only, str(path)),
    )
    theme = pick(
        "theme",
        "",
        (env.get("WAKEDECK_THEME") or None, "WAKEDECK_THEME"),
        (chosen.theme, in_profile),
        (table.theme, str(path)),
    )
    animation = pick("animation", True, (table.animation, str(path)))
    transcripts = pick(
        "transcripts", False, (chosen.transcripts, in_profile), (table.transcripts, str(path))
    )
    origins["keys"] = str(path) if table.keys else "default"
    return Settings(
        profile=profile,
        sources=_sources(table, chosen, flags, path, origins),
        read_only=bool(read_only),
        theme=theme,
        animation=animation,
        transcripts=transcripts,
        keys=dict(table.keys),
        origins=origins,
    )


def _sources(
    table: FileTable, profile: ProfileTable, flags: Flags, path: Path, origins: dict[str, str]
) -> tuple[SourceSettings, ...]:
    embedded = SourceSettings("local", "local", LocalTable())
    if flags.local:
        origins["sources"] = "--local"
        named = tuple(
            SourceSettings(key, "local", one)
            for key, one in table.sources.items()
            if isinstance(one, LocalTable)
        )
        return named or (embedded,)
    if not table.sources:
        origins["sources"] = "default"
        return (embedded,)
    origins["sources"] = str(path)
    wanted = list(table.sources) if profile.sources is None else profile.sources
    for key in wanted:
        if key not in table.sources:
            known = ", ".join(sorted(table.sources))
            raise ConfigError(f"{path}: a profile names source {key!r}; there are: {known}")
    return tuple(
        SourceSettings(key, str(table.sources[key].__struct_config__.tag), table.sources[key])
        for key in wanted
    )
