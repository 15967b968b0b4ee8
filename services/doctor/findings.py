"""What one detector found of one system; texts are sanitized and hold no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from services.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something a system cannot do without, or is better with."""

    what: str
    met: bool
    detail: str = ""
    """Where it is, which version, or what to do."""
    required: bool = True


@dataclass(frozen=True, slots=True)
class ConfigBlock:
    """One `[sources.NAME]` table that would show what was found."""

    name: str
    """The preferred one: another is taken where it is in use."""
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One system."""

    kind: str
    """As `kind` in the configuration."""
    system: str
    found: tuple[str, ...] = ()
    """What is here, a line each; empty where it is not installed."""
    needs: tuple[Requirement, ...] = ()
    blocks: tuple[ConfigBlock, ...] = ()
    problem: str = ""
    """Why the detector did not come to its end."""
