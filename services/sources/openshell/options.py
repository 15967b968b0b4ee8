"""What the operator configured of an OpenShell source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OpenShellOptions:
    """The defaults find everything in its usual place.

    See upstream/openshell: Finding the command;
    upstream/openshell: Configuration folder;
    upstream/openshell: NemoClaw.
    """

    binary: str = ""
    """Path of the CLI; empty: looked for."""
    gateways: tuple[str, ...] = ()
    """Which registered gateways to show; empty: all."""
    registry: str = "~/.nemoclaw/sandboxes.json"
    """NemoClaw's register, read and never written; empty: none."""
    start: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Gateway name to the command, as an argv, that starts its service."""
    forwards: bool = True
    """Whether a reconnect also repairs forwarded ports."""
    log_level: str = ""
    log_source: str = ""
