"""NemoClaw's registers of its sandboxes, read and never written (upstream/openshell: NemoClaw).

The base folder has one, and each further gateway port has one of its own below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.models import Facts
from services.sources.openshell.records import safe_name
from services.text.sanitize import sanitize

GATEWAY = "nemoclaw"
BASE_PORT = 8080
DASHBOARD_PORT = 18789
_WITH_DASHBOARD = ("", "openclaw", "hermes")
_LARGEST = 16 << 20
_MOST_ROOTS = 256
_MOST_IN_FOLDER = 1024
_PORT = re.compile(r"[0-9]{1,5}")
_CANONICAL = re.compile(rf"{GATEWAY}(?:-([1-9][0-9]{{0,4}}))?")


class RegistryStatus(Enum):
    """Whether there is a register; each has a sentence of its own."""

    UNUSED = "not looked for"
    ABSENT = "NemoClaw has no register here"
    CORRUPT = "NemoClaw's register cannot be read"
    EMPTY = "NemoClaw's register is empty"
    FILLED = "read"


@dataclass(frozen=True, slots=True)
class NemoclawEntry:
    """One sandbox NemoClaw has made."""

    name: str
    gateway: str = GATEWAY
    port: int | None = None
    """Of its dashboard on this machine; None where it has none, or whose it is is not known."""
    facts: Facts = ()
    default: bool = False
    """Whether it is the default of its register."""


@dataclass(frozen=True, slots=True)
class NemoclawRegistry:
    """The registers as they are now."""

    status: RegistryStatus
    entries: tuple[NemoclawEntry, ...] = ()
    default: NemoclawEntry | None = None
    problem: str = ""
    """Why one is corrupt, or what was not understood."""

    def entry(self, gateway: str, name: str) -> NemoclawEntry | None:
        """What it says of a sandbox."""
        return next((e for e in self.entries if (e.gateway, e.name) == (gateway, name)), None)

    @property
    def gateways(self) -> tuple[str, ...]:
        """Every gateway it names, in order."""
        return tuple(dict.fromkeys(entry.gateway for entry in self.entries))


@dataclass(frozen=True, slots=True)
class _Root:
    """One register."""

    port: int
    status: RegistryStatus
    listed: Mapping[str, Mapping[str, object]]
    """Its sandboxes that are made; no reservations."""
    default: str = ""
    problem: str = ""


def read(path: Path | None) -> NemoclawRegistry:
    """Read every register; every failure is a value, and only that register's."""
    if path is None:
        return NemoclawRegistry(RegistryStatus.UNUSED)
    roots = [_root(path, BASE_PORT)]
    folders, problem = _port_folders(path.parent / "gateways")
    roots += [_root(folder / path.name, port) for port, folder in folders]
    claims = [
        port
        for root in roots
        for one in root.listed.values()
        if (port := _dashboard(one)) is not None
    ]
    legacy = sum(map(_may_use_the_first_port, (o for r in roots for o in r.listed.values())))
    free = DASHBOARD_PORT not in claims and legacy == 1
    entries: list[NemoclawEntry] = []
    defaults: list[tuple[int, NemoclawEntry]] = []
    problems = [problem, *(_told(root) for root in roots)]
    for root in roots:
        mine = []
        for name, one in root.listed.items():
            gateway = _gateway(one, root.port)
            if not gateway:
                problems.append(f"the register contradicts itself about {name}")
                continue
            port = _dashboard(one)
            if port is None and free and _may_use_the_first_port(one):
                port = DASHBOARD_PORT
            if port is not None and claims.count(port) > 1:
                port = None
            mine.append(NemoclawEntry(name, gateway, port, _facts(one), name == root.default))
        entries += mine
        defaults += [(root.port, one) for one in mine if one.default]
    said = "; ".join(filter(None, problems))
    base = [one for port, one in defaults if port == BASE_PORT]
    every = [one for _, one in defaults]
    default = base[0] if base else every[0] if len(every) == 1 else None
    return NemoclawRegistry(_status(roots, entries, said), tuple(entries), default, said)


