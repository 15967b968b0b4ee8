"""The traffic side of the embedded world: `python -m services.sources.local.host --world ROOT`.

It plays upstream's host (upstream/nanoclaw: How the host wakes): posts, delivers, sweeps. It starts
no agent, save one that crashed by itself. Once nobody needs the world it ends every process of it
by record.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
import time
from pathlib import Path
from random import Random

from services.errors import ProcessError
from services.files.private import open_private, private_folder
from services.process.identity import Liveness
from services.sources.local import crashes, lock, starts
from services.sources.local.flood import Flood
from services.sources.local.host_queue import HostQueue, PendingDelivery, action
from services.sources.local.layout import SANDBOX_NAMES, World
from services.sources.local.leases import is_needed
from services.sources.local.process_log import bound_stderr
from services.sources.local.process_records import AGENT, alive, describe, reap
from services.sources.local.queue_files import INBOUND
from services.sources.local.spawn import start
from services.sources.local.ticker import ClockSteps, Ticker
from services.sources.local.traffic import LONGEST_GAP_S, SHORTEST_GAP_S, from_agent, random_message
from services.sources.local.world import end_if_unneeded

ROLE = "host"
TICK_S = 0.25
DELIVER_S = 1.0
SWEEP_S = 2.0
LEASE_CHECK_S = 1.0
LOG_INTERVAL_S = 60.0
ANSWER_S = (4.0, 12.0)

RESTART_DELAYS_S = (1.0, 2.0, 4.0)
"""An agent that crashed by itself is restarted after these, then never again."""
RESTART_WINDOW_S = 60.0
_BEFORE_US_S = 10.0


class HostedSandbox:
    """The host's work for one sandbox, each part at its own interval."""

    def __init__(self, world: World, name: str, rng: Random, now: float) -> None:
        self.name = name
        self.host_queue = HostQueue(world.sandbox(name), rng)
        self.flood = Flood(world, name, rng)
        self._world = world
        self._rng = rng
        self._prepared = False
        self._next_post = now + rng.uniform(0.2, LONGEST_GAP_S)
        self._next_delivery = now
        self._next_sweep = now + rng.uniform(0, SWEEP_S)
        self._answers: list[tuple[float, PendingDelivery]] = []
        self._backoff_until = now
        self._logged_at = 0.0

    def step(self, now: float) -> tuple[PendingDelivery, ...]:
        """Do what is due; what was delivered to other agents. Never raises for a sick file."""
        if now < self._backoff_until:
            return ()
        try:
            return self._step(now)
        except sqlite3.Error as error:
            self._back_off(error, now)
            return ()

    def receive(self, item: PendingDelivery, sender: str, now: float) -> None:
        """Take in what another agent wrote; lost where the file is sick, as upstream's would be."""
        try:
            self.host_queue.insert([from_agent(item.content, sender)], now)
        except sqlite3.Error as error:
            self._back_off(error, now)

    def _back_off(self, error: sqlite3.Error, now: float) -> None:
        """Leave a sick sandbox alone for a while: waiting for it keeps the others waiting."""
        self._backoff_until = now + SWEEP_S
        if now - self._logged_at > LOG_INTERVAL_S:
            self._logged_at = now
            print(f"{self.name}: {error}", file=sys.stderr, flush=True)  # noqa: T201

    def _step(self, now: float) -> tuple[PendingDelivery, ...]:
        if not self._prepared:
            self.host_queue.prepare(now)
            self._prepared = True
        self.flood.step(self.host_queue, now)
        if now >= self._next_post:
            self._next_post = now + self._rng.uniform(SHORTEST_GAP_S, LONGEST_GAP_S)
            if not self.host_queue.is_full():
                self.host_queue.insert([random_message(self._rng)], now)
        sent: tuple[PendingDelivery, ...] = ()
        if now >= self._next_delivery:
            self._next_delivery = now + DELIVER_S
            sent = self._deliver(now)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_S
            self._sweep(now)
        return sent

    def _deliver(self, now: float) -> tuple[PendingDelivery, ...]:
        sent = self.host_queue.deliver(now)
        for item in sent:
            match action(item):
                case "ask_question":
                    self._answers.append((now + self._rng.uniform(*ANSWER_S), item))
                case "schedule_task":
                    self.host_queue.schedule(item, now)
        due = [entry for entry in self._answers if entry[0] <= now]
        for entry in due:
            self._answers.remove(entry)
            self.host_queue.answer(entry[1], now)
        return tuple(item for item in sent if item.channel == "agent")

    def _sweep(self, now: float) -> None:
        record = self._world.read_record(AGENT + self.name)
        suspended = record is not None and alive(record) is Liveness.STOPPED
        self.host_queue.sweep(now, suspended=suspended)


