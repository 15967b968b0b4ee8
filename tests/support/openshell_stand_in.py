"""A strict stand-in for the command of the 0.1 line, made from its documents alone.

No command of that line could be run: that the real one behaves like this is not proven
(upstream/openshell: Checked versions). It shares no code and no table with what it tests, knows each
subcommand's flags, refuses every other with exit 2 as the real line does, and changes its own state.
"""

# ruff: noqa: E501
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import light_json

_SCRIPT = """\
import fcntl, os, sys, time
HOME = {folder!r}
FLAGS = {{
    "status": {{"-o": 1, "--output": 1}},
    "gateway list": {{"-o": 1, "--output": 1}},
    "gateway select": {{}},
    "sandbox list": {{"-o": 1, "--output": 1, "--page-size": 1, "--page-token": 1, "--all-workspaces": 0, "--selector": 1, "--names": 0, "--ids": 0}},
    "sandbox get": {{"-o": 1, "--output": 1, "--policy-only": 0}},
    "sandbox exec": {{"-n": 1, "--name": 1, "--workdir": 1, "--timeout": 1, "--tty": 0, "--no-tty": 0, "--env": 1, "--no-login-shell": 0}},
    "sandbox start": {{}}, "sandbox stop": {{}}, "sandbox resume": {{}},
    "forward list": {{"-o": 1, "--output": 1}},
    "forward start": {{"-d": 0, "--background": 0}}, "forward stop": {{}},
    "logs": {{"-n": 1, "--tail": 0, "--since": 1, "--source": 1, "--level": 1}},
    "rule get": {{"--status": 1}}, "rule approve": {{"--chunk-id": 1}}, "rule reject": {{"--chunk-id": 1}},
    "settings get": {{}},
}}
GLOBAL = {{"-g": 1, "--gateway": 1, "--gateway-endpoint": 1, "--workspace": 1, "--color": 1, "-v": 0}}
argv = sys.argv[1:]
def note(name, words):
    with open(os.path.join(HOME, name), "a") as out:
        fcntl.flock(out, fcntl.LOCK_EX); out.write(json.dumps(words) + "\\n")
note("calls", argv)
def leave(code, out="", err=""):
    sys.stdout.write(out); sys.stderr.write(err); sys.stdout.flush(); os._exit(code)
def usage(word, kind="argument"):
    note("refused", argv)
    leave(2, "", "error: unexpected argument '" + word + "' found\\n\\nUsage: openshell ...\\n\\nFor more information, try '--help'.\\n")
def fail(code, message):
    leave(1, "", "Error:   \\u00d7 code: '" + code + "', message: \\"" + message + "\\"\\n\\n")
if argv == ["--version"]:
    leave(0, "openshell 0.1.5\\n")
given, rest, words, tail = {{}}, list(argv), [], []
path = ""
while rest:
    word = rest.pop(0)
    if word == "--":
        tail = rest; break
    if word == "--help":
        given["--help"] = True; continue
    if word.startswith("-"):
        known = {{**GLOBAL, **FLAGS.get(path, {{}})}}
        if word not in known:
            usage(word)
        given[word] = rest.pop(0) if known[word] else True
        continue
    words.append(word)
    if not path and (word in FLAGS or " ".join(words[:2]) in FLAGS):
        path = word if word in FLAGS else " ".join(words[:2])
if path not in FLAGS:
    leave(2, "", "error: unrecognized subcommand '" + (words[-1] if words else "") + "'\\n\\nUsage: openshell\\n")
if "--help" in given:
    leave(0, "Usage\\n\\nOptions:\\n" + "".join("      " + f + (" <VALUE>" if v else "") + "  Does it\\n" for f, v in {{**FLAGS[path], **GLOBAL}}.items()))
lock = open(os.path.join(HOME, "state.json"), "r+"); fcntl.flock(lock, fcntl.LOCK_EX); state = json.load(lock)
def save():
    lock.seek(0); lock.truncate(); json.dump(state, lock); lock.flush()
names = words[len(path.split()):]
if path == "gateway list":
    leave(0, json.dumps({{"gateways": [{{"name": "lab", "endpoint": "http://127.0.0.1:1", "type": "local", "source": "user", "auth": "plaintext", "active": True}}], "next_page_token": ""}}))
if path == "forward list":
    leave(0, json.dumps({{"forwards": state["forwards"]}}))
if path == "status":
    leave(0, json.dumps({{"status": "connected", "gateway": "lab", "version": state.get("version", "0.1.5"), "authentication": {{"status": "not_required"}}}}))
boxes = state["sandboxes"]
def row(name):
    return {{"id": "id-" + name, "name": name, "workspace": "default", "created_at": "2026-01-01T00:00:00Z", "resource_version": 1, **boxes[name]}}
def cause(name):
    return next((c["reason"] for c in boxes[name].get("conditions", []) if c["type"] == "Ready"), "")
if path == "sandbox list":
    page = [row(name) for name in sorted(boxes)]
    at, most = int(given.get("--page-token") or 0), int(given.get("--page-size") or 100)
    token = str(at + most) if at + most < len(page) else ""
    leave(0, json.dumps({{"sandboxes": page[at:at + most], "next_page_token": token}}))
name = given.get("-n") or given.get("--name") or (names[-1] if names else "")
if name not in boxes:
    fail("Some requested entity was not found", "sandbox not found")
box = boxes[name]
if path == "sandbox get":
    leave(0, json.dumps(row(name)))
if path == "sandbox start":
    phase, why = box["phase"], cause(name)
    if phase in ("Ready", "Starting"):
        leave(0)
    making = box.get("provisioning") or {{}}
    if phase == "Error" and why.startswith("ProvisioningTime"):
        if not making.get("cleanup_completed_time"):
            fail("The system is not in a state required for the operation's execution", "provisioning timeout cleanup is still pending")
    elif not (phase in ("Stopped", "Completed") or (phase == "Error" and why == "MainProcessFailed")):
        fail("The system is not in a state required for the operation's execution", "sandbox must be Stopped, Completed, or a failed main-process Error to start")
    after = state.get("after_start", {{"phase": "Ready"}})
    boxes[name] = {{**{{k: v for k, v in box.items() if k not in ("conditions", "exit_code", "provisioning")}}, **after}}
    save()
    if boxes[name]["phase"] == "Ready":
        leave(0)
    fcntl.flock(lock, fcntl.LOCK_UN)
    time.sleep(float(state.get("start_takes", 600)))
    fail("Deadline expired before operation could complete", "sandbox did not become Ready")
if path == "sandbox stop":
    if box["phase"] in ("Stopped", "Completed"):
        leave(0)
    if box["phase"] != "Ready":
        fail("The system is not in a state required for the operation's execution", "sandbox must be Ready to stop")
    box["phase"] = "Stopped"; save(); leave(0)
if path == "sandbox exec":
    if box["phase"] != "Ready":
        fail("The system is not in a state required for the operation's execution", "sandbox is not ready")
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.execvp(tail[0], tail)
if path == "forward stop":
    state["forwards"] = [one for one in state["forwards"] if str(one["port"]) != names[0]]; save(); leave(0)
if path == "forward start":
    state["forwards"].append({{"workspace": "default", "sandbox": name, "bind_address": "127.0.0.1", "port": int(names[0].rpartition(":")[2]), "pid": 7, "alive": True}}); save(); leave(0)
if path == "rule get":
    leave(0, "No network rules for sandbox '" + name + "'\\n")
leave(0)
"""


class StandIn:
    """Its folder, its state and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.binary = str(folder / "openshell")

    def set(self, **changes: Any) -> None:
        """Change its state between two calls."""
        path = self.folder / "state.json"
        new = self.folder / "state.new"
        new.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        new.replace(path)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def calls(self) -> list[str]:
        """Every command line but questions for help and version."""
        return [one for one in self._lines("calls") if "--help" not in one and "--ver" not in one]

    def refused(self) -> list[str]:
        """Command lines with a flag that the help does not offer."""
        return self._lines("refused")

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        rows = path.read_text().splitlines() if path.exists() else []
        return [" ".join(json.loads(row)) for row in rows]


def stand_in(folder: Path, patch: pytest.MonkeyPatch, **sandboxes: dict[str, Any]) -> StandIn:
    """One with these sandboxes, each by its JSON fields."""
    folder.mkdir(parents=True)
    made = StandIn(folder)
    path = folder / "openshell"
    text = light_json.SOURCE + _SCRIPT.format(folder=str(folder))
    path.write_text(f"#!{sys.executable} -IS\n{text}")
    path.chmod(0o755)
    (folder / "state.json").write_text(json.dumps({"sandboxes": sandboxes, "forwards": []}))
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return made
