"""Signing in to a source that lists nothing before: asked for by its name, and only then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.models import SandboxId, SandboxState
from services.sources.registry import open_sources
from tests.integration.sources.pods.test_kube_source import Cluster, cluster
from tests.integration.sources.pods.test_pods_panel import kubernetes, run
from tests.support.kube_api import TOKEN
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from widgets.panes.gateways import GatewayPane

pytestmark = pytest.mark.slow


def with_helper(one: Cluster, folder: Path) -> Path:
    """Take the token out of the kubeconfig; a helper gives it, and leaves a line for each run."""
    ran, helper = folder / "ran", folder / "helper.sh"
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": TOKEN}}
    helper.write_text(f"#!/bin/sh\necho run >> '{ran}'\necho '{json.dumps(answer)}'\n")
    helper.chmod(0o700)
    config = json.loads(one.config.read_text())
    how = {"apiVersion": version, "command": str(helper), "interactiveMode": "Never"}
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
