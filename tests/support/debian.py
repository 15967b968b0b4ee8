"""Debian's packages unpacked into a folder of ours: nothing is installed, nothing else changes.

`WAKEDECK_CONTAINERD`, `WAKEDECK_DOCKER`, `WAKEDECK_FULL_SCREEN`, `WAKEDECK_HTOP`,
`WAKEDECK_PODMAN`, `WAKEDECK_OPENSSH` and `WAKEDECK_PROMETHEUS` name a folder that has them already,
or are `no` where nothing is to be fetched. Otherwise they go to the user's cache, once; versions
are pinned, and apt checks every package against the signed index of the distribution.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.support.cache import LIMIT_S, UnobtainableError, once

CONTAINERD = {
    "containerd": "1.6.20~ds1-1+deb12u3",
    "runc": "1.1.5+ds1-1+deb12u1",
    "busybox-static": "1:1.35.0-4+deb12u1+b1",
    "bash-static": "5.2.15-2+b13",
}
DOCKER = {
    **CONTAINERD,
    "docker.io": "20.10.24+dfsg1-1+deb12u1+b6",
    "tini": "0.19.0-1+b3",
    "iptables": "1.8.9-2",
    "libip4tc2": "1.8.9-2",
    "libip6tc2": "1.8.9-2",
    "libmnl0": "1.0.4-3",
    "libnetfilter-conntrack3": "1.0.9-3",
    "libnfnetlink0": "1.0.2-2",
    "libnftnl11": "1.2.4-2",
    "libxtables12": "1.8.9-2",
    "dmsetup": "2:1.02.185-2",
    "libdevmapper1.02.1": "2:1.02.185-2",
}
PODMAN = {
    "podman": "4.3.1+ds1-8+deb12u1+b3",
    "conmon": "2.1.6+ds1-1",
    "libgpgme11": "1.18.0-3+deb12u1",
    "libassuan0": "2.5.5-5",
    "libsubid4": "1:4.13+dfsg1-1+deb12u2",
}
HTOP = {
    "htop": "3.2.2-2",
    "libncursesw6": "6.4-4",
    "libnl-3-200": "3.7.0-0.2+b1",
    "libnl-genl-3-200": "3.7.0-0.2+b1",
}
FULL_SCREEN = {
    "mc": "3:4.8.29-2",
    "mc-data": "3:4.8.29-2",
    "libslang2": "2.3.3-3",
    "libssh2-1": "1.10.0-3+b1",
    "libext2fs2": "1.47.0-2+b2",
    "libgpm2": "1.20.7-10+b1",
    "fzf": "0.38.0-1+b1",
    "btop": "1.2.13-1",
}
OPENSSH = {"openssh-server": "1:9.2p1-2+deb12u10", "libwrap0": "7.6.q-32"}
PROMETHEUS = {"prometheus": "2.42.0+ds-5+deb12u1"}
VARIABLE = "WAKEDECK_CONTAINERD"
DOCKER_VARIABLE = "WAKEDECK_DOCKER"
PODMAN_VARIABLE = "WAKEDECK_PODMAN"
FULL_SCREEN_VARIABLE = "WAKEDECK_FULL_SCREEN"
HTOP_VARIABLE = "WAKEDECK_HTOP"
OPENSSH_VARIABLE = "WAKEDECK_OPENSSH"
PROMETHEUS_VARIABLE = "WAKEDECK_PROMETHEUS"


@cache
def packages() -> Path:
    """The folder containerd is unpacked in, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return _unpacked("containerd", VARIABLE, CONTAINERD)


@cache
def docker_packages() -> Path:
    """The folder docker is unpacked in, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return _unpacked("docker", DOCKER_VARIABLE, DOCKER)


@cache
def podman_packages() -> Path:
    """The folder podman is unpacked in, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return _unpacked("podman", PODMAN_VARIABLE, PODMAN)


@cache
def htop() -> str:
    """What to type for htop: this machine's, else the unpacked one, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    if shutil.which("htop") is not None:
        return "htop"
    return _command(_unpacked("htop", HTOP_VARIABLE, HTOP), "htop")


@cache
def full_screen(program: str) -> str:
    """What to type for mc, fzf or btop, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    place = _unpacked("full-screen", FULL_SCREEN_VARIABLE, FULL_SCREEN)
    data = shlex.quote(str(place / "usr/share/mc"))
    return f"MC_DATADIR={data} {_command(place, program)}"


def _command(place: Path, program: str) -> str:
    """What to type for an unpacked program."""
    folders = (*place.glob("lib/*-linux-gnu"), *place.glob("usr/lib/*-linux-gnu"))
    libraries = shlex.quote(":".join(sorted(map(str, folders))))
    return f"LD_LIBRARY_PATH={libraries} {shlex.quote(str(place / 'usr/bin' / program))}"


@cache
def openssh_packages() -> Path:
    """The folder the ssh server is unpacked in, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return _unpacked("openssh", OPENSSH_VARIABLE, OPENSSH)


@cache
def prometheus_packages() -> Path:
    """The folder prometheus and promtool are unpacked in, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return _unpacked("prometheus", PROMETHEUS_VARIABLE, PROMETHEUS)


def _unpacked(kit: str, variable: str, wanted: Mapping[str, str]) -> Path:
    named = os.environ.get(variable, "")
    if named == "no":
        raise UnobtainableError(f"{variable}=no")
    if named:
        return Path(named)
    return once(kit, sorted(wanted.items()), lambda folder: fetch(folder, wanted))


def fetch(folder: Path, packages: Mapping[str, str]) -> None:
    """Download and unpack them.

    Raises:
        UnobtainableError: not here, or not in time.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UnobtainableError("this is no Debian to fetch packages from")
    deadline = time.monotonic() + LIMIT_S
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as name:
        work = Path(name)
        own = _own_lists(work)
        if not _download(work, packages, [], deadline):
            # No lists on this machine: get them, but not into its own place.
            _apt([*own, "update"], work, deadline)
            if not _download(work, packages, own, deadline):
                raise UnobtainableError("this Debian does not offer the pinned packages")
        for package in work.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(folder)], work, deadline)


def _own_lists(work: Path) -> list[str]:
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    return ["-o", f"Dir::State::Lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]


def _download(work: Path, packages: Mapping[str, str], options: list[str], deadline: float) -> bool:
    wanted = [f"{name}={version}" for name, version in packages.items()]
    return _apt([*options, "download", *wanted], work, deadline)


def _apt(words: list[str], work: Path, deadline: float) -> bool:
    # As root, apt would fetch as a user who may not write here.
    return _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", *words], work, deadline)


def _run(argv: list[str], work: Path, deadline: float) -> bool:
    try:
        done = subprocess.run(
            argv,
            cwd=work,
            capture_output=True,
            check=False,
            timeout=max(deadline - time.monotonic(), 1),
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise UnobtainableError(f"the packages were not fetched within {LIMIT_S:g} s") from error
    return done.returncode == 0
