"""`make release-check`: what a release is made of, built twice, installed in an empty place, used.

`--python FILE` installs for another Python; `--keep FOLDER` leaves the two files there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600.0
ROOMS = ("services", "tui", "widgets")
SHIPPED = ("share/man/man1/", "share/bash-completion/", "share/zsh/", "share/fish/")
FREE = re.compile(r"MIT|BSD|Apache|ISC|MPL|PSF|Python Software Foundation|Unlicense|LGPL", re.I)
"""Licences whose works may be installed beside an Apache-2.0 one."""
_LICENCES = """
import json, sys
from importlib.metadata import distributions
told = {}
for one in distributions():
    about = one.metadata
    said = [one for one in about.get_all("Classifier", []) if one.startswith("License ::")]
    words = [about.get("License-Expression"), *said, (about.get("License") or "").strip()[:60]]
    told[about["Name"]] = next((word for word in words if word), "")
json.dump(told, sys.stdout)
"""


class Refused(Exception):
    """What keeps this from being released."""


def main() -> int:
    """Do every check; 0 where all hold."""
    ask = argparse.ArgumentParser(prog="make release-check ARGS=…", description=__doc__)
    ask.add_argument("--python", default=sys.executable)
    ask.add_argument("--keep", type=Path)
    asked = ask.parse_args()
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        place = Path(folder)
        try:
            files = _step("built twice alike", lambda: _build(place))
            _step("descriptions are whole", lambda: _run(_tool("twine"), "check", *files))
            wheel = next(one for one in files if one.suffix == ".whl")
            _step("holds what it should", lambda: _contents(wheel))
            home = place / "home"
            program = _step("installs", lambda: _install(place, wheel, asked.python, home))
            _step("licences", lambda: _licences(program.parent))
            _step("runs, breaks, repairs", lambda: _use(program, home))
            _step("is removed again", lambda: _remove(program))
        except Refused as why:
            print(f"REFUSED: {why}")
            return 1
        if asked.keep is not None:
            asked.keep.mkdir(parents=True, exist_ok=True)
            for one in files:
                shutil.copy(one, asked.keep)
    return 0


def _step(name: str, work: Callable[[], T]) -> T:
    found = work()
    print(f"ok: {name}", flush=True)
    return found


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _run(*argv: str | Path, env: dict[str, str] | None = None, codes: Sequence[int] = (0,)) -> str:
    """Its stdout.

    Raises:
        Refused: it ended otherwise, or not within ten minutes.
    """
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{Path(argv[0]).name} did not end within {LIMIT_S:g} s") from error
    if done.returncode not in codes:
        said = (done.stdout + done.stderr).strip()[-1500:]
        raise Refused(f"{Path(argv[0]).name} ended with {done.returncode}:\n{said}")
    return done.stdout


def _build(place: Path) -> list[Path]:
    """A source archive and a wheel, the same bytes whenever and wherever they are built."""
    commit = _run("git", "log", "-1", "--format=%ct").strip()
    found: list[dict[str, str]] = []
    for name in ("first", "second"):
        clone = place / name
        _run("git", "clone", "--quiet", ROOT, clone)
        env = {**os.environ, "SOURCE_DATE_EPOCH": commit, "PIP_CONSTRAINT": ""}
        _run(sys.executable, "-m", "build", "--outdir", clone / "dist", clone, env=env)
        found.append({one.name: _digest(one) for one in sorted((clone / "dist").iterdir())})
    if found[0] != found[1] or len(found[0]) != 2:
        raise Refused(f"two builds of one commit differ: {found}")
    return sorted((place / "first" / "dist").iterdir())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    rooms = {one.split("/", 1)[0] for one in names if ".dist-info/" not in one}
    data = {one for one in rooms if one.endswith(".data")}
    if rooms - data != {*ROOMS, "wakedeck.py"}:
        raise Refused(f"{wheel.name} holds {sorted(rooms)}")
    missing = [one for one in SHIPPED if not any(f".data/data/{one}" in name for name in names)]
    if missing:
        raise Refused(f"{wheel.name} lacks {', '.join(missing)}")
    if not any(one.endswith(".dist-info/licenses/LICENSE") for one in names):
        raise Refused(f"{wheel.name} lacks its licence")


def _install(place: Path, wheel: Path, python: str, home: Path) -> Path:
    """Into an environment of its own; the command."""
    home.mkdir(mode=0o700)
    _run(python, "-m", "venv", place / "env")
    binaries = place / "env" / "bin"
    env = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    _run(binaries / "python", "-m", "pip", "install", "--quiet", wheel, env=env)
    return binaries / "wakedeck"


def _licences(binaries: Path) -> None:
    told: dict[str, str] = json.loads(_run(binaries / "python", "-c", _LICENCES))
    for name, licence in sorted(told.items(), key=lambda one: one[0].lower()):
        print(f"    {name:20} {licence[:60]}")
    odd = [name for name, licence in told.items() if not FREE.search(licence)]
    if odd:
        raise Refused(f"read the licences of {', '.join(sorted(odd))}")


def _use(program: Path, home: Path) -> None:
    """Run the embedded world, break a sandbox, see it, wake it, leave nothing running."""
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}
    _run(program, "--version", env=env)
    _run(program, "doctor", env=env, codes=(0, 1))
    _run(program, "local", "up", env=env)
    try:
        told = json.loads(_run(program, "sandboxes", "--json", env=env))
        name = str(told["sandboxes"][0]["name"])
        _run(program, "local", "fault", name, "agent-kill", env=env)
        _run(program, "wake", name, env=env)
        again = json.loads(_run(program, "status", "--json", env=env))
        if again.get("schema") != 1:
            raise Refused("`status --json` is of another schema")
        _run(program, "exec", name, "--", "true", env=env)
    finally:
        _run(program, "local", "down", env=env)


def _remove(program: Path) -> None:
    _run(program.parent / "python", "-m", "pip", "uninstall", "--quiet", "--yes", "wakedeck")
    left = [one for one in ROOMS if list(program.parents[1].glob(f"lib/python*/*/{one}"))]
    if left or program.exists():
        raise Refused(f"an uninstalled wheel left {left or program.name}")


if __name__ == "__main__":
    sys.exit(main())
