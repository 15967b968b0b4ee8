"""Clusters whose credential comes from a cloud's helper, from nothing listed to a shell.

The kubeconfigs are as the clouds' own tools write them. The helpers are real executables that
check how they are called; kubectl is content with them too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.models import SandboxId, SandboxState
from services.sources.registry import open_sources
from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.integration.sources.pods.test_pods_panel import PANEL, ROOT, kubernetes, run
from tests.support.kube_api import TOKEN
from tests.support.kubectl import kubectl
from tests.support.waiting import eventually
from tui.app import WakedeckApp

pytestmark = [pytest.mark.slow, pytest.mark.kit("kubectl")]
V1BETA1 = "client.authentication.k8s.io/v1beta1"
BOX = SandboxId("prod", "default/box")


@dataclass(frozen=True)
class Cloud:
    """The `exec` of a kubeconfig, and what its helper has to see."""

    name: str
    command: str
    args: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def entry(self) -> dict[str, Any]:
        """As the cloud's tool writes it."""
        variables = [{"name": name, "value": value} for name, value in self.env.items()]
        told = {"apiVersion": V1BETA1, "command": self.command, "args": list(self.args)}
        return {**told, "env": variables or None, **self.more}


CLOUDS = [
    Cloud(
        "EKS",
        "aws",
        ("--region", "eu-1", "eks", "get-token", "--cluster-name", "prod", "--output", "json"),
        {"AWS_PROFILE": "ops"},
    ),
    Cloud(
        "GKE",
        "gke-gcloud-auth-plugin",
        (),
        more={"provideClusterInfo": True, "installHint": "Install gke-gcloud-auth-plugin."},
    ),
    Cloud(
        "AKS",
        "kubelogin",
        ("get-token", "--login", "azurecli", "--server-id", "6dae42f8"),
        more={"interactiveMode": "IfAvailable", "provideClusterInfo": False},
    ),
]
HELPER = """#!{python}
import datetime, json, os, sys
cloud, ran, token = {cloud!r}, {ran!r}, {token!r}
with open(ran, "a") as log:
    log.write("run\\n")
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
asked = "cluster" in info["spec"] and info["spec"]["cluster"]["server"].startswith("https://")
wrong = [
    *(["arguments"] if sys.argv[1:] != cloud["args"] else []),
    *(name for name, value in cloud["env"].items() if os.environ.get(name) != value),
    *(["version"] if info["apiVersion"] != {version!r} else []),
    *(["cluster"] if asked is not cloud["told"] else []),
]
if wrong:
    sys.exit(f"called wrongly: {{wrong}}")
until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=15)
status = {{"token": token, "expirationTimestamp": until.strftime("%Y-%m-%dT%H:%M:%SZ")}}
print(json.dumps({{"apiVersion": {version!r}, "kind": "ExecCredential", "status": status}}))
"""


def install(cloud: Cloud, one: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the helper on the path and in the kubeconfig; the file that gets a line for each run."""
    tools, ran = folder / "tools", folder / "ran"
    tools.mkdir()
    told = {
        "args": list(cloud.args),
        "env": cloud.env,
        "told": bool(cloud.more.get("provideClusterInfo")),
    }
    script = HELPER.format(
        python=sys.executable, cloud=told, ran=str(ran), token=TOKEN, version=V1BETA1
    )
    program = tools / cloud.command
    program.write_text(script)
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    config = json.loads(one.config.read_text())
    config["users"][0]["user"] = {"exec": cloud.entry}
    one.config.write_text(json.dumps(config))
    return ran


def runs(ran: Path) -> int:
    return len(ran.read_text().splitlines()) if ran.exists() else 0


@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.name)
async def test_on_the_command_line(
    tmp_path: Path, home: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path) as one:
        ran = install(cloud, one, tmp_path, monkeypatch)
        config = kubernetes(one, home)
        code, out, err = await run(config, "sandboxes")
        assert (code, out, runs(ran)) == (1, "", 0) and f"(r) runs {cloud.command}" in err
        code, out, err = await run(config, "exec", "prod/default/box", "--", "echo", "in")
        assert (code, out, runs(ran)) == (0, "in\n", 1), err
        argv = [sys.executable, "-c", PANEL, "--config", str(config), "shell", "prod/default/box"]
        env = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
        shell = await PtyProcess.start(argv, env=env, columns=90, lines=30)
        try:
            seen = b""
            async with asyncio.timeout(60):
                while b"pod$ " not in seen:
                    data = await shell.read()
                    assert data, seen
                    seen += data
            assert f"signed in, from {cloud.command}".encode() in seen
            shell.write(b"exit 7\r")
            assert await shell.wait(30)
        finally:
            assert await shell.terminate() == 7
        assert runs(ran) == 2
        child = await asyncio.create_subprocess_exec(
            *(kubectl(), "get", "pods", "-o", "name"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "KUBECONFIG": str(one.config)},
        )
        theirs, _ = await child.communicate()
        assert theirs == b"pod/box\n" and runs(ran) == 3


@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.name)
async def test_in_the_panel(
    tmp_path: Path, home: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path) as one:
        ran = install(cloud, one, tmp_path, monkeypatch)
        settings, clock = load(Flags(config=kubernetes(one, home)), {}), SystemClock()
        app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)
        async with app.run_test(size=(160, 45)) as pilot:
            board = app.engine.board
            await eventually(lambda: bool(board.unknown_lists))
            await pilot.pause()
            assert runs(ran) == 0 and not board.sandboxes
            await pilot.press("r")
            await eventually(
                lambda: BOX in board.sandboxes and board.sandboxes[BOX].state is SandboxState.READY
            )
            await pilot.pause()
            await pilot.press("s")
            await eventually(lambda: bool(list(app.shells)))
            shell = next(iter(app.shells))
            await eventually(lambda: "pod$" in "".join(shell.emulator.display))
            assert runs(ran) == 1
            app.action_leave()
            await eventually(lambda: not app.is_running)
