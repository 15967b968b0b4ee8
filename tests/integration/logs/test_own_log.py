"""The panel's log on a real file."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.logs import own_log

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, strict = list(root.handlers), root.level, logging.raiseExceptions
    yield
    for handler in [h for h in root.handlers if h not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.raiseExceptions = strict
    logging.captureWarnings(False)


def test_records_are_masked_with_their_exceptions(tmp_path: Path) -> None:
    path = tmp_path / "state" / "wakedeck.log"
    own_log.configure(path, "DEBUG")
    log = logging.getLogger("services.test")
    try:
        raise ValueError("Authorization: Bearer hunter2hunter2")
    except ValueError:
        log.exception("calling %s", "https://u:hunter2@example.test/?token=hunter2")
    log.debug("a\x1b[31mred\x1b]52;c;aGk=\x07\n2026-01-01 INFO services: forged")
    text = path.read_text()
    assert "hunter2" not in text
    assert "ValueError" in text
    assert "Traceback" in text
    assert "\x1b" not in text
    assert "\n  2026-01-01 INFO services: forged" in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_it_rotates_and_every_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "wakedeck.log"
    own_log.configure(path, logging.INFO)
    log = logging.getLogger("services.test")
    for n in range(600):
        # A line of code of its own for each: none is too loud.
        log.handle(log.makeRecord(log.name, 20, "f", n, "%d %s", (n, "x " * 5000), None))
    files = sorted(tmp_path.glob("wakedeck.log*"))
    assert [file.name for file in files] == ["wakedeck.log", "wakedeck.log.1", "wakedeck.log.2"]
    for file in files:
        assert file.stat().st_size <= own_log.MAX_BYTES
        assert file.stat().st_mode & 0o777 == 0o600


def test_two_panels_go_on_when_one_rotates(tmp_path: Path) -> None:
    path = tmp_path / "wakedeck.log"
    own_log.configure(path, logging.INFO)
    log = logging.getLogger("services.test")
    log.info("first")
    path.rename(tmp_path / "wakedeck.log.1")
    log.info("second")
    assert "second" in path.read_text()
    path.unlink()
    log.info("third")
    assert "third" in path.read_text()


def test_configuring_again_replaces(tmp_path: Path) -> None:
    own_log.configure(tmp_path / "one.log", logging.INFO)
    own_log.configure(tmp_path / "two.log", logging.WARNING)
    logging.getLogger("services.test").warning("once")
    logging.getLogger("services.test").info("not")
    assert not (tmp_path / "one.log").exists(), "made at its first record"
    assert (tmp_path / "two.log").read_text().count("once") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("odd", stacklevel=1)
    assert "odd" in (tmp_path / "two.log").read_text()


def test_nothing_reaches_stderr(tmp_path: Path) -> None:
    code = (
        "import logging, os, sys, warnings\n"
        "from pathlib import Path\n"
        "from services.logs import own_log\n"
        "path = Path(sys.argv[1]) / 'wakedeck.log'\n"
        "own_log.configure(path, 'INFO')\n"
        "log = logging.getLogger('x')\n"
        "log.error('an error'); warnings.warn('a warning')\n"
        "log.error('%d', 'not a number')\n"
        "os.unlink(path); os.mkdir(path)\n"
        "log.error('nowhere to write')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_one_source_of_noise_is_bounded_while_it_runs_and_what_it_lost_is_said(
    tmp_path: Path,
) -> None:
    path = tmp_path / "wakedeck.log"
    handler = own_log.configure(path, logging.INFO)
    for n in range(10_000):
        logging.getLogger("services.test").info("a peer did it again: %d", n)
    logging.getLogger("services.other").info("a word of another source")
    lines = path.read_text().splitlines()
    assert len(lines) == own_log.MOST_A_MINUTE + 1
    assert lines[-1].endswith("a word of another source")
    handler.close()
    left_out = 10_000 - own_log.MOST_A_MINUTE
    assert f"{left_out} records of this panel were left out" in path.read_text()
