"""The lockfile read salvage-style and never written (upstream/vellum: Registry)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.sources.vellum.layout import HOST, EnvironmentPaths
from services.text.sanitize import sanitize

_LARGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class AssistantEntry:
    """One registered assistant, without any of its secrets."""

    id: str
    name: str
    cloud: str
    runtime_url: str = ""
    gateway_port: int | None = None
    daemon_port: int | None = None
    instance: str = ""
    """The instance folder, or empty for the usual one."""

    @property
    def local(self) -> bool:
        """Whether its processes run on this machine."""
        return self.cloud in ("local", "docker")


@dataclass(frozen=True, slots=True)
class AssistantRegistry:
    """One read of a lockfile."""

    entries: tuple[AssistantEntry, ...] = ()
    active: str = ""
    """The id of the active assistant; empty where there is none."""
    dropped: int = 0
    """Entries that could not be used."""
    problem: str = ""
    """Why the file cannot be read; the entries are then the last good ones."""
    path: str = ""

    def find(self, assistant: str) -> AssistantEntry | None:
        """The entry of an id."""
        return next((entry for entry in self.entries if entry.id == assistant), None)

    def sharing(self, entry: AssistantEntry) -> tuple[str, ...]:
        """The names of other local assistants with the same gateway port."""
        if entry.gateway_port is None or entry.cloud != "local":
            return ()
        return tuple(
            one.name
            for one in self.entries
            if one.id != entry.id
            and one.cloud == "local"
            and one.gateway_port == entry.gateway_port
        )


def safe_id(text: object) -> TypeGuard[str]:
    """Whether an id may name a folder and an argument: no separators, dots or dashes first."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= 200
        and text.isprintable()
        and text not in (".", "..")
        and not text[0].isspace()
        and not text.startswith("-")
        and not set(text) & {"/", "\\"}
    )


def parse(raw: object, ports: tuple[int, int] | None = None) -> AssistantRegistry:
    """What a decoded lockfile says: a malformed field is dropped, not its entry.

    `ports` are those of a daemon and a gateway where an entry of an old kind names none.
    """
    table = raw if isinstance(raw, dict) else {}
    listed = table.get("assistants")
    entries: dict[str, AssistantEntry] = {}
    dropped = 0
    for one in listed if isinstance(listed, list) else []:
        entry = _entry(one, ports)
        if entry is None or entry.id in entries:
            dropped += 1
        else:
            entries[entry.id] = entry
    wanted = table.get("activeAssistant")
    active = ""
    if isinstance(wanted, str) and wanted in entries:
        active = wanted
    elif len(entries) == 1:
        active = next(iter(entries))
    return AssistantRegistry(tuple(entries.values()), active, dropped)


def _entry(raw: object, ports: tuple[int, int] | None) -> AssistantEntry | None:
    if not isinstance(raw, dict) or not safe_id(raw.get("assistantId")):
        return None
    identity = str(raw["assistantId"])
    resources = raw.get("resources")
    old = not isinstance(resources, dict)
    resources = resources if isinstance(resources, dict) else {}
    cloud = _cloud(raw)
    url = _text(raw, "runtimeUrl")
    daemon, gateway = ports if ports is not None and old and cloud == "local" else (None, None)
    name = _text(raw, "name") or _text(raw, "assistantName") or identity
    return AssistantEntry(
        identity,
        sanitize(name, 80) or sanitize(identity, 80),
        sanitize(cloud, 40),
        url,
        _port(resources.get("gatewayPort"))
        or _loopback_port(_text(raw, "localUrl"))
        or _loopback_port(url)
        or gateway,
        _port(resources.get("daemonPort")) or daemon,
        _text(resources, "instanceDir") or _text(raw, "baseDataDir"),
    )


def _cloud(raw: Mapping[str, object]) -> str:
    said = _text(raw, "cloud")
    if said:
        return said
    if _text(raw, "project"):
        return "gcp"
    return "custom" if _text(raw, "sshUser") else "local"


def _text(raw: Mapping[str, object], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) and "\0" not in value else ""


def _port(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 < value < 65536 else None


def _loopback_port(url: str) -> int | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return port if parts.hostname in ("localhost", HOST) else None


class RegistryReader:
    """Reads one environment's lockfile again when it changed; keeps the last good list."""

    def __init__(self) -> None:
        self._stamp: tuple[object, ...] | None = None
        self._last = AssistantRegistry()

    def read(self, place: EnvironmentPaths) -> AssistantRegistry:
        """What it says now; a file that does not exist is an empty registry."""
        path = place.registry()
        try:
            stat = path.stat()
        except FileNotFoundError:
            self._stamp, self._last = None, AssistantRegistry(path=str(path))
            return self._last
        except OSError as error:
            return self._unknown(path, error.strerror or "it cannot be reached")
        stamp = (path, stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if stamp == self._stamp:
            return self._last
        found = _load(path, place.default_ports)
        if isinstance(found, str):
            return self._unknown(path, found)
        self._stamp = stamp
        self._last = AssistantRegistry(found.entries, found.active, found.dropped, "", str(path))
        return self._last

    def _unknown(self, path: Path, why: str) -> AssistantRegistry:
        old = self._last
        return AssistantRegistry(
            old.entries, old.active, old.dropped, sanitize(why, 120), str(path)
        )


def _load(path: Path, ports: tuple[int, int] | None = None) -> AssistantRegistry | str:
    try:
        raw = parse_json(read_bounded(path, _LARGEST))
    except OSError as error:
        return error.strerror or "it cannot be read"
    except UnfitError as error:
        return str(error)
    if not isinstance(raw, dict):
        return "it is not a JSON object"
    if not isinstance(raw.get("assistants", []), list):
        return "its assistants are no list"
    return parse(raw, ports)


def elsewhere(places: tuple[EnvironmentPaths, ...]) -> tuple[str, ...]:
    """The names of the environments that hold entries."""
    held = []
    for one in places:
        found = _load(one.registry())
        if isinstance(found, AssistantRegistry) and found.entries:
            held.append(one.environment)
    return tuple(held)
