"""nginx of Debian on free ports of loopback, with a configuration that a page documents."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.cache import UnobtainableError
from tests.support.debian import nginx_packages
from tests.support.ports import free_port
from tests.support.tls import Authority
from tests.support.waiting import eventually_sync

_AROUND = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


def program() -> Path:
    """nginx, fetched where need be.

    Raises:
        UnobtainableError: not here.
    """
    return nginx_packages() / "usr/sbin/nginx"


@cache
def missing() -> str:
    """Why it cannot be run here; empty where it can."""
    try:
        done = subprocess.run([program(), "-v"], capture_output=True, text=True, check=False)
    except (UnobtainableError, OSError) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or "it does not run here"


def documented(page: Path) -> str:
    """The one configuration of nginx that a page shows."""
    (found,) = re.findall(r"^```nginx\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    return str(found)


@dataclass
class Proxy:
    """A proxy that runs: where, and who trusts it."""

    name: str
    port: int
    folder: Path
    trusting: ssl.SSLContext

    @property
    def base(self) -> str:
        return f"https://{self.name}:{self.port}"

    def logs(self) -> str:
        """Everything it has written down."""
        return "".join(one.read_text("utf-8", "replace") for one in self.folder.rglob("*.log"))


@contextmanager
def nginx(folder: Path, name: str, server: str, places: Mapping[str, str]) -> Iterator[Proxy]:
    """Run it; `server` is what was documented, `places` what stands elsewhere in a test.

    Each of `places` occurs in the documented text: nothing of it is passed over.
    """
    folder.mkdir(parents=True)
    authority = Authority(folder / "authority")
    signed, key = authority.issue("panel", name)
    users = folder / "users"
    users.write_text("operator:{PLAIN}of-the-proxy\n")
    port = free_port()
    given = {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        f"/etc/ssl/{name}.pem": str(signed),
        f"/etc/ssl/{name}.key": str(key),
        "/etc/nginx/panel.users": str(users),
        "/var/log/nginx/panel.error.log": str(folder / "panel.error.log"),
        **places,
    }
    for said, here in given.items():
        assert server.count(said) == 1, f"{said!r} is not in the documented configuration"
        server = server.replace(said, here)
    config = folder / "nginx.conf"
    config.write_text(_AROUND.format(folder=folder, server=server))
    argv = [str(program()), "-e", str(folder / "error.log"), "-c", str(config), "-p", str(folder)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        trusting = ssl.create_default_context(cafile=str(authority.certificate))
        proxy = Proxy(name, port, folder, trusting)

        def runs() -> bool:
            assert process.poll() is None, (folder / "output").read_text() + proxy.logs()
            return (folder / "nginx.pid").exists()

        eventually_sync(runs)
        yield proxy
    finally:
        process.terminate()
        process.wait(30)
