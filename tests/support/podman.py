"""Podman, private to one test: own roots, no network, no daemon.

It needs root; Debian's package is fetched and unpacked, not installed. Its containers are run by
the `runc` of the docker kit.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.cache import UnobtainableError
from tests.support.debian import docker_packages, podman_packages
from tests.support.docker import ContainerCommand, rootfs

IMAGE = "localhost/tiny:latest"


@cache
def missing() -> str:
    """Why it cannot run here; empty where it can. Fetches what is not there."""
    if os.geteuid() != 0:
        return "podman without a user's own setup needs root"
    try:
        docker_packages()
        with podman() as one:
            done = one.call("run", "--rm", "--network", "none", IMAGE, "/bin/true", check=False)
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return "" if done.returncode == 0 else f"no podman here: {said[-1][-200:]}"
    except (UnobtainableError, AssertionError) as error:
        return str(error)


class Podman(ContainerCommand):
    """One place of containers and the `podman` that works on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root, home = podman_packages(), folder / "home"
        runc = docker_packages() / "usr/sbin/runc"
        conmon = root / "usr/bin/conmon"
        (home / ".config/containers").mkdir(parents=True)
        policy = {"default": [{"type": "insecureAcceptAnything"}]}
        (home / ".config/containers/policy.json").write_text(json.dumps(policy), "utf-8")
        # The limits of its defaults are above what a confined root may set.
        (folder / "containers.conf").write_text(
            f'[engine]\nconmon_path=["{conmon}"]\nruntime="runc"\n'
            f'[engine.runtimes]\nrunc=["{runc}"]\n'
            '[containers]\ndefault_ulimits=["nofile=1024:1024","nproc=1024:1024"]\n',
            "utf-8",
        )
        libraries = sorted(str(one) for one in (root / "usr/lib").glob("*-linux-gnu"))
        self.settings = {
            "HOME": str(home),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        }
        argv = [
            *(str(root / "usr/bin/podman"), "--root", str(folder / "root")),
            *("--runroot", str(folder / "run"), "--storage-driver", "vfs"),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "file"),
        ]
        super().__init__(argv, os.environ | self.settings, IMAGE, ["--stop-timeout", "0"])

    def on_path(self, folder: Path) -> None:
        """Put a `docker` that is this podman into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "docker"
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.settings.items()]
        run = f'exec {shlex.join(self._argv)} "$@"'
        script.write_text("\n".join(["#!/bin/sh", *lines, run, ""]))
        script.chmod(0o755)


@contextlib.contextmanager
def podman() -> Iterator[Podman]:
    """One with its tiny image; nothing of it is left at the end.

    Raises:
        UnobtainableError: it cannot be had.
    """
    folder = Path(tempfile.mkdtemp(prefix="pd-"))
    try:
        one = Podman(folder)
        (folder / "tiny.tar").write_bytes(rootfs())
        one.call("import", str(folder / "tiny.tar"), IMAGE)
        yield one
    finally:
        with contextlib.suppress(UnboundLocalError, subprocess.TimeoutExpired):
            one.call("rm", "-fa", "-t", "0", check=False)
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        for place in [line.split()[1] for line in mounts if str(folder) in line]:
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
