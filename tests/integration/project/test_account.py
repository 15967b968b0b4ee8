"""A run of the tests says which kits it had and what it left behind, and fails for the latter."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import eventually_sync

ROOT = Path(__file__).resolve().parents[3]
CONFTEST = """
import pytest
from tests.support import kits, leftovers
pytest_plugins = ["tests.support.account"]
leftovers.GRACE_S = 0.2
kits.KITS["absent"] = kits.Kit("nothing", lambda: "nobody makes it")
kits.KITS["present"] = kits.Kit("something", lambda: "")
"""
CLEAN = """
import tempfile
def test_it(tmp_path):
    with tempfile.TemporaryDirectory() as name:
        assert name
"""
LEAVING = {
    "a child": (
        "import subprocess\nkept = []\n"
        "def test_it():\n    kept.append(subprocess.Popen(['sleep', '600']))\n",
        r"process (\d+) \(sleeping\): sleep 600",
    ),
    "a daemon": (
        "import subprocess\ndef test_it():\n    subprocess.run(['setsid', '-f', 'sleep', '600'])\n",
        r"process (\d+) \(sleeping\): sleep 600",
    ),
    "a daemon that forgot the mark": (
        "import subprocess\n"
        "def test_it(tmp_path):\n"
        "    subprocess.run(['setsid', '-f', 'sleep', '600'], cwd=tmp_path, env={})\n",
        r"process (\d+) \(sleeping\): sleep 600",
    ),
    "a child nobody collected": (
        "import os\ndef test_it():\n    os.spawnlp(os.P_NOWAIT, 'true', 'true')\n",
        r"process \d+ \(true\) has ended, and nobody collected it()",
    ),
    "a folder": (
        "import tempfile\nfrom pathlib import Path\n"
        "def test_it():\n    (Path(tempfile.mkdtemp(prefix='left')) / 'note').touch()\n",
        r"in the temporary folder: left\w+ with note()",
    ),
    "a socket where long paths go": (
        "import os, tempfile\nfrom pathlib import Path\n"
        "def test_it():\n"
        "    folder = Path(tempfile.gettempdir()) / f'wakedeck-{os.geteuid()}'\n"
        "    folder.mkdir()\n"
        "    (folder / 'gateway.sock').touch()\n",
        r"in the temporary folder: wakedeck-\d+ with gateway\.sock()",
    ),
    "a socket that listens": (
        "import socket\nkept = []\n"
        "def test_it():\n    kept.append(socket.create_server(('127.0.0.1', 0)))\n",
        r"connection 127\.0\.0\.1:\d+ to - \(LISTEN\)()",
    ),
    "a thread": (
        "import threading\ndef test_it():\n    threading.Timer(2, print).start()\n",
        r"thread Thread-\d+()",
    ),
}
SILENT = "import pytest\ndef test_it():\n    pytest.skip('')\n"
ENDLESS = """
import os, subprocess
from pathlib import Path
import pytest
@pytest.fixture
def child():
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()
def test_it(child):
    folder = Path(os.environ["TMPDIR"]).parent
    (folder / "half").write_text(str(child.pid))
    (folder / "half").rename(folder / "pid")
    child.wait()
"""
KITS = """
import pytest
from tests.support import kits
def test_one():
    kits.need("present")
def test_other():
    kits.need("present", "absent")
"""


def run(folder: Path, text: str, *words: str, **more: str) -> tuple[int, str]:
    """A suite of one file, run in a process of its own; exit code and what it printed."""
    with begun(folder, text, *words, **more) as child:
        said, _ = child.communicate(timeout=60)
    return child.returncode, said


def begun(folder: Path, text: str, *words: str, **more: str) -> subprocess.Popen[str]:
    """The same while it runs."""
    (folder / "suite").mkdir()
    (folder / "suite" / "conftest.py").write_text(CONFTEST)
    (folder / "suite" / "test_one.py").write_text(text)
    (folder / "suite" / "pytest.ini").write_text("[pytest]\n")
    argv = [sys.executable, "-m", "pytest", str(folder / "suite"), "-p", "no:cacheprovider"]
    argv += ["-p", "xdist"]  # and none of the other plugins, which take longer than the suite
    outer = os.environ.keys() - {"PYTEST_DEBUG_TEMPROOT", "PYTEST_ADDOPTS", "WAKEDECK_KITS"}
    environ = {name: os.environ[name] for name in outer}
    environ |= {"TMPDIR": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **more}
    return subprocess.Popen(
        [*argv, *words],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_shared_folder_for_sockets_may_stay_where_it_is_empty(tmp_path: Path) -> None:
    text = (
        "import os, tempfile\n"
        "def test_it():\n    os.mkdir(f'{tempfile.gettempdir()}/wakedeck-{os.geteuid()}')\n"
    )
    code, said = run(tmp_path, text, "-n", "0")
    assert code == 0, said


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_run_that_leaves_nothing_is_green(tmp_path: Path, workers: str) -> None:
    code, said = run(tmp_path, CLEAN, "-n", workers)
    assert code == 0, said
    assert "left behind" not in said
    assert not list(tmp_path.glob("w????????"))


@pytest.mark.parametrize(
    ("what", "workers"),
    [*((what, "0") for what in LEAVING), ("a child", "1"), ("a folder", "1")],
)
def test_what_is_left_behind_is_named_and_fails_the_run(
    tmp_path: Path, what: str, workers: str
) -> None:
    text, told = LEAVING[what]
    code, said = run(tmp_path, text, "-n", workers)
    found = re.search(told, said)
    try:
        assert code == 1, said
        assert found is not None and "1 passed" in said and "left behind" in said, said
    finally:
        if found is not None and found[1]:
            os.kill(int(found[1]), signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_leaves_nothing(tmp_path: Path, number: int) -> None:
    with begun(tmp_path, ENDLESS, "-n", "0") as child:
        pid = int(eventually_sync((tmp_path / "pid").read_text))
        child.send_signal(number)
        said, _ = child.communicate(timeout=60)
    assert child.returncode == pytest.ExitCode.INTERRUPTED, said
    assert not psutil.pid_exists(pid) and "left behind" not in said, said
    assert not list(tmp_path.glob("w????????"))


def test_a_skip_without_a_word_fails_the_run(tmp_path: Path) -> None:
    code, said = run(tmp_path, SILENT)
    assert code == 1, said
    assert re.search(r"skipped: .*test_one\.py::test_it", said), said


def test_each_kit_has_its_line(tmp_path: Path) -> None:
    code, said = run(tmp_path, KITS)
    assert code == 0, said
    assert re.search(r"^absent +skipped in 1: nobody makes it$", said, re.MULTILINE), said
    assert re.search(r"^present +ran in 2$", said, re.MULTILINE), said
    assert re.search(r"^1 x kit absent: nobody makes it$", said, re.MULTILINE), said


def test_a_required_kit_that_is_missing_fails(tmp_path: Path) -> None:
    code, said = run(tmp_path, KITS, WAKEDECK_KITS="required")
    assert code == 1, said
    assert "kit absent is required by WAKEDECK_KITS: nobody makes it" in said
    assert "1 failed, 1 passed" in said
