"""What must never be done to an install cannot be said by this code."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import UnavailableError
from services.sources.nanoclaw import commands, docker_cli, frames
from services.sources.nanoclaw.engagement import Address, NudgePlan
from services.sources.nanoclaw.install import Install

ROOT = Path(__file__).resolve().parents[4]
PACKAGE = ROOT / "services" / "sources" / "nanoclaw"
READERS = ROOT / "services" / "queues"
INSTALL = Install(Path("/srv/nanoclaw"), "12345678")
LOOKING = ("ps", "inspect", "logs")
ACTING = ("stop", "exec")
NAMES = st.text(max_size=40) | st.sampled_from(["nanoclaw-v2-x-1", "--rm", "-it", "a b", "x;y", ""])


def texts(path: Path) -> list[str]:
    """Every string of a module that is no docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def modules() -> list[Path]:
    return sorted((*PACKAGE.glob("*.py"), *READERS.glob("*.py")))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.stem)
def test_no_statement_here_writes(path: Path) -> None:
    writing = re.compile(
        r"^\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|VACUUM|ATTACH|BEGIN|REINDEX)\b"
        r"|journal_mode\s*[=(]|wal_checkpoint|immutable=1|mode=rw",
        re.MULTILINE,
    )
    for text in texts(path):
        assert not writing.search(text), text


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_call_here_writes_signals_or_removes(path: Path) -> None:
    forbidden = {
        *("write_text", "write_bytes", "touch", "unlink", "rename", "replace_file", "rmdir"),
        *("mkdir", "utime", "kill", "killpg", "remove", "rmtree", "chmod", "symlink_to"),
        *("truncate", "copyfile", "copy", "copytree", "move", "system", "Popen"),
    }
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        assert name not in forbidden, f"{path.name}: {name}"
        if name == "open":
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            assert modes in ([], ["rb"]), f"{path.name}: open {modes}"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_no_word_here_starts_kills_or_rebuilds_a_container(path: Path) -> None:
    words = {"kill", "restart", "start", "run", "pause", "rm", "rebuild", "create", "commit", "cp"}
    argv = set(texts(path)) & words
    steps = {"actor": {"start"}, "confirmed_actions": {"restart"}}
    assert argv <= steps.get(path.stem, set()), "steps have these names"


def test_the_admin_socket_is_asked_to_look_and_to_restart_alone() -> None:
    assert {one.value for one in frames.HostQuery} == {
        "help",
        "sessions-list",
        "groups-list",
        "messaging-groups-list",
        "wirings-list",
        "approvals-list",
        "groups-config-get",
        "tasks-list",
        "tasks-get",
    }
    commands = {
        text
        for path in PACKAGE.glob("*.py")
        for text in texts(path)
        if re.fullmatch(r"[a-z]+(-[a-z]+)+", text)
        and text.split("-")[0]
        in ("groups", "sessions", "messaging", "wirings", "approvals", "users", "roles", "tasks")
    }
    assert commands == {one.value for one in frames.HostQuery if "-" in one.value} | {
        "groups-restart"
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(NAMES, st.lists(st.text(max_size=10), max_size=4), st.text(max_size=6))
def test_every_argv_looks_or_is_one_of_the_two_acts(
    name: str, command: list[str], shell: str
) -> None:
    made: list[tuple[str, ...]] = [docker_cli.list_argv(INSTALL)]
    builds: tuple[Callable[[], tuple[str, ...]], ...] = (
        lambda: commands.stop_argv(name),
        lambda: commands.shell_argv(name, shell),
        lambda: commands.shell_argv(name, "sh"),
        lambda: commands.command_argv(name, command),
    )
    for build in builds:
        try:
            made.append(build())
        except UnavailableError:
            continue
    for argv in made:
        assert argv[0] == "docker"
        assert argv[1] in (*LOOKING, *ACTING)
        assert not any(word.startswith("-") for word in argv if word == name)
        if argv[1] == "exec":
            assert "/workspace/agent" in argv
            assert argv[argv.index("/workspace/agent") + 1] == name
        if argv[1] == "stop":
            assert argv[2:] == ("-t", "1", name)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40), st.none() | st.text(max_size=40))
def test_a_restart_never_rebuilds_and_is_one_line(group: str, message: str | None) -> None:
    line = commands.restart_frame("x", group, message)
    assert line.count(b"\n") == 1
    frame = json.loads(line)
    assert frame["command"] == "groups-restart"
    assert set(frame["args"]) <= {"id", "message"}
    assert frame["args"]["id"] == group


@settings(deadline=None, max_examples=200)
@given(*(st.text(max_size=30) for _ in range(4)), st.none() | st.text(max_size=10))
def test_a_routed_line_always_has_an_address_and_is_one_line(
    text: str, sender: str, channel: str, platform: str, thread: str | None
) -> None:
    plan = NudgePlan(text, sender, address=Address(channel, platform, thread))
    line = commands.routed_line(plan)
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert told["to"] == {"channelType": channel, "platformId": platform, "threadId": thread}
    assert set(told) == {"text", "to", "sender", "senderId"}


@pytest.mark.parametrize("plan", [NudgePlan("x", "y"), NudgePlan("x", "y", refusal="no")])
def test_a_line_without_an_address_cannot_be_made(plan: NudgePlan) -> None:
    with pytest.raises(UnavailableError):
        commands.routed_line(plan)


def test_what_looks_does_not_load_what_acts() -> None:
    code = (
        "import sys, services.sources.nanoclaw.observer\n"
        "bad = sorted(m for m in sys.modules if m.startswith('services.sources.nanoclaw.') and "
        "m.rsplit('.', 1)[1] in ('actor', 'confirmed_actions'))\n"
        "sys.exit(f'loaded {bad}' if bad else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_only_what_acts_knows_the_acts() -> None:
    knows = {
        path.stem
        for path in PACKAGE.glob("*.py")
        if "nanoclaw.commands" in path.read_text("utf-8")
        or "import commands" in path.read_text("utf-8")
    }
    assert knows == {"actor", "confirmed_actions"}


def test_an_install_that_is_not_configured_is_never_imported() -> None:
    code = (
        "import sys, services.sources.registry, services.config.settings, services.clock as c\n"
        "settings = services.config.settings.load(services.config.settings.Flags(), {})\n"
        "services.sources.registry.open_sources(settings, c.SystemClock())\n"
        "sys.exit(any('nanoclaw' in m for m in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
