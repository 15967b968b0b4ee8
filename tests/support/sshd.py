"""A real OpenSSH server on a loopback port, private to one test, and an ssh that trusts it.

It runs as root in a mount namespace of its own: there, and only there, is the user that OpenSSH
separates its privileges to, and its folder. Nothing of this machine's own ssh is read or written.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil

from tests.support.cache import UnobtainableError
from tests.support.debian import openssh_packages
from tests.support.ports import free_port
from tests.support.waiting import eventually_sync

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
_PASSWD = "sshd:x:4242:65534:sshd:/run/sshd:/usr/sbin/nologin"


@cache
def missing() -> str:
    """Why no server can be run here; empty where one can."""
    if os.geteuid() != 0:
        return "the server is run by root in a mount namespace"
    if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "ssh is not installed"
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if done.returncode != 0:
        return "no mount namespaces here"
    try:
        openssh_packages()
    except UnobtainableError as error:
        return str(error)
    return ""


@dataclass
class SshHost:
    """One server, the home it gives to whoever logs in, and the client's side of it."""

    folder: Path
    home: Path
    port: int
    name: str
    process: subprocess.Popen[bytes] | None = None
    client: dict[str, str] = field(default_factory=dict)
    """Options of the client's own configuration for this host."""

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def write_client(self, **options: str) -> None:
        """The client's configuration; `options` win."""
        said = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": "root",
            "IdentityFile": str(self.folder / "user"),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
        }
        self.client = said | self.client | options
        lines = [f"Host {self.name}", *(f"  {k} {v}" for k, v in self.client.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def trust(self) -> None:
        """Know the server's key."""
        key = (self.folder / "host.pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key[0]} {key[1]}\n")

    def argv(self, *far: str) -> list[str]:
        """The ssh command of `kind = "remote"`, with this client's configuration."""
        options = ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=5"]
        options += ["-o", "ServerAliveCountMax=3"]
        return ["ssh", "-F", str(self.config), "-T", *options, "--", self.name, *far]

    def end(self) -> None:
        """End the server and whoever is logged in."""
        if self.process is not None:
            # Each login has a session of its own: the group alone would leave them.
            for one in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            self.process.kill()
            self.process.wait()
            self.process = None


def _key(path: Path) -> None:
    path.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def ssh_host(
    folder: Path,
    name: str = "box",
    *,
    server: Mapping[str, str] | None = None,
    path: str | None = None,
) -> Iterator[SshHost]:
    """A running server; `server` are options of its configuration, `path` the PATH it gives."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    host = SshHost(folder, home, free_port(), name)
    _key(folder / "host")
    _key(folder / "user")
    allowed = folder / "authorized_keys"
    allowed.write_text((folder / "user.pub").read_text())
    for key in (folder / "host", folder / "user", allowed):
        key.chmod(0o600)
    start(host, server or {}, path)
    host.trust()
    host.write_client()
    try:
        yield host
    finally:
        host.end()


def start(host: SshHost, server: Mapping[str, str], path: str | None = None) -> None:
    """Start the server of a host; it listens when this returns."""
    packages = openssh_packages()
    bin_folder = Path(sys.executable).parent
    given = path or f"{bin_folder}:/usr/bin:/bin"
    options = {
        "Port": str(host.port),
        "ListenAddress": "127.0.0.1",
        "HostKey": str(host.folder / "host"),
        "AuthorizedKeysFile": str(host.folder / "authorized_keys"),
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        "StrictModes": "no",
        "PidFile": "none",
        "PrintMotd": "no",
        "SetEnv": f"HOME={host.home} PATH={given} LANG=C.UTF-8",
    } | dict(server)
    config = host.folder / "sshd_config"
    config.write_text("".join(f"{k} {v}\n" for k, v in options.items()))
    passwd = host.folder / "passwd"
    passwd.write_text(Path("/etc/passwd").read_text() + _PASSWD + "\n")
    libraries = packages / "usr/lib" / f"{os.uname().machine}-linux-gnu"
    script = (
        'mount --bind "$1" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd'
        ' && exec "$2" -D -e -f "$3"'
    )
    log = (host.folder / "sshd.log").open("ab")
    with log:
        host.process = subprocess.Popen(
            [
                *("unshare", "-m", "sh", "-c", script, "sh"),
                *(str(passwd), str(packages / "usr/sbin/sshd"), str(config)),
            ],
            env={"LD_LIBRARY_PATH": str(libraries), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    eventually_sync(lambda: _listens(host), what=(host.folder / "sshd.log").read_text)


def _listens(host: SshHost) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", host.port)) == 0
