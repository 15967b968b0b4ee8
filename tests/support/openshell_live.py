"""A gateway process of ours, registered in a folder of its own, for the real CLI and for gRPC."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.openshell_kit import Stubs
from tests.support.ports import free_port

_STUB = Path(__file__).with_name("openshell_gateway.py")
NAME = "stub"


@dataclass
class LiveGateway:
    """A gateway that can be killed, changed and started again on its port."""

    stubs: Stubs
    folder: Path
    names: tuple[str, ...]
    port: int = field(default_factory=free_port)
    tls: tuple[Path, ...] | None = None
    """Key, certificate, and whose certificates clients must show."""
    also: tuple[tuple[int | Path, ...], ...] = ()
    """Further ports, each with the same three."""
    _process: subprocess.Popen[str] | None = None

    @property
    def argv(self) -> list[str]:
        keys = [str(one) for group in (self.tls or (), *self.also) for one in group]
        return [self.stubs.python, str(_STUB), json.dumps(self.names), str(self.port), *keys]

    def start(self) -> None:
        self._process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": self.stubs.path},
        )
        assert self._line() == str(self.port)

    def order(self, **told: Any) -> None:
        """Change what it is or does."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        assert self._line() == "ok"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], 20)[0], "the gateway is silent"
        return self._process.stdout.readline().strip()

    def register(
        self, scheme: str = "http", auth: str = "plaintext", name: str = NAME, port: int = 0
    ) -> None:
        """Write what `gateway add` would have written."""
        place = self.folder / "openshell" / "gateways" / name
        place.mkdir(parents=True, exist_ok=True)
        told = {
            "name": name,
            "gateway_endpoint": f"{scheme}://127.0.0.1:{port or self.port}",
            "is_remote": False,
            "gateway_port": port or self.port,
            "auth_mode": auth,
        }
        (place / "metadata.json").write_text(json.dumps(told))
        (self.folder / "openshell" / "active_gateway").write_text(name)

    def starter(self) -> tuple[str, ...]:
        """A command that starts it again and leaves it running, as a service would."""
        script = self.folder / "start-service"
        pid = shlex.quote(str(self.folder / "service.pid"))
        command = " ".join(map(shlex.quote, self.argv))
        script.write_text(
            "#!/bin/sh\n"
            f"export PYTHONPATH={shlex.quote(self.stubs.path)}\n"
            f"tail -f /dev/null | {command} >/dev/null 2>&1 &\n"
            f"echo $! > {pid}\n"
        )
        script.chmod(0o755)
        # The service must outlive the command that starts it.
        return ("setsid", "--wait", str(script))

    def end_service(self) -> None:
        """End what `starter` started, with its group."""
        path = self.folder / "service.pid"
        if path.exists():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgid(int(path.read_text())), signal.SIGKILL)


@contextlib.contextmanager
def live_gateway(
    stubs: Stubs, folder: Path, patch: pytest.MonkeyPatch, *names: str
) -> Iterator[LiveGateway]:
    """One that is up and registered; everything of it is ended."""
    gateway = LiveGateway(stubs, folder / "config", names or ("alpha", "beta"))
    gateway.register()
    patch.setenv("XDG_CONFIG_HOME", str(gateway.folder))
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()
        gateway.end_service()
