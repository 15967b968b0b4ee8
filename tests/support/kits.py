"""The real components tests run against: which there are, and what is said of each in a run.

A test names what it needs, `@pytest.mark.kit("tmux")` or `kits.need("tmux")`, and is skipped with
one line where that cannot be had. `make kits` fetches all there is to fetch; with
WAKEDECK_KITS=required what cannot be had fails the test instead.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec

import pytest

VARIABLE = "WAKEDECK_KITS"
_uses: list[tuple[str, str]] = []


@dataclass(frozen=True)
class Kit:
    """One component: what it is, and why it cannot be had here, empty where it can."""

    what: str
    missing: Callable[[], str]


def _programs(*names: str) -> Callable[[], str]:
    def missing() -> str:
        absent = [name for name in names if shutil.which(name) is None]
        return f"{' and '.join(absent)} is not installed" if absent else ""

    return missing


def _modules(*names: str) -> Callable[[], str]:
    def missing() -> str:
        absent = [name for name in names if find_spec(name) is None]
        return f"{' and '.join(absent)} is not installed: the extra is `dev`" if absent else ""

    return missing


# What fetches is imported late: those modules name their kits as well.
def _containerd() -> str:
    from tests.support import containerd

    return containerd.missing()


def _centml() -> str:
    from tests.support import centml_client

    return centml_client.missing()


def _docker() -> str:
    from tests.support import docker

    return docker.missing()


def _podman() -> str:
    from tests.support import podman

    return podman.missing()


def _of_debian(get: str, *words: str) -> str:
    from tests.support import debian
    from tests.support.cache import UnobtainableError

    try:
        getattr(debian, get)(*words)
    except UnobtainableError as error:
        return str(error)
    return ""


def _nginx() -> str:
    from tests.support import nginx

    return nginx.missing()


def _kubectl(minor: int = 32) -> str:
    from tests.support import kubectl

    return kubectl.missing(minor)


def _chromium() -> str:
    from tests.support import browser

    return browser.missing()


def _sandbox_client() -> str:
    from tests.support import sandbox_client

    return sandbox_client.missing()


def _sshd() -> str:
    from tests.support import sshd

    return sshd.missing()


def _openclaw() -> str:
    from tests.support import openclaw_kit

    tools = openclaw_kit.fetch()
    return tools if isinstance(tools, str) else ""


def _openshell() -> str:
    from tests.support import openshell_kit

    return openshell_kit.missing()


def _ttyd() -> str:
    from tests.support import ttyd

    return ttyd.missing()


def _vellum(old: bool = False, gateway: bool = False) -> str:
    from tests.support import vellum_cli

    tools = vellum_cli.fetch(vellum_cli.OLD_CLI if old else vellum_cli.CLI, gateway=gateway)
    return tools if isinstance(tools, str) else ""


KITS = {
    "containerd": Kit("containerd, runc, static busybox and bash of Debian 12", _containerd),
    "centml": Kit("the CentML client 0.7.1", _centml),
    "docker": Kit("the docker daemon of Debian 12", _docker),
    "podman": Kit("podman of Debian 12", _podman),
    "prometheus": Kit(
        "Prometheus and promtool of Debian 12", partial(_of_debian, "prometheus_packages")
    ),
    "apprise": Kit("apprise", _modules("apprise")),
    "kubectl": Kit("kubectl 1.32, or the file WAKEDECK_KUBECTL names", _kubectl),
    "agent-sandbox": Kit("agent-sandbox's official client 1.0.8, and kmock 0.8", _sandbox_client),
    "kubectl-old": Kit("kubectl 1.28", lambda: _kubectl(28)),
    "kubectl-new": Kit("kubectl 1.37", lambda: _kubectl(37)),
    "pproxy": Kit("pproxy, a proxy for HTTP and SOCKS", _modules("pproxy")),
    "openclaw": Kit("the OpenClaw gateway 2026.9.6 under node 24", _openclaw),
    "openshell": Kit("four releases of the OpenShell CLI and the stubs of five", _openshell),
    "openshell-stubs": Kit("grpcio and the OpenShell stubs", _modules("grpc", "openshell")),
    "vellum": Kit("the vellum command under bun", _vellum),
    "vellum-old": Kit("the vellum command of before", lambda: _vellum(old=True)),
    "vellum-gateway": Kit("vellum's own gateway under bun", lambda: _vellum(gateway=True)),
    "terminado": Kit("terminado", _modules("terminado")),
    "jupyter": Kit("the Jupyter server", _modules("jupyter_server", "jupyter_server_terminals")),
    "ttyd": Kit("ttyd 1.7.7", _ttyd),
    "ghostty": Kit("Ghostty's emulator", _modules("pyghostty")),
    "yaml": Kit("PyYAML", _modules("yaml")),
    "chromium": Kit("chromium of this machine or of Debian 12", _chromium),
    "tmux": Kit("tmux of this machine", _programs("tmux")),
    "bash": Kit("bash of this machine", _programs("bash")),
    "sshd": Kit("the OpenSSH server of Debian 12 and this machine's ssh", _sshd),
    "faketime": Kit("libfaketime of Debian 12", partial(_of_debian, "faketime_library")),
    "nginx": Kit("nginx of Debian 12", _nginx),
    "node": Kit("node of this machine", _programs("node")),
    "perl": Kit("perl of this machine", _programs("perl")),
    "openssl": Kit("openssl of this machine", _programs("openssl")),
    "less": Kit("less of this machine", _programs("less")),
    "vim": Kit("vim of this machine", _programs("vim")),
    "full-screen": Kit("mc, fzf and btop of Debian 12", partial(_of_debian, "full_screen", "mc")),
    "htop": Kit("htop of this machine or of Debian 12", partial(_of_debian, "htop")),
}


@cache
def missing(name: str) -> str:
    """Why this kit cannot be had here, empty where it can; it is fetched if need be."""
    return KITS[name].missing()


def need(*names: str) -> None:
    """Say that the running test needs these: it is skipped, or fails, where one is missing."""
    for name in names:
        if not there(name):
            pytest.skip(f"kit {name}: {missing(name)}")


def there(name: str) -> bool:
    """Whether a part of the running test can have this; what is not checked is told at the end."""
    why = missing(name)
    _uses.append((name, why))
    if why and os.environ.get(VARIABLE) == "required":
        pytest.fail(f"kit {name} is required by {VARIABLE}: {why}", pytrace=False)
    return not why


def take_uses() -> list[tuple[str, str]]:
    """What was needed since it was last asked."""
    taken = list(_uses)
    _uses.clear()
    return taken


def fetch() -> int:
    """Fetch each; prints a line of each, and how many cannot be had is the answer."""
    width = max(map(len, KITS))
    lacking = 0
    for name, kit in KITS.items():
        why = missing(name)
        lacking += bool(why)
        said = f"not here: {why}" if why else kit.what
        print(f"{name:{width}}  {said}", flush=True)
    return lacking


if __name__ == "__main__":
    # What failed a moment ago is tried again, and for longer than a test would wait.
    os.environ.setdefault("WAKEDECK_KITS_LIMIT", "600")
    from tests.support.cache import forget_failures

    forget_failures()
    sys.exit(1 if fetch() and os.environ.get(VARIABLE) == "required" else 0)
