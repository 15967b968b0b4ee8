"""Record real programs on a pty: `python -m tests.support.record` writes the recordings anew.

Each program gets an empty home, a small tree of files made here, and scripted keys.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

FOLDER = Path(__file__).parent / "recordings"
LINES, COLUMNS = 24, 80
LARGEST = 40_000
Keys = tuple[tuple[float, bytes], ...]

PROGRAMS: dict[str, tuple[list[str], Keys]] = {
    "vim": (
        ["vim", "-u", "NONE", "-c", "syntax on | set number hlsearch mouse=a", "source.py"],
        (
            *((0.6, b"/class\r"), (0.3, b"n"), (0.2, b"\x06"), (0.2, b"\x06"), (0.2, b"\x02")),
            *(
                (0.3, b":split\r"),
                (0.3, b"20j"),
                (0.2, b"onew line with \xe6\xbc\xa2\xe5\xad\x97\x1b"),
            ),
            *(
                (0.3, b"5dd"),
                (0.2, b"uu"),
                (0.3, b":vsplit\r"),
                (0.3, b"\x05\x05\x05"),
                (0.3, b":qa!\r"),
            ),
        ),
    ),
    "htop": (
        ["htop", "-d", "5", "-p", "SLEEPERS"],
        ((1.5, b"t"), (0.8, b"jjj"), (0.8, b"t"), (0.8, b"q")),
    ),
    "less": (
        ["less", "-R", "source.py"],
        (
            (0.5, b" "),
            (0.2, b" "),
            (0.2, b"/def\r"),
            (0.3, b"n"),
            (0.2, b"b"),
            (0.2, b"G"),
            (0.3, b"q"),
        ),
    ),
    "ls": (["ls", "--color=always", "-lR", "tree"], ()),
    "git": (["git", "--no-pager", "log", "--graph", "--color=always", "--stat", "--all"], ()),
}


def make_tree(folder: Path) -> None:
    """Files and a repository for the programs to show."""
    here = Path(__file__).parent
    (folder / "source.py").write_bytes((here / "reference_terminal.py").read_bytes()[:20_000])
    for name in ("alpha", "beta", "日本語", "gamma"):
        place = folder / "tree" / name
        place.mkdir(parents=True)
        for index in range(12):
            (place / f"file{index}.txt").write_text("x" * index)
        (place / "run.sh").write_text("#!/bin/sh\n")
        (place / "run.sh").chmod(0o755)
        (place / "link").symlink_to("run.sh")
    env = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    who = ["-c", "user.name=Operator", "-c", "user.email=operator@example.invalid"]

    def git(*words: str) -> None:
        subprocess.run(
            ["git", *who, *words], cwd=folder, check=True, capture_output=True, env=os.environ | env
        )

    git("init", "-q", "-b", "main")
    for index in range(6):
        (folder / f"note{index % 3}.txt").write_text(f"{index}\n" * (index + 1))
        git("add", f"note{index % 3}.txt")
        git("commit", "-q", "-m", f"Note {index} is written")
        if index == 2:
            git("checkout", "-q", "-b", "side")
        if index == 4:
            git("checkout", "-q", "main")
    git("merge", "-q", "-m", "The side comes in", "-X", "ours", "side")


def record(argv: list[str], keys: Keys, folder: Path) -> bytes:
    """What a program writes to its terminal."""
    child, master = pty.fork()
    if child == 0:
        os.chdir(folder)
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        os.execvpe(argv[0], argv, env | {"HOME": str(folder), "COLORTERM": "truecolor"})
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    output = bytearray()
    due = time.monotonic()
    waiting = list(keys)
    deadline = due + 30
    if waiting:
        due += waiting[0][0]
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    data = os.read(master, 65536)
                except OSError:
                    break
                if not data:
                    break
                output += data
            if waiting and time.monotonic() >= due:
                os.write(master, waiting.pop(0)[1])
                if waiting:
                    due = time.monotonic() + waiting[0][0]
    finally:
        os.close(master)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(child, 0)
    return bytes(output[:LARGEST])


def main() -> None:
    """Write every recording."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        make_tree(Path(name))
        # A process viewer is shown these alone: a recording says nothing of the machine.
        sleepers = [subprocess.Popen(["sleep", str(60 + index)]) for index in range(12)]
        for program, (argv, keys) in PROGRAMS.items():
            pids = ",".join(str(sleeper.pid) for sleeper in sleepers)
            data = record([word.replace("SLEEPERS", pids) for word in argv], keys, Path(name))
            (FOLDER / f"{program}.raw").write_bytes(data)
            sys.stdout.write(f"{program}: {len(data)} bytes\n")
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


if __name__ == "__main__":
    main()
