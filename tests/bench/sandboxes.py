"""10 000 `Sandbox` resources with their pods beside 10 000 bare pods, one in a hundred a second.

An update of either kind is one change: as many arrive as of bare pods.

The cluster is a process of its own; the panel's side is one too, and counts its own CPU: the looks
of a source every three seconds, merged into a board, with the watches that keep it up meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from services.board.board import Board
from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.models import SandboxState
from services.sources.pods.source import open_kubernetes
from tests.bench.panel import ROOT, say
from tests.support.kube_api import kube_api, pod
from tests.support.kubectl import kubeconfig
from tests.support.sandbox_controller import agent_sandbox, condition, owner, sandbox
from tui.gc_control import freeze_startup_objects

ROWS, SHARE = 10_000, 0.01
ROUNDS, ROUND_S, LOOK_S = 3, 18.0, 3.0
AIM = 1.2
KINDS = ("pods", "sandboxes", "both")
"""Of `sandboxes`, each change is one of a pod or of a sandbox, by turns; of `both`, of the two."""


async def serve(kind: str, folder: Path) -> None:
    """Be the cluster until stdin ends; print the port once everything is there."""
    resources = agent_sandbox(("v1beta1",))
    if kind == "pods":
        resources.kinds.clear()
    async with kube_api(folder) as api:
        api.tokens.clear()
        api.more = resources.handle
        for number in range(ROWS):
            name = f"box-{number:05d}"
            await api.put(_pod(name, 0, [] if kind == "pods" else _sandbox(resources, name, 0)))
        print(api.peer.port, flush=True)
        churning = asyncio.create_task(_churn(kind, api, resources))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        churning.cancel()


def _pod(name: str, restarts: int, owners: list[dict[str, Any]]) -> dict[str, Any]:
    """A pod of that many restarts."""
    made = pod(name)
    made["status"]["containerStatuses"][0]["restartCount"] = restarts
    if owners:
        made["metadata"]["ownerReferences"] = owners
    return made


def _sandbox(resources: Any, name: str, change: int) -> list[dict[str, Any]]:
    """Write a sandbox that says so; what its pod names as its owner."""
    ready = condition("Ready", "True", "DependenciesReady", f"Pod is Ready {change}")
    held = {**sandbox(name), "status": {"conditions": [ready], "podIPs": ["10.0.0.7"]}}
    return owner(resources.put("sandboxes", held))


async def _churn(kind: str, api: Any, resources: Any) -> None:
    dice = random.Random(7)
    change = 0
    while True:
        begun = time.monotonic()
        for _ in range(int(ROWS * SHARE / 10)):
            change += 1
            name = f"box-{dice.randrange(ROWS):05d}"
            owners: list[dict[str, Any]] = []
            if kind == "both" or (kind == "sandboxes" and change % 2):
                owners = _sandbox(resources, name, change)
            elif kind != "pods":
                owners = owner(resources.get("sandboxes", name))
            if kind != "sandboxes" or not change % 2:
                await api.put(_pod(name, change, owners))
        await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - begun)))  # ten times a second


async def watch(config: Path) -> dict[str, float]:
    """Look at a cluster for a while; what that cost."""
    clock = SystemClock()
    source = open_kubernetes("k", KubernetesTable(kubeconfig=str(config)), clock)
    board = Board(clock, [source.info])
    lags: list[float] = []
    begun = time.perf_counter()
    try:
        while len(board.sandboxes) < ROWS or source_is_listing(board):
            board.merge(await source.observer.observe())
        start_s = time.perf_counter() - begun
        freeze_startup_objects()  # as the panel does
        assert all(one.state is SandboxState.READY for one in board.sandboxes.values())
        lagging = asyncio.create_task(_lag(lags))
        cpu, until = time.process_time(), time.perf_counter() + ROUND_S
        changed = looks = 0
        while (begun := time.perf_counter()) < until:
            changed += len(board.merge(await source.observer.observe()).sandboxes)
            looks += 1
            await asyncio.sleep(max(0.0, begun + LOOK_S - time.perf_counter()))  # the interval
        spent = time.process_time() - cpu
        lagging.cancel()
    finally:
        await source.actor.close()
        await source.observer.close()
    lags.sort()
    return {
        "start_s": start_s,
        "cpu": spent / (looks * LOOK_S),
        "lag_ms": lags[int(len(lags) * 0.99)] * 1000,
        "memory": psutil.Process().memory_info().rss / 1e6,
        "changed": changed / (looks * LOOK_S),
    }


def source_is_listing(board: Board) -> bool:
    """Whether a list has not come whole."""
    return bool(board.unknown_lists)


async def _lag(lags: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.01)  # what a key would wait for
        lags.append(time.perf_counter() - begun - 0.01)


async def _child(*words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.sandboxes", *words), stdin=pipe, stdout=pipe, cwd=ROOT
    )


async def run(home: Path) -> None:
    """Both by turns in one run; the least of each counts."""
    figures: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            folder = home / kind
            folder.mkdir(exist_ok=True)
            server = await _child("serve", kind, str(folder))
            assert server.stdout is not None
            port = (await server.stdout.readline()).decode().strip()
            config = kubeconfig(folder, f"http://127.0.0.1:{port}")
            looking = await _child("watch", str(config))
            out, _ = await looking.communicate(b"")
            figures[kind].append(json.loads(out))
            assert server.stdin is not None
            server.stdin.close()
            await server.wait()
    least = {kind: min(runs, key=lambda one: one["cpu"]) for kind, runs in figures.items()}
    for kind, one in least.items():
        say(
            f"{kind:<10}{ROWS} rows, {one['changed']:.0f} changed a second: {one['cpu']:.1%} of a"
            f" core, lag p99 {one['lag_ms']:.0f} ms, all listed after {one['start_s']:.1f} s,"
            f" {one['memory']:.0f} MB"
        )
    alone, beside, both = (least[kind]["cpu"] for kind in KINDS)
    say(f"ratio     cpu {beside / alone:.2f} (aim {AIM:g}), {both / alone:.2f} where both change")


def main() -> None:
    """The bench, or one of its processes."""
    match sys.argv[1:]:
        case ["serve", kind, folder]:
            asyncio.run(serve(kind, Path(folder)))
        case ["watch", config]:
            print(json.dumps(asyncio.run(watch(Path(config)))))
        case _:
            with tempfile.TemporaryDirectory(prefix="wakedeck-bench-") as home:
                asyncio.run(run(Path(home)))


if __name__ == "__main__":
    main()