class Host:
    """All sandboxes of a world, one `step` at a time."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._sandboxes: dict[str, HostedSandbox] = {}
        self._restarts = AgentRestarts(world)
        self._next_scan = 0.0

    def step(self, now: float) -> float:
        """Do what is due at `now`; seconds until the next step."""
        if now >= self._next_scan:
            self._next_scan = now + SWEEP_S
            self._sync_sandboxes(now)
            self._restarts.step(tuple(self._sandboxes), now)
        flooding = False
        for one in list(self._sandboxes.values()):
            for item in one.step(now):
                peer = self._sandboxes.get(item.platform)
                if peer is not None:
                    peer.receive(item, one.name, now)
            flooding = flooding or one.flood.active
        return TICK_S / 2.5 if flooding else TICK_S

    def _sync_sandboxes(self, now: float) -> None:
        """Serve the sandboxes that exist; make the four of a fresh world."""
        names = self._world.names()
        if not any((self._world.sandbox(name) / INBOUND).exists() for name in names):
            names = tuple(sorted({*names, *SANDBOX_NAMES}))
        for name in names:
            if name not in self._sandboxes:
                private_folder(self._world.work(name))
                self._sandboxes[name] = HostedSandbox(self._world, name, self._rng, now)
        for name in [n for n in self._sandboxes if not self._world.sandbox(n).is_dir()]:
            del self._sandboxes[name]


def main(argv: list[str] | None = None) -> int:
    """Serve the world until asked to end or nobody needs it; 0 also where a host is there."""
    import argparse

    parser = argparse.ArgumentParser(prog="wakedeck-host")
    parser.add_argument("--world", type=Path, required=True)
    world = World(parser.parse_args(argv).world.absolute())
    os.umask(0o077)
    bound_stderr()
    world.create()
    ticker = Ticker()
    handle = open_private(world.root / "run" / "host.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        starts.leave(world, ROLE)
        return 0
    mine = describe(ROLE)
    world.write_record(mine)
    starts.leave(world, ROLE)
    try:
        _serve(world, ticker)
    finally:
        os.close(handle)
        if world.read_record(ROLE) == mine:
            world.record(ROLE).unlink(missing_ok=True)
    return 0


def _serve(world: World, ticker: Ticker) -> None:
    host = Host(world, Random())  # noqa: S311
    checked, clock = time.monotonic(), ClockSteps()
    wait = 0.0
    while ticker.wait(wait):
        reap()
        if clock.since_last():
            # Every instant it had in mind is of another clock.
            host = Host(world, Random())  # noqa: S311
        if time.monotonic() - checked >= LEASE_CHECK_S:
            checked = time.monotonic()
            if not is_needed(world) and end_if_unneeded(world, spare=(ROLE,)):
                return
        wait = host.step(time.time())


class AgentRestarts:
    """Restarts agents that crashed by themselves.

    Watches `crashes.jsonl` of every sandbox; acts on new lines alone.
    """

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
            self._judge(name, now, self._begun - _BEFORE_US_S)
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
        recent = [at for at in self._restarts.get(name, []) if now - at < RESTART_WINDOW_S]
        self._restarts[name] = recent
        if len(recent) < len(RESTART_DELAYS_S):
            self._due[name] = crash.at + RESTART_DELAYS_S[len(recent)]
            return
        self._gave_up.add(name)
        count = len([c for c in found if now - c.at < RESTART_WINDOW_S])
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


if __name__ == "__main__":
    sys.exit(main())
