"""Restarts of embedded agents that crashed by themselves: after 1, 2, 4 s, then never again."""

from __future__ import annotations

from services.errors import ProcessError
from services.sources.local import crashes, lock
from services.sources.local.layout import World
from services.sources.local.process_records import AGENT, alive
from services.sources.local.spawn import start

DELAYS_S = (1.0, 2.0, 4.0)
WINDOW_S = 60.0
_GRACE_S = 10.0


class AgentRestarts:
    """Watches `crashes.jsonl` of every sandbox; acts on new lines alone."""

    def __init__(self, world: World, begun: float | None = None) -> None:
        self._world = world
        self._begun = begun
        self._judged: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._restarts: dict[str, list[float]] = {}
        self._gave_up: set[str] = set()

    def step(self, names: tuple[str, ...], now: float) -> None:
        """Look at every sandbox and restart or give up where that is due."""
        if self._begun is None:
            self._begun = now
        for name in names:
            self._judge(name, now, self._begun - _GRACE_S)
            due = self._due.get(name)
            if due is not None and now >= due:
                del self._due[name]
                self._restart(name, now)

    def _judge(self, name: str, now: float, since: float) -> None:
        folder = self._world.sandbox(name)
        found = crashes.read_crashes(folder)
        if not found or found[-1].at <= self._judged.get(name, since):
            return
        crash = found[-1]
        self._judged[name] = crash.at
        if name in self._gave_up and not (folder / crashes.GAVE_UP).exists():
            # Somebody started it since: it has its restarts again.
            self._gave_up.discard(name)
            self._restarts.pop(name, None)
        recent = [at for at in self._restarts.get(name, []) if now - at < WINDOW_S]
        self._restarts[name] = recent
        if len(recent) < len(DELAYS_S):
            self._due[name] = crash.at + DELAYS_S[len(recent)]
            return
        self._gave_up.add(name)
        count = len([c for c in found if now - c.at < WINDOW_S])
        lock.give_up(folder, count, crash.why)

    def _restart(self, name: str, now: float) -> None:
        folder = self._world.sandbox(name)
        record = self._world.read_record(AGENT + name)
        if (folder / crashes.GAVE_UP).exists() or (record is not None and not alive(record).over):
            return
        self._restarts.setdefault(name, []).append(now)
        try:
            start(self._world, AGENT + name)
        except ProcessError as error:
            lock.record_crash(folder, str(error))
