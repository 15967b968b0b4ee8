"""The real kubectl, where there is one that speaks WebSocket."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

OLDEST = 30


@cache
def kubectl() -> str | None:
    """The newest on this machine of at least 1.30; None where there is none.

    It is whatever is on the PATH, or the file WAKEDECK_KUBECTL names: a single program that its
    project publishes with a checksum, and that no package registry of ours carries.
    """
    found = os.environ.get("WAKEDECK_KUBECTL") or shutil.which("kubectl")
    if found is None:
        return None
    folder = Path(found).resolve().parent
    versions = {}
    for path in folder.glob("kubectl.1.*"):
        match = re.fullmatch(r"kubectl\.1\.(\d+)", path.name)
        if match and int(match[1]) >= OLDEST:
            versions[int(match[1])] = str(path)
    if versions:
        return versions[max(versions)]
    done = subprocess.run(
        [found, "version", "--client", "-o", "json"], capture_output=True, check=False, timeout=60
    )
    try:
        minor = int(re.sub(r"\D", "", json.loads(done.stdout)["clientVersion"]["minor"]))
    except (ValueError, KeyError):
        return None
    return found if minor >= OLDEST else None


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
