"""Real processes beside a Vellum registry: an assistant's own by their command line, and others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.support.ports import free_port
from tests.support.waiting import eventually_sync

_SERVE = """
import http.server, json, sys
seen = open(sys.argv[2], "ab", 0)
class Peer(http.server.BaseHTTPRequestHandler):
    def answer(self):
        seen.write(f"{self.requestline}\\r\\n{self.headers}".encode())
        body = json.dumps({"status": "ok", "ready": True, "token": "minted"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Peer).serve_forever()
"""
_RELAY = """
import socket, sys, threading
def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    near = server.accept()[0]
    try:
        far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    except OSError:
        near.close()
        continue
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
GATEWAY = "--vellum-gateway"
"""The word by which a process of a test is known for a gateway, beside its port or folder."""


class Processes:
    """Processes of one test; all are ended with it."""

    def __init__(self, root: Path) -> None:
        self.heard = root / "heard"
        """Whatever reached a listener, byte for byte but for bodies."""
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for child in self._children:
            self.kill(child)

    def idle(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """It does nothing, and has these words on its command line, these in its environment."""
        return self._start("import time; time.sleep(600)", *words, **environ)

    def listener(self, port: int, *words: str) -> subprocess.Popen[bytes]:
        """It answers as a serving gateway does and writes down what it is sent."""
        child = self._start(_SERVE, str(port), str(self.heard), *words)
        eventually_sync(lambda: _connects(port), what=f"a listener on port {port}")
        return child

    def relay(self, upstream: int, instance: Path) -> int:
        """The port of a gateway that passes everything on to a peer of the test's own process."""
        port = free_port()
        self._start(_RELAY, str(port), str(upstream), GATEWAY, str(instance))
        eventually_sync(lambda: _connects(port), what=f"a relay on port {port}")
        return port

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """End one at once."""
        child.kill()
        child.wait()

    def received(self) -> str:
        """What listeners were sent."""
        return self.heard.read_text() if self.heard.exists() else ""

    def _start(self, code: str, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-S", "-c", code, *words]
        child = subprocess.Popen(argv, env={**os.environ, **environ}, start_new_session=True)
        self._children.append(child)
        # A program that has just begun has no command line for an instant.
        told = Path(f"/proc/{child.pid}/cmdline")
        eventually_sync(lambda: b"-S" in told.read_bytes(), what=f"words of process {child.pid}")
        return child


def _connects(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
