"""`make truth`: a panel on a world that is broken at random, held against what is true.

The embedded world is killed, stopped, continued, replaced and slowed for some minutes; an oracle
that shares nothing with the panel's judging looks at the same time. Everything is printed for each
role, then the aims. Exit code 1 where an aim was not met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.truth_faults import Breaker, Fault, plan
from tests.bench.truth_oracle import Oracle
from tests.bench.truth_report import aims, report
from tests.bench.truth_samples import ROOT, SAMPLE_S, History, Screen, ask_status
from tests.bench.truth_score import (
    DEAD,
    READY_WORDS,
    SAYS,
    SERVING,
    WAYS,
    Answer,
    Record,
    Timeline,
)

AGENTS = ("data-pull", "inbox-triage", "night-watch", "release-notes")
ASK_S = 5.0
READY_S = 90.0
PATIENCE_S = 30.0
SLOW_S = 4.0
"""How long a patient run slows one."""
_POLL_S = 0.05


@dataclass
class Run:
    """Everything one run saw."""

    started: float
    ended: float = 0.0
    truth: dict[str, Timeline] = field(default_factory=dict)
    shown: dict[str, Timeline] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    faults: list[tuple[float, Fault]] = field(default_factory=list)
    lag: dict[str, float] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)
    """What a patient run waited for in vain."""


async def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait for something; whether it came to hold."""
    due = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > due:
            return False
        await asyncio.sleep(_POLL_S)
    return True


