"""NemoClaw's receipts of the ports it forwards itself; read and never written.

See upstream/openshell: NemoClaw. Such a forward is in no list of the `openshell` command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.process.identity import ProcessId
from services.sources.openshell.records import safe_name

_LARGEST = 64 * 1024
_MOST = 256
_SANDBOX = ("sandbox", "sandboxName", "name")
_GATEWAY = ("gateway", "gatewayName")
_PORT = ("localPort", "hostPort", "port")


@dataclass(frozen=True, slots=True)
class ForwardReceipt:
    """One port of this machine that NemoClaw forwards, or did."""

    sandbox: str
    gateway: str
    """Empty where it does not tell."""
    port: int
    alive: bool
    """Whether the process it names is there."""


def receipts(roots: Iterable[Path]) -> tuple[ForwardReceipt, ...]:
    """Those below the folders of NemoClaw's registers; what cannot be read is left out."""
    found: list[ForwardReceipt] = []
    for root in roots:
        folder = root / "forwards"
        try:
            if folder.is_symlink():
                continue
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")[:_MOST]
        except OSError:
            continue
        found += filter(None, map(_receipt, paths))
    return tuple(found)


def _receipt(path: Path) -> ForwardReceipt | None:
    if path.name.endswith(".pending.json") or path.is_symlink():
        return None
    try:
        told = parse_json(read_bounded(path, _LARGEST))
    except (OSError, UnfitError):
        return None
    if not isinstance(told, Mapping):
        return None
    sandbox, gateway = _word(told, _SANDBOX), _word(told, _GATEWAY)
    port = next((told[key] for key in _PORT if isinstance(told.get(key), int)), 0)
    pid = told.get("pid")
    if not sandbox or isinstance(port, bool) or not 0 < port < 65536:
        return None
    process = ProcessId.capture(pid) if isinstance(pid, int) and pid > 0 else None
    return ForwardReceipt(sandbox, gateway, port, process is not None and process.alive())


def _word(told: Mapping[str, object], keys: tuple[str, ...]) -> str:
    value = next((told[key] for key in keys if isinstance(told.get(key), str)), "")
    return value if isinstance(value, str) and safe_name(value) else ""
