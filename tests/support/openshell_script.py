"""A script named `openshell`, first on PATH: writes down what it was asked, answers from a file.

It plays one of the generations (upstream/openshell: Generations) and changes its state as the real
one does.
"""

# ruff: noqa: E501
from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import light_json


def curl_said(*answers: tuple[int, str, str]) -> str:
    """What the `curl` that asks an agent prints: of each path the status, the type and the body."""
    return "".join(f"{body}\nanswered-with {code:03} {kind}\n" for code, kind, body in answers)


def _json(value: object, code: int = 200) -> tuple[int, str, str]:
    return code, "application/json; charset=utf-8", json.dumps(value)


AGENT_SERVES = [
    0,
    curl_said(
        _json({"ok": True, "status": "live"}),
        _json({"ok": True, "status": "started", "version": "2026.9.6"}),
        _json({"ready": True, "failing": []}),
    ),
]
"""Exit code and words of `curl` in a sandbox whose agent serves, and of one whose does not."""
AGENT_REFUSES = [7, curl_said((0, "", ""))]

_SCRIPT = """\
import fcntl, os, sys, time
STATE, CALLS = {state!r}, {calls!r}
argv = sys.argv[1:]
if os.path.basename(sys.argv[0]) == "start-gateway":
    argv = ["SERVICE", *argv]
with open(CALLS, "a") as out:
    fcntl.flock(out, fcntl.LOCK_EX)
    out.write(json.dumps([argv, {{k: v for k, v in os.environ.items() if "OPENSHELL" in k}}]) + "\\n")
lock = open(STATE, "r+")
fcntl.flock(lock, fcntl.LOCK_EX)
state = json.load(lock)
def save():
    lock.seek(0); lock.truncate(); json.dump(state, lock); lock.flush()
def leave(code, out="", err=""):
    sys.stdout.write(out); sys.stderr.write(err); sys.stdout.flush()
    os._exit(code)
def refuse(words):
    leave(1, "", "Error:   \\u00d7 " + words + "\\n\\n")
def printed(rows, gap):
    rows = [[str(cell) for cell in row] for row in rows]
    wide = [max(map(len, column)) for column in zip(*rows)]
    return "".join(gap.join(map(str.ljust, row, wide)).rstrip() + "\\n" for row in rows)
if state.get("hung"):
    fcntl.flock(lock, fcntl.LOCK_UN); time.sleep(3600)
a = state["generation"] == "A"
if argv[:1] == ["SERVICE"]:
    time.sleep(state.get("slow", {{}}).get("SERVICE", 0))
    if state.get("start_fails"):
        leave(3, "", "the service is masked\\n")
    state["gateways"][argv[1]] = "coming up" if state.get("comes_up") else "connected"; save(); leave(0)
gateway = ""
if argv[:1] == ["-g"]:
    gateway, argv = argv[1], argv[2:]
workspace = ""
if argv[:1] == ["--workspace"]:
    workspace, argv = argv[1], argv[2:]
words = [one for one in argv if not one.startswith("-")]
slow = 0 if "--help" in argv else state.get("slow", {{}}).get(" ".join(argv[:2]), 0)
if slow:
    fcntl.flock(lock, fcntl.LOCK_UN); time.sleep(slow)
said = state.get("say", {{}}).get(" ".join(argv[:2]))
if said is not None:
    leave(said[0], said[1] * said[3] if len(said) > 3 else said[1], said[2])
if argv == ["--version"]:
    leave(0, "openshell " + state["version"] + "\\n")
if "--help" in argv:
    known = {{"status": "--output", "sandbox list": "--output --limit --offset --all-workspaces",
             "sandbox get": "--output", "sandbox exec": "", "sandbox start": "", "sandbox stop": "",
             "rule history": ""}}
    if a:
        known = {{"status": "", "sandbox list": "--limit --offset", "sandbox get": "", "gateway start": ""}}
    name = " ".join(words)
    if name in known:
        leave(0, known[name] + "\\n")
    leave(2, "", "error: unrecognized subcommand '" + words[-1] + "'\\n")
if argv[:2] == ["gateway", "list"]:
    if a:
        leave(2, "", "error: unrecognized subcommand 'list'\\n")
    leave(0, json.dumps([{{"name": n, "type": "local",
        "endpoint": state.get("endpoint", "http://127.0.0.1:1"),
        "source": "user", "auth": state.get("auth", "plaintext"), "active": n == state["active"]}}
        for n in state["gateways"]]))
if argv[:2] == ["gateway", "select"]:
    if argv[2] not in state["gateways"]:
        refuse("No gateway metadata found for '" + argv[2] + "'.")
    state["active"] = argv[2]; save()
    open(os.path.join(os.environ["XDG_CONFIG_HOME"], "openshell/active_gateway"), "w").write(argv[2])
    leave(0)
if argv[:2] == ["gateway", "start"] and a:
    state["gateways"][argv[3]] = "connected"; save()
    place = os.path.join(os.environ["XDG_CONFIG_HOME"], "openshell/gateways", argv[3])
    os.makedirs(place, exist_ok=True)
    with open(place + "/metadata.json", "w") as out:
        json.dump({{"name": argv[3], "gateway_endpoint": "https://127.0.0.1:8080"}}, out)
    leave(0)
if argv[:2] == ["gateway", "info"]:
    leave(0, "Gateway Info\\n\\n  Gateway: " + gateway + "\\n")
if argv[:2] == ["forward", "list"]:
    rows = printed([["SANDBOX", "BIND", "PORT    ", "PID       ", "STATUS"], *state["forwards"]], " ")
    leave(0, rows if state["forwards"] else "", "" if state["forwards"] else "No active forwards.\\n")
live = state["gateways"].get(gateway)
if live is None:
    refuse("Unknown gateway '" + gateway + "'.")
if live == "silent":
    fcntl.flock(lock, fcntl.LOCK_UN); time.sleep(60)
if live == "coming up" and argv[0] == "status":
    # What each status answers while it comes up.
    live = state["comes_up"].pop(0)
    if not state["comes_up"]:
        state["gateways"][gateway] = live
    save()
if live == "reset":
    refuse("client error (SendRequest): Connection reset by peer (os error 104)")
if live == "refused":
    refuse("client error (Connect)\\n  \\u251c\\u2500\\u25b6 tcp connect error\\n  \\u2570\\u2500\\u25b6 Connection refused (os error 111)")
if argv[0] == "status":
    if a:
        leave(0, "Server Status\\n\\n  Gateway: " + gateway + "\\n  Status: Connected\\n  Version: 0.0.16\\n")
    leave(0, json.dumps({{"status": live, "gateway": gateway, "version": state.get("gateway_version", "0.0.111"),
        "authentication": {{"status": "not_required"}}}}))
boxes = state["sandboxes"].setdefault(gateway, {{}})
def row(name):
    return {{"id": state.get("ids", {{}}).get(gateway, "id") + "-" + name, "name": name, "workspace": "default", "phase": boxes[name],
            "labels": {{}}, "created_at": "2026-01-01 00:00:00", "resource_version": 1}}
if argv[:2] == ["sandbox", "list"] and state.get("one_workspace") and "--all-workspaces" in argv:
    refuse("code: 'The caller does not have permission to execute the specified operation', message: \\"no\\"")
if argv[:2] == ["sandbox", "list"]:
    at = int(argv[argv.index("--offset") + 1]) if "--offset" in argv else 0
    page = sorted(boxes)[at:at + int(argv[argv.index("--limit") + 1])]
    if state.get("turns"):
        # Its sandboxes after this answer, and after each further one.
        state["sandboxes"][gateway] = state["turns"].pop(0); save()
    if a and not page:
        leave(0, "No sandboxes found.\\n")
    if a:
        leave(0, printed([["NAME", "NAMESPACE", "CREATED", "PHASE"],
            *([n, "openshell", "2026-01-01 00:00:00", boxes[n]] for n in page)], "  "))
    leave(0, json.dumps([row(name) for name in page]))
if argv[:2] == ["sandbox", "get"]:
    if argv[2] not in boxes:
        refuse("code: 'Some requested entity was not found', message: \\"sandbox not found\\"")
    if a or "-o" not in argv:
        leave(0, "Sandbox:\\n\\n  Name: " + argv[2] + "\\n  Phase: " + boxes[argv[2]] + "\\n")
    leave(0, json.dumps(row(argv[2])))
if argv[:2] == ["sandbox", "start"]:
    if boxes[argv[2]] != "Stopped":
        refuse("sandbox must be Stopped to start (current phase: " + boxes[argv[2]] + ")")
    boxes[argv[2]] = "Ready"; save(); leave(0)
if argv[:2] == ["sandbox", "stop"]:
    if boxes[argv[2]] != "Ready":
        refuse("sandbox must be Ready to stop (current phase: " + boxes[argv[2]] + ")")
    boxes[argv[2]] = "Stopped"; save(); leave(0)
if argv[:2] == ["sandbox", "exec"]:
    if state.get("dead_supervisor"):
        refuse("code: 'The service is currently unavailable', message: \\"supervisor session not connected\\"")
    rest = argv[argv.index("--") + 1:]
    if rest[0] == "curl" and "agent" in state:
        leave(state["agent"][0], state["agent"][1])
    if "--tty" in argv:
        os.execvp(rest[0], rest)
    fcntl.flock(lock, fcntl.LOCK_UN)
    # As the real one: what it starts does not end with it.
    child = os.fork()
    if not child:
        os.setsid()
        os.execvp(rest[0], rest)
    os.close(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(128 - ended if ended < 0 else ended)
if argv[:2] == ["forward", "stop"]:
    state["forwards"] = [one for one in state["forwards"] if str(one[2]) != argv[2]]; save(); leave(0)
if argv[:2] == ["forward", "start"]:
    if state.get("port_taken"):
        refuse("Port " + argv[3] + " is already in use by another process.")
    state["forwards"].append([argv[4], "127.0.0.1", int(argv[3]), 77, "running"]); save(); leave(0)
if argv[:2] == ["sandbox", "connect"]:
    import tty
    tty.setraw(0)
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.write(1, b"the agent is at work\\r\\nagent$ ")
    typed = b""
    while b"\\x10\\x11" not in typed:
        got = os.read(0, 100)
        typed += got
        os.write(1, got)
        if not got or b"\\x04" in typed:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.seek(0); state = json.load(lock)
            state["sandboxes"][gateway][argv[2]] = "Error"; save(); leave(1)
    with open(CALLS, "a") as out:
        out.write(json.dumps([["left", "by", "keys"], {{}}]) + "\\n")
    leave(0)
if argv[:2] == ["rule", "get"]:
    listed = state["rules"].get(argv[2], [])
    if not listed:
        leave(0, "No network rules for sandbox '" + argv[2] + "'\\n")
    leave(0, "Network Rules:  (version 1, " + str(len(listed)) + " chunks)\\n\\n" + "".join(
        "  Chunk: c-" + r + "\\n  Rule: " + r + "\\n  Rationale: " + state.get("rationale", "why") +
        "\\n  Endpoints: " + state.get("endpoints", "example.com:443") + "\\n\\n" for r in listed))
if argv[:2] == ["rule", "history"]:
    leave(0, "Rule History:\\n\\n" + "".join("  " + one + "\\n" for one in state["history"])
        if state.get("history") else "No rule history for sandbox '" + argv[2] + "'\\n")
if argv[:2] in (["rule", "approve"], ["rule", "reject"]):
    mine = state["rules"][argv[4]]
    mine.remove(argv[3][2:]); save(); leave(0, "OK Chunk decided.\\n")
if argv[0] == "logs":
    for line in state.get("logs", []):
        print(line, flush=True)
    refuse("transport error")
leave(0)
"""


