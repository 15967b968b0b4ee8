"""The flood fault: `<root>/flood.json` names a sandbox and an end; the host pours until then."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from services.files.bounded import parse_json, read_bounded
from services.sources.local.host_queue import HostQueue
from services.sources.local.layout import World, write_private
from services.sources.local.traffic import flood_message

RATE = 200.0
"""Messages a second."""
_BURST = 100


@dataclass(frozen=True, slots=True)
class FloodRequest:
    """Who is flooded, until when (epoch seconds)."""

    sandbox: str
    until: float


def flood_file(world: World) -> Path:
    """Where a flood is asked for; removing it ends the flood."""
    return world.root / "flood.json"


def request_flood(world: World, sandbox: str, until: float) -> None:
    """Ask the host to flood a sandbox until an instant (epoch seconds)."""
    write_private(flood_file(world), json.dumps({"sandbox": sandbox, "until": until}))


def read_flood(world: World) -> FloodRequest | None:
    """The flood that is asked for, or None."""
    try:
        fields = parse_json(read_bounded(flood_file(world)))
        return FloodRequest(str(fields["sandbox"]), float(fields["until"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Flood:
    """Inserts messages into one sandbox while a flood is requested."""

    def __init__(self, world: World, name: str, rng: Random) -> None:
        self._world = world
        self._name = name
        self._rng = rng
        self._poured = 0
        self._since: float | None = None

    @property
    def active(self) -> bool:
        """Whether it pours now."""
        return self._since is not None

    def step(self, host_queue: HostQueue, now: float) -> None:
        """Insert what is owed since the last step.

        Raises:
            sqlite3.Error: the file is locked or damaged.
        """
        asked = read_flood(self._world)
        if asked is None or asked.sandbox != self._name:
            self._since = None
            return
        if now >= asked.until:
            self._since = None
            flood_file(self._world).unlink(missing_ok=True)
            return
        if self._since is None:
            self._since = now
        owed = min(_BURST, int((now - self._since) * RATE))
        if owed:
            self._since = now
            messages = [flood_message(self._rng, self._poured + n) for n in range(owed)]
            self._poured += owed
            host_queue.insert(messages, now)