class Bench:
    """One world under panels, broken by a plan."""

    def __init__(self, home: Path, seed: int) -> None:
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }
        state = home / ".local" / "state" / "wakedeck"
        self._root = state / "local"
        state.mkdir(parents=True)
        (state / "welcomed").touch()
        self._history = History(state / "journal.db")
        self._oracle = Oracle(self._root, AGENTS)
        self._breaker = Breaker(self._root, home, self._oracle.pid)
        self._plan = plan(seed, AGENTS)
        self._screens: list[Screen] = []
        self._broken: set[str] = set()
        self.run = Run(time.time(), truth=self._oracle.truth)

    @asynccontextmanager
    async def opened(self, panels: int) -> AsyncIterator[None]:
        """The world, the panels and everything that looks; all of it is ended."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._take_down)
            stack.enter_context(self._oracle)
            for _ in range(panels):
                screen = await Screen.open(self._environ, AGENTS)
                stack.push_async_callback(screen.close)
                self._screens.append(screen)
                # The first one brings the world up; the next one must find it whole.
                assert await until(self._all_ready, READY_S), screen.text
            stack.callback(self._breaker.close)
            self.run.shown = self._screens[0].shown
            async with asyncio.TaskGroup() as tasks:
                lag = tasks.create_task(self._measure_lag())
                sampling = tasks.create_task(self._sample())
                self.run.started = time.time()
                try:
                    yield
                finally:
                    self.run.ended = time.time()
                    sampling.cancel()
                    lag.cancel()
            self._history.read()
            self.run.records = self._history.records

    async def ask(self) -> None:
        """`status` again and again, until cancelled."""
        while True:
            due = time.monotonic() + ASK_S
            self.run.answers.append(await ask_status(self._environ))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def break_for(self, seconds: float) -> None:
        """Fault after fault; each is mended when its time is over, others come meanwhile."""
        until_at = time.monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            for fault in self._plan:
                await asyncio.sleep(min(fault.gap_s, max(0.0, until_at - time.monotonic())))
                if time.monotonic() >= until_at:
                    break
                chosen = self._chosen(fault)
                if chosen is not None:
                    tasks.create_task(self._suffer(chosen, until_at))

    async def break_patiently(self, faults: int) -> None:
        """One fault at a time, each kept until the history tells it, and mended likewise."""
        for _ in range(faults):
            chosen = self._chosen(next(self._plan))
            assert chosen is not None, "everything is broken already"
            role = chosen.role
            self._begin(chosen)
            if chosen.kind == "replace":
                await self._true(role, DEAD)
            for number, word in enumerate(chosen.makes):
                if number:
                    self._breaker.turn(chosen)
                await self._told(role, word)
            if not chosen.makes:
                await asyncio.sleep(min(chosen.hold_s, SLOW_S))
            await asyncio.to_thread(self._breaker.mend, chosen)
            self._broken.discard(role)
            await self._told(role, SERVING)

    async def _told(self, role: str, true: str) -> None:
        """Wait until this is true of a role, and the history and every panel say so."""

        def told() -> bool:
            self._history.read()
            shown = [screen.shown[role].now for screen in self._screens]
            return self._history.last(role) in SAYS[true] and all(
                word in SAYS[true] for word in shown
            )

        await self._true(role, true)
        if not await until(told, PATIENCE_S):
            said = self._history.last(role)
            shown = ", ".join(screen.shown[role].now or "nothing" for screen in self._screens)
            self.run.untold.append(f"{role} is {true}, told as {said}, shown as {shown}")

    async def _true(self, role: str, true: str) -> None:
        line = self.run.truth[role]
        assert await until(lambda: line.now == true, READY_S), f"{role} did not become {true}"

    def _chosen(self, fault: Fault) -> Fault | None:
        """The fault, on another role where its own is broken or not back; None where all are."""
        wanted = [fault.role] if fault.role in WAYS else []
        start = AGENTS.index(fault.role) if fault.role in AGENTS else 0
        agents = [AGENTS[(start + at) % len(AGENTS)] for at in range(len(AGENTS))]
        for role in (*wanted, *agents):
            if role not in self._broken and self._oracle.serving(role):
                return Fault(fault.kind, role, fault.gap_s, fault.hold_s)
        return None

    def _begin(self, fault: Fault) -> None:
        self._broken.add(fault.role)
        self.run.faults.append((time.time(), fault))
        self._breaker.begin(fault)

    async def _suffer(self, fault: Fault, until_at: float) -> None:
        self._begin(fault)
        left = min(fault.hold_s, max(0.0, until_at - time.monotonic()))
        await asyncio.sleep(left / 2)
        self._breaker.turn(fault)
        await asyncio.sleep(left / 2)
        await asyncio.to_thread(self._breaker.mend, fault)
        self._broken.discard(fault.role)

    def _all_ready(self) -> bool:
        for screen in self._screens:
            screen.sample()
        shown = [line.now for screen in self._screens for line in screen.shown.values()]
        return READY_WORDS.issuperset(shown) and all(map(self._oracle.serving, self.run.truth))

    async def _sample(self) -> None:
        while True:
            for screen in self._screens:
                screen.sample()
            self._history.read()
            self._breaker.reap()
            await asyncio.sleep(SAMPLE_S)

    async def _measure_lag(self) -> None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.truth_lag"),
            env=self._environ,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        try:
            await child.stdout.readline()
            await asyncio.Event().wait()
        finally:
            child.send_signal(signal.SIGTERM)
            said, _ = await child.communicate()
            self.run.lag = json.loads(said or b"{}")

    async def _take_down(self) -> None:
        quiet = asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from tui.cli.main import main; main()", "local", "down"),
            env=self._environ,
            cwd=ROOT,
            stdout=quiet,
            stderr=quiet,
        )
        assert await child.wait() == 0, "the world could not be taken down"
        await asyncio.to_thread(self._breaker.await_children)


async def measure(home: Path, minutes: float, seed: int, panels: int) -> Run:
    """Break it for some minutes while `status` is asked."""
    bench = Bench(home, seed)
    async with bench.opened(panels):
        asking = asyncio.create_task(bench.ask())
        try:
            await bench.break_for(minutes * 60)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    return bench.run


async def rehearse(home: Path, faults: int, seed: int, panels: int) -> Run:
    """So many faults, each as long as it takes to be told: what is told, not how soon."""
    bench = Bench(home, seed)
    async with bench.opened(panels):
        await bench.break_patiently(faults)
    return bench.run


def main() -> int:
    """Measure, print, and say which aims were not met."""
    ask = argparse.ArgumentParser(prog="python -m tests.bench.truth", description=__doc__)
    ask.add_argument("--minutes", type=float, default=10.0)
    ask.add_argument("--seed", type=int, default=None, help="the same faults again")
    ask.add_argument("--panels", type=int, default=2, help="one is read, all write the history")
    chosen = ask.parse_args()
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    home = Path(tempfile.mkdtemp(prefix="wakedeck-truth-"))
    print(f"seed {seed}, {chosen.minutes:g} min, {chosen.panels} panels", flush=True)
    try:
        run = asyncio.run(measure(home, chosen.minutes, seed, chosen.panels))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for line in report(run):
        print(line)
    unmet = aims(run)
    for line in unmet:
        print(f"AIM NOT MET   {line}")
    return 1 if unmet else 0


if __name__ == "__main__":
    sys.exit(main())
