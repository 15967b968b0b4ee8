"""What was broken, and what the journal must say of it: read back from the file, not the panel."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from services.sources.local.faults import InjectedFault

GATEWAY = "gateway"
OF_THE_GATEWAY = (
    InjectedFault.GATEWAY_KILL,
    InjectedFault.GATEWAY_HANG,
    InjectedFault.GATEWAY_DRAIN,
    InjectedFault.CREDENTIAL_REFUSED,
)
LEADS_TO: dict[InjectedFault, tuple[str, ...]] = {
    InjectedFault.AGENT_KILL: ("down", "ready"),
    InjectedFault.AGENT_HANG: ("stuck", "ready"),
    InjectedFault.AGENT_CRASH_LOOP: ("broken", "ready"),
    InjectedFault.GATEWAY_KILL: ("down", "ready"),
    InjectedFault.GATEWAY_HANG: ("hung", "ready"),
    InjectedFault.GATEWAY_DRAIN: ("settling", "absent", "ready"),
    InjectedFault.CREDENTIAL_REFUSED: ("wrong", "ready"),
    InjectedFault.SHELL_DROP: ("lost",),
    InjectedFault.FLOOD: (),
}
"""The states a fault and its repair must pass through, in this order; others may lie between."""


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault, where and when (epoch seconds) it was injected."""

    at: float
    fault: InjectedFault
    sandbox: str

    @property
    def kind(self) -> str:
        """The kind of the events it must leave."""
        if self.fault is InjectedFault.SHELL_DROP:
            return "shell"
        return "gateway" if self.fault in OF_THE_GATEWAY else "sandbox"

    @property
    def subject(self) -> str:
        """Whom those events are about."""
        return GATEWAY if self.fault in OF_THE_GATEWAY else self.sandbox

    def __str__(self) -> str:
        return f"{self.fault.value} of {self.subject} at {self.at:.1f}"


def missing(journal: Path, injected: Sequence[Injected]) -> list[str]:
    """Every injected fault of which the journal's file does not hold the whole course."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        return [
            f"{one}: the journal lacks {' → '.join(lacking)}"
            for one in injected
            if (lacking := _lacking(db, one))
        ]


def _lacking(db: sqlite3.Connection, one: Injected) -> tuple[str, ...]:
    found = db.execute(
        "SELECT after FROM events WHERE kind = ? AND subject = ? AND at >= ? ORDER BY at, id",
        (one.kind, one.subject, one.at),
    )
    left = list(LEADS_TO[one.fault])
    for (after,) in found:
        if left and after == left[0]:
            del left[0]
    return tuple(left)
