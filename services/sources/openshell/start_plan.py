"""How a gateway could be started, found out by looking only; starting is the actor's.

See upstream/openshell: Starting a gateway.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from services.lazy_dataclass import dataclass
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.nemoclaw_registry import GATEWAY

SERVICE_PORT = 17670
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UNIT_FOLDERS = (
    "~/.config/systemd/user",
    "/etc/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "/lib/systemd/user",
)
_UNIT = "openshell-gateway.service"
_CELLARS = ("/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew")


@dataclass(frozen=True, slots=True)
class StartPlan:
    """How to start one gateway; without an argv the advice is for the operator's own hands."""

    argv: tuple[str, ...] = ()
    by_cli: bool = False
    """The argv is one of `openshell` itself, after its name."""
    advice: str = ""

    @property
    def possible(self) -> bool:
        """Whether the panel can do it."""
        return bool(self.argv)


def plan(
    name: str,
    endpoint: str,
    tools: Toolset,
    configured: Mapping[str, tuple[str, ...]],
    root: Path = Path("/"),
) -> StartPlan:
    """What starts this gateway: configured, the first generation's own, or a known service.

    `root` stands for the root of the file system.
    """
    if name.startswith(GATEWAY) and os.environ.get("NEMOCLAW_GATEWAY_MANAGEMENT"):
        return StartPlan(
            advice=f"{name} is under another program's supervision"
            " (NEMOCLAW_GATEWAY_MANAGEMENT): let that start it."
        )
    if chosen := configured.get(name):
        return StartPlan(chosen)
    if tools.generation is Generation.A:
        return StartPlan(("gateway", "start", "--name", name), by_cli=True)
    if not is_packaged(endpoint):
        return StartPlan(
            advice=f"Start the gateway {name} where it runs ({endpoint or 'address unknown'}),"
            f" or set start.{name} of this source to the command that does it."
        )
    if shutil.which("systemctl") and any(
        (_under(root, folder) / _UNIT).exists() for folder in _UNIT_FOLDERS
    ):
        return StartPlan(("systemctl", "--user", "start", "openshell-gateway"))
    if shutil.which("brew") and any(
        (_under(root, place) / "opt/openshell").exists() for place in _CELLARS
    ):
        return StartPlan(("brew", "services", "restart", "openshell"))
    if _under(root, "/snap/openshell").exists():
        return StartPlan(advice="Start it as root: sudo snap start openshell")
    return StartPlan(
        advice="Start it: systemctl --user start openshell-gateway, or set"
        f" start.{name} of this source to the command that does it."
    )


def is_packaged(endpoint: str) -> bool:
    """Whether the packages' service of this machine is there: loopback and their port."""
    try:
        split = urlsplit(endpoint)
        return split.hostname in _LOOPBACK and split.port == SERVICE_PORT
    except ValueError:
        return False


def _under(root: Path, place: str) -> Path:
    path = Path(place).expanduser()
    return path if root == Path("/") or place.startswith("~") else root / path.relative_to("/")