@dataclass
class Script:
    """The script's folder, and what it was asked."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config" / "openshell"

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def set(self, **changes: Any) -> None:
        """Change its state between calls."""
        new = self.folder / "state.new"
        new.write_text(json.dumps({**self.state(), **changes}))
        new.replace(self.folder / "state.json")

    def calls(self) -> list[str]:
        """Every command line so far, without questions about versions and help."""
        return [call for call, _ in self._asked() if not call.endswith(("--help", "--version"))]

    def acts(self) -> list[str]:
        """The calls that change something, and the proofs, in order."""
        words = (
            "SERVICE",
            "select",
            "gateway start",
            "sandbox start",
            "sandbox stop",
            "forward st",
            "exec",
        )
        return [call for call in self.calls() if any(word in call for word in words)]

    def environments(self) -> list[Mapping[str, str]]:
        """What of the environment concerned it, by call."""
        return [environment for _, environment in self._asked()]

    def _asked(self) -> list[tuple[str, dict[str, str]]]:
        path = self.folder / "calls"
        if not path.exists():
            return []
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [(" ".join(argv), environment) for argv, environment in rows]

    @property
    def service(self) -> str:
        """A command that starts a gateway's service; takes its name."""
        return str(self.folder / "bin" / "start-gateway")

    def forget(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)


