"""What the CLI lists: registrations, sandboxes, forwards."""

from __future__ import annotations

import re

from services.lazy_dataclass import dataclass
from services.models import Facts
from services.sources.openshell.lifecycle import NO_LIFE, SandboxLife

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
DEFAULT_WORKSPACE = "default"


def safe_name(name: str) -> bool:
    """Whether it can stand on a command line and in an identity: no dash first, no slash."""
    return _SAFE_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Registration:
    """One gateway the CLI knows of; knowing it says nothing of whether it lives."""

    name: str
    endpoint: str = ""
    kind: str = ""
    auth: str = ""
    source: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True)
class SandboxCondition:
    """One condition of a sandbox (upstream/openshell: Phases)."""

    kind: str
    status: str
    reason: str
    message: str
    at: float | None = None
    """When it last changed, in epoch seconds; None where that is not told."""


@dataclass(frozen=True, slots=True)
class SandboxRow:
    """One sandbox as listed; every text in it is harmless."""

    name: str
    phase: str
    id: str = ""
    workspace: str = ""
    created: str = ""
    labels: Facts = ()
    revision: str = ""
    policy_version: str = ""
    exit_code: int | None = None
    conditions: tuple[SandboxCondition, ...] = ()
    life: SandboxLife = NO_LIFE
    """What the 0.1 line tells beyond."""

    @property
    def cause(self) -> str:
        """The bare reason of the condition Ready; empty where it says none."""
        return next((one.reason for one in self.conditions if one.kind == "Ready"), "")

    @property
    def why(self) -> str:
        """The reason of the condition that keeps it from being Ready; empty where none says."""
        for one in self.conditions:
            if one.kind == "Ready" and one.status != "True" and (one.reason or one.message):
                return ": ".join(part for part in (one.reason, one.message) if part)
        return ""


@dataclass(frozen=True, slots=True)
class Forward:
    """One forwarded port the CLI has started (upstream/openshell: Forwards)."""

    sandbox: str
    bind: str
    port: int
    alive: bool
    workspace: str = ""
    """Empty where the list does not tell."""
    id: str = ""
    """Of the sandbox; empty where that is not told."""

    def of(self, target: Target) -> bool:
        """Whether it leads to that sandbox, as far as its names tell."""
        return self.sandbox == target.name and self.workspace in ("", target.workspace)

    @property
    def place(self) -> str:
        """As `forward start` takes it."""
        if self.bind in ("", "127.0.0.1", "localhost"):
            return str(self.port)
        bind = f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"{bind}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One sandbox of one gateway: what every call names in full."""

    gateway: str
    name: str
    workspace: str = DEFAULT_WORKSPACE

    @property
    def native(self) -> str:
        """The identity within this source."""
        if self.workspace == DEFAULT_WORKSPACE:
            return f"{self.gateway}/{self.name}"
        return f"{self.gateway}/{self.workspace}/{self.name}"

    @classmethod
    def parse(cls, native: str) -> Target | None:
        """The identity taken apart; None where it cannot be one of ours."""
        parts = native.split("/")
        if not all(map(safe_name, parts)):
            return None
        if len(parts) == 2:
            return cls(parts[0], parts[1])
        return cls(parts[0], parts[2], parts[1]) if len(parts) == 3 else None
