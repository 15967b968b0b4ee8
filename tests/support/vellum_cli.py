"""The real vellum command under bun over stand-in services.

See upstream/vellum: Real command in tests.

The packages come from npm into a cache folder once; the services are three small TypeScript files
that the command itself starts. What ran is ended by the pids it wrote down, and by no other way.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil

from tests.support import kits
from tests.support.npm_cache import BUN, modules
from tests.support.ports import free_port

CLI = "@vellumai/cli@0.11.2"
OLD_CLI = "@vellumai/cli@0.10.5"
"""Of the time of that gateway; the oldest ones published do not start at all."""
GATEWAY = "@vellumai/vellum-gateway@0.10.5"
_NAMES = ("workspace/vellum.pid", "gateway.pid", "ces.pid")

_DAEMON = """
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
const port = Number(process.env.RUNTIME_HTTP_PORT);
// A real gateway asks over this socket whether its assistant is healthy: a line each way.
const ipc = `${process.env.VELLUM_WORKSPACE_DIR}/assistant.sock`;
rmSync(ipc, { force: true });
createServer((peer) => {
  let text = "";
  peer.on("data", (data) => {
    text += data;
    for (let end; (end = text.indexOf("\\n")) >= 0; text = text.slice(end + 1)) {
      const { id } = JSON.parse(text.slice(0, end));
      peer.write(JSON.stringify({ id, result: {} }) + "\\n");
    }
  });
  peer.on("error", () => {});
}).listen(ipc);
const json = (body: unknown, status = 200) => Response.json(body, { status });
Bun.serve({ port, hostname: "127.0.0.1", fetch(request) {
  const path = new URL(request.url).pathname;
  if (path === "/healthz") return json({ status: "ok", version: "stub" });
  if (path === "/readyz") return json({ status: "ok", ready: true });
  return json({ error: "not found" }, 404);
} });
"""
_GATEWAY = """
import { existsSync, readFileSync } from "node:fs";
const mode = existsSync(process.env.STUB_MODE!) ? readFileSync(process.env.STUB_MODE!, "utf8") : "";
if (mode.trim() === "exit") process.exit(1);
const daemon = `http://127.0.0.1:${process.env.RUNTIME_HTTP_PORT}`;
const json = (body: unknown, status = 200) => Response.json(body, { status });
Bun.serve({ port: Number(process.env.GATEWAY_PORT), hostname: "127.0.0.1", async fetch(request) {
  const path = new URL(request.url).pathname;
  if (path === "/healthz") return json({ status: "ok" });
  if (path === "/readyz") {
    try {
      const answer = await fetch(`${daemon}/readyz`, { signal: AbortSignal.timeout(3000) });
      return json(await answer.json(), answer.status);
    } catch { return json({ status: "upstream_unreachable" }, 503); }
  }
  if (path === "/auth/token") return json({ token: "minted", expiresAt: Date.now() });
  return json({ error: "not found" }, 404);
} });
"""
_CES = """
import { createServer } from "node:net";
createServer(() => {}).listen(process.env.CES_LOCAL_SOCKET!);
setInterval(() => {}, 1000);
"""
_PACKAGES = {
    "@vellumai/assistant": {"src/index.ts": "", "src/daemon/main.ts": _DAEMON},
    "@vellumai/vellum-gateway": {"src/index.ts": _GATEWAY},
    "@vellumai/credential-executor": {"src/main.ts": _CES},
}


class Tools:
    """The command and the bun that runs it; `gateway` is the folder of the real one."""

    def __init__(self, cli: Path, bun: Path, gateway: Path | None = None) -> None:
        self.cli = cli
        self.bun = bun
        self.gateway = gateway


def fetch(cli: str = CLI, *, gateway: bool = False) -> Tools | str:
    """The pinned packages, or why they cannot be had here."""
    bun = modules(BUN)
    if isinstance(bun, str):
        return bun
    command = modules(cli)
    if isinstance(command, str):
        return command
    folder = bun / "@oven/bun-linux-x64/bin"
    if not gateway:
        return Tools(command / ".bin", folder)
    real = modules(GATEWAY)
    if isinstance(real, str):
        return real
    return Tools(command / ".bin", folder, real / "@vellumai/vellum-gateway")


def had(cli: str = CLI, *, gateway: bool = False) -> Tools:
    """The pinned packages, or a skip."""
    kits.need("vellum-gateway" if gateway else "vellum" if cli == CLI else "vellum-old")
    tools = fetch(cli, gateway=gateway)
    assert isinstance(tools, Tools), tools
    return tools


class Stub:
    """One isolated home with one assistant of stand-in services, and what it takes to end them."""

    def __init__(self, root: Path, tools: Tools) -> None:
        self.tools = tools
        self.home = root / "h"
        self.instance = self.home / "i"
        self.runtime = root / "runtime"
        self.mode = root / "mode"
        self.port, self.daemon_port = free_port(), free_port()
        (self.instance / ".vellum/workspace").mkdir(parents=True)
        for name, files in _PACKAGES.items():
            folder = self.runtime / "node_modules" / name
            if tools.gateway is not None and name.endswith("gateway"):
                folder.symlink_to(tools.gateway, target_is_directory=True)
                continue
            folder.mkdir(parents=True)
            (folder / "package.json").write_text(json.dumps({"name": name, "version": "0.0.0"}))
            for path, text in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
        self.lockfile = self.home / ".vellum.lock.json"
        entry = {
            "assistantId": "stub-1",
            "name": "Stub One",
            "cloud": "local",
            "species": "vellum",
            "runtimeUrl": f"http://127.0.0.1:{self.port}",
            "guardianBootstrapSecret": "bootstrap-stub",
            "resources": {
                "instanceDir": str(self.instance),
                "daemonPort": self.daemon_port,
                "gatewayPort": self.port,
                "qdrantPort": free_port(),
                "cesPort": free_port(),
                "runtimeInstallDir": str(self.runtime),
                "signingKey": "ab" * 32,
            },
        }
        self.lockfile.write_text(json.dumps({"assistants": [entry], "activeAssistant": "stub-1"}))
        self.token = self.home / ".config/vellum/assistants/stub-1/guardian-token.json"
        self.token.parent.mkdir(parents=True)
        later = int((time.time() + 86400) * 1000)
        self.token.write_text(
            json.dumps(
                {
                    "accessToken": "stub-access",
                    "accessTokenExpiresAt": later,
                    "refreshToken": "stub-refresh",
                    "refreshTokenExpiresAt": later,
                }
            )
        )
        self.environ = {
            "HOME": str(self.home),
            "PATH": f"{tools.cli}:{tools.bun}:/usr/bin:/bin",
            "VELLUM_ENVIRONMENT": "production",
            "VELLUM_DISABLE_PLATFORM": "true",
            "STUB_MODE": str(self.mode),
        }
        self._seen: dict[int, float] = {}

    def pids(self) -> dict[str, int]:
        """Who plays what now; remembered for the end."""
        found = {}
        for name in _NAMES:
            try:
                pid = int((self.instance / ".vellum" / name).read_text())
                self._seen.setdefault(pid, psutil.Process(pid).create_time())
                found[name] = pid
            except (OSError, ValueError, psutil.Error):
                continue
        return found

    def kill(self, name: str) -> None:
        """End one of them without a word."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)

    def age(self) -> None:
        """Have what runs look as if it had begun two minutes ago."""
        at = time.time() - 120
        for path in (self.instance / ".vellum").rglob("*.pid"):
            os.utime(path, (at, at))

    def end(self) -> None:
        """End what was recorded, and nothing else; only what was started under our home."""
        self.pids()
        for pid, created in self._seen.items():
            try:
                process = psutil.Process(pid)
                ours = process.create_time() == created
                if ours and process.environ().get("HOME") == str(self.home):
                    process.kill()
                    process.wait(timeout=5)
            except (psutil.Error, OSError):
                continue
