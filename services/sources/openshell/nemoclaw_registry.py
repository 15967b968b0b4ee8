"""NemoClaw's registers of its sandboxes, read and never written (upstream/openshell: NemoClaw).

The base folder has one, and each further gateway port has one of its own below it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.models import Facts
from services.sources.openshell import nemoclaw_facts
from services.sources.openshell.records import safe_name
from services.text.sanitize import sanitize

GATEWAY = "nemoclaw"
BASE_PORT = 8080
DASHBOARD_PORT = 18789
HERMES_PORT = 8642
_WITH_GATEWAY = ("openclaw", "hermes")
_DEFAULTS = ("NEMOCLAW_SANDBOX_NAME", "NEMOCLAW_SANDBOX", "SANDBOX_NAME")
"""Variables that name the sandbox that is meant, as NemoClaw reads them."""
_LARGEST = 16 << 20
MOST_ROOTS = 256
_MOST_IN_FOLDER = 1024
_PORT = re.compile(r"[0-9]{1,5}")
_CANONICAL = re.compile(rf"{GATEWAY}(?:-([1-9][0-9]{{0,4}}))?")


class RegistryStatus(Enum):
    """Whether there is a register; each has a sentence of its own."""

    UNUSED = "not looked for"
    ABSENT = "NemoClaw has no register here"
    CORRUPT = "NemoClaw's register cannot be read"
    ODD = "NemoClaw's register is not understood in all"
    EMPTY = "NemoClaw's register is empty"
    FILLED = "read"


@dataclass(frozen=True, slots=True)
class NemoclawEntry:
    """One sandbox NemoClaw has made."""

    name: str
    gateway: str = GATEWAY
    port: int | None = None
    """Of its dashboard on this machine; None where it has none, or whose it is is not known."""
    api_port: int | None = None
    """Of the programming interface of Hermes."""
    page_port: int | None = None
    """Of the web page of Hermes."""
    agent: str = "openclaw"
    stopped: bool = False
    """Whether NemoClaw notes that somebody stopped it on purpose."""
    facts: Facts = ()
    default: bool = False
    """Whether it is the default of its register."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port of this machine that leads to it."""
        told = (self.port, self.api_port, self.page_port)
        return tuple(port for port in told if port is not None)

    @property
    def agent_port(self) -> int | None:
        """Where its agent's gateway answers inside it; None where that is not known."""
        return self.api_port if self.agent == "hermes" else self.port

    @property
    def has_agent_gateway(self) -> bool:
        """Whether a gateway of its agent's own runs inside it."""
        return self.agent in _WITH_GATEWAY


@dataclass(frozen=True, slots=True)
class NemoclawRegistry:
    """The registers as they are now."""

    status: RegistryStatus
    entries: tuple[NemoclawEntry, ...] = ()
    default: NemoclawEntry | None = None
    problem: str = ""
    """Why one is corrupt, or what was not understood."""
    reserved: tuple[tuple[str, str], ...] = ()
    """(gateway, name) of placeholders for sandboxes that are being created."""
    replaced: str = ""
    """A default that is not there, and what stands in for it, as a clause."""

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
    replaced: str = ""
    reserved: tuple[tuple[str, str], ...] = ()


