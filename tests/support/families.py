"""Every family of exec with real processes at its far end, behind one face."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.models import SandboxId
from services.sources.local.actor import LocalActor
from services.sources.openshell.source import open_openshell
from services.sources.protocol.actor import Actor
from tests.integration.sources.pods.test_argo_source import BOX as ARGO_BOX
from tests.integration.sources.pods.test_argo_source import server
from tests.integration.sources.pods.test_centml_source import ONE, platform, signed_in
from tests.integration.sources.pods.test_kube_source import BOX as KUBE_BOX
from tests.integration.sources.pods.test_kube_source import cluster
from tests.support import kits
from tests.support.bad_weather import bad_weather
from tests.support.http_peer import WebSocket
from tests.support.nanoclaw import ALPHA, NOW, ScriptedDocker, install_states, opened, short_folder
from tests.support.openshell_script import script
from tests.support.shells import running_gateway
from tests.support.terminal_servers import KINDS, SHELL, served, source_of
from tests.support.waiting import eventually

APART = ("kubernetes", "nanoclaw", "openshell")
"""Two outputs, and processes that are ended for certain."""
TERMINALS = ("local", "centml", "argocd", "terminado", "jupyter", "ttyd", "json")
"""One terminal for both outputs."""
FAMILIES = (*APART, *TERMINALS)


@dataclass(frozen=True, slots=True)
class Family:
    """One of them, running."""

    actor: Actor
    sandbox: SandboxId
    cut: Callable[[], None]
    """Drops the connection, or ends the client, of the command that runs."""


def processes(mark: str) -> list[psutil.Process]:
    """What runs with that word among its arguments, besides a command line of ours."""
    found = []
    for one in psutil.process_iter(["cmdline", "status"]):
        words = one.info["cmdline"] or []
        if mark in words and "exec" not in words and one.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(one)
    return found


def end(mark: str) -> None:
    """Kill what is left of that and what it started; it may end by itself meanwhile."""
    for one in processes(mark):
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in (*one.children(recursive=True), one):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


async def gone(mark: str) -> None:
    """Wait until nothing with that word among its arguments runs."""
    await eventually(
        lambda: not processes(mark), what=lambda: [one.cmdline() for one in processes(mark)]
    )


def _reset(sockets: list[WebSocket]) -> None:
    sockets[-1].reset()


def _kill_clients(program: str) -> None:
    me = psutil.Process()
    for one in me.children(recursive=True):
        with suppress(psutil.Error):
            if any(word.endswith(program) for word in one.cmdline()[:3]):
                one.kill()


@asynccontextmanager
async def family(
    name: str, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Family]:
    """That family in `folder`."""
    if name == "kubernetes":
        async with cluster(folder) as one:
            api = one.api
            yield Family(one.source.actor, KUBE_BOX, lambda: _reset(api.sockets))
    elif name == "centml":
        signed_in(home)
        async with platform(folder) as (centml, source):
            yield Family(source.actor, ONE, lambda: _reset(centml.sockets))
    elif name == "argocd":
        async with server(folder) as (argo, source):
            yield Family(source.actor, ARGO_BOX, lambda: _reset(argo.sockets))
    elif name == "local":
        with running_gateway(folder / "world") as gateway:
            actor = LocalActor("local", gateway.world, SystemClock())
            yield Family(actor, SandboxId("local", "box"), gateway.process.kill)
    elif name in KINDS:
        kits.need(*(one for one in (name,) if one in kits.KITS))
        async with (
            served(name, folder / "pod") as server_of_it,
            bad_weather(server_of_it.port) as weather,
            source_of(server_of_it.table(weather.port)) as source,
        ):
            yield Family(source.actor, SHELL, weather.cut)
    elif name == "openshell":
        script(folder / "os", monkeypatch)
        source = open_openshell("os", OpenShellTable(), SystemClock())
        alpha = SandboxId("os", "nemoclaw/alpha")
        yield Family(source.actor, alpha, lambda: _kill_clients("openshell"))
        await source.actor.close()
        await source.observer.close()
    else:
        with short_folder() as root:
            install_states(root / "claw")
            docker = ScriptedDocker(folder / "bin", root / "claw")
            monkeypatch.setenv("PATH", f"{docker.folder}:{os.environ['PATH']}")
            docker.run((ALPHA, "sess-fx-mixed", NOW))
            source = opened(root / "claw", SystemClock())
            mixed = SandboxId("claw", "sess-fx-mixed")
            yield Family(source.actor, mixed, lambda: _kill_clients("docker"))
            await source.actor.close()
            await source.observer.close()
