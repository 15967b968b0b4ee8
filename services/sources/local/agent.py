"""One embedded agent: takes due messages, works, answers; `python -m …local.agent`.

It plays upstream's container (upstream/nanoclaw: Outbound file) with one difference: it touches
`.heartbeat` at least every second for as long as it lives, idle too, where upstream's moves only
with provider events. A silent heartbeat here always means an agent that is gone or stopped.

Exit codes: 0 asked to end, not needed, or another agent owns the folder; 1 an error, noted in
`crashes.jsonl`; 3 the folder's lock names a dead process, noted likewise.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from pathlib import Path
from random import Random

from services.files.private import private_folder
from services.sources.local import crashes, lock, starts
from services.sources.local.agent_queue import AgentQueue
from services.sources.local.layout import World
from services.sources.local.leases import is_needed
from services.sources.local.process_log import bound_stderr
from services.sources.local.process_records import AGENT, describe
from services.sources.local.queue_files import HEARTBEAT, INBOUND, create_outbound
from services.sources.local.ticker import ClockSteps, Ticker
from services.sources.local.work import Plan, Task, plan, subject
from services.text.format import clock_time, plural

HEARTBEAT_INTERVAL_S = 0.5
LEASE_CHECK_S = 1.0
STALE_LOCK_EXIT = 3


class Agent:
    """The agent of one sandbox folder, one `step` at a time; single-threaded, no sleeping."""

    def __init__(self, world: World, name: str, rng: Random) -> None:
        self._folder = world.sandbox(name)
        self._world = world
        self._name = name
        self._rng = rng
        self._queue = AgentQueue(self._folder)
        self._batch: tuple[Task, ...] = ()
        self._plan = Plan((), ())
        self._tool = 0
        self._tool_ends = 0.0
        self._seen: tuple[int, int, int] | None = None
        self._checked_at = 0.0

    def begin(self) -> None:
        """Make our own file whole and drop the claims of whoever was here before."""
        create_outbound(self._folder)
        self._queue.drop_claims()

    def say(self, now: float, words: str) -> None:
        """Write a line to this agent's log, which is its standard error."""
        sys.stderr.write(f"[{clock_time(now)}] {' '.join(words.split())}\n")

    def touch_heartbeat(self) -> None:
        """Say that this agent is alive."""
        path = self._folder / HEARTBEAT
        try:
            os.utime(path)
        except FileNotFoundError:
            path.touch(mode=0o600)

    def clock_set(self, by: float) -> None:
        """Go on as before although the wall clock was set by so many seconds."""
        self._tool_ends += by
        self._checked_at += by

    def step(self, now: float) -> float:
        """Do what is due at `now`; seconds until there is something to do again, at most a beat.

        Raises:
            sqlite3.Error: a file is locked or damaged; stepping again is safe.
        """
        if not self._batch:
            self._claim_batch(now)
        elif now >= self._tool_ends:
            self._next_tool(now)
        return (
            max(0.02, min(HEARTBEAT_INTERVAL_S, self._tool_ends - now))
            if self._batch
            else HEARTBEAT_INTERVAL_S
        )

    def _claim_batch(self, now: float) -> None:
        if not self._inbound_changed(now):
            return
        batch = self._queue.claim(now)
        if not batch:
            return
        peers = tuple(name for name in self._world.names() if name != self._name)
        self._batch, self._plan, self._tool = batch, plan(batch, peers, self._rng), -1
        self.say(now, f"took {plural(len(batch), 'message')}: {subject(batch[0])}")
        self._next_tool(now)

    def _inbound_changed(self, now: float) -> bool:
        """Whether the inbound file changed, or enough time passed for something to fall due."""
        try:
            stat = (self._folder / INBOUND).stat()
        except OSError:
            return False
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen and now - self._checked_at < 2 * HEARTBEAT_INTERVAL_S:
            return False
        self._seen, self._checked_at = seen, now
        return True

    def _next_tool(self, now: float) -> None:
        index = self._tool + 1
        if index < len(self._plan.tools):
            use = self._plan.tools[index]
            self._queue.use_tool(use.tool, use.timeout_ms, now)
            self._tool, self._tool_ends = index, now + use.seconds
            self.say(now, f"uses {use.tool}")
            return
        if self._plan.fails:
            self._queue.use_tool(None, None, now)
            self.say(now, "gave up half way: no answer, and the messages stay claimed")
        else:
            answers = plural(len(self._plan.replies), "message")
            self.say(now, f"answered with {answers} to {subject(self._batch[0])}")
            self._queue.answer(self._batch, self._plan.replies, now)
        self._batch, self._seen = (), None


def run(world: World, name: str, ticker: Ticker) -> None:
    """Work until asked to end or no longer needed."""
    agent = Agent(world, name, Random())  # noqa: S311
    agent.begin()
    agent.say(time.time(), f"{name} begins, process {os.getpid()}")
    checked, clock = time.monotonic(), ClockSteps()
    wait = 0.0
    while ticker.wait(wait):
        agent.clock_set(clock.since_last())
        agent.touch_heartbeat()
        if time.monotonic() - checked >= LEASE_CHECK_S:
            checked = time.monotonic()
            if not is_needed(world):
                agent.say(time.time(), "ends: no panel needs this world any more")
                return
        try:
            wait = agent.step(time.time())
        except sqlite3.OperationalError:
            # Locked, or the host is still making the other file: the next beat tries again.
            wait = HEARTBEAT_INTERVAL_S
    agent.say(time.time(), "ends: asked to")


def main(argv: list[str] | None = None) -> int:
    """Own the folder, work, leave it clean."""
    import argparse

    parser = argparse.ArgumentParser(prog="wakedeck-agent")
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--sandbox", required=True)
    asked = parser.parse_args(argv)
    os.umask(0o077)
    bound_stderr()
    world, name = World(asked.world.absolute()), str(asked.sandbox)
    folder = world.sandbox(name)
    for path in (folder, world.work(name)):
        private_folder(path)
    ticker = Ticker()
    mine = describe(AGENT + name)
    match lock.acquire(folder, mine):
        case lock.LockResult.HELD:
            starts.leave(world, mine.role)
            return 0
        case lock.LockResult.STALE:
            owner = lock.holder(folder)
            left = f"pid {owner.pid}" if owner else "an unknown process"
            lock.record_crash(folder, f"stale lock left by {left}")
            starts.leave(world, mine.role)
            return STALE_LOCK_EXIT
        case lock.LockResult.TAKEN:
            world.write_record(mine)
            starts.leave(world, mine.role)
    try:
        (folder / crashes.GAVE_UP).unlink(missing_ok=True)
        run(world, name, ticker)
    except Exception as error:
        lock.record_crash(folder, f"{type(error).__name__}: {error}")
        raise
    finally:
        # The lock goes first: whoever still finds the record waits for this process to be gone.
        lock.release(folder, mine)
        if world.read_record(mine.role) == mine:
            world.record(mine.role).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
