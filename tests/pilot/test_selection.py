"""No update moves what the operator points at: a model of the table, and whole panels."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.models import Gateway, GatewayId, GatewayState, SandboxId, SandboxState
from tests.pilot.test_record_table import NOW, Box, Host
from tests.support.acted import Script
from tests.support.panels import drawn, panel, toasts
from tests.support.scenes import PLAIN, Stage, populated
from tests.support.stage import sandbox
from widgets.panes.gateways import GatewayPane
from widgets.panes.sandboxes import SandboxPane

NAMES = "abcdefgh"
_NAME = st.sampled_from(NAMES)
_UPDATE = st.tuples(
    st.just("update"),
    st.lists(st.tuples(_NAME, st.sampled_from(("idle", "busy", "slow"))), max_size=4),
    st.sets(_NAME, max_size=4),
)
_KEY = st.tuples(
    st.just("key"),
    st.sampled_from(("down", "up", "first", "last", "mark", "mark_range", "clear", "sort", "flip")),
)
_FILTER = st.tuples(st.just("filter"), st.sampled_from(("", "idle", "!idle", "a")))


class _Operator:
    """What was under the cursor, and what was marked, when the operator last did something."""

    def __init__(self, host: Host) -> None:
        self._table = host.table
        self._live: set[str] = set(self._table.keys)
        self.looked_at()

    def looked_at(self) -> None:
        """The operator acted: this is what is pointed at from now on."""
        self._cursor, self._marked = self._table.cursor_key, set(self._table.marked)

    def update(self, changed: list[tuple[str, str]], gone: set[str]) -> None:
        """A delta arrives, and the operator does nothing."""
        boxes = [Box(name, word) for name, word in dict(changed).items() if name not in gone]
        self._table.reconcile(boxes, gone, at=NOW)
        self._live = (self._live | {box.key for box in boxes}) - gone
        if self._cursor is None:
            self._cursor = self._table.cursor_key  # An empty table has no row to point at.

    def check(self) -> None:
        """What a verb would reach now was pointed at, and what is gone says so."""
        table = self._table
        assert table.cursor_key == self._cursor
        assert set(table.marked) == self._marked
        assert {box.key for box in table.records()} == self._live
        assert set(table.keys) <= self._live | self._marked | {self._cursor}
        for row, key in enumerate(table.keys):
            ghost = "gone since" in table.render_line(row + 1 - table.scroll_offset.y).text
            assert ghost == (key not in self._live), key


_PRESSES = {
    "down": lambda table: table.action_move(1),
    "up": lambda table: table.action_move(-1),
    "first": lambda table: table.action_first(),
    "last": lambda table: table.action_last(),
    "mark": lambda table: table.action_mark(),
    "mark_range": lambda table: table.action_mark_range(),
    "clear": lambda table: table.action_clear(),
    "sort": lambda table: table.action_sort_next(),
    "flip": lambda table: table.action_sort_flip(),
}


async def test_whatever_arrives_and_whatever_is_pressed() -> None:
    app = Host([])

    @settings(deadline=None, max_examples=80)
    @given(st.lists(st.one_of(_UPDATE, _UPDATE, _KEY, _FILTER), max_size=25))
    def play(moves: list[tuple[object, ...]]) -> None:
        table = app.table
        table.clear_records()
        table.set_filter("")
        table.sort_by(None)
        table.reconcile([Box(name) for name in NAMES[:5]])
        operator = _Operator(app)
        for move in moves:
            match move:
                case ("update", list(changed), set(gone)):
                    operator.update(changed, gone)
                case ("key", str(name)):
                    _PRESSES[name](table)
                    operator.looked_at()
                case ("filter", str(text)):
                    table.set_filter(text)
                    operator.looked_at()
            operator.check()

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        play()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.sets(st.integers(0, 5), max_size=6)),
        st.tuples(st.just("press"), st.sampled_from(("down", "up", "space", "w", "r", "home"))),
    ),
    min_size=3,
    max_size=8,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=5)
@given(_STEPS)
def test_no_verb_reaches_what_was_not_pointed_at(steps: list[tuple[str, object]]) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, object]]) -> None:
    six = tuple(sandbox(f"agent-{n}") for n in range(6))
    script = populated()
    script.sandboxes = six
    with tempfile.TemporaryDirectory() as folder:
        async with panel(Path(folder), script) as stage:
            pane = stage.app.dashboard.query_one(SandboxPane)
            asked: list[SandboxId] = []
            begin = stage.app.engine.attempts.request

            def request(verb, sandbox):  # type: ignore[no-untyped-def]
                asked.append(sandbox)
                return begin(verb, sandbox)

            stage.app.engine.attempts.request = request  # type: ignore[method-assign]
            pointed: set[SandboxId | None] = set(pane.marked) or {pane.current}
            for kind, what in steps:
                asked.clear()
                if kind == "list":
                    assert isinstance(what, set)
                    script.sandboxes = tuple(six[n] for n in sorted(what))
                    await _look(stage)
                    assert not asked
                    continue
                before = pointed
                await stage.press(str(what))
                await stage.settle()
                if what in ("w", "r"):
                    there = {one.id for one in script.sandboxes}
                    assert set(asked) <= before & there, (what, asked, before, there)
                else:
                    assert not asked
                pointed = {*pane.marked} or {pane.current}


async def _look(stage: Stage) -> None:
    """Have the panel take in what the source lists now, deletions and all."""
    for _ in range(2):
        stage.app.engine.pollers.refresh()
        await stage.clock.advance(1.0)
        await stage.settle()


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_selected_sandbox_that_goes_stays_and_every_verb_refuses(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    script = populated()
    async with panel(tmp_path, script, size=size) as stage:
        dashboard = stage.app.dashboard
        pane = dashboard.query_one(SandboxPane)
        chosen = script.sandboxes[1]
        pane.select(chosen.id)
        await stage.settle()
        script.sandboxes = tuple(one for one in script.sandboxes if one != chosen)
        await _look(stage)
        assert pane.current == dashboard.selected == chosen.id
        assert "gone since" in drawn(stage.app)
        shown = pane.record()
        assert shown is not None and shown.state is SandboxState.ABSENT
        for key in ("w", "r", "s", "L"):
            stage.app.clear_notifications()
            await stage.press(key)
            await stage.until(lambda: bool(toasts(stage.app)))
            assert "gone since" in toasts(stage.app)[-1], key
        assert script.woken == [] and stage.app.engine.latest_attempt(chosen.id) is None
        await stage.press("enter")
        await stage.settle()
        assert "gone since" in drawn(stage.app)
        await stage.press("escape", "down")
        await stage.settle()
        assert chosen.id not in pane.table.keys


async def test_a_marked_sandbox_that_goes_is_refused_by_name(tmp_path: Path) -> None:
    script = populated()
    async with panel(tmp_path, script) as stage:
        pane = stage.app.dashboard.query_one(SandboxPane)
        first = script.sandboxes[0]
        await stage.press("space", "down")
        script.sandboxes = script.sandboxes[1:]
        await _look(stage)
        assert pane.marked == (first.id,)
        await stage.press("w")
        await stage.until(lambda: bool(toasts(stage.app)))
        said = toasts(stage.app)[0]
        assert said.startswith("Woke 0 of 1; 1 refused:") and "gone since" in said
        assert stage.app.engine.latest_attempt(pane.current) is None, "the cursor's was not meant"
        assert first.id not in pane.table.keys


async def test_a_selected_gateway_that_goes_stays(tmp_path: Path) -> None:
    extra = Gateway(GatewayId("local", "zeta"), "zeta", GatewayState.READY, "", NOW)
    script: Script = populated()
    script.gateways = (*script.gateways, extra)
    async with panel(tmp_path, script, PLAIN, size=(160, 50)) as stage:
        pane = stage.app.dashboard.query_one(GatewayPane)
        pane.select(extra.id)
        script.gateways = script.gateways[:-1]
        await _look(stage)
        assert pane.current == extra.id
        assert "gone since" in drawn(stage.app)
        shown = pane.record()
        assert shown is not None and shown.state is GatewayState.ABSENT
