"""NemoClaw's register of its sandboxes, read and never written (upstream/openshell: NemoClaw)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.models import Facts
from services.sources.openshell.records import safe_name
from services.text.sanitize import sanitize

GATEWAY = "nemoclaw"
DASHBOARD_PORT = 18789
_LARGEST = 4 << 20


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
    port: int = DASHBOARD_PORT
    facts: Facts = ()


@dataclass(frozen=True, slots=True)
class NemoclawRegistry:
    """The register as it is now."""

    status: RegistryStatus
    entries: tuple[NemoclawEntry, ...] = ()
    default: str = ""
    problem: str = ""
    """Why it is corrupt."""

    def entry(self, gateway: str, name: str) -> NemoclawEntry | None:
        """What it says of a sandbox."""
        return next((e for e in self.entries if (e.gateway, e.name) == (gateway, name)), None)

    @property
    def gateways(self) -> tuple[str, ...]:
        """Every gateway it names, in order."""
        return tuple(dict.fromkeys(entry.gateway for entry in self.entries))


def read(path: Path | None) -> NemoclawRegistry:
    """Read it; every failure is a value."""
    if path is None:
        return NemoclawRegistry(RegistryStatus.UNUSED)
    try:
        whole = parse_json(read_bounded(path, _LARGEST))
    except FileNotFoundError:
        return NemoclawRegistry(RegistryStatus.ABSENT)
    except OSError as error:
        return NemoclawRegistry(
            RegistryStatus.CORRUPT, problem=sanitize(error.strerror or "it cannot be opened")
        )
    except UnfitError as error:
        return NemoclawRegistry(RegistryStatus.CORRUPT, problem=str(error))
    listed = whole.get("sandboxes") if isinstance(whole, dict) else None
    if not isinstance(listed, dict):
        return NemoclawRegistry(RegistryStatus.CORRUPT, problem="it has no list of sandboxes")
    entries = tuple(
        _entry(name, one)
        for name, one in listed.items()
        if safe_name(name) and isinstance(one, dict)
    )
    if not entries:
        return NemoclawRegistry(RegistryStatus.EMPTY)
    wanted = whole.get("defaultSandbox")
    names = [entry.name for entry in entries]
    return NemoclawRegistry(
        RegistryStatus.FILLED, entries, default=wanted if wanted in names else names[0]
    )


def _entry(name: str, one: dict[str, object]) -> NemoclawEntry:
    gateway, port = one.get("gatewayName"), one.get("dashboardPort")
    facts = [
        (key, sanitize(str(said), 120))
        for key in ("agent", "model", "provider", "nemoclawVersion")
        if isinstance(said := one.get(key), str) and said
    ]
    return NemoclawEntry(
        name,
        gateway if isinstance(gateway, str) and safe_name(gateway) else GATEWAY,
        port if isinstance(port, int) and 0 < port < 65536 else DASHBOARD_PORT,
        tuple(facts),
    )
