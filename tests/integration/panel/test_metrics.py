"""Metrics as Prometheus reads them: right, bounded, and with the names the dashboard asks for."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.board.board import Board
from services.board.deltas import BoardDelta
from services.board.lag import VoidLook
from services.errors import ConfigError, UnavailableError
from services.files.bounded import parse_json
from services.models import (
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    Observation,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Source,
)
from services.watch.aggregates import MOST_LABELS, Aggregates
from services.watch.metrics import MOST_SANDBOXES, Metrics, MetricsPage, address, names
from tests.support.clock import FakeClock
from tests.support.debian import prometheus_packages
from tests.support.ports import free_port
from tests.support.waiting import eventually_sync

ROOT = next(up for up in Path(__file__).resolve().parents if (up / "pyproject.toml").exists())
MONITORING = ROOT / "docs" / "monitoring"
GATE = GatewayId("s", "g")


def box(name: str, state: SandboxState = SandboxState.READY, **more: Any) -> Sandbox:
    return Sandbox(SandboxId("s", name), name, state, "", 0.0, **more)


class World:
    """A board with its aggregates, fed by hand."""

    def __init__(self, *, label_sandboxes: bool = False) -> None:
        self.clock = FakeClock()
        self.board = Board(self.clock, [Source("s", "scripted", "s", "", frozenset())])
        self.aggregates = Aggregates(self.clock)
        self.metrics = Metrics(self.board, self.aggregates, label_sandboxes=label_sandboxes)

    def see(self, *rows: Sandbox) -> BoardDelta:
        now = self.clock.now()
        gate = Gateway(GATE, "g", GatewayState.READY, "", now, latency_s=0.25)
        seen = tuple(replace(one, observed_at=now) for one in rows)
        delta = self.board.merge(Observation("s", now, (gate,), seen))
        self.aggregates.on_delta(delta)
        self.aggregates.on_events(delta.events)
        return delta

    def later(self, seconds: float) -> None:
        self.clock.jump(self.clock.now() + seconds)

    def values(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        return {
            f"{one.name}{sorted(one.labels.items())}": one.value
            for family in self.metrics.collect()
            for one in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.values()[f"wakedeck_{name}{sorted(labels.items())}"]


def test_the_numbers_are_those_of_the_board() -> None:
    world = World()
    world.see(box("a"), box("b", inbound=(("due", 3),), needs_me="an approval"))
    assert world.value("sandboxes", source="s", state="ready") == 2
    assert world.value("gateways", source="s", state="ready") == 1
    assert world.value("needs_me", source="s") == 1
    assert world.value("queue_messages", source="s", direction="in", label="due") == 3
    assert world.value("source_up", source="s") == 1
    assert world.value("source_latency_seconds", source="s") == 0.25
    world.later(10)
    world.see(box("a"), box("b", SandboxState.DOWN, inbound=(("due", 1),)))
    assert world.value("sandboxes", source="s", state="ready") == 1
    assert world.value("sandboxes", source="s", state="down") == 1
    assert world.value("needs_me", source="s") == 0
    assert world.value("queue_messages", source="s", direction="in", label="due") == 1
    assert world.value("state_seconds_total", source="s", state="ready") == 20
    assert world.value("transitions_total", source="s", kind="sandbox", severity="worse") == 1
    world.board.merge(VoidLook("s", world.clock.now(), 3.0))
    assert world.value("void_looks_total", source="s") == 1


def test_costs_are_summed_exactly_and_go_with_what_cost_them() -> None:
    world = World()
    world.see(box("a", cost_usd=0.1), box("b", cost_usd=0.2), box("c"))
    assert world.value("cost_usd", source="s") == 0.3
    assert world.value("sandboxes_reporting_cost", source="s") == 2
    world.see(box("a", cost_usd=0.4, tool="Bash"), box("b"), box("c", tool="Read", cost_usd=0.0))
    world.see(box("a", cost_usd=0.4, tool="Bash"), box("c", tool="Read", cost_usd=0.0))
    world.see(box("a", cost_usd=0.4, tool="Bash"), box("c", tool="Read", cost_usd=0.0))
    assert world.value("cost_usd", source="s") == 0.4
    assert world.value("sandboxes_reporting_cost", source="s") == 2
    world.see(box("a", tool="Read"), box("c", tool="Bash"))
    assert not any("wakedeck_cost_usd" in key for key in world.values())


def test_what_falls_soon_after_it_was_ready_had_a_false_start() -> None:
    world = World()
    world.see(box("a", SandboxState.DOWN))
    for _ in range(3):
        world.later(5)
        world.see(box("a"))
        world.later(5)
        world.see(box("a", SandboxState.DOWN))
    world.see(box("a"))
    world.later(300)
    world.see(box("a", SandboxState.DOWN))
    assert world.value("false_starts_total", source="s") == 3


def test_attempts_are_counted_by_their_end() -> None:
    world = World()
    ended = [
        Event(1.0, Severity.ACTION, "s", "a", "attempt", "", after=end) for end in ("done",) * 2
    ]
    world.aggregates.on_events(ended)
    assert world.value("attempts_total", source="s", end="done") == 2


def test_names_only_on_request_and_series_are_bounded() -> None:
    many = [box(f"box{n}", inbound=((f"label{n}", 1),)) for n in range(MOST_SANDBOXES + 50)]
    plain, named = World(), World(label_sandboxes=True)
    plain.see(*many)
    named.see(*many)
    assert not any("box1" in key for key in plain.values())
    assert len(plain.values()) < MOST_LABELS + 20
    told = [key for key in named.values() if "sandbox_state" in key]
    assert len(told) == MOST_SANDBOXES
    assert named.value("sandboxes_not_named") == 50
    assert plain.value("queue_messages", source="s", direction="in", label="other") > 1_900


@pytest.fixture
def page() -> Iterator[MetricsPage]:
    world = World(label_sandboxes=True)
    world.see(box("a"), box('quote"and\\slash', SandboxState.DOWN))
    one = MetricsPage(world.metrics, "127.0.0.1", 0)
    yield one
    one.close()


def fetch(port: int, path: str = "/metrics", **headers: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_a_site_that_points_here_and_another_path_get_nothing(page: MetricsPage) -> None:
    assert "wakedeck_sandboxes" in fetch(page.port)
    for path, headers in (("/metrics", {"Host": "evil.example"}), ("/", {}), ("/x", {})):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(page.port, path, **headers)
        assert refused.value.code in (403, 404)
        refused.value.close()


def test_a_port_that_is_taken_is_a_sentence(page: MetricsPage) -> None:
    with pytest.raises(UnavailableError, match="cannot be served"):
        MetricsPage(World().metrics, "127.0.0.1", page.port)


@pytest.mark.parametrize("text", ["0.0.0.0:9", "10.1.1.1:9", "[::]:9", "x:9", "127.0.0.1", ""])
def test_only_loopback_is_listened_on(text: str) -> None:
    with pytest.raises(ConfigError):
        address(text)
    assert address(":9646") == address("localhost:9646") == ("127.0.0.1", 9646)


def asked_for() -> set[str]:
    """Every name that the dashboard and the rules ask for."""
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))
    dashboard = parse_json((MONITORING / "grafana.json").read_bytes())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    found += [one["expr"] for panel in dashboard["panels"] for one in panel["targets"]]
    assert len(found) > 15
    return set(re.findall(r"wakedeck_\w+", " ".join(found)))


def test_the_dashboard_and_the_rules_ask_for_what_there_is() -> None:
    assert asked_for() <= names()
    unused = {one.removeprefix("wakedeck_") for one in names() - asked_for()}
    assert unused <= {"sandbox_state", "sandboxes_not_named"}, "no panel shows it"


@pytest.mark.kit("prometheus")
def test_promtool_finds_nothing_wrong(page: MetricsPage) -> None:
    promtool = prometheus_packages() / "usr/bin/promtool"
    for words, given in (
        (["check", "metrics"], fetch(page.port)),
        (["check", "rules", str(MONITORING / "alerts.yml")], ""),
    ):
        done = subprocess.run(
            [promtool, *words], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.kit("prometheus")
def test_prometheus_scrapes_it(page: MetricsPage, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "- job_name: wakedeck\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{page.port}']}}]\n"
    )
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                prometheus_packages() / "usr/bin/prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        query = "/api/v1/query?query=wakedeck_sandboxes"

        def scraped() -> list[Any]:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                answer = parse_json(fetch(port, query))
            except OSError as error:
                raise AssertionError(str(error)) from error
            return list(answer["data"]["result"])

        found = eventually_sync(scraped)
        states = {one["metric"]["state"]: one["value"][1] for one in found}
        assert states == {"ready": "1", "down": "1"}
    finally:
        process.terminate()
        process.wait(30)
