"""A real containerd with a real container, private to one test.

See upstream/pods: Real peers in tests.

It needs root, mount namespaces, grpcio, `containerd` and `runc`, static busybox and bash. What is
not installed is fetched from Debian and unpacked, not installed: `tests.support.debian`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import ssl
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.support.cache import UnobtainableError
from tests.support.cri import Runtime
from tests.support.debian import VARIABLE, packages
from tests.support.http_peer import Exchange, http_peer
from tests.support.kube_api import KubeApi, pod
from tests.support.waiting import eventually_sync

IMAGE = "localhost/wakedeck-test:1"
_NEEDED = ("containerd", "runc", "ctr", "bash-static", "busybox")
_APPLETS = (
    "sh ls cat sleep stty ps kill head yes env tr od wc seq echo true false grep vi top id cp rm"
)


@cache
def _folders() -> tuple[Path, ...]:
    installed = (*(Path(one) for one in os.get_exec_path()), Path("/usr/sbin"), Path("/bin"))
    if os.environ.get(VARIABLE, "no") == "no" and all(_there(installed, one) for one in _NEEDED):
        return installed
    root = packages()
    return (*(root / place for place in ("usr/bin", "usr/sbin", "bin")), *installed)


def _there(folders: Iterable[Path], name: str) -> bool:
    return any(os.access(folder / name, os.X_OK) for folder in folders)


def _find(*names: str) -> Path | None:
    for folder in _folders():
        for name in names:
            if os.access(folder / name, os.X_OK):
                return folder / name
    return None


def _static(path: Path | None) -> bool:
    return path is not None and b"/ld-linux" not in path.read_bytes()[:8192]


@cache
def unavailable_reason() -> str:
    """Why it can never run here, told without fetching anything; empty where it may."""
    if os.geteuid() != 0:
        return "containerd needs root"
    if find_spec("grpc") is None:
        return "grpcio is not installed"
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "no mount namespaces here"


@cache
def missing() -> str:
    """Why it cannot run here; empty where it can. Fetches what is not there."""
    if unavailable_reason():
        return unavailable_reason()
    try:
        for name in _NEEDED:
            if _find(name) is None:
                return f"no {name} on this machine"
    except UnobtainableError as error:
        return str(error)
    if not _static(_find("bash-static")) or not _static(_find("busybox")):
        return "no static bash and busybox for an image"
    return ""


def _layer() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:

        def folder(name: str) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)

        def file(name: str, content: bytes, mode: int = 0o755) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))

        for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "empty"):
            folder(name)
        busybox, bash = _find("busybox"), _find("bash-static")
        assert busybox is not None and bash is not None
        file("bin/busybox", busybox.read_bytes())
        file("bin/bash", bash.read_bytes())
        file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        file("bin/not-executable", b"x", 0o644)
        for applet in _APPLETS.split():
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return data.getvalue()


def _image(path: Path) -> None:
    """A tar as `docker save` writes it."""
    layer = _layer()
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": {"Entrypoint": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "a test"}],
    }
    about = json.dumps(config).encode()
    name = f"{sha256(about).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        files = (
            (name, about),
            ("layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        )
        for title, content in files:
            entry = tarfile.TarInfo(title)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


class Containerd:
    """One that runs, with one pod of one container."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "containerd.sock")
        self.container = ""
        self.runtime: Runtime
        self._pods: list[str] = []
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        found = {name: _find(name) for name in ("containerd", "ctr", "runc")}
        assert all(found.values())
        path = os.pathsep.join(dict.fromkeys(str(one.parent) for one in found.values() if one))
        environment = {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
        config = self.folder / "config.toml"
        config.write_text(_CONFIG.format(folder=self.folder, image=IMAGE, socket=self.socket))
        with (self.folder / "log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private",
                 str(found["containerd"]), "--config", str(config)],
                env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.runtime = Runtime(self.socket)
        self._until_ready()
        _image(self.folder / "image.tar")
        done = subprocess.run(
            [str(found["ctr"]), "-a", self.socket, "-n", "k8s.io", "images", "import",
             "--snapshotter", "native", str(self.folder / "image.tar")],
            env=environment, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        made, about = self.runtime.run_pod("box")
        self._pods.append(made)
        env = {"PATH": "/bin", "PS1": "pod$ ", "HOME": "/root", "ENV": "", "LC_ALL": "C.UTF-8"}
        self.container = self.runtime.run_container(
            made, about, IMAGE, ["/bin/sleep", "1000000"], env
        )

    def _until_ready(self) -> None:
        assert self._daemon is not None
        daemon = self._daemon

        def log() -> str:
            return (self.folder / "log").read_text(errors="replace")[-2000:]

        def answers() -> bool:
            try:
                self.runtime.call("Version", [], 2)
            except self.runtime.failure:
                return daemon.poll() is not None
            return True

        eventually_sync(answers, what=log)
        assert daemon.poll() is None, log()

    def processes(self) -> list[str]:
        """What runs in the container besides its first process."""
        first = next(
            one.pid
            for one in psutil.process_iter()
            if self._inside(one.pid) and one.cmdline() == ["/bin/sleep", "1000000"]
        )
        space = Path(f"/proc/{first}/ns/pid").readlink()
        found = []
        for one in psutil.process_iter(["pid", "cmdline", "status"]):
            with contextlib.suppress(OSError, psutil.Error):
                same = Path(f"/proc/{one.pid}/ns/pid").readlink() == space
                if same and one.pid != first and one.info["status"] != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(one.info["cmdline"]))
        return found

    def _inside(self, pid: int) -> bool:
        """Whether a process lives in our container: its bundle is named by the id."""
        with contextlib.suppress(OSError):
            return self.container in Path(f"/proc/{pid}/mountinfo").read_text()
        return False

    def stop(self) -> None:
        """End pods, shims and the daemon; each by its own process id."""
        if self._daemon is None:
            return
        for one in self._pods:
            with contextlib.suppress(self.runtime.failure):
                self.runtime.remove_pod(one)
        self.runtime.close()
        self._daemon.send_signal(signal.SIGTERM)
        try:
            self._daemon.wait(20)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()
        for process in psutil.process_iter(["pid", "cmdline"]):
            if self.socket in (process.info["cmdline"] or []):
                with contextlib.suppress(psutil.Error):
                    process.kill()


_CONFIG = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.overlayfs", "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
stream_server_address = "127.0.0.1"
stream_server_port = "0"
sandbox_image = "{image}"
disable_cgroup = true
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
"""


class ContainerApi(KubeApi):
    """The API server of that one pod: exec is spliced onto the runtime's own server."""

    def __init__(self, folder: Path, containerd: Containerd) -> None:
        super().__init__(folder)
        self.containerd = containerd

    async def _exec(self, exchange: Exchange) -> None:
        request = exchange.request
        url = await asyncio.to_thread(
            self.containerd.runtime.exec_url,
            self.containerd.container,
            request.query.get("command", []),
            request.one("tty") == "true",
            request.one("stdin") == "true",
        )
        there = urlsplit(url)
        assert there.hostname and there.port
        reader, writer = await asyncio.open_connection(there.hostname, there.port)
        _, _, rest = exchange.head.partition(b"\r\n")
        writer.write(b"GET " + there.path.encode() + b" HTTP/1.1\r\n" + rest)
        await _splice(exchange, reader, writer)


async def _splice(
    exchange: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()

    await asyncio.gather(
        asyncio.create_task(copy(exchange.reader, writer), name="peer up"),
        asyncio.create_task(copy(reader, exchange.writer), name="peer down"),
    )


@contextlib.contextmanager
def containerd() -> Iterator[Containerd]:
    """One that runs; nothing of it is left at the end."""
    # Socket paths are short: a folder of its own, not the test's.
    folder = Path(tempfile.mkdtemp(prefix="wd-"))
    daemon = Containerd(folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def container_api(
    daemon: Containerd, folder: Path, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ContainerApi]:
    """An API server in front of its pod."""
    api = ContainerApi(folder, daemon)
    await api.put(pod("box"))
    async with http_peer(api.handle, tls) as api.peer:
        yield api
