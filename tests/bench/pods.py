"""5 000 pods once, beside kubectl on the same server, and a list that drips page by page.

The server is a process of its own that has every page ready before anybody asks.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.bench.panel import PANEL, ROOT, program, say
from tests.support.cache import UnobtainableError
from tests.support.kube_api import pod
from tests.support.kubectl import kubeconfig, kubectl

PODS, POD_BYTES, PAGE = 5_000, 10_400, 500
ROUNDS = 5
DRIP_PAGES, DRIP_S = 4, 10.0


def pages(number: int) -> list[bytes]:
    """Lists of pods of 10.4 kB each, as an API server sends them."""
    made: list[bytes] = []
    for start in range(0, number, PAGE):
        items = [_padded(f"agent-{at:05d}") for at in range(start, min(start + PAGE, number))]
        left = number - start - len(items)
        metadata: dict[str, Any] = {"resourceVersion": "7"}
        if left:
            metadata |= {"continue": str(len(made) + 1), "remainingItemCount": left}
        page = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}
        made.append(json.dumps(page).encode())
    return made


def _padded(name: str) -> dict[str, Any]:
    one = pod(name)
    env: list[dict[str, str]] = []
    one["spec"]["containers"][0]["env"] = env
    while len(json.dumps(one)) < POD_BYTES:
        env.append({"name": f"SETTING_{len(env):03d}", "value": "x" * 60})
    return one


def serve(listening: socket.socket, ready: list[bytes], drip_s: float) -> None:
    """Answer lists and discovery until ended; every page but the first waits `drip_s` before."""
    table = {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.1"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {
            "kind": "APIResourceList",
            "groupVersion": "v1",
            "resources": [
                {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["get", "list"]}
            ],
        },
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            if "watch" in query:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                threading.Event().wait(300)
            elif url.path.endswith("/pods"):
                at = int(query.get("continue", ["0"])[0])
                if at:
                    time.sleep(drip_s)  # the slow link
                self._answer(200, ready[at])
            else:
                known = table.get(url.path)
                code = 404 if known is None else 200
                self._answer(code, json.dumps(known or {"kind": "Status", "code": 404}).encode())

        def _answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.serve_forever()


class Peer:
    """The server as a process, and a home with its kubeconfig."""

    def __init__(self, home: Path, number: int, drip_s: float = 0.0) -> None:
        self.home = home
        listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = listening.getsockname()[1]
        context = multiprocessing.get_context("fork")
        self._process = context.Process(
            target=serve, args=(listening, pages(number), drip_s), daemon=True
        )
        self._process.start()
        listening.close()
        self.config = kubeconfig(home, f"http://127.0.0.1:{port}")
        self.settings = home / "wakedeck.toml"
        text = f'[sources.k]\nkind = "kubernetes"\nkubeconfig = "{self.config}"\n'
        self.settings.write_text(text)

    def close(self) -> None:
        self._process.terminate()
        self._process.join()

    def run(self, *argv: str) -> tuple[float, float, int]:
        """Seconds, megabytes at most, and rows of one command."""
        out = self.home / "out"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KUBECONFIG": str(self.config),
            "PYTHONPATH": str(ROOT),
        }
        begun = time.perf_counter()
        with out.open("wb") as file:
            child = subprocess.Popen(argv, stdout=file, stderr=subprocess.DEVNULL, env=env)
            _, status, used = os.wait4(child.pid, 0)
        took = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, argv
        return took, used.ru_maxrss / 1024, out.read_bytes().count(b"agent-")


def once(home: Path) -> None:
    """Both list everything, by turns."""
    peer = Peer(home, PODS)
    try:
        theirs = kubectl()
    except UnobtainableError as error:
        say(f"kubectl is not here: {error}")
        theirs = ""
    ours = [sys.executable, "-c", PANEL, "--config", str(peer.settings), "sandboxes"]
    commands = {"wakedeck": ours} | ({"kubectl": [theirs, "get", "pods"]} if theirs else {})
    figures: dict[str, list[tuple[float, float, int]]] = {name: [] for name in commands}
    try:
        peer.run(*ours)
        for _ in range(ROUNDS):
            for name, argv in commands.items():
                figures[name].append(peer.run(*argv))
    finally:
        peer.close()
    medians = {}
    for name, runs in figures.items():
        assert {rows for _, _, rows in runs} == {PODS}, runs
        medians[name] = [statistics.median(one[at] for one in runs) for at in (0, 1)]
        seconds, memory = medians[name]
        say(f"{name:<10}{PODS} pods   {seconds:6.2f} s   {memory:6.0f} MB")
    if theirs:
        mine, other = medians["wakedeck"], medians["kubectl"]
        say(f"ratio     time {mine[0] / other[0]:.2f} (aim 0.5)   memory {mine[1] / other[1]:.2f}"
            " (aim 0.3)")  # fmt: skip


async def drip(home: Path) -> None:
    """When each page of a slow list is on the screen."""
    peer = Peer(home, DRIP_PAGES * PAGE, DRIP_S)
    code = f"import sys; sys.argv[1:] = ['--config', {str(peer.settings)!r}]; {PANEL}"
    begun = time.perf_counter()
    try:
        async with program(code, home) as screen:
            for page in range(1, DRIP_PAGES + 1):
                await screen.until(rf"sandboxes {page * PAGE}\b".encode(), DRIP_S + 30)
                took = time.perf_counter() - begun
                say(f"page {page} of {DRIP_PAGES} on the screen after {took:5.1f} s")
    finally:
        peer.close()
    say(
        f"          one every {DRIP_S:g} s; the last one came after {(DRIP_PAGES - 1) * DRIP_S:g} s"
    )


def main() -> None:
    """Takes about two minutes."""
    for part in (once, lambda home: asyncio.run(drip(home))):
        home = Path(tempfile.mkdtemp(prefix="wakedeck-bench-"))
        try:
            part(home)
        finally:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
