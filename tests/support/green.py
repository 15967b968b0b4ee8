"""`make green`: the suite on clean clones in every way that once failed, with a log to resume.

`--only quiet` takes the ways whose names begin so, `--files` names the files for fifty runs each,
of which `--beside` go on at a time, `--summary` only tells. What is in the log for this commit is
not run again; `--again` does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

from tests.support.cache import CACHE

ROOT = Path(__file__).resolve().parents[2]
LOG = CACHE / "green.jsonl"
LIMIT_S = 3600.0
"""Of one run of the whole suite."""
TIMES = 50
WAYS = ("quiet-1", "quiet-2", "quiet-3", "busy", "no-sigint", "other-user", "odd-places")
FILES = (
    "tests/integration/sources/openshell/test_properties.py",
    "tests/pilot/test_finding.py",
    "tests/pilot/test_confirmations.py",
    "tests/pilot/test_openshell_panel.py",
    "tests/integration/journal/test_store.py",
    "tests/pilot/test_terminal_view.py",
    "tests/integration/cli/test_log_command.py",
    "tests/integration/terminal/exec/test_families.py",
)
"""Those that failed by chance once."""
OTHER_USER = "nobody"
_BUSY = "while True: pass"
_PYTHONS = (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3")
_USABLE = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
_TAIL = 40


@dataclass
class Result:
    """One line of the log."""

    commit: str
    scenario: str
    code: int
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    when: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))

    @property
    def line(self) -> str:
        """For the summary."""
        said = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        verdict = "green" if self.code == 0 else f"RED ({self.code})"
        return f"{verdict:9} {self.seconds:7.0f} s  {self.scenario:50} {said}"


class Hindrance(Exception):
    """Why a scenario cannot be run here."""


def main() -> int:
    """Run what is not in the log yet; 0 where everything is green."""
    ask = argparse.ArgumentParser(prog="make green ARGS=…", description=__doc__)
    ask.add_argument("--only", nargs="*", default=[""], help="names, or beginnings of names")
    ask.add_argument("--files", nargs="*", help="test files to run fifty times each")
    ask.add_argument("--times", type=int, default=TIMES)
    ask.add_argument("--beside", type=int, default=os.cpu_count())
    ask.add_argument("--log", type=Path, default=LOG)
    ask.add_argument("--again", action="store_true", help="although it is in the log")
    ask.add_argument("--summary", action="store_true", help="run nothing")
    chosen = ask.parse_args()
    commit = _git("rev-parse", "HEAD")
    if _git("status", "--porcelain"):
        print("Changes that are not committed are not tested: clones hold commits.")
    files = dict.fromkeys(chosen.files or _changed())
    names = [*WAYS, *(_many(name, chosen.times) for name in files)]
    names = [name for name in names if name.startswith(tuple(chosen.only))]
    known = {} if chosen.again else _read(chosen.log, commit)
    asked = [name for name in names if name not in known and not chosen.summary]
    outputs = chosen.log.parent / "green"
    for result in _results(asked, commit, chosen.times, chosen.beside, outputs):
        known[result.scenario] = result
        _append(chosen.log, result)
        print(result.line, flush=True)
    print(f"\nCommit {commit[:12]}")
    for name in names:
        print(known[name].line if name in known else f"not run              {name}")
    for name in names:
        for one in known[name].failures if name in known else ():
            print(f"{name}: {one}")
    return 0 if all(name in known and known[name].code == 0 for name in names) else 1


def _many(file: str, times: int) -> str:
    return f"{times}x {file}"


def _changed() -> list[str]:
    """The files that failed once, and the test files changed since the branch began."""
    found = list(FILES)
    with contextlib.suppress(subprocess.CalledProcessError):
        base = _git("merge-base", "HEAD", "origin/main")
        for name in _git("diff", "--name-only", "--diff-filter=d", base, "HEAD").splitlines():
            if re.fullmatch(r"tests/.*/test_\w+\.py", name) and name not in found:
                found.append(name)
    return [name for name in found if (ROOT / name).exists()]


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _read(log: Path, commit: str) -> dict[str, Result]:
    """What is known of a commit; a line cut short by a crash is not."""
    known = {}
    for line in log.read_text("utf-8").splitlines() if log.exists() else ():
        with contextlib.suppress(ValueError, TypeError):
            one = Result(**json.loads(line))
            if one.commit == commit:
                known[one.scenario] = one
    return known


def _append(log: Path, result: Result) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def _results(
    names: Sequence[str], commit: str, times: int, beside: int, outputs: Path
) -> Iterator[Result]:
    """Each as it is known: the ways one after the other, then the files."""
    outputs.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in WAYS:
            yield _one_way(name, commit, _output(outputs, commit, name))
    if many := [name for name in names if name not in WAYS]:
        yield from _often(many, commit, times, beside, outputs)


def _output(outputs: Path, commit: str, name: str) -> Path:
    return outputs / f"{commit[:12]}-{re.sub(r'[^a-z0-9_-]+', '-', name)}.txt"


def _one_way(name: str, commit: str, output: Path) -> Result:
    print(f"{time.strftime('%H:%M:%S')} {name} …", flush=True)
    started = time.monotonic()
    result = Result(commit, name, 0, 0.0)
    with _clone(commit) as folder, output.open("wb") as out:
        try:
            _whole(name, folder, out.fileno(), result)
        except Hindrance as why:
            result.code, result.failures = 2, [str(why)]
    result.seconds = round(time.monotonic() - started, 1)
    _tell_red(result, output)
    return result


def _tell_red(result: Result, output: Path) -> None:
    if result.code:
        result.failures = result.failures or [f"exit code {result.code}, and no test failed"]
        result.tail = output.read_text("utf-8", errors="replace").splitlines()[-_TAIL:]


def _often(
    names: Sequence[str], commit: str, times: int, beside: int, outputs: Path
) -> Iterator[Result]:
    """Files many times, each time in a process of its own; seconds are those of all runs."""
    found = {name: Result(commit, name, 0, 0.0) for name in names}
    print(f"{time.strftime('%H:%M:%S')} {len(names)} files {times} times …", flush=True)
    with _clone(commit) as folder, contextlib.ExitStack() as leaving:
        clone = folder / "wakedeck"
        environ = _plain_environment()
        kits = _output(outputs, commit, "kits")
        with kits.open("wb") as out:
            code = _run(["make", "--no-print-directory", "kits"], clone, environ, out.fileno())
        if code:
            for result in found.values():
                result.code, result.failures = 2, ["the environment could not be made"]
                _tell_red(result, kits)
            yield from found.values()
            return
        kits.unlink(missing_ok=True)  # another runner may write it, too
        running: set[int] = set()

        def once(name: str, number: int) -> None:
            output = _output(outputs, commit, f"{name}-{number}")
            report = clone / f"{output.stem}.xml"
            file = name.partition(" ")[2]
            argv = [".venv/bin/python", "-m", "pytest", file, "-n", "0", f"--junitxml={report}"]
            started = time.monotonic()
            with output.open("wb") as out:
                code = _run(argv, clone, environ, out.fileno(), running)
            result = found[name]
            with lock:
                result.seconds = round(result.seconds + time.monotonic() - started, 1)
                _count(report, result)
                if code:
                    result.code = code
                    result.counts["red runs"] = result.counts.get("red runs", 0) + 1
                    _tell_red(result, output)
                else:
                    output.unlink()
                result.counts["runs"] = result.counts.get("runs", 0) + 1

        def end_running() -> None:
            while not all(one.done() for one in runs):
                for one in tuple(running):
                    _kill(one)
                wait(runs, timeout=0.05)

        lock = Lock()
        runs: dict[Future[None], str] = {}
        pool = ThreadPoolExecutor(beside)
        leaving.callback(pool.shutdown)
        leaving.callback(end_running)
        leaving.callback(pool.shutdown, wait=False, cancel_futures=True)
        # One file after the other: what is done when a run is broken off is in the log.
        for name in names:
            runs |= {pool.submit(once, name, number): name for number in range(times)}
        for ended in as_completed(runs):
            ended.result()
            name = runs[ended]
            if name in found and found[name].counts["runs"] == times:
                yield found.pop(name)


@contextmanager
def _clone(commit: str) -> Iterator[Path]:
    """A folder with a clean clone in it, in a place every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="green-"))
    folder.chmod(0o755)
    try:
        clone = folder / "wakedeck"
        _git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone))
        _git("-C", str(clone), "checkout", "--quiet", "--detach", commit)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _whole(name: str, folder: Path, out: int, result: Result) -> None:
    """`make test` once, in this way."""
    environ = _plain_environment()
    before: list[str] = []
    variables: list[str] = []
    if name == "other-user":
        before, variables = _as_another(folder)
        environ |= {"HOME": str(folder / "home"), "USER": OTHER_USER, "LOGNAME": OTHER_USER}
        environ.pop("TMPDIR", None)  # a place of the first user's
    if name == "odd-places":
        environ |= {"HOME": str(folder / "a home"), "TMPDIR": str(folder / "tmp")}
        for variable in ("HOME", "TMPDIR"):
            Path(environ[variable]).mkdir(parents=True)
    make = [*before, "make", "--no-print-directory", *variables]
    report = folder / "wakedeck" / "report.xml"
    test = [*make, "test", f"ARGS=--junitxml={report.name}"]
    if name == "no-sigint":
        # What a shell that is not interactive starts behind itself ignores SIGINT.
        test = ["sh", "-c", '"$@" & wait $!', "sh", *test]
    _run([*make, "kits"], folder / "wakedeck", environ, out)
    with _two_loops() if name == "busy" else contextlib.nullcontext():
        result.code = _run(test, folder / "wakedeck", environ, out)
    _count(report, result)