def read(path: Path | None, now: float | None = None) -> NemoclawRegistry:
    """Read every register; every failure is a value, and only that register's.

    `now`: epoch seconds; without it no age is told.
    """
    if path is None:
        return NemoclawRegistry(RegistryStatus.UNUSED)
    roots = [_root(path, BASE_PORT)]
    folders, problem = _port_folders(path.parent / "gateways")
    roots += [_root(folder / path.name, port) for port, folder in folders]
    every_entry = [one for root in roots for one in root.listed.values()]
    claims = [port for one in every_entry for port in _claimed(one)]
    # What a register that cannot be read claims, and what it calls its default, is not known.
    whole = not problem and all(root.status is not RegistryStatus.CORRUPT for root in roots)
    free = {
        port: whole and port not in claims and sum(map(may_use, every_entry)) == 1
        for port, may_use in _UNNOTED.items()
    }
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
            wanted = [
                _dashboard(one) or _unnoted(one, DASHBOARD_PORT, free),
                _hermes(one) or _unnoted(one, HERMES_PORT, free),
                _hermes_page(one),
            ]
            port, api, page = (n if n is None or claims.count(n) <= 1 else None for n in wanted)
            mine.append(
                NemoclawEntry(
                    name,
                    gateway,
                    port,
                    api,
                    page,
                    _agent(one),
                    one.get("stopped") is True,
                    nemoclaw_facts.facts(one, port, now),
                    name == root.default,
                )
            )
        entries += mine
        defaults += [(root.port, one) for one in mine if one.default]
    said = "; ".join(filter(None, problems))
    base = [one for port, one in defaults if port == BASE_PORT]
    every = [one for _, one in defaults]
    default = base[0] if base else every[0] if whole and len(every) == 1 else None
    named = next((os.environ[name] for name in _DEFAULTS if os.environ.get(name)), "")
    if named:
        meant = [one for one in entries if one.name == named]
        default = meant[0] if len(meant) == 1 else None
    replaced = next((root.replaced for root in roots if root.replaced), "")
    return NemoclawRegistry(
        _status(roots, entries, said),
        tuple(entries),
        default,
        said,
        tuple(one for root in roots for one in root.reserved if one[0]),
        "" if named else replaced,
    )


def _status(roots: list[_Root], entries: list[NemoclawEntry], said: str) -> RegistryStatus:
    if any(root.status is RegistryStatus.CORRUPT for root in roots) or "not read" in said:
        return RegistryStatus.CORRUPT
    if said:
        return RegistryStatus.ODD
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
    return sorted(found.items())[: MOST_ROOTS - 1], ""


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
    waiting = tuple(
        (_gateway(one, port), sanitize(name, 63))
        for name, one in listed.items()
        if isinstance(one, dict) and one.get("pendingRouteReservation") is True
    )
    left = len(listed) - len(made) - len(waiting)
    odd = f"{left} {'entry' if left == 1 else 'entries'} not understood" if left else ""
    if not made:
        return _Root(port, RegistryStatus.EMPTY, {}, problem=odd, reserved=waiting)
    wanted = whole.get("defaultSandbox")
    if isinstance(wanted, str) and wanted in made:
        return _Root(port, RegistryStatus.FILLED, made, wanted, odd, reserved=waiting)
    default = next(iter(made))
    replaced = f"default {sanitize(str(wanted), 63)} is not there; using {default}"
    replaced = replaced if isinstance(wanted, str) else ""
    return _Root(port, RegistryStatus.FILLED, made, default, odd, replaced, waiting)


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


def _agent(one: Mapping[str, object]) -> str:
    """The agent inside; an entry that names none is from before there was a choice."""
    told = one.get("agent")
    return sanitize(told, 60) if isinstance(told, str) and told else "openclaw"


def _hermes(one: Mapping[str, object]) -> int | None:
    return _number(one.get("hermesApiPort")) if _agent(one) == "hermes" else None


def _hermes_page(one: Mapping[str, object]) -> int | None:
    wanted = _agent(one) == "hermes" and one.get("hermesDashboardEnabled") is True
    return _number(one.get("hermesDashboardPort")) if wanted else None


def _claimed(one: Mapping[str, object]) -> list[int]:
    found = (_dashboard(one), _hermes(one), _hermes_page(one))
    return [port for port in found if port is not None]


_UNNOTED: Mapping[int, Callable[[Mapping[str, object]], bool]] = {
    DASHBOARD_PORT: lambda one: "dashboardPort" not in one and _agent(one) in _WITH_GATEWAY,
    HERMES_PORT: lambda one: "hermesApiPort" not in one and _agent(one) == "hermes",
}
"""Ports that older entries use without noting them, and which entries those may be."""


def _unnoted(one: Mapping[str, object], port: int, free: Mapping[int, bool]) -> int | None:
    """A port that is not noted, where this entry alone can be the one that uses it."""
    return port if free[port] and _UNNOTED[port](one) else None
