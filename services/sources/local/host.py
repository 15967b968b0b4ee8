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

from services.sources.local.flood import Flood
from services.sources.local.host_queue import Outgoing, Postbox, action
from services.sources.local.layout import SANDBOX_NAMES, World
from services.sources.local.leases import needed
from services.sources.local.queue_files import INBOUND
from services.sources.local.restarts import Revival
from services.sources.local.spawn import AGENT, Liveness, alive, describe, reap
from services.sources.local.teardown import take_down
from services.sources.local.ticker import Pace
from services.sources.local.traffic import LONGEST_GAP_S, SHORTEST_GAP_S, from_agent, letter

ROLE = "host"
TICK_S = 0.25
DELIVER_S = 1.0
SWEEP_S = 2.0
NEED_S = 1.0
COMPLAIN_S = 60.0
ANSWER_S = (4.0, 12.0)


class Round:
    """Everything the host does for one sandbox, each part at its own rhythm."""

    def __init__(self, world: World, name: str, rng: Random, now: float) -> None:
        self.name = name
        self.postbox = Postbox(world.sandbox(name), rng)
        self.flood = Flood(world, name, rng)
        self._world = world
        self._rng = rng
        self._prepared = False
        self._next_post = now + rng.uniform(0.2, LONGEST_GAP_S)
        self._next_delivery = now
        self._next_sweep = now + rng.uniform(0, SWEEP_S)
        self._answers: list[tuple[float, Outgoing]] = []
        self._rest_until = now
        self._complained = 0.0

    def step(self, now: float) -> tuple[Outgoing, ...]:
        """Do what is due; what was delivered to other agents. Never raises for a sick file."""
        if now < self._rest_until:
            return ()
        try:
            return self._step(now)
        except sqlite3.Error as error:
            self._rest(error, now)
            return ()

    def receive(self, item: Outgoing, sender: str, now: float) -> None:
        """Take in what another agent wrote; lost where the file is sick, as upstream's would be."""
        try:
            self.postbox.post([from_agent(item.content, sender)], now)
        except sqlite3.Error as error:
            self._rest(error, now)

    def _rest(self, error: sqlite3.Error, now: float) -> None:
        """Leave a sick sandbox alone for a while: waiting for it keeps the others waiting."""
        self._rest_until = now + SWEEP_S
        if now - self._complained > COMPLAIN_S:
            self._complained = now
            print(f"{self.name}: {error}", file=sys.stderr, flush=True)  # noqa: T201

    def _step(self, now: float) -> tuple[Outgoing, ...]:
        if not self._prepared:
            self.postbox.prepare(now)
            self._prepared = True
        self.flood.step(self.postbox, now)
        if now >= self._next_post:
            self._next_post = now + self._rng.uniform(SHORTEST_GAP_S, LONGEST_GAP_S)
            if not self.postbox.crowded():
                self.postbox.post([letter(self._rng)], now)
        sent: tuple[Outgoing, ...] = ()
        if now >= self._next_delivery:
            self._next_delivery = now + DELIVER_S
            sent = self._deliver(now)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_S
            self._sweep(now)
        return sent

    def _deliver(self, now: float) -> tuple[Outgoing, ...]:
        sent = self.postbox.deliver(now)
        for item in sent:
            match action(item):
                case "ask_question":
                    self._answers.append((now + self._rng.uniform(*ANSWER_S), item))
                case "schedule_task":
                    self.postbox.schedule(item, now)
        due = [entry for entry in self._answers if entry[0] <= now]
        for entry in due:
            self._answers.remove(entry)
            self.postbox.answer(entry[1], now)
        return tuple(item for item in sent if item.channel == "agent")

    def _sweep(self, now: float) -> None:
        record = self._world.read_record(AGENT + self.name)
        suspended = record is not None and alive(record) is Liveness.STOPPED
        self.postbox.sweep(now, suspended=suspended)


class Host:
    """All sandboxes of a world, one `step` at a time."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._rounds: dict[str, Round] = {}
        self._revival = Revival(world)
        self._next_look = 0.0

    def step(self, now: float) -> float:
        """Do what is due at `now`; seconds until the next step."""
        if now >= self._next_look:
            self._next_look = now + SWEEP_S
            self._adopt(now)
            self._revival.step(tuple(self._rounds), now)
        flooding = False
        for one in list(self._rounds.values()):
            for item in one.step(now):
                peer = self._rounds.get(item.platform)
                if peer is not None:
                    peer.receive(item, one.name, now)
            flooding = flooding or one.flood.on
        return TICK_S / 2.5 if flooding else TICK_S

    def _adopt(self, now: float) -> None:
        """Serve the sandboxes that exist; make the four of a fresh world."""
        names = self._world.names()
        if not any((self._world.sandbox(name) / INBOUND).exists() for name in names):
            names = tuple(sorted({*names, *SANDBOX_NAMES}))
        for name in names:
            if name not in self._rounds:
                self._world.work(name).mkdir(mode=0o700, parents=True, exist_ok=True)
                self._rounds[name] = Round(self._world, name, self._rng, now)
        for name in [n for n in self._rounds if not self._world.sandbox(n).is_dir()]:
            del self._rounds[name]


def main(argv: list[str] | None = None) -> int:
    """Serve the world until asked to end or nobody needs it; 0 also where a host is there."""
    import argparse

    parser = argparse.ArgumentParser(prog="wakedeck-host")
    parser.add_argument("--world", type=Path, required=True)
    world = World(parser.parse_args(argv).world.absolute())
    os.umask(0o077)
    world.create()
    pace = Pace()
    handle = os.open(world.root / "run" / "host.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return 0
    mine = describe(ROLE)
    world.write_record(mine)
    try:
        _serve(world, pace)
    finally:
        os.close(handle)
        if world.read_record(ROLE) == mine:
            world.record(ROLE).unlink(missing_ok=True)
    return 0


def _serve(world: World, pace: Pace) -> None:
    host = Host(world, Random())  # noqa: S311
    checked = time.monotonic()
    wait = 0.0
    while pace.wait(wait):
        reap()
        if time.monotonic() - checked >= NEED_S:
            checked = time.monotonic()
            if not needed(world) and take_down(world, spare=(ROLE,)):
                return
        wait = host.step(time.time())


if __name__ == "__main__":
    sys.exit(main())
