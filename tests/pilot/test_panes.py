"""The table panes: what they show, what they say, and how they are filtered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.message import Message as Notice
from textual.widget import Widget
from textual.widgets import Static

from services.models import (
    Activity,
    Direction,
    Event,
    Gateway,
    GatewayId,
    GatewayState,
    InLabel,
    Message,
    OutLabel,
    QueueSnapshot,
    Sandbox,
    SandboxId,
    SandboxState,
    Severity,
    Staleness,
)
from tests.support.totals import totals_of
from widgets.panes.events import EventPane
from widgets.panes.gateways import GatewayPane
from widgets.panes.queues import QueuePane
from widgets.panes.sandboxes import SandboxPane
from widgets.panes.table_pane import TablePane
from widgets.table.filter_input import FilterInput
from widgets.table.stream_table import KEPT

NOW = 1_790_000_000.0
GATEWAY = GatewayId("local", "gateway")
EVIL = "[bold red]x[/] \x1b[31mred\x1b]0;owned\x07 \u202eabc"


def sandbox(name: str, state: SandboxState = SandboxState.READY, **more: object) -> Sandbox:
    values: dict[str, object] = {
        "reason": "",
        "observed_at": NOW - 2,
        "gateway": GATEWAY,
        **more,
    }
    return Sandbox(SandboxId("local", name), name, state, **values)  # type: ignore[arg-type]


def gateway(name: str = "gateway", **more: object) -> Gateway:
    values: dict[str, object] = {
        "state": GatewayState.READY,
        "reason": "",
        "observed_at": NOW - 1,
        "latency_s": 0.012,
        **more,
    }
    return Gateway(GatewayId("local", name), name, **values)  # type: ignore[arg-type]


def inbound(number: int, label: InLabel = InLabel.DUE, text: str = "hello") -> Message:
    at = NOW - 100 + number
    return Message(Direction.IN, f"m{number}", number, label, "chat", at, text, len(text))


def outbound(number: int) -> Message:
    at = NOW - 100 + number
    return Message(Direction.OUT, f"o{number}", number, OutLabel.DELIVERED, "chat", at, "hi", 2)


def snapshot(*messages: Message, name: str = "builder", **more: object) -> QueueSnapshot:
    values: dict[str, object] = {"inbound": (("due", 2),), "outbound": (("delivered", 1),), **more}
    return QueueSnapshot(SandboxId("local", name), NOW - 1, messages, **values)  # type: ignore[arg-type]


def has_focus(widget: Widget) -> bool:
    return widget.has_focus


def shown(widget: Widget) -> bool:
    return widget.display


def filter_of(pane: TablePane) -> str:
    return pane.filter_text


class Host(App[None]):
    """Panes side by side, and everything they said."""

    def __init__(self, *panes: TablePane) -> None:
        super().__init__()
        self.panes = panes
        self.said: list[Notice] = []

    def compose(self) -> ComposeResult:
        yield from self.panes

    def on_mount(self) -> None:
        for pane in self.panes:
            pane.tick(NOW)

    def on_sandbox_pane_highlighted(self, message: SandboxPane.Highlighted) -> None:
        self.said.append(message)

    def on_sandbox_pane_opened(self, message: SandboxPane.Opened) -> None:
        self.said.append(message)

    def on_gateway_pane_highlighted(self, message: GatewayPane.Highlighted) -> None:
        self.said.append(message)

    def on_gateway_pane_opened(self, message: GatewayPane.Opened) -> None:
        self.said.append(message)

    def on_queue_pane_opened(self, message: QueuePane.Opened) -> None:
        self.said.append(message)

    def on_event_pane_opened(self, message: EventPane.Opened) -> None:
        self.said.append(message)


def text_of(pane: TablePane, table: int = 0) -> str:
    rows = pane.tables()[table]
    return "\n".join(rows.render_line(y).text for y in range(rows.size.height))


def edges(pane: Widget) -> str:
    title, subtitle = pane._border_title, pane._border_subtitle
    return f"{title.plain if title else ''}|{subtitle.plain if subtitle else ''}"


async def test_sandboxes_of_a_late_source_read_as_if_each_row_said_so() -> None:
    rows = [sandbox("a", observed_at=NOW - 5), sandbox("b", SandboxState.BROKEN, reason="Gone")]
    rows += [replace(rows[0], id=SandboxId("far", "c"), name="c", needs=(GATEWAY,))]
    said, fact = SandboxPane(), SandboxPane()
    app = Host(said, fact)
    late = Staleness(frozenset({rows[0].id.source}), frozenset({GATEWAY}))
    async with app.run_test(size=(200, 24)) as pilot:
        fact.apply(rows)
        await pilot.pause()
        fresh = text_of(fact)
        for staleness in (late, Staleness(ways=frozenset({GATEWAY}))):
            said.apply([staleness.shown(row) for row in rows])
            fact.apply((), staleness=staleness)
            for typed in ("", "stale", "!stale"):
                said.set_filter(typed)
                fact.set_filter(typed)
                await pilot.pause()
                assert text_of(fact) == text_of(said) != fresh, typed
                assert edges(fact) == edges(said), typed
            for pane in (said, fact):
                pane.set_filter("")
                pane.apply(rows, staleness=Staleness())
                pane.select(rows[2].id)
            await pilot.pause()
            assert text_of(fact) == text_of(said) == fresh
            assert "stale" not in edges(fact)


async def test_sandboxes_show_state_tool_reason_queues_and_age() -> None:
    pane = SandboxPane()
    app = Host(pane)
    async with app.run_test(size=(200, 12)) as pilot:
        pane.apply(
            [
                sandbox("a", activity=Activity.WORKING, tool="Bash", inbound=(("processing", 1),)),
                sandbox(
                    "b", SandboxState.BROKEN, reason="Its agent is gone", outbound=(("failed", 2),)
                ),
                sandbox("c", observed_at=NOW - 185, stale=True),
            ]
        )
        await pilot.pause()
        words_shown = text_of(pane)
        for words in (
            "◆ working",
            "Bash",
            "▸ 1 processing",
            "⊗ broken",
            "Its agent is gone",
            "✕ 2 failed",
            "stale 3m05",
        ):
            assert words in words_shown, words
        assert edges(pane) == "1 sandboxes 3|⊗ 1 broken  ~ 1 stale  ◆ 1 working"
        pane.tick(NOW + 60)
        await pilot.pause()
        assert "stale 4m05" in text_of(pane) and "1m02" in text_of(pane)


async def test_the_edge_counts_an_idle_sandbox_as_the_header_does() -> None:
    pane = SandboxPane()
    rows = [sandbox("a", activity=Activity.IDLE), sandbox("b"), sandbox("c", SandboxState.BROKEN)]
    async with Host(pane).run_test(size=(100, 12)) as pilot:
        pane.apply(rows)
        await pilot.pause()
        counted = {f"{sign.glyph} {number} {sign.word}" for sign, number in totals_of(rows)}
        assert set(edges(pane).partition("|")[2].split("  ")) == counted


async def test_a_sandbox_is_said_by_its_id() -> None:
    pane = SandboxPane()
    app = Host(pane)
    async with app.run_test(size=(100, 12)) as pilot:
        pane.apply([sandbox("a"), sandbox("b"), sandbox("c")])
        pane.focus()
        await pilot.press("j", "enter")
        opened = app.said[-1]
        assert isinstance(opened, SandboxPane.Opened)
        assert opened.sandbox == SandboxId("local", "b") == pane.current
        pane.apply([], [SandboxId("local", "a")])
        await pilot.pause()
        assert pane.current == SandboxId("local", "b")
        pane.apply([], [SandboxId("local", "b")])
        await pilot.pause()
        assert pane.current == SandboxId("local", "b"), "only the operator moves the cursor"
        await pilot.press("j")
        highlighted = app.said[-1]
        assert isinstance(highlighted, SandboxPane.Highlighted)
        assert highlighted.sandbox == SandboxId("local", "c")
        assert pane.select(SandboxId("local", "c")) and not pane.select(SandboxId("x", "c"))
        record = pane.record()
        assert record is not None and record.name == "c"
        await pilot.press("space")
        assert pane.marked == (SandboxId("local", "c"),)
        assert "■ 1 marked" in edges(pane)


async def test_slash_filters_while_typing_and_escape_drops_it() -> None:
    pane = SandboxPane()
    app = Host(pane)
    async with app.run_test(size=(100, 12)) as pilot:
        pane.apply([sandbox("alpha"), sandbox("beta"), sandbox("gamma", tool="Bash")])
        pane.focus()
        await pilot.press("slash", "b", "a", "s")
        line = pane.query_one(FilterInput)
        assert shown(line) and has_focus(line)
        assert [key.native_id for key in pane.table.keys] == ["gamma"]
        assert edges(pane).startswith("1 sandboxes 1/3 /bas")
        await pilot.press("enter")
        await pilot.pause()
        assert not shown(line) and has_focus(pane.table) and filter_of(pane) == "bas"
        await pilot.press("slash", "h")
        assert line.value == "bash"
        await pilot.press("escape")
        await pilot.pause()
        assert not shown(line) and has_focus(pane.table) and filter_of(pane) == ""
        assert len(pane.table.keys) == 3
        await pilot.press("slash", *"!bash", "enter")
        await pilot.pause()
        assert [key.native_id for key in pane.table.keys] == ["alpha", "beta"]
        await pilot.press("escape")
        assert filter_of(pane) == ""


async def test_the_filter_line_closes_when_the_keys_go_elsewhere() -> None:
    first, second = SandboxPane(), GatewayPane()
    app = Host(first, second)
    async with app.run_test(size=(100, 20)) as pilot:
        first.apply([sandbox("alpha")])
        first.focus()
        await pilot.press("slash", "a")
        second.focus()
        await pilot.pause()
        assert not first.query_one(FilterInput).display
        assert first.filter_text == "a" and second.table.has_focus


async def test_the_frame_shows_focus_staleness_and_the_lost_peer_in_words() -> None:
    first, second = SandboxPane(), GatewayPane()
    app = Host(first, second)
    async with app.run_test(size=(100, 20)) as pilot:
        first.focus()
        await pilot.pause()
        assert first.has_class("-focused") and not second.has_class("-focused")
        await pilot.click(second, offset=(30, 0))
        await pilot.pause()
        assert second.has_class("-focused") and not first.has_class("-focused")
        second.stale = True
        assert second.has_class("-stale") and "~ stale" in edges(second)
        second.offline = True
        assert second.has_class("-offline") and "✕ offline" in edges(second)
        second.stale = second.offline = False
        assert "stale" not in edges(second) and "offline" not in edges(second)


async def test_a_gateway_draws_its_last_probes() -> None:
    pane = GatewayPane()
    app = Host(pane)
    async with app.run_test(size=(200, 8)) as pilot:
        for number in range(40):
            trip = None if number == 39 else 0.010 + 0.001 * number
            pane.apply([gateway(observed_at=NOW - 40 + number, latency_s=trip)])
        pane.apply([gateway(observed_at=NOW - 1, latency_s=None, stale=True)])
        await pilot.pause()
        trend = pane.table.cell_text("trend")
        assert len(trend) == 30 and trend.endswith("×") and trend.count("×") == 1
        assert pane.table.cell_text("range") == "20–48 ms"
        assert trend in text_of(pane)
        assert "◉ ready" in text_of(pane) and "stale 1s" in text_of(pane)
        pane.focus()
        await pilot.press("enter")
        opened = app.said[-1]
        assert isinstance(opened, GatewayPane.Opened) and opened.gateway == GATEWAY
        pane.apply([], [GATEWAY])
        pane.apply([gateway()])
        assert len(pane.table.cell_text("trend")) == 1


async def test_a_queue_shows_both_ways_and_its_counts() -> None:
    pane = QueuePane()
    app = Host(pane)
    async with app.run_test(size=(120, 12)) as pilot:
        assert "No sandbox selected." in text_of(pane)
        pane.show(snapshot(inbound(1), outbound(2), inbound(3, InLabel.FAILED)), name="builder")
        await pilot.pause()
        words_shown = text_of(pane)
        assert (
            "→ ● due" in words_shown
            and "← ✓ delivered" in words_shown
            and "→ ✕ failed" in words_shown
        )
        assert edges(pane) == ("3 queues builder 3 FOLLOWING|→ in  ● 2 due   ← out  ✓ 1 delivered")
        pane.focus()
        await pilot.press("enter")
        opened = app.said[-1]
        assert isinstance(opened, QueuePane.Opened)
        assert (opened.sandbox.native_id, opened.message.id) == ("builder", "m3")
        assert pane.current == opened.message
        pane.show(None, reason="This source has no queues.")
        assert "This source has no queues." in text_of(pane)
        pane.show(snapshot())
        assert "Both queues are empty." in text_of(pane)


async def test_a_queue_that_is_being_left_can_still_be_told_of_another() -> None:
    pane = QueuePane()
    async with Host(pane).run_test(size=(120, 12)):
        await pane.remove_children()
        assert not any(table.display for table in pane.tables())
        pane.show(None, reason="No sandbox selected.")


async def test_a_queue_follows_pauses_and_counts() -> None:
    pane = QueuePane()
    app = Host(pane)
    messages = [inbound(n) for n in range(60)]
    async with app.run_test(size=(120, 12)) as pilot:
        pane.show(snapshot(*messages[:40]))
        await pilot.pause()
        pane.focus()
        assert pane.following and "hello" in text_of(pane).splitlines()[-1]
        await pilot.press("k", "k")
        assert "‖ PAUSED" in edges(pane)
        current = pane.current
        pane.show(snapshot(*messages[:43]))
        await pilot.pause()
        assert pane.current == current
        assert "‖ PAUSED  +3 new  f follows" in edges(pane)
        await pilot.press("f")
        await pilot.pause()
        assert "FOLLOWING" in edges(pane)
        assert pane.current == messages[42]
        await pilot.press("g")
        await pilot.click(pane, offset=(100, 0))
        assert "PAUSED" in edges(pane)
        await pilot.click(pane, offset=(20, 0))
        await pilot.pause()
        assert "FOLLOWING" in edges(pane) and pane.current == messages[42]
        await pilot.press("g")
        pane.show(snapshot(*messages[:5], name="other"))
        await pilot.pause()
        assert edges(pane).count("FOLLOWING") == 1
        assert pane.current == messages[4]


async def test_the_queues_part_and_merge() -> None:
    pane = QueuePane()
    app = Host(pane)
    async with app.run_test(size=(120, 20)) as pilot:
        pane.show(snapshot(inbound(1), outbound(2), inbound(3), outbound(4)))
        pane.focus()
        await pilot.press("left")
        assert not shown(pane.tables()[1])
        await pilot.press("m")
        await pilot.pause()
        first, second = pane.tables()
        assert shown(second)
        assert [key[1] for key in first.keys] == ["m1", "m3"]
        assert [key[1] for key in second.keys] == ["o2", "o4"]
        assert "→ IN" in text_of(pane, 0) and "← OUT" in text_of(pane, 1)
        await pilot.press("right", "k")
        await pilot.pause()
        assert has_focus(second) and not first.following and not pane.following
        pane.show(snapshot(inbound(1), outbound(2), inbound(3), outbound(4), outbound(5)))
        await pilot.pause()
        assert pane.unseen == 1
        assert pane.current is not None and pane.current.id == "o2"
        await pilot.press("slash", *"o5", "enter")
        await pilot.pause()
        assert len(first.keys) == 0 and [key[1] for key in second.keys] == ["o5"]
        await pilot.press("escape", "m")
        await pilot.pause()
        assert has_focus(first) and not shown(second)
        assert [key[1] for key in first.keys] == ["m1", "o2", "m3", "o4", "o5"]


async def test_a_queue_that_could_not_be_refreshed_says_so_and_how_old_it_is() -> None:
    pane = QueuePane()
    app = Host(pane)
    async with app.run_test(size=(120, 12)) as pilot:
        pane.show(snapshot(inbound(1)))
        await pilot.pause()
        assert not pane.query(".table-pane--problem")
        pane.show(snapshot(inbound(1), problem="database is locked", stale=True))
        pane.tick(NOW + 59)
        await pilot.pause()
        line = pane.query_one(".table-pane--problem", Static)
        assert shown(line) and "! database is locked · rows as of 1m00 ago" in str(line.render())
        assert pane.has_class("-stale") and "~ stale" in edges(pane)
        assert "hello" in text_of(pane)
        pane.show(snapshot(inbound(1)))
        await pilot.pause()
        assert not shown(line) and not pane.has_class("-stale")


@pytest.mark.slow
async def test_the_queue_buffer_is_bounded() -> None:
    pane = QueuePane()
    app = Host(pane)
    async with app.run_test(size=(120, 12)) as pilot:
        for start in range(0, KEPT + 600, 300):
            pane.show(snapshot(*(inbound(n) for n in range(start, start + 400))))
        await pilot.pause()
        table = pane.tables()[0]
        assert table.total == KEPT
        assert table.keys[-1] == (Direction.IN, f"m{KEPT + 799}")


async def test_events_follow_newest_last() -> None:
    pane = EventPane()
    app = Host(pane)
    past = [
        Event(NOW - 90 + n, Severity.INFO, "local", "box", "sandbox", f"e{n}") for n in range(30)
    ]
    async with app.run_test(size=(100, 12)) as pilot:
        pane.show(past)
        pane.apply([Event(NOW, Severity.WORSE, "local", "", "source", "lost")])
        await pilot.pause()
        last = text_of(pane).splitlines()[-1]
        assert "↓ worse" in last and "local" in last and "lost" in last
        assert edges(pane) == "5 events 31 FOLLOWING|↓ 1 worse"
        pane.focus()
        await pilot.press("enter")
        opened = app.said[-1]
        assert isinstance(opened, EventPane.Opened) and opened.event.text == "lost"
        await pilot.press("k")
        pane.apply(past[:2])
        await pilot.pause()
        assert pane.unseen == 2 and pane.current == past[-1]
        pane.show(past[:3])
        await pilot.pause()
        assert pane.following and pane.current == past[2] and pane.table.total == 3


async def test_the_event_buffer_is_bounded() -> None:
    pane = EventPane()
    app = Host(pane)
    event = Event(NOW, Severity.INFO, "local", "box", "sandbox", "again")
    async with app.run_test(size=(100, 12)):
        pane.apply([event] * (KEPT + 5))
        assert pane.table.total == KEPT
        for number in range(7):
            pane.apply([replace(event, text=f"more {number}")])
        assert pane.table.total == KEPT
        assert pane.current is not None and pane.current.text == "more 6"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
async def test_hostile_text_is_shown_and_never_obeyed(width: int) -> None:
    panes = SandboxPane(), GatewayPane(), QueuePane(), EventPane()
    app = Host(*panes)
    async with app.run_test(size=(width, 48)) as pilot:
        sandboxes, gateways, queues, events = panes
        sandboxes.apply([sandbox(EVIL, reason=EVIL, tool=EVIL, inbound=((EVIL, 3),))])
        gateways.apply([gateway(EVIL, reason=EVIL, address=EVIL)])
        queues.show(snapshot(inbound(1, text=EVIL), inbound=((EVIL, 1),), problem=EVIL), name=EVIL)
        events.apply([Event(NOW, Severity.WORSE, EVIL, EVIL, "sandbox", EVIL)])
        for pane in panes:
            pane.set_filter("[")
        await pilot.pause()
        for pane in panes:
            for line in text_of(pane).splitlines():
                assert line.isprintable()
            for char in "\x1b\x07\u202e":
                assert char not in edges(pane)
        if width == 200:
            assert "[bold red]x[/]" in text_of(sandboxes)
            assert "[bold red]x[/]" in edges(queues)
            assert "[bold red]x[/]" in text_of(events)
        assert "\u202e" not in app.export_screenshot()


async def test_panes_can_be_fed_before_they_are_mounted() -> None:
    panes = SandboxPane(), GatewayPane(), QueuePane(), EventPane()
    sandboxes, gateways, queues, events = panes
    sandboxes.apply([sandbox("a")])
    gateways.apply([gateway()])
    queues.show(snapshot(inbound(1)), name="a")
    events.apply([Event(NOW, Severity.INFO, "local", "a", "sandbox", "seen")])
    app = Host(*panes)
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.pause()
        assert "◉ ready" in text_of(sandboxes)
        assert "seen" in text_of(events) and "due" in text_of(queues)
        assert sandboxes.current == SandboxId("local", "a")


def test_every_binding_of_a_pane_has_an_id_and_a_description() -> None:
    seen = set()
    for kind in (SandboxPane, GatewayPane, QueuePane, EventPane, FilterInput):
        for base in kind.__mro__:
            if base.__module__.startswith("widgets."):
                for binding in vars(base).get("BINDINGS", []):
                    assert binding.id and binding.description, binding
                    seen.add(binding.id)
    assert {"pane.filter", "queue.merge", "filter.keep", "filter.drop"} <= seen


async def test_source_and_gateway_are_named_where_there_are_several() -> None:
    pane = SandboxPane()
    app = Host(pane)
    async with app.run_test(size=(200, 12)) as pilot:
        pane.apply([sandbox("a"), sandbox("b")])
        await pilot.pause()
        assert not {"source", "gateway"} & set(pane.table.shown_columns)
        pane.apply([replace(sandbox("c"), id=SandboxId("other", "c"), gateway=None)])
        await pilot.pause()
        assert {"source", "gateway"} <= set(pane.table.shown_columns)
        assert "local/a" not in text_of(pane)
        pane.apply([], [SandboxId("other", "c")])
        await pilot.pause()
        assert not {"source", "gateway"} & set(pane.table.shown_columns)


async def test_what_is_called_alike_on_two_hosts_is_told_apart_at_every_width() -> None:
    pane, events = SandboxPane(), EventPane()
    theirs = replace(sandbox("a"), id=SandboxId("cabin", "local/a"))
    app = Host(pane, events)
    async with app.run_test(size=(80, 30)) as pilot:
        pane.apply([sandbox("a"), sandbox("b")])
        events.apply([Event(NOW - 2, Severity.INFO, "local", "a", "sandbox", "a is here")])
        await pilot.pause()
        assert "local/a" not in text_of(pane) and "local/a" not in text_of(events)
        pane.apply([theirs])
        events.apply([Event(NOW, Severity.WORSE, "cabin", "a", "sandbox", "a is down")])
        await pilot.pause()
        for text in (text_of(pane), text_of(events)):
            assert "local/a" in text and "cabin/a" in text, text
        pane.apply([], [theirs.id])
        await pilot.pause()
        assert "local/a" not in text_of(pane)
