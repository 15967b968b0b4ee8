"""Debian's packages unpacked into a folder of ours: nothing is installed, nothing else changes.

`WAKEDECK_CONTAINERD`, `WAKEDECK_DOCKER`, `WAKEDECK_CHROMIUM`, `WAKEDECK_FAKETIME`,
`WAKEDECK_FULL_SCREEN`, `WAKEDECK_HTOP`, `WAKEDECK_NGINX`, `WAKEDECK_PODMAN`, `WAKEDECK_OPENSSH` and
`WAKEDECK_PROMETHEUS` name a folder that has them already, or are `no` where nothing is to be
fetched. Otherwise they go to the user's cache, once; versions are pinned, and apt checks every
package against the signed index of the distribution. The browser alone has no version: each
security update takes the one before off the mirrors.
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
NGINX = {"nginx": "1.22.1-9+deb12u9"}
FAKETIME = {"libfaketime": "0.9.10-2.1"}
PROMETHEUS = {"prometheus": "2.42.0+ds-5+deb12u1"}
_OFFERED = ""
"""In place of a version: the one that this Debian offers now."""
CHROMIUM = dict.fromkeys(
    (
        *("chromium-headless-shell", "chromium-common", "fonts-dejavu-core", "libasound2"),
        *("libasyncns0", "libatk1.0-0", "libatspi2.0-0", "libbrotli1", "libbsd0", "libdav1d6"),
        *("libdbus-1-3", "libdouble-conversion3", "libdrm2", "libexpat1", "libflac12"),
        *("libfontconfig1", "libfreetype6", "libgbm1", "libglib2.0-0", "libgraphite2-3"),
        *("libharfbuzz-subset0", "libharfbuzz0b", "libjpeg62-turbo", "libminizip1"),
        *("libmp3lame0", "libmpg123-0", "libnspr4", "libnss3", "libogg0", "libopenh264-7"),
        "libopenjp2-7",
        *("libopus0", "libpng16-16", "libpulse0", "libsndfile1", "libsqlite3-0", "libvorbis0a"),
        *("libvorbisenc2", "libwayland-server0", "libx11-6", "libx11-xcb1", "libxau6", "libxcb1"),
        *("libxcomposite1", "libxdamage1", "libxdmcp6", "libxext6", "libxfixes3", "libxi6"),
        *("libxkbcommon0", "libxnvctrl0", "libxrandr2", "libxrender1"),
    ),
    _OFFERED,
)
"""A browser without a window and what it loads, less what every Debian has: 95 MB."""
VARIABLE = "WAKEDECK_CONTAINERD"
CHROMIUM_VARIABLE = "WAKEDECK_CHROMIUM"
DOCKER_VARIABLE = "WAKEDECK_DOCKER"
PODMAN_VARIABLE = "WAKEDECK_PODMAN"
FAKETIME_VARIABLE = "WAKEDECK_FAKETIME"
FULL_SCREEN_VARIABLE = "WAKEDECK_FULL_SCREEN"
HTOP_VARIABLE = "WAKEDECK_HTOP"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NGINX_VARIABLE = "WAKEDECK_NGINX"
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
def chromium() -> tuple[str, dict[str, str]]:
    """The program and what its environment needs: this machine's, else the unpacked one.

    Raises:
        UnobtainableError: not here.
    """
    of_this_machine = next((found for one in _BROWSERS if (found := shutil.which(one))), None)
    if of_this_machine and CHROMIUM_VARIABLE not in os.environ:
        return of_this_machine, {}
    place = _unpacked("chromium", CHROMIUM_VARIABLE, CHROMIUM)
    libraries = [*place.glob("lib/*-linux-gnu"), *place.glob("usr/lib/*-linux-gnu")]
    libraries += place.glob("usr/lib/*-linux-gnu/pulseaudio")
    fonts = place / "fonts.conf"
    if not fonts.exists():
        fonts.write_text(f"<fontconfig><dir>{place / 'usr/share/fonts'}</dir></fontconfig>\n")
    return str(place / "usr/lib/chromium/chromium-headless-shell"), {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "FONTCONFIG_FILE": str(fonts),
    }


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
def nginx_packages() -> Path:
    """The folder nginx is unpacked in, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return _unpacked("nginx", NGINX_VARIABLE, NGINX)


@cache
def faketime_library() -> Path:
    """What LD_PRELOAD takes to set the clock of a program, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    place = _unpacked("faketime", FAKETIME_VARIABLE, FAKETIME)
    found = next(place.glob("usr/lib/*/faketime/libfaketime.so.1"), None)
    if found is None:
        raise UnobtainableError(f"there is no libfaketime.so.1 below {place}")
    return found


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
                raise UnobtainableError("this Debian does not offer the packages in these versions")
        for package in work.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(folder)], work, deadline)


def _own_lists(work: Path) -> list[str]:
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    return ["-o", f"Dir::State::Lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]


def _download(work: Path, packages: Mapping[str, str], options: list[str], deadline: float) -> bool:
    wanted = [f"{name}={one}" if one != _OFFERED else name for name, one in packages.items()]
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
