"""`python -m tests.soak.ends --times N`: panels ended at random moments in every way there is.

Each panel runs on a terminal of its own, on one world and one history, with and without load beside
it, in the foreground, started by nohup, as a background job of a script, or stopped in the
background. After each: it is gone, nothing of its world is left, the history is whole. At the end
a panel starts cleanly and a command reads the history.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
GONE_S = 20.0
"""Closing has a limit of its own; what takes longer than this lives on."""
WORLD_S = 20.0
_START = (
    "import fcntl, os, sys, termios\n"
    "mode = sys.argv.pop(1)\n"
    "if mode == 'deaf':\n"
    "    import signal\n"
    "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
    "if mode != 'job':\n"
    "    fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from tui.start import main\n"
    "main()\n"
)
_JOB = (
    "import fcntl, os, signal, subprocess, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "job = subprocess.Popen([sys.executable, '-c', sys.argv[1], 'job', '--local'],"
    " process_group=0)\n"
    "print(job.pid, file=open(sys.argv[2], 'w'), flush=True)\n"
    "signal.pause()\n"
)
WAYS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "close", "close unread")
CONTEXTS = ("foreground", "nohup", "interrupts ignored", "stopped job")
LOST_WHILE_LOADING = {("SIGINT", "interrupts ignored"), ("SIGHUP", "nohup")}
"""What was ignored at the start is heard once the panel runs, and not before."""


@dataclass
class Outcome:
    """What was found over all rounds."""

    rounds: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)


class EndedPanel:
    """One panel on a terminal of its own; a deaf one never hears of a hang-up."""

    def __init__(
        self, home: Path, context: str, before: Callable[[], object] | None = None
    ) -> None:
        """`before` is called in the new process."""
        self.drawn = bytearray()
        self.pid_file = home / "job"
        self.pid_file.unlink(missing_ok=True)
        ours, theirs = os.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, b"\x28\x00\x78\x00\x00\x00\x00\x00")
        os.set_blocking(ours, False)
        self.master: int | None = ours
        job = context == "stopped job"
        mode = "deaf" if context == "deaf" else "leader"
        argv = [sys.executable, "-c", _START, mode, "--local"]
        if job:
            argv = [sys.executable, "-c", _JOB, _START, str(self.pid_file)]
        ignored = {"nohup": [signal.SIGHUP], "interrupts ignored": [signal.SIGINT, signal.SIGQUIT]}
        handlers = {one: signal.signal(one, signal.SIG_IGN) for one in ignored.get(context, ())}
        try:
            self.child = subprocess.Popen(
                argv,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=ROOT,
                env=_environ(home),
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509
            )
        finally:
            for one, handler in handlers.items():
                signal.signal(one, handler)
            os.close(theirs)
        self.process: psutil.Process | None = None if job else psutil.Process(self.child.pid)

    def read(self) -> None:
        """Take what it drew."""
        while self.master is not None:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.drawn += data

    def find_job(self) -> bool:
        """Learn the pid of a panel that is a job of another process; whether it is known."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            if self.process is None:
                self.process = psutil.Process(int(self.pid_file.read_text()))
        return self.process is not None

    def end(self, way: str) -> None:
        """Do it."""
        if way.startswith("close"):
            if self.master is not None:
                os.close(self.master)
            self.master = None
            return
        if self.process is None:
            self.child.send_signal(signal.Signals[way])
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.send_signal(signal.Signals[way])
            self.process.send_signal(signal.SIGCONT)

    def over(self) -> bool:
        """Whether the panel has ended."""
        self.read()
        if self.process is None or self.process.pid == self.child.pid:
            return self.child.poll() is not None
        self.child.poll()
        with contextlib.suppress(psutil.NoSuchProcess):
            return self.process.status() == psutil.STATUS_ZOMBIE
        return True

    def close(self) -> None:
        """Leave nothing of it."""
        for one in (self.process, self.child):
            with contextlib.suppress(psutil.NoSuchProcess):
                if one is not None:
                    one.kill()
        self.child.wait()
        if self.master is not None:
            os.close(self.master)


