"""The official client of agent-sandbox, and kmock: programs of others, each in its own process."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.cache import UnobtainableError, once, pip
from tests.support.kubectl import environment

WANTED = ("k8s-agent-sandbox==1.0.8", "kmock==0.8")
CLIENT = """
import json, sys
from k8s_agent_sandbox.constants import (
    SANDBOX_API_GROUP, SANDBOX_API_VERSION, SANDBOX_PLURAL_NAME,
)
from k8s_agent_sandbox.k8s_helper import K8sHelper

helper = K8sHelper()
where = dict(group=SANDBOX_API_GROUP, version=SANDBOX_API_VERSION, plural=SANDBOX_PLURAL_NAME)
for line in sys.stdin:
    verb, name, *more = line.split()
    if verb == "mode":
        body = {"spec": {"operatingMode": more[0]}}
        answer = helper.custom_objects_api.patch_namespaced_custom_object(
            namespace="default", name=name, body=body, **where
        )
    elif verb == "get":
        answer = helper.get_sandbox(name, "default")
    else:
        answer = helper.wait_for_sandbox_ready(name, "default", 30)
    print(json.dumps(answer), flush=True)
"""
KMOCK = """
import asyncio, json, sys
import kmock

async def main():
    cluster = kmock.KubernetesEmulator()
    for line in json.loads(sys.stdin.readline()):
        cluster.resources[line] = {}
    async with kmock.Server(cluster) as server:
        print(str(server.url), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


@cache
def site() -> Path:
    """The folder both are in, fetched where need be.

    Raises:
        UnobtainableError: they cannot be had here.
    """
    pins = WANTED, sys.version_info[:2], platform.machine()
    return once("agent-sandbox", pins, _fetch) / "site"


def missing() -> str:
    """Why they cannot be had; empty where they can."""
    try:
        site()
    except UnobtainableError as error:
        return str(error)
    return ""


def _fetch(folder: Path) -> None:
    pip("install", "--target", str(folder / "site"), *WANTED)


class OfficialClient:
    """One process of the official client; asked line by line."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    async def ask(self, *words: str) -> Any:
        """What the client gives for `mode NAME MODE`, `get NAME` or `wait NAME`."""
        return (await self.ask_all([words]))[0]

    async def ask_all(self, questions: Sequence[Sequence[str]]) -> list[Any]:
        """The same for many, one after the other."""
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None and stdout is not None
        answers = []
        for words in questions:
            stdin.write(" ".join(words).encode() + b"\n")
            async with asyncio.timeout(60):
                line = await stdout.readline()
            if not line:
                assert self._child.stderr is not None
                raise AssertionError((await self._child.stderr.read()).decode())
            answers.append(json.loads(line))
        return answers


@asynccontextmanager
async def official_client(config: Path) -> AsyncIterator[OfficialClient]:
    """One that speaks to the cluster of a kubeconfig."""
    async with _program(CLIENT, environment(config)) as child:
        yield OfficialClient(child)


@asynccontextmanager
async def kmock_server(*resources: str) -> AsyncIterator[str]:
    """A server of kmock's that emulates a cluster with `GROUP/VERSION/PLURAL`; its URL."""
    async with _program(KMOCK, {"PATH": os.environ["PATH"]}) as child:
        assert child.stdout is not None and child.stdin is not None
        child.stdin.write(json.dumps(resources).encode() + b"\n")
        async with asyncio.timeout(60):
            said = (await child.stdout.readline()).decode().strip()
        if not said:
            assert child.stderr is not None
            raise AssertionError((await child.stderr.read()).decode())
        yield said


@asynccontextmanager
async def _program(code: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        limit=16 << 20,
        env={**env, "PYTHONPATH": str(site())},
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            async with asyncio.timeout(10):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
