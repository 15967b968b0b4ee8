"""One TOML file, then the environment, then flags; every value remembers where it came from.

The shape is given by the structs below; `wakedeck config show` prints the result. A value from a
profile wins over the same value at the top level.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, get_args

import msgspec

from services.config import parser, paths
from services.config.notify import AttentionTable, NotifyTable
from services.config.sources import LocalTable, SourceTable
from services.errors import ConfigError
from services.lazy_dataclass import dataclass

DEFAULT_PROFILE = "default"
VARIABLES = {
    "profile": "WAKEDECK_PROFILE",
    "read_only": "WAKEDECK_READ_ONLY",
    "theme": "WAKEDECK_THEME",
    "animation": "WAKEDECK_ANIMATION",
    "transcripts": "WAKEDECK_TRANSCRIPTS",
    "remember": "WAKEDECK_REMEMBER",
    "confirm_quit": "WAKEDECK_CONFIRM_QUIT",
}
"""Name of a value to the variable that sets it."""
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

ConfirmQuit = Literal["auto", "always", "never"]


class ProfileTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`[profiles.NAME]`: what differs from the top level while this profile is used."""

    sources: list[str] | None = None
    """Which of the sources below to open; without it all of them."""
    read_only: bool | None = None
    """Look, never act."""
    theme: str | None = None
    """Colours of this profile: production may look different."""
    animation: bool | None = None
    """Whether things move."""
    transcripts: bool | None = None
    """Record what shells say."""
    remember: bool | None = None
    """Open as it was left."""
    confirm_quit: ConfirmQuit | None = None
    """Whether quitting asks."""
    production: bool | None = None
    """Things are real here: the panel looks so, on every edge and in words."""
    banner: str | None = None
    """The words for that; without it PRODUCTION. Given alone, it is shown without the colour."""


class FileTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The file itself."""

    profile: str | None = None
    """The profile used where none is named by `--profile` or WAKEDECK_PROFILE."""
    read_only: bool | None = None
    """Look, never act: no verb, no shell, no command."""
    theme: str | None = None
    """Colours: wakedeck-dark, wakedeck-light, wakedeck-contrast, ansi-dark, ansi-light, and
    every theme of Textual's."""
    animation: bool | None = None
    """Whether things move: false for no scrolling motion, no flash, no blink."""
    transcripts: bool | None = None
    """Record what shells say, in the state directory; off unless it says true."""
    remember: bool | None = None
    """Open as it was left: the focused pane, sorts, filters, zoom, a paused timeline."""
    confirm_quit: ConfirmQuit | None = None
    """Whether quitting asks: auto where a shell is open or an attempt under way, always, never."""
    attention: AttentionTable = AttentionTable()
    """How the panel calls when something turned worse."""
    notify: dict[Name, NotifyTable] = {}
    """Whom `wakedeck watch` calls, each by a name of your choice; it needs the extra `notify`."""
    keys: dict[str, str] = {}
    """Other keys for actions, by the action's id; `docs/keys.md` lists them."""
    sources: dict[Name, SourceTable] = {}
    """What to watch. Each has a name of your choice and a kind."""
    profiles: dict[Name, ProfileTable] = {}
    """Other ways to start: `wakedeck --profile NAME`."""


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
    remember: bool = True
    confirm_quit: str = "auto"
    production: bool = False
    banner: str = ""
    attention: AttentionTable = field(default_factory=AttentionTable)
    notify: Mapping[str, NotifyTable] = field(default_factory=dict, repr=False)
    """Its urls are secrets."""
    keys: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Name of a value to where it came from: `default`, a file, a variable or a flag."""

    def key_location(self, action: str) -> str:
        """Where `[keys]` names an action, for the operator."""
        return parser.with_line_number(self.origins.get("keys", "[keys]"), ("keys", action))


class ProfileValues(TypedDict):
    """The values of `Settings` that no file, variable or flag above the profile can give."""

    production: bool
    banner: str


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said; None where it said nothing."""

    config: Path | None = None
    profile: str | None = None
    read_only: bool | None = None
    local: bool = False
    theme: str | None = None


def read_file(path: Path) -> FileTable:
    """The file as it stands; an empty table where it does not exist.

    Raises:
        ConfigError: as `services.config.parser.read`.
    """
    return parser.read(path, FileTable)[0]