def _status(roots: list[_Root], entries: list[NemoclawEntry], said: str) -> RegistryStatus:
    if said:
        return RegistryStatus.CORRUPT
    if entries:
        return RegistryStatus.FILLED
    absent = all(root.status is RegistryStatus.ABSENT for root in roots)
    return RegistryStatus.ABSENT if absent else RegistryStatus.EMPTY


def _told(root: _Root) -> str:
    if not root.problem or root.port == BASE_PORT:
        return root.problem
    return f"port {root.port}: {root.problem}"


def _port_folders(place: Path) -> tuple[list[tuple[int, Path]], str]:
    """The folders of the further gateway ports, by port; and why there may be more."""
    try:
        if place.is_symlink():
            return [], "not read: gateways is a symbolic link"
        names = sorted(one.name for one in place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    except OSError as error:
        return [], f"gateways: {sanitize(error.strerror or 'it cannot be opened')}"
    if len(names) > _MOST_IN_FOLDER:
        return [], f"not read: gateways has more than {_MOST_IN_FOLDER} entries"
    found = {
        port: place / name
        for name in names
        if _PORT.fullmatch(name) and 0 < (port := int(name)) < 65536 and port != BASE_PORT
    }
    return sorted(found.items())[: _MOST_ROOTS - 1], ""


def _root(path: Path, port: int) -> _Root:
    def failed(why: str) -> _Root:
        return _Root(port, RegistryStatus.CORRUPT, {}, problem=why)

    try:
        if path.is_symlink() or (port != BASE_PORT and path.parent.is_symlink()):
            return failed("not read: symbolic link")
        whole = parse_json(read_bounded(path, _LARGEST))
    except (FileNotFoundError, NotADirectoryError):
        return _Root(port, RegistryStatus.ABSENT, {})
    except OSError as error:
        return failed(sanitize(error.strerror or "it cannot be opened"))
    except UnfitError as error:
        return failed(str(error))
    listed = whole.get("sandboxes") if isinstance(whole, dict) else None
    if not isinstance(listed, dict):
        return failed("it has no list of sandboxes")
    made = {
        name: one
        for name, one in listed.items()
        if safe_name(name)
        and isinstance(one, dict)
        and one.get("name", name) == name
        and one.get("pendingRouteReservation") is not True
    }
    if not made:
        return _Root(port, RegistryStatus.EMPTY, {})
    wanted = whole.get("defaultSandbox")
    default = wanted if isinstance(wanted, str) and wanted in made else next(iter(made))
    return _Root(port, RegistryStatus.FILLED, made, default)


def _number(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
    return value if known else None  # type: ignore[return-value]


def _gateway(one: Mapping[str, object], root: int) -> str:
    """Whose it is; empty where the entry or its register contradicts itself."""
    port, name = one.get("gatewayPort"), one.get("gatewayName")
    named: int | None = None
    if name is not None:
        match = _CANONICAL.fullmatch(name) if isinstance(name, str) else None
        named = _number(int(match[1] or BASE_PORT)) if match else None
        if named is None or name == f"{GATEWAY}-{BASE_PORT}":
            return ""
    if port is not None:
        if _number(port) is None or named not in (None, port):
            return ""
        named = _number(port)
    found = named or root
    if root not in (BASE_PORT, found):
        return ""
    return GATEWAY if found == BASE_PORT else f"{GATEWAY}-{found}"


def _dashboard(one: Mapping[str, object]) -> int | None:
    return _number(one.get("dashboardPort"))


def _may_use_the_first_port(one: Mapping[str, object]) -> bool:
    """An entry from before the port was noted, of an agent that has a dashboard."""
    return "dashboardPort" not in one and (one.get("agent") or "") in _WITH_DASHBOARD


def _facts(one: Mapping[str, object]) -> Facts:
    facts = [
        (key, sanitize(said, 120))
        for key in ("agent", "model", "provider", "nemoclawVersion")
        if isinstance(said := one.get(key), str) and said
    ]
    if one.get("stopped") is True:
        facts.append(("NemoClaw notes it as", "stopped on purpose"))
    return tuple(facts)
