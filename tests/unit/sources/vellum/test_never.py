"""What must never be: limits that cut an inner one off, a look that can reach a verb."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from services.board import pollers
from services.repair.limits import Limits
from services.sources.vellum import limits as ours
from tests.support.import_graph import Tree

ROOT = Path(__file__).resolve().parents[4]
PACKAGE = ROOT / "services/sources/vellum"
ACTING = (*("actor", "runner", "uninterruptible", "commands", "confirmed_actions"),)


def closure(module: str) -> set[str]:
    """Modules of the package that a module reaches, itself included."""
    prefix = "services.sources.vellum."
    reached = Tree.read(ROOT).closure(prefix + module)
    return {module, *(name.removeprefix(prefix) for name in reached if name.startswith(prefix))}


@pytest.mark.slow
def test_looking_cannot_reach_acting() -> None:
    """Invariant 2: nothing that ticks can spawn, renew, mint on its own or write."""
    reached = closure("observer")
    assert "probes" in reached
    assert reached.isdisjoint(ACTING)
    for name in reached:
        source = (PACKAGE / f"{name}.py").read_text()
        for word in (
            "subprocess",
            "services.process.run",
            "write_text",
            '"w"',
            "os.kill",
            "unlink",
        ):
            assert word not in source, f"{name} holds {word}"
    assert closure("actor") >= {"runner", "commands"}


def test_only_the_actor_asks_for_a_token() -> None:
    callers = [p.stem for p in PACKAGE.glob("*.py") if "http_probe.mint(" in p.read_text()]
    assert callers == ["actor"]


def test_every_outer_limit_exceeds_its_inner_ones() -> None:
    """Invariant 14, over the constants the code uses."""
    whole = Limits()
    whole.check()
    for outer, inner in (
        (whole.probe_s, ours.PROBE_S + ours.DAEMON_S),
        (pollers.DEADLINE_S, ours.PROBE_S),
        (ours.READY_S, 3.0),
        (ours.PROBE_S, ours.HEALTH_S + ours.SPEECH_S),
        (whole.connect_s, ours.REFRESH_S + ours.MINT_S + ours.READY_S),
        (ours.REFRESH_S, ours.REFRESH_LOCK_S + ours.REFRESH_HTTP_S),
        (ours.WAKE_S, ours.WAKE_INNER_S),
        (whole.wake_s, ours.WAKE_S + ours.WAKE_GRACE_S),
        (ours.SLEEP_S, ours.SLEEP_INNER_S),
        (whole.action_s, ours.SLEEP_S + ours.WAKE_S + 2 * ours.WAKE_GRACE_S),
        (whole.action_s, ours.REISSUE_S),
        (whole.lock_s, whole.action_s + whole.drain_s),
        (ours.DRAIN_S, 5.0),
        (whole.verify_s, ours.DRAIN_S),
        (ours.REISSUE_S, ours.WAKE_INNER_S + ours.REISSUE_PAUSES_S),
    ):
        assert outer > inner
    assert whole.critical_s >= ours.REFRESH_S
    assert ours.PROBE_S == ours.HEALTH_S + ours.READY_S


def test_the_words_that_destroy_are_nowhere() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in ("clean", "retire", "hatch", "upgrade"), path
