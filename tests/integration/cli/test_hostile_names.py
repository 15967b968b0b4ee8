"""Every command, with hostile names from every source: what it prints cannot steer a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

import click
import pytest

from services.journal.rows import ADDITIONS, INSERT, SCHEMA
from services.terminal.session.recording import SessionRecorder
from tests.support import openshell_script
from tests.support.clock import FakeClock
from tests.support.kube_api import TOKEN, kube_api, pod
from tests.support.kubectl import kubeconfig
from tests.support.nanoclaw import short_folder
from tests.support.nanoclaw_install import SmallInstall
from tests.support.vellum import Ground
from tests.support.waiting import eventually
from tui.cli.completions import SHELLS
from tui.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[3]
EVIL = "a\x1b[2J\x1b]0;owned\x07b\x9b31m\u202ec\bd\u200be" + "\u0301" * 40
LINE = f"{EVIL}\nerror: forged\r\x1bc"
KINDS = ("local", "openshell", "nanoclaw", "kubernetes", "vellum")
AT_ONCE = 2
FORKING = """
import importlib, json, os, pkgutil, signal, sys
import services, tui.cli, tui.start
for package in (services, tui.cli):
    for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)
print("ready", flush=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    place, words, environ = json.loads(line)
    if os.fork():
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not (child := os.fork()):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT, 0o600), number)
        os.environ.clear()
        os.environ.update(environ)
        sys.argv[:] = ["wakedeck", *words]
        tui.start.main()
        sys.exit()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(f"{place}/new", "w") as told:
        told.write(str(code))
    os.rename(f"{place}/new", f"{place}/code")
    os._exit(0)
"""
"""Loads the program once, and forks a process for each command: loading was most of its work."""


@dataclass
class Ran:
    """One command that has ended."""

    argv: list[str]
    code: int | None
    out: bytes
    err: bytes

    def steers(self) -> Iterator[str]:
        """What a terminal would obey or hide, and piles of marks."""
        for where, said in (("stdout", self.out), ("stderr", self.err)):
            text = said.decode("utf-8", "surrogateescape")
            kinds = {c: unicodedata.category(c) for c in set(text) - {"\n"}}
            bad = sorted(
                f"U+{ord(c):04X}" for c, kind in kinds.items() if kind in ("Cc", "Cf", "Cs")
            )
            if bad:
                yield f"{where} of {self.argv}: {', '.join(bad)}"
            if "\u0301" * 3 in text:
                yield f"{where} of {self.argv}: a pile of marks"
            if "Traceback" in text:
                yield f"{where} of {self.argv}: {text[-2000:]}"


@dataclass
class Ground5:
    """A home whose five sources have hostile names."""

    home: Path
    config: Path
    environ: dict[str, str]
    forking: asyncio.subprocess.Process
    ran: int = 0

    async def run(self, *words: str, **more: str) -> Ran:
        """One command, as a process of its own."""
        self.ran += 1
        place = self.home / "ran" / str(self.ran)
        place.mkdir(parents=True)
        assert self.forking.stdin is not None
        job = json.dumps([str(place), words, {**self.environ, **more}])
        self.forking.stdin.write(f"{job}\n".encode())
        await eventually((place / "code").exists, limit=120, what=lambda: words)
        out, err = ((place / name).read_bytes() for name in ("out", "err"))
        return Ran(list(words), int((place / "code").read_text()), out, err)

    async def all(self, lines: list[list[str]]) -> list[Ran]:
        """Many, a few at a time."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(words: list[str]) -> Ran:
            async with limit:
                return await self.run("--config", str(self.config), *words)

        return await asyncio.gather(*map(one, lines))


