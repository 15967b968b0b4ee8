"""A home that is read-only or full: a sentence, nothing refused that needs no file, no traceback.

The home is a file system of its own, mounted in a namespace of the test.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.text.sanitize import sanitize
from tests.support.namespaces import namespace, needs_namespace

WAKEDECK = Path(sys.executable).parent / "wakedeck"
INSIDE = """
import json, os, subprocess, sys, time
home, sick, wakedeck = sys.argv[1:4]
def mount(*words):
    subprocess.run(["mount", *words], check=True)
def run(*words):
    done = subprocess.run([wakedeck, *words], capture_output=True, text=True, timeout=60)
    told.append([" ".join(words), done.returncode, done.stdout, done.stderr])
    return done.returncode
told = []
mount("-t", "tmpfs", "-o", "size=8m,mode=700", "none", home)
world = os.path.join(home, ".local/state/wakedeck/local")
os.makedirs(world, 0o700)
os.chmod(os.path.dirname(world), 0o700)
mount("-t", "tmpfs", "-o", "size=32m,mode=700", "none", world)
try:
    run("local", "up")
    until = time.monotonic() + 40
    while run("status") and time.monotonic() < until:
        time.sleep(0.3)
    told.clear()
    if sick == "read-only":
        mount("-o", "remount,bind,ro", home)
    else:
        with open(os.path.join(home, "fill"), "wb", buffering=0) as fill:
            try:
                while fill.write(bytes(65536)):
                    pass
            except OSError:
                pass
    for words in (
        "status", "events", "wake data-pull", "local fault data-pull agent-kill",
        "wake data-pull", "local fault data-pull gateway-kill", "reconnect data-pull",
        "status --json", "events --json",
    ):
        run(*words.split())
finally:
    subprocess.run([wakedeck, "local", "down"], capture_output=True, timeout=60)
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Told:
    """What one command answered."""

    command: str
    code: int
    out: str
    err: str


def run_all(home: Path, sick: str) -> list[Told]:
    done = namespace(
        *(sys.executable, "-c", INSIDE, str(home), sick, str(WAKEDECK)), HOME=str(home)
    )
    assert done.returncode == 0, done.stderr
    return [Told(*one) for one in json.loads(done.stdout)]


@pytest.mark.slow
@needs_namespace
@pytest.mark.parametrize(
    ("sick", "why"), [("read-only", "Read-only file system"), ("full", "the disk is full")]
)
def test_everything_is_done_and_what_is_not_kept_is_said(
    tmp_path: Path, sick: str, why: str
) -> None:
    told = run_all(tmp_path, sick)
    said = "\n".join(f"{one.command}: {one.code}\n{one.out}{one.err}" for one in told)
    assert [one.code for one in told] == [0] * 9, said
    assert "Traceback" not in said
    assert "was woken and is serving" in told[4].out, said
    assert "was woken and is connected" in told[6].out, said
    for acted in (told[2], told[4], told[6]):
        [lost] = [one for one in acted.err.splitlines() if "not being kept" in one]
        assert lost.startswith(f"wakedeck: Events are not being kept: {why} ("), said
        assert sanitize(str(tmp_path / ".local/state/wakedeck/journal.db")) in lost
    now: dict[str, Any] = json.loads(told[7].out)
    assert not now["attention"], said
