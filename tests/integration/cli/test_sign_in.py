"""Signing in to a source that lists nothing before: asked for by its name, and only then."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.models import SandboxId, SandboxState
from services.sources.registry import open_sources
from services.terminal.transport.pty import PtyProcess
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.integration.sources.pods.test_pods_panel import PANEL, ROOT, kubernetes, run
from tests.support.kube_api import TOKEN
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from widgets.panes.gateways import GatewayPane

pytestmark = pytest.mark.slow


QUESTION = "stty -echo; printf 'Word: ' >&2; read -r word; stty echo; test \"$word\" = sesame"


def with_helper(one: Cluster, folder: Path, mode: str = "Never") -> Path:
    """Take the token out of the kubeconfig; a helper gives it, and leaves a line for each run.

    One that is `Always` on a terminal asks for a word first.
    """
    ran, helper = folder / "ran", folder / "helper.sh"
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": TOKEN}}
    asked = f"{QUESTION} || exit 3\n" if mode == "Always" else ""
    helper.write_text(f"#!/bin/sh\necho run >> '{ran}'\n{asked}echo '{json.dumps(answer)}'\n")
    helper.chmod(0o700)
    config = json.loads(one.config.read_text())
    how = {"apiVersion": version, "command": str(helper), "interactiveMode": mode}
    config["users"][0]["user"] = {"exec": how}
    one.config.write_text(json.dumps(config))
    return ran


def runs(ran: Path) -> int:
    """How often the helper ran since the last time."""
    count = len(ran.read_text().splitlines()) if ran.exists() else 0
    ran.unlink(missing_ok=True)
    return count


async def test_a_full_name_signs_in_once_and_nothing_else_does(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        ran = with_helper(one, tmp_path)
        config = kubernetes(one, home)
        code, _, err = await run(config, "sandboxes")
        assert (code, runs(ran)) == (1, 0) and "helper.sh" in err
        code, _, err = await run(config, "exec", "box", "--", "true")
        assert code != 0 and runs(ran) == 0, err

        code, out, err = await run(config, "exec", "prod/default/box", "--", "echo", "in")
        assert (code, out, runs(ran)) == (0, "in\n", 1), err
        assert "prod: signed in, from helper.sh" in err
        code, _, err = await run(config, "reconnect", "prod/default/box")
        assert (code, runs(ran)) == (0, 1), err
        code, out, err = await run(config, "reconnect", "prod/")
        assert (code, runs(ran)) == (0, 1), err
        assert out == "prod: 1 of its sandboxes are known\n"

        code, _, err = await run(config, "--read-only", "exec", "prod/default/box", "--", "true")
        assert code != 0 and "read-only" in err and runs(ran) == 0
        code, _, err = await run(config, "reconnect", "prodd/")
        assert code == 4 and "No source 'prodd'" in err


async def test_a_helper_that_fails_is_said_by_its_name(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        with_helper(one, tmp_path)
        (tmp_path / "helper.sh").write_text("#!/bin/sh\necho 'no \033[2Jsession' >&2\nexit 3\n")
        code, _, err = await run(kubernetes(one, home), "reconnect", "prod/default/box")
        assert code == 1 and "helper.sh failed" in err and "session" in err
        assert "\x1b" not in err and "No sandbox" not in err and "Traceback" not in err


async def test_in_the_panel_where_there_is_no_row_and_on_a_gateway(
    tmp_path: Path, home: Path
) -> None:
    async with cluster(tmp_path) as one:
        ran = with_helper(one, tmp_path)
        settings, clock = load(Flags(config=kubernetes(one, home)), {}), SystemClock()
        app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)
        async with app.run_test(size=(160, 45)) as pilot:
            board = app.engine.board
            await eventually(lambda: bool(board.unknown_lists))
            await pilot.pause()
            assert runs(ran) == 0 and not board.sandboxes
            (gateway,) = board.gateways.values()
            assert gateway.reason.endswith("reconnect (r) runs helper.sh.")
            await pilot.press("r")
            box = SandboxId("prod", "default/box")
            await eventually(
                lambda: box in board.sandboxes and board.sandboxes[box].state is SandboxState.READY
            )
            assert runs(ran) == 1
            await eventually(lambda: app.dashboard.query_one(GatewayPane).current is not None)
            await pilot.press("2", "r")
            await eventually(lambda: ran.exists() and bool(ran.read_text()))
            await pilot.pause()
            assert runs(ran) == 1 and app.engine.latest_attempt(box) is None


async def on_terminal(config: Path, out: Path, keys: bytes, *words: str) -> tuple[int, str]:
    """A command on a terminal, its stdout in a file, where the helper is answered `keys`."""
    line = (
        'out=$1; shift; "$@" > "$out"; code=$?; stty -a | grep -qw -- -echo && exit 77; exit $code'
    )
    command = (sys.executable, "-c", PANEL, "--config", str(config), *words)
    process = await PtyProcess.start(
        ("sh", "-c", line, "sh", str(out), *command),
        env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)},
        columns=90,
        lines=30,
    )
    seen, answered = b"", False
    try:
        async with asyncio.timeout(60):
            while data := await process.read():
                seen += data
                if not answered and b"Word: " in seen:
                    process.write(keys)
                    answered = True
    finally:
        code = await process.terminate(5)
    return code, seen.decode()


async def test_a_helper_that_asks_has_the_terminal_of_the_command(
    tmp_path: Path, home: Path
) -> None:
    async with cluster(tmp_path) as one:
        ran, out = with_helper(one, tmp_path, "Always"), tmp_path / "out"
        config, box = kubernetes(one, home), "prod/default/box"
        code, seen = await on_terminal(config, out, b"sesame\r", "exec", box, "--", "echo", "in")
        assert (code, out.read_text(), runs(ran)) == (0, "in\n", 1), seen
        assert "prod: signed in, from helper.sh" in seen and "sesame" not in seen
        assert TOKEN not in seen
        code, seen = await on_terminal(config, out, b"sesame\r", "reconnect", box)
        assert (code, runs(ran)) == (0, 1), seen
        code, seen = await on_terminal(config, out, b"guess\r", "reconnect", "prod/")
        assert code == 1 and "helper.sh failed (exit code 3)." in seen and runs(ran) == 1
        code, seen = await on_terminal(config, out, b"\x03", "reconnect", "prod/")
        assert code == 1 and "was ended before it gave a credential." in seen and runs(ran) == 1
        alone, _, err = await run(config, "reconnect", "prod/")
        assert alone == 1 and "needs a terminal" in err and runs(ran) == 0


async def test_a_helper_that_asks_has_a_tab_of_the_panel(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        ran = with_helper(one, tmp_path, "Always")
        settings, clock = load(Flags(config=kubernetes(one, home)), {}), SystemClock()
        app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)
        async with app.run_test(size=(160, 45)) as pilot:
            board = app.engine.board
            await eventually(lambda: bool(board.unknown_lists))
            await pilot.pause()
            assert runs(ran) == 0 and not list(app.shells)

            async def asked() -> None:
                await eventually(
                    lambda: "Word: " in "".join("".join(s.emulator.display) for s in app.shells)
                )

            await pilot.press("r")
            await asked()
            first = next(iter(app.shells))
            app.dashboard.action_reconnect()
            await pilot.pause()
            assert list(app.shells) == [first] and runs(ran) == 1
            await pilot.press(*"guess", "enter")
            await eventually(lambda: first.session.shell.state.over)
            assert "failed (exit code 3)" in first.session.shell.reason and not board.sandboxes

            app.dashboard.action_reconnect()
            await asked()
            (second,) = app.shells
            assert second is not first
            await pilot.press(*"sesame", "enter")
            box = SandboxId("prod", "default/box")
            await eventually(
                lambda: box in board.sandboxes and board.sandboxes[box].state is SandboxState.READY
            )
            assert second.session.shell.reason == "signed in, from helper.sh" and runs(ran) == 1
