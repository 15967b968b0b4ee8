"""A real docker daemon, private to one test: own socket and roots, no network, ended by its id.

See upstream/nanoclaw: A real daemon in tests.

It needs root; Debian's docker package is fetched and unpacked, not installed:
`tests.support.debian`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import psutil

from tests.support.cache import UnobtainableError
from tests.support.debian import docker_packages
from tests.support.waiting import eventually_sync

IMAGE = "tiny:latest"
STARTS = 4
_IMPATIENT = "timeout waiting for containerd"
"""What the daemon ends with where the machine is so busy that its own child is late."""
_APPLETS = "sh ls cat sleep stty ps kill head yes env tr od wc echo true false grep touch date id"


@cache
def missing() -> str:
    """Why it cannot run here; empty where it can. Fetches what is not there."""
    if os.geteuid() != 0:
        return "a docker daemon needs root"
    try:
        docker_packages()
    except UnobtainableError as error:
        return str(error)
    try:
        with docker():
            return ""
    except UnobtainableError as error:
        return str(error)


def rootfs() -> bytes:
    """A tiny image, as `import` takes it."""
    root = docker_packages()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:

        def add(name: str, kind: bytes, content: bytes = b"", link: str = "") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.linkname = kind, 0o755, len(content), link
            tar.addfile(entry, io.BytesIO(content))

        for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "workspace"):
            add(name, tarfile.DIRTYPE)
        add("workspace/agent", tarfile.DIRTYPE)
        add("bin/busybox", tarfile.REGTYPE, (root / "bin/busybox").read_bytes())
        add("bin/bash", tarfile.REGTYPE, (root / "bin/bash-static").read_bytes())
        add("bin/not-executable", tarfile.REGTYPE, b"x")
        add("etc/passwd", tarfile.REGTYPE, b"root:x:0:0:root:/root:/bin/sh\n")
        for applet in _APPLETS.split():
            add(f"bin/{applet}", tarfile.SYMTYPE, link="busybox")
    return data.getvalue()


class ContainerCommand:
    """A command line of containers as docker has it, on a place of its own."""

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], image: str, ending: Sequence[str]
    ) -> None:
        """`ending` are the options with which a container ends at once when it is told to."""
        self._argv = tuple(argv)
        self.environment = dict(environ)
        self._image = image
        self._ending = tuple(ending)

    def call(
        self, *words: str, data: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """One command."""
        done = subprocess.run(
            [*self._argv, *words],
            input=data,
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def run(
        self, name: str, workspace: Path, labels: Mapping[str, str], command: str = "sleep 100000"
    ) -> str:
        """Start a container as a host does; its id."""
        marks = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        done = self.call(
            *("run", "-d", "--rm", *self._ending, "--name", name, *marks),
            *("-v", f"{workspace}:/workspace", "--network", "none", self._image),
            *("/bin/sh", "-c", command),
        )
        return done.stdout.decode().strip()


class Docker(ContainerCommand):
    """One daemon and the `docker` that talks to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.daemon: subprocess.Popen[bytes] | None = None
        root = docker_packages()
        places = (root / "usr/sbin", root / "usr/bin", root / "bin", root / "sbin")
        libraries = sorted(str(one) for one in (root / "usr/lib").glob("*-linux-gnu"))
        libraries += sorted(str(one) for one in (root / "lib").glob("*-linux-gnu"))
        environ = os.environ | {
            "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]]),
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(folder / "config"),
        }
        self._program = root / "usr/bin/docker"
        self._server = root / "usr/sbin/dockerd"
        super().__init__([str(self._program)], environ, IMAGE, ["--init"])

    def on_path(self, folder: Path) -> None:
        """Put a `docker` that talks to this daemon into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "docker"
        script.write_text(
            f"#!/bin/sh\nexport DOCKER_HOST={shlex.quote(f'unix://{self.socket}')}\n"
            f"export DOCKER_CONFIG={shlex.quote(f'{self.folder}/config')}\n"
            f'exec {shlex.quote(str(self._program))} "$@"\n',
            "utf-8",
        )
        script.chmod(0o755)

    def start(self) -> None:
        """Start the daemon and wait until it answers.

        Raises:
            UnobtainableError: it does not come up here.
        """
        folder = self.folder
        argv = [
            str(self._server),
            *("--host", f"unix://{self.socket}", "--data-root", str(folder / "data")),
            *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "docker.pid")),
            *("--iptables=false", "--ip6tables=false", "--bridge=none"),
            *("--storage-driver=vfs", "--host-gateway-ip=127.0.0.1"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--live-restore=false"),
        ]
        said = ""
        for _ in range(STARTS):
            if self._comes_up(argv):
                return
            lines = (folder / "log").read_text(errors="replace").strip().splitlines()
            said = lines[-1][-200:] if lines else "silent"
            if _IMPATIENT not in said:
                break
        raise UnobtainableError(f"no docker daemon here: {said}")

    def _comes_up(self, argv: list[str]) -> bool:
        with (self.folder / "log").open("ab") as log:
            self.daemon = daemon = subprocess.Popen(
                argv, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

        def up() -> bool:
            over = daemon.poll() is not None
            return over or self.call("version", check=False).returncode == 0

        eventually_sync(up, what=f"{self._server.name} neither answers nor ends")
        return daemon.poll() is None

    def load(self) -> None:
        """Import the tiny image."""
        self.call("import", "-", IMAGE, data=rootfs())

    def kill_daemon(self) -> None:
        """As a crash does; containers of it may stay."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def stop(self) -> None:
        """End the containers and the daemon; each by its own process id."""
        daemon = self.daemon
        if daemon is None:
            return
        if daemon.poll() is None:
            ids = self.call("ps", "-aq", check=False).stdout.decode().split()
            if ids:
                self.call("rm", "-f", *ids, check=False)
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        here = str(self.folder)
        for process in psutil.process_iter(["cmdline"]):
            if any(here in word for word in process.info["cmdline"] or []):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        for place in [line.split()[1] for line in mounts if here in line]:
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """One that runs; nothing of it is left at the end.

    Raises:
        UnobtainableError: it does not come up here.
    """
    folder = Path(tempfile.mkdtemp(prefix="dk-"))
    one = Docker(folder)
    try:
        one.start()
        one.load()
        yield one
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)
