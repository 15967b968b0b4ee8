"""Sandboxes of a cluster in the panel and on the command line: many at once, and one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.models import AttemptState, SandboxState
from services.sources.registry import open_sources
from tests.integration.sources.pods.test_pods_panel import configure, run
from tests.integration.sources.pods.test_sandboxes import Cluster, box, cluster
from tests.support.kube_resources import Resource
from tests.support.sandbox_client import official_client
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from widgets.panes.sandboxes import SandboxPane

NAPS, ALL = 200, 1000
KNOWN_S = 30


def config(one: Cluster, home: Path) -> Path:
    return configure(home, f'[sources.prod]\nkind = "kubernetes"\nkubeconfig = "{one.config}"\n')


def mode(one: Resource) -> str:
    return str(one["spec"]["operatingMode"])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.kit("agent-sandbox")
async def test_two_hundred_of_a_thousand_are_woken_in_one_go(tmp_path: Path, home: Path) -> None:
    """One patch for each key that was meant, whatever the cluster answers, and every end true."""
    async with cluster(tmp_path) as one, official_client(one.config) as client:
        names = [f"nap-{n:03}" for n in range(NAPS)]
        for name in (*names, *(f"awake-{n:03}" for n in range(ALL - NAPS))):
            one.make(name)
        rows = one.resources.kind("sandboxes").rows
        await eventually(lambda: all(_ready(row) for row in rows.values()), limit=240)
        await client.ask_all([("mode", name, "Suspended") for name in names])
        suspended = len(one.resources.patches)
        assert suspended == NAPS
        one.resources.conflicts |= set(names[::20])
        one.resources.refused |= set(names[7::40])
        one.controller.fail |= dict.fromkeys(names[11::50], "many")

        settings = load(Flags(config=config(one, home)), {})
        clock = SystemClock()
        app = WakedeckApp(settings, open_sources(settings, clock), clock, state=tmp_path)
        async with app.run_test(size=(160, 45)) as pilot:
            board = app.engine.board

            def asleep() -> int:
                return sum(row.state is SandboxState.ASLEEP for row in board.sandboxes.values())

            await eventually(lambda: (len(board.sandboxes), asleep()) == (ALL, NAPS), limit=240)
            pane = app.dashboard.query_one(SandboxPane)
            await pilot.press("slash", *"nap-", "enter")
            await pilot.press("home", "space", "end", "v")
            await eventually(lambda: len(pane.marked) == NAPS)
            await pilot.press("w")
            await eventually(lambda: bool(app.bulk.progress))
            await eventually(
                lambda: not app.bulk.progress, limit=600, what=lambda: app.bulk.progress
            )
            ends = {name: app.engine.latest_attempt(box(name)) for name in names}
            app.workers.cancel_group(app, "engine")
            await app.engine.close()
        ours = Counter(patch.key[1] for patch in one.resources.patches[suspended:])
        assert ours == Counter(names), "one patch each, and none for the others"
        for name, attempt in ends.items():
            assert attempt is not None and attempt.ended_at is not None
            held = one.resources.get("sandboxes", name)
            if name in one.resources.conflicts:
                assert "(409)" in attempt.summary
            elif name in one.resources.refused:
                assert "(403)" in attempt.summary
            elif name in one.controller.fail:
                assert "more than one pod" in attempt.summary
            assert (attempt.state is AttemptState.DONE) is _ready(held), attempt
            told = name in one.resources.conflicts or name in one.resources.refused
            assert mode(held) == ("Suspended" if told else "Running")


def _ready(one: Resource) -> bool:
    told = (one.get("status") or {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in told)


async def test_the_command_line_wakes_and_enters_one(tmp_path: Path, home: Path) -> None:
    async with cluster(tmp_path) as one:
        one.make("box", "Suspended")
        place = config(one, home)
        await one.until("box", SandboxState.ASLEEP)
        code, out, _ = await run(place, "sandboxes", "--json")
        (row,) = json.loads(out)["sandboxes"]
        assert (code, row["state"], row["name"]) == (0, "asleep", "box")
        code, out, err = await run(place, "wake", "box")
        assert (code, "was woken and is serving" in out) == (0, True), err
        assert all(step in err for step in ("start", "pod", "schedule", "pull", "ready"))
        assert len(one.resources.patches) == 1
        code, out, err = await run(place, "exec", "box", "--", "sh", "-c", "exit 3")
        assert code == 3, err
        code, _, err = await run(place, "exec", "prod/box", "--pod", "other", "--", "true")
        assert code == 4 and "has no pod 'other'" in err
        code, _, err = await run(place, "wake", "box")
        assert code == 0 and len(one.resources.patches) == 1
        one.controller.fail["box"] = "many"
        held = one.resources.get("sandboxes", "box")
        one.resources.put("sandboxes", {**held, "spec": {**held["spec"], "x": 1}})
        await one.until("box", SandboxState.BROKEN)
        code, out, err = await run(place, "wake", "box")
        assert code == 1 and "more than one pod" in out + err
        assert len(one.resources.patches) == 1