def script(folder: Path, patch: pytest.MonkeyPatch, **state: Any) -> Script:
    """Put one first on PATH, with a configuration folder of its own."""
    made = Script(folder)
    (folder / "bin").mkdir(parents=True)
    made.config.mkdir(parents=True)
    text = _SCRIPT.format(state=str(folder / "state.json"), calls=str(folder / "calls"))
    for name in ("openshell", "start-gateway"):
        path = folder / "bin" / name
        path.write_text(f"#!{sys.executable} -IS\n{light_json.SOURCE}{text}")
        path.chmod(0o755)
    whole = {
        "generation": "B",
        "version": "0.0.111",
        "active": "other",
        "gateways": {"nemoclaw": "connected", "other": "connected"},
        "sandboxes": {"nemoclaw": {"alpha": "Ready", "beta": "Stopped"}},
        "forwards": [],
        "rules": {},
        **state,
    }
    (folder / "state.json").write_text(json.dumps(whole))
    if whole["generation"] == "A":
        for name in whole["gateways"]:
            place = made.config / "gateways" / name
            place.mkdir(parents=True)
            told = {"name": name, "gateway_endpoint": "https://127.0.0.1:8080"}
            (place / "metadata.json").write_text(json.dumps(told))
        (made.config / "active_gateway").write_text(whole["active"])
    patch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return made


def register(home: Path, *names: str, default: str = "", **more: Any) -> Path:
    """NemoClaw's register in a home."""
    path = home / ".nemoclaw" / "sandboxes.json"
    path.parent.mkdir(exist_ok=True)
    entries = {name: {"name": name, "model": "m", **more} for name in names}
    path.write_text(json.dumps({"sandboxes": entries, "defaultSandbox": default or None}))
    return path