def _environ(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return {**kept, "HOME": str(home), "TERM": "xterm-256color"}


@contextlib.contextmanager
def _load(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    argv = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(argv, env={}, cwd="/") for _ in range(count)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def _within(seconds: float, holds: Callable[[], bool]) -> float | None:
    """How long it took until it held; None where it never did."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.05)  # between two looks at the thing
    return time.monotonic() - began


def left_of(home: Path) -> list[str]:
    """Processes whose folder or home is this one."""
    found = []
    word = os.fsencode(home)
    for one in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            about = Path(f"/proc/{one}/environ").read_bytes()
            about += Path(f"/proc/{one}/cmdline").read_bytes()
            if word in about and psutil.Process(one).status() != psutil.STATUS_ZOMBIE:
                found.append(f"{one}: {' '.join(psutil.Process(one).cmdline())[-100:]}")
    return found


def _broken(state: Path) -> list[str]:
    """What is wrong with what the panel kept."""
    found = [f"set aside: {one.name}" for one in state.glob("journal.damaged*")]
    if (state / "journal.db").exists():
        with contextlib.closing(sqlite3.connect(state / "journal.db")) as db:
            said = db.execute("PRAGMA integrity_check").fetchone()[0]
        found += [] if said == "ok" else [f"the journal: {said}"]
    found += [f"a socket: {one.name}" for one in state.rglob("*.sock")]
    found += [f"half a file: {one.name}" for one in state.rglob("*.new") if one.is_file()]
    log = state / "wakedeck.log"
    if log.exists() and "Traceback" in (text := log.read_text(errors="replace")):
        found.append(f"a traceback in the log: …{text[-1500:]}")
    return found


def ended(
    home: Path,
    seed: int,
    times: int,
    loads: Sequence[int] = (0, 3),
    say: Callable[[str], None] = print,
) -> Outcome:
    """End `times` panels in this home, each beside one of these numbers of busy processes."""
    rolls, outcome = random.Random(seed), Outcome()
    state = home / ".local" / "state" / "wakedeck"
    ways = [(way, context) for context in CONTEXTS for way in WAYS]
    rolls.shuffle(ways)
    for number in range(times):
        way, context = ways[number % len(ways)]
        after, load = rolls.choice((0.3, 1.0, 2.0, 5.0)) * rolls.random(), rolls.choice(loads)
        told = f"{number}: {way}, {context}, after {after:.2f} s, load {load} (seed {seed})"
        wrong = []
        with _load(load):
            panel = EndedPanel(home, context)
            try:
                until = time.monotonic() + after
                while time.monotonic() < until:
                    if way != "close unread":
                        panel.read()
                    panel.find_job()
                    time.sleep(0.02)  # until the moment that was chosen
                panel.end(way)
                if (way, context) in LOST_WHILE_LOADING and not _within(GONE_S, panel.over):
                    panel.end(way)
                took = _within(GONE_S, panel.over)
                if took is None:
                    spent = panel.process.cpu_percent(1.0) if panel.process else 0
                    wrong.append(f"the panel lives on with {spent:.0f} % of a core")
                else:
                    outcome.slowest_s = max(outcome.slowest_s, took)
                    outcome.ends[f"{way}: {panel.child.returncode}"] += 1
                # Before the first line of ours, an interrupt is the interpreter's own affair.
                if b"Traceback" in panel.drawn and str(ROOT).encode() in panel.drawn:
                    wrong.append(f"a traceback: {bytes(panel.drawn[-2000:])!r}")
            finally:
                panel.close()
            if _within(WORLD_S, lambda: not left_of(home)) is None:
                wrong += [f"left: {one}" for one in left_of(home)]
        wrong += _broken(state)
        outcome.rounds += 1
        outcome.wrong += [f"{told}: {one}" for one in wrong]
        say(f"{told}: {'; '.join(wrong) or 'right'}")
        if wrong:
            _clear(home)
    outcome.wrong += _next_start(home)
    return outcome


def _clear(home: Path) -> None:
    """One fault is told once."""
    for line in left_of(home):
        with contextlib.suppress(OSError):
            os.kill(int(line.split(":")[0]), signal.SIGKILL)
    shutil.rmtree(home / ".local", ignore_errors=True)


def _next_start(home: Path) -> list[str]:
    """A panel that draws its world, leaves when told to, and a command that reads the history."""
    wrong, panel = [], EndedPanel(home, "foreground")
    try:

        def drawn() -> bool:
            panel.read()
            return b"data-pull" in panel.drawn

        if _within(60, drawn) is None:
            wrong.append("the next start: nothing was drawn")
        panel.end("SIGTERM")
        if _within(GONE_S, panel.over) is None or panel.child.returncode:
            wrong.append(f"the next start: ended with {panel.child.returncode}")
    finally:
        panel.close()
    asked = subprocess.run(
        [sys.executable, "-c", "from tui.start import main; main()", "events", "--all"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_environ(home),
        timeout=60,
        check=False,
    )
    if asked.returncode or asked.stderr.strip() not in ("", "nothing has been recorded that fits"):
        wrong.append(f"the history: {asked.returncode}, {asked.stderr}")
    if _within(WORLD_S, lambda: not left_of(home)) is None:
        wrong += [f"the next start: left {one}" for one in left_of(home)]
    return wrong


def main() -> int:
    """Run it in a home of its own."""
    ask = argparse.ArgumentParser(prog="python -m tests.soak.ends", description=__doc__)
    ask.add_argument("--times", type=int, default=100)
    ask.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    chosen = ask.parse_args()
    home = Path(tempfile.mkdtemp(prefix="ends"))
    try:
        outcome = ended(home, chosen.seed, chosen.times, say=partial(print, flush=True))
    finally:
        _clear(home)
        shutil.rmtree(home, ignore_errors=True)
    print(f"{outcome.rounds} panels ended, {len(outcome.wrong)} findings,", end=" ")
    print(f"slowest end {outcome.slowest_s:.1f} s; {dict(sorted(outcome.ends.items()))}")
    for one in outcome.wrong:
        print(f"WRONG   {one}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