def _plain_environment() -> dict[str, str]:
    """Ours, without what would change how the tests run."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WAKEDECK_", "PYTEST_", "MAKE", "MFLAGS", "VIRTUAL_ENV"))
    }


def _as_another(folder: Path) -> tuple[list[str], list[str]]:
    """The words before a command that make it another user's, and make's variables."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Hindrance("only root, with setpriv, can become another user")
    user = pwd.getpwnam(OTHER_USER)
    before = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    (folder / "home").mkdir()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    for python in _PYTHONS:
        # By way of another program, as make will.
        argv = [*before, "sh", "-c", '"$1" -c "$2"', "sh", python, _USABLE]
        if subprocess.run(argv, cwd="/", capture_output=True, check=False).returncode == 0:
            return before, [f"PYTHON={python}"]
    raise Hindrance(f"no Python of 3.11 or newer that {OTHER_USER} may run")


@contextmanager
def _two_loops() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(2)]
    try:
        yield
    finally:
        for one in loops:
            one.kill()
            one.wait()


def _run(
    argv: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    out: int,
    running: set[int] | None = None,
) -> int:
    """Its exit code; what runs too long is ended with all it started.

    It stands in `running` while it does.
    """
    running = set() if running is None else running
    child = subprocess.Popen(
        argv,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    running.add(child.pid)
    try:
        return child.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        return 124
    finally:
        running.discard(child.pid)
        _kill(child.pid)
        child.wait()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _count(report: Path, result: Result) -> None:
    """Add what a report counts; the next run writes its own."""
    try:
        suite = next(ElementTree.parse(report).iter("testsuite"))
    except (FileNotFoundError, ElementTree.ParseError, StopIteration):
        return  # it was broken off as it was written, and its exit code tells
    numbers = {name: int(suite.get(name, "0")) for name in ("failures", "errors", "skipped")}
    numbers = {"passed": max(0, int(suite.get("tests", "0")) - sum(numbers.values())), **numbers}
    for name, count in numbers.items():
        result.counts[name] = result.counts.get(name, 0) + count
    for case in suite.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            result.failures.append(f"{case.get('classname')}::{case.get('name')}")
    report.unlink()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what runs is ended
    sys.exit(main())