def _parse_bool(value: str, name: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ConfigError(f"{name}: {value!r} is neither true nor false")


class _Resolver:
    """Takes each value from the last place that names it, and notes which that was."""

    def __init__(self, flags: Flags, env: Mapping[str, str], file: FileTable, path: Path) -> None:
        self._flags, self._env, self._file = flags, env, file
        self._path = str(path)
        self._profile = ProfileTable()
        self.in_profile = ""
        self.origins: dict[str, str] = {}

    def use_profile(self, name: str, profile: ProfileTable) -> None:
        """Values of this profile win over the top level from now on."""
        self._profile, self.in_profile = profile, f"{self._path} [profiles.{name}]"

    def text(self, name: str, default: str) -> str:
        """A word: an empty variable says nothing."""
        variable = VARIABLES[name]
        return str(self._resolve(name, default, self._env.get(variable) or None))

    def word(self, name: str, known: tuple[str, ...], default: str) -> str:
        """One of the `known` words.

        Raises:
            ConfigError: the variable says another one.
        """
        said = self.text(name, default)
        if said not in known:
            raise ConfigError(f"{self.origins[name]}: {said!r} is none of {', '.join(known)}")
        return said

    def switch(self, name: str, default: bool) -> bool:
        """True or false.

        Raises:
            ConfigError: the variable says neither.
        """
        variable = VARIABLES[name]
        said = self._env.get(variable)
        return bool(
            self._resolve(name, default, None if said is None else _parse_bool(said, variable))
        )

    def _resolve(self, name: str, default: object, by_variable: object) -> object:
        for value, origin in (
            (getattr(self._flags, name, None), f"--{name.replace('_', '-')}"),
            (by_variable, VARIABLES[name]),
            (getattr(self._profile, name, None), self.in_profile),
            (getattr(self._file, name), self._path),
        ):
            if value is not None:
                self.origins[name] = origin
                return value
        self.origins[name] = "default"
        return default


def load(flags: Flags, environ: Mapping[str, str] | None = None) -> Settings:
    """Merge file, environment and flags, later ones winning.

    Raises:
        ConfigError: with the file, line and key, or the variable.
    """
    env = os.environ if environ is None else environ
    path = flags.config or paths.config_file()
    if flags.config is not None and not flags.config.exists():
        raise ConfigError(f"{flags.config}: there is no such file")
    table, raw = parser.read(path, FileTable)
    resolver = _Resolver(flags, env, table, path)
    profile = resolver.text("profile", DEFAULT_PROFILE)
    chosen = _profile(table, profile, path)
    resolver.use_profile(profile, chosen)
    origins = resolver.origins
    origins["keys"] = str(path) if table.keys else "default"
    return Settings(
        profile=profile,
        read_only=resolver.switch("read_only", False),
        theme=resolver.text("theme", ""),
        animation=resolver.switch("animation", True),
        transcripts=resolver.switch("transcripts", False),
        remember=resolver.switch("remember", True),
        confirm_quit=resolver.word("confirm_quit", get_args(ConfirmQuit), "auto"),
        attention=_attention(table, raw, origins, path),
        notify=_notify(table, raw, origins, path),
        **_profile_values(chosen, origins, resolver.in_profile),
        keys=dict(table.keys),
        sources=_sources(table, chosen, flags, path, resolver, raw),
        origins=origins,
    )


def _attention(
    table: FileTable, raw: Mapping[str, Any], origins: dict[str, str], path: Path
) -> AttentionTable:
    for name in AttentionTable.__struct_fields__:
        said = name in raw.get("attention", {})
        origins[f"attention.{name}"] = f"{path} [attention]" if said else "default"
    return table.attention


def _notify(
    table: FileTable, raw: Mapping[str, Any], origins: dict[str, str], path: Path
) -> Mapping[str, NotifyTable]:
    for key, one in table.notify.items():
        for name in one.__struct_fields__:
            said = name in raw.get("notify", {}).get(key, {})
            origins[f"notify.{key}.{name}"] = f"{path} [notify.{key}]" if said else "default"
        for source in one.sources:
            if source not in table.sources and source != "local":
                hint = _suggestions(source, table.sources)
                raise ConfigError(f"{path}: [notify.{key}] names source {source!r}{hint}")
    return dict(table.notify)


def _profile_values(profile: ProfileTable, origins: dict[str, str], origin: str) -> ProfileValues:
    """What only a profile can say of itself."""
    origins["production"] = "default" if profile.production is None else origin
    origins["banner"] = "default" if profile.banner is None else origin
    return {"production": bool(profile.production), "banner": profile.banner or ""}


def _profile(table: FileTable, name: str, path: Path) -> ProfileTable:
    if name in table.profiles:
        return table.profiles[name]
    if name == DEFAULT_PROFILE:
        return ProfileTable()
    if not path.exists():
        raise ConfigError(
            f"{path}: no profile {name!r}, for there is no such file yet",
            advice="`wakedeck config default` prints one to begin with.",
        )
    raise ConfigError(f"{path}: no profile {name!r}{_suggestions(name, table.profiles)}")


def _suggestions(name: str, known: Mapping[str, object]) -> str:
    return f"; there are: {', '.join(sorted(known)) or 'none'}{parser.nearest(name, known)}"


def _sources(
    table: FileTable,
    profile: ProfileTable,
    flags: Flags,
    path: Path,
    resolver: _Resolver,
    raw: Mapping[str, Any],
) -> tuple[SourceSettings, ...]:
    origins = resolver.origins
    written = raw.get("sources", {})
    for key, one in table.sources.items():
        for name in one.__struct_fields__:
            said = name in written.get(key, {})
            origins[f"sources.{key}.{name}"] = f"{path} [sources.{key}]" if said else "default"
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
    wanted = list(table.sources)
    if profile.sources is not None:
        origins["sources"] = resolver.in_profile
        wanted = profile.sources
    for key in wanted:
        if key not in table.sources:
            raise ConfigError(
                f"{path}: a profile names source {key!r}{_suggestions(key, table.sources)}"
            )
    return tuple(
        SourceSettings(key, str(table.sources[key].__struct_config__.tag), table.sources[key])
        for key in wanted
    )