@asynccontextmanager
async def ground(home: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Ground5]:
    script = openshell_script.script(
        home / "openshell",
        patch,
        sandboxes={"nemoclaw": {EVIL: "Ready", "beta": EVIL}, EVIL: {EVIL: "Error"}},
        gateways={"nemoclaw": "connected", EVIL: EVIL},
        logs=[LINE],
        active=EVIL,
    )
    openshell_script.register(home, EVIL, default=EVIL)
    install = SmallInstall(home / "claw")
    install.central("UPDATE agent_groups SET name = ?, folder = ?", EVIL, EVIL)
    install.central("UPDATE messaging_groups SET name = ?, platform_id = ?", EVIL, EVIL)
    session = install.session("sess-1", thread=EVIL)
    session.post("m1", 2, 1.0, content=json.dumps({"text": LINE}), status=EVIL)
    (install.root / "logs" / "nanoclaw.log").write_text(f"{LINE}\n")
    vellum = Ground(home / "v", None)
    vellum.write_lockfile([vellum.entry(None, name=EVIL), vellum.entry(None, assistantId=EVIL)])
    state = home / ".local" / "state" / "wakedeck"
    for number in range(2):
        (state / "local" / "sandboxes" / f"{number}{EVIL}").mkdir(parents=True)
    with closing(sqlite3.connect(state / "journal.db")) as db:
        for statement in (*SCHEMA, *ADDITIONS):
            db.execute(statement)
        row = (time.time() - 60, "error", EVIL, EVIL, "sandbox", LINE, EVIL, EVIL, None)
        db.execute(INSERT, row)
        db.commit()
    async with kube_api(home / "k") as api:
        for name, namespace in ((EVIL, EVIL), ("plain", EVIL), (f"{EVIL}2", "default")):
            waiting = {"name": EVIL, "state": {"waiting": {"reason": EVIL, "message": LINE}}}
            await api.put(pod(name, namespace, reason=EVIL, containerStatuses=[waiting]))
        api.log = LINE.encode()
        api.tokens.clear()
        place = kubeconfig(home, f"http://127.0.0.1:{api.peer.port}", TOKEN)
        told = json.loads(place.read_text())
        told["contexts"][0]["name"] = told["current-context"] = EVIL
        place.write_text(json.dumps(told))
        config = home / "config.toml"
        config.write_text(
            '[sources.local]\nkind = "local"\n'
            '[sources.openshell]\nkind = "openshell"\n'
            f'[sources.nanoclaw]\nkind = "nanoclaw"\nroot = "{install.root}"\n'
            f'[sources.kubernetes]\nkind = "kubernetes"\nkubeconfig = "{place}"\n'
            "all_namespaces = true\n"
            '[sources.vellum]\nkind = "vellum"\n'
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        path = f"{script.folder / 'bin'}:{kept['PATH']}"
        home_of = {**vellum.environ, "HOME": str(home), "PATH": path}
        (home / ".vellum.lock.json").write_bytes(vellum.lockfile.read_bytes())
        environ = {**kept, **home_of, "XDG_CONFIG_HOME": str(script.folder / "config")}
        async with forking(environ) as server:
            yield Ground5(home, config, environ, server)


@asynccontextmanager
async def forking(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """What runs the commands."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FORKING),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environ,
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        assert await server.stdout.readline() == b"ready\n"
        yield server
    finally:
        server.stdin.close()
        await server.wait()


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command, by its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            assert one is not None
            yield from leaves(one, *path, name)
    else:
        yield path


def recording(folder: Path) -> Path:
    """Of a shell, with a name that is not ours to choose."""
    recorder = SessionRecorder(folder, "r", FakeClock(0.0))
    recorder.close()
    return recorder.path


async def test_no_command_lets_a_name_steer(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_folder() as home:
        async with ground(home, monkeypatch) as five:
            listed = await five.run("--config", str(five.config), "sandboxes", "--json")
            assert listed.out, listed
            rows = json.loads(listed.out)["sandboxes"]
            by_source: dict[str, str] = {}
            for one in rows:
                by_source.setdefault(one["source"], one["id"])
            assert set(by_source) >= set(KINDS), listed
            ids = [*by_source.values(), EVIL]
            each: dict[str, list[list[str]]] = {
                "queues": [[], ["--json"]],
                "logs": [[], ["--streams"], ["--stream", EVIL]],
                "wake": [[], ["--json"], ["--confirm", EVIL]],
                "reconnect": [[], ["--json"]],
                "shell": [[], ["--pod", EVIL], ["--container", EVIL]],
                "exec": [["--", "true"], ["--container", EVIL, "--", "true"]],
            }
            alone: dict[str, list[list[str]]] = {
                "status": [[], ["--json"]],
                "sandboxes": [[], ["--json"]],
                "events": [[], ["--json"], ["--all"], ["--sandbox", EVIL], ["--search", "forged"]],
                "local status": [[], ["--json"]],
                "local faults": [[], ["--json"]],
                "local fault": [[EVIL, "agent-kill"], ["data-pull", EVIL]],
                "doctor": [[], ["--json"], ["--toml"]],
                "config show": [[], ["--json"]],
                "config default": [[]],
                "config path": [[]],
                "config init": [[]],
                "replay": [[EVIL], ["--max", str(recording(home / "rec"))]],
                "completions": [[one] for one in (*SHELLS, EVIL)],
                "watch": [["--print-unit"], ["--after", EVIL], ["--since", EVIL]],
                "notify test": [[EVIL]],
                "serve": [["--host", EVIL], ["--public-url", EVIL]],
                "source check": [["--", EVIL], ["--json", "--", "false"]],
                "local up": [[], [EVIL]],
                "local down": [[]],
            }
            known = {tuple(line.split()) for line in (*each, *alone)}
            assert known == set(leaves(main)), "a command that is not tried here"
            lines = [
                [*line.split(), *rest]
                for line, tails in alone.items()
                for rest in tails
                if line not in ("local up", "local down")
            ]
            lines += [
                [line, id, *rest] for line, tails in each.items() for id in ids for rest in tails
            ]
            lines += [["--profile", EVIL, "status"], [EVIL], ["--theme", EVIL, "status"]]
            found = [listed, *await five.all(lines)]
            for line in ("local up", "local down"):
                for rest in alone[line]:
                    found.append(await five.run(*line.split(), *rest))
            wrong = [text for one in found for text in one.steers()]
            assert wrong == []
            assert any(b"owned" in one.out or b"owned" in one.err for one in found)


@pytest.mark.parametrize("shell", SHELLS)
async def test_no_completion_lets_a_name_steer(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with short_folder() as home:
        async with ground(home, monkeypatch) as five:
            for words in (
                ["queues", ""],
                ["--profile", ""],
                ["wake", "a"],
                ["events", "--sandbox"],
            ):
                line = " ".join(["wakedeck", "--config", str(five.config), *words])
                said = await five.run(
                    _WAKEDECK_COMPLETE=f"{shell}_complete",
                    COMP_WORDS=line,
                    # fish names the word that is typed, the others its place.
                    COMP_CWORD=words[-1] if shell == "fish" else str(len(words) + 2),
                )
                if shell == "fish":
                    # It separates a word from its help, once in a line; a name holds none.
                    assert all(one.count(b"\t") <= 1 for one in said.out.splitlines()), said
                    said = replace(said, out=said.out.replace(b"\t", b" "))
                assert list(said.steers()) == []
                if words == ["queues", ""]:
                    assert "‹202E›".encode() in said.out, said
