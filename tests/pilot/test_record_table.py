"""The record table under keys, mouse and deltas."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown
from textual.message import Message
from textual.pilot import Pilot

from tests.support.waiting import eventually
from widgets.table import changed_cells
from widgets.table.columns import Cell, Column
from widgets.table.record_table import RecordTable
from widgets.table.row_window import HEADER
from widgets.text.instants import format_instant

NOW = 1_790_000_000.0


@dataclass(frozen=True)
class Box:
    key: str
    word: str = "idle"
    size: int = 0
    seen: float = NOW
    stale: bool = False


class Host(App[None]):
    """One table, and everything it said."""

    def __init__(self, boxes: list[Box]) -> None:
        super().__init__()
        self.boxes = boxes
        self.drawn: Counter[str] = Counter()
        self.said: list[Message] = []
        self.table: RecordTable[str, Box] = RecordTable(
            (
                Column("key", "KEY", self.draw, 10, sort_key=lambda b, _: b.key),
                Column("word", "WORD", lambda b, _: Cell.of(b.word, "good"), 10, flex=1),
                Column(
                    "size",
                    "SIZE",
                    lambda b, _: Cell.of(str(b.size)),
                    6,
                    sort_key=lambda b, _: b.size,
                ),
                Column("age", "AGE", lambda b, now: Cell.of(f"{now - b.seen:.0f}s"), 6, live=True),
            ),
            key=lambda b: b.key,
            order=lambda b: b.key,
            stale=lambda b: b.stale,
            empty=lambda: "Nothing here.",
        )

    def draw(self, box: Box, _: float) -> Cell:
        self.drawn[box.key] += 1
        return Cell.of(box.key, "calm")

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.now = NOW
        self.table.reconcile(self.boxes)
        self.table.focus()

    def on_record_table_highlighted(self, message: RecordTable.Highlighted) -> None:
        self.said.append(message)

    def on_record_table_cursor_lost(self, message: RecordTable.CursorLost) -> None:
        self.said.append(message)

    def on_record_table_opened(self, message: RecordTable.Opened) -> None:
        self.said.append(message)

    def on_record_table_sorted(self, message: RecordTable.Sorted) -> None:
        self.said.append(message)

    def on_record_table_filtered(self, message: RecordTable.Filtered) -> None:
        self.said.append(message)

    def on_record_table_marks_changed(self, message: RecordTable.MarksChanged) -> None:
        self.said.append(message)

    def last(self, kind: type[Message]) -> Message:
        return [message for message in self.said if isinstance(message, kind)][-1]


def numbered(count: int) -> list[Box]:
    return [Box(f"k{n:05}", size=n) for n in range(count)]


def by_name(boxes: list[Box]) -> dict[str, Box]:
    return {box.key: box for box in boxes}


def line_of(table: RecordTable[str, Box], key: str) -> int | None:
    """The line of the screen a record is on."""
    row = table.keys.index(key) - table.scroll_offset.y
    return row + HEADER if 0 <= row < table.size.height - HEADER else None


def text_of(table: RecordTable[str, Box], y: int) -> str:
    return table.render_line(y).text


def sort_of(app: Host) -> tuple[str | None, bool]:
    return app.table.sort


def marks_of(app: Host) -> tuple[str, ...]:
    return app.table.marked


async def settle(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.pause()


async def test_both_families_of_keys_move() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        assert table.cursor_key == "k00000"
        for key, expected in (
            ("j", 1),
            ("down", 2),
            ("k", 1),
            ("up", 0),
            ("up", 0),
            ("G", 99),
            ("g", 0),
            ("end", 99),
            ("down", 99),
            ("home", 0),
            ("pagedown", 19),
            ("ctrl+d", 28),
            ("ctrl+u", 19),
            ("pageup", 0),
        ):
            await pilot.press(key)
            assert table.cursor_key == f"k{expected:05}", key
            assert line_of(table, f"k{expected:05}") is not None, key
        highlighted = app.last(RecordTable.Highlighted)
        assert isinstance(highlighted, RecordTable.Highlighted) and highlighted.key == "k00000"


async def test_the_cursor_keeps_its_record_and_its_place_when_rows_above_vanish() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        app.table.select("k00050")
        await settle(pilot)
        line = line_of(app.table, "k00050")
        app.table.reconcile([], [f"k{n:05}" for n in range(0, 30)])
        await settle(pilot)
        assert app.table.cursor_key == "k00050"
        assert line_of(app.table, "k00050") == line
        app.table.reconcile([Box(f"a{n}") for n in range(7)])
        await settle(pilot)
        assert app.table.cursor_key == "k00050"
        assert line_of(app.table, "k00050") == line
        assert not [m for m in app.said if isinstance(m, RecordTable.CursorLost)]


async def test_the_cursor_keeps_its_record_when_the_order_flips() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        app.table.select("k00003")
        app.table.sort_by("size", reverse=True)
        await settle(pilot)
        assert app.table.keys[0] == "k00099"
        assert app.table.cursor_key == "k00003"
        assert line_of(app.table, "k00003") is not None
        app.table.set_filter("k0000")
        await settle(pilot)
        assert app.table.cursor_key == "k00003"
        assert len(app.table.keys) == 10 and app.table.total == 100
        app.table.set_filter("")
        assert app.table.cursor_key == "k00003"


async def test_where_its_record_goes_a_ghost_stays_under_the_cursor() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        table.select("k00050")
        await settle(pilot)
        line = line_of(table, "k00050")
        assert line is not None
        table.reconcile([], ["k00010", "k00050", "k00051"], at=NOW)
        await settle(pilot)
        assert table.cursor_key == "k00050" and line_of(table, "k00050") == line
        assert not [m for m in app.said if isinstance(m, RecordTable.CursorLost)]
        gone = text_of(table, line)
        assert gone.startswith("› k00050") and f"gone since {format_instant(NOW, NOW)}" in gone
        assert (table.total, table.shown, len(table.keys)) == (97, 97, 98)
        await pilot.press("space")
        assert marks_of(app) == (), "what is gone cannot be marked"
        assert table.cursor_key == "k00052" and "k00050" not in table.keys
        assert line_of(table, "k00052") == line, "the ghost left and what it held up moved"


async def test_a_ghost_that_comes_back_is_a_row_again() -> None:
    app = Host(numbered(5))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        table.select("k00002")
        table.reconcile([], ["k00002"], at=NOW)
        change = table.reconcile([Box("k00002", "back")])
        await settle(pilot)
        assert change.added == ("k00002",) and change.updated == ()
        line = line_of(table, "k00002")
        assert line is not None and "gone" not in text_of(table, line)
        assert table.total == 5 and list(table.keys) == [f"k{n:05}" for n in range(5)]


async def test_an_update_out_of_the_filter_leaves_the_cursor_where_it_is() -> None:
    app = Host([Box("a", "idle"), Box("b", "idle"), Box("c", "idle")])
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        table.set_filter("idle")
        table.select("b")
        table.reconcile([Box("b", "busy")])
        await settle(pilot)
        assert table.cursor_key == "b" and list(table.keys) == ["a", "b", "c"]
        await pilot.press("j")
        assert table.cursor_key == "c" and list(table.keys) == ["a", "c"]


async def test_only_the_operators_filter_moves_the_cursor() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        app.table.select("k00050")
        await settle(pilot)
        app.table.set_filter("k00001")
        await settle(pilot)
        lost = app.last(RecordTable.CursorLost)
        assert isinstance(lost, RecordTable.CursorLost)
        assert (lost.key, lost.now_on) == ("k00050", "k00001")
        app.table.set_filter("no such thing")
        await settle(pilot)
        highlighted = app.last(RecordTable.Highlighted)
        assert isinstance(highlighted, RecordTable.Highlighted) and highlighted.key is None


async def test_only_what_changed_is_drawn_again() -> None:
    app = Host(numbered(15))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        app.table.flashing = False
        app.drawn.clear()
        app.table.reconcile([Box("k00004", word="busy", size=4), *numbered(4)])
        await settle(pilot)
        assert set(app.drawn) == {"k00004"}
        assert "busy" in text_of(app.table, 5)


async def test_a_tick_repaints_ages_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Host(numbered(5))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        regions: list[Any] = []
        refresh = app.table.refresh

        def watched(*args: Any, **more: Any) -> RecordTable[str, Box]:
            regions.extend(args)
            return refresh(*args, **more)

        monkeypatch.setattr(app.table, "refresh", watched)
        app.table.now = NOW + 7
        assert len(regions) == 5
        assert {region.width for region in regions} == {6}
        await settle(pilot)
        assert text_of(app.table, 1).rstrip().endswith("7s")
        regions.clear()
        app.table.now = NOW + 7.2
        assert regions == []


async def test_a_renewal_repaints_ages_alone() -> None:
    app = Host(numbered(9))
    async with app.run_test(size=(60, 6)) as pilot:
        await settle(pilot)
        table = app.table
        app.drawn.clear()
        table.now = NOW + 7
        table.renew(by_name([replace(box, seen=NOW + 6) for box in numbered(9)]))
        await settle(pilot)
        assert text_of(table, 1).rstrip().endswith("1s")
        assert table.record("k00008") == replace(numbered(9)[8], seen=NOW + 6)
        assert max(app.drawn.values()) == 1, "a line was drawn for its age and then for the record"
        # What the cell says is what counts: another instant that reads the same draws nothing.
        app.drawn.clear()
        table.renew(by_name([replace(box, seen=NOW + 6.1) for box in numbered(9)]))
        await settle(pilot)
        assert not app.drawn


async def test_a_change_on_its_way_to_the_screen_survives_a_renewal() -> None:
    app = Host(numbered(3))
    async with app.run_test(size=(60, 6)) as pilot:
        await settle(pilot)
        busy = replace(numbered(3)[0], word="busy")
        app.table.reconcile([busy])
        app.table.renew(by_name([replace(busy, seen=NOW - 5)]))
        assert "busy" in text_of(app.table, 1) and "5s" in text_of(app.table, 1)


async def test_a_list_sorted_by_age_is_sorted_again_as_ages_move() -> None:
    app = Host(numbered(3))
    async with app.run_test(size=(60, 6)) as pilot:
        await settle(pilot)
        table = app.table
        age = table.columns[3]._replace(sort_key=lambda box, _: -box.seen)
        table.set_columns((*table.columns[:3], age))
        table.sort_by("age")
        table.renew(by_name([replace(numbered(3)[2], seen=NOW + 9)]))
        assert list(table.keys) == ["k00002", "k00000", "k00001"]
        assert table.cursor_key == "k00000"


async def test_a_long_list_is_read_for_the_filter_before_one_is_typed() -> None:
    read: Counter[str] = Counter()

    def search(box: Box) -> str:
        read[box.key] += 1
        return box.key

    class Reading(Host):
        def compose(self) -> ComposeResult:
            self.table = RecordTable(self.table.columns, key=lambda b: b.key, search=search)
            yield self.table

    app = Reading(numbered(1500))
    async with app.run_test(size=(60, 6)):
        await eventually(lambda: len(read) >= 1500, what=lambda: len(read))
        app.table.set_filter("k0149")
        assert len(app.table.keys) == 10 and set(read.values()) == {1}


@pytest.mark.slow
async def test_a_changed_state_flashes_once_and_a_sample_never() -> None:
    app = Host(numbered(3))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        table.reconcile([replace(app.boxes[1], word="soon")])
        assert not table._changed._lit, "no column of these is a state"
        table.set_columns([c._replace(flash=c.id == "word") for c in table.columns])
        table.reconcile([app.boxes[1]])
        await eventually(lambda: not table._changed._lit)

        def ground(y: int, text: str) -> object:
            found = [s.style for s in table.render_line(y) if text in s.text and s.style]
            return found[0].bgcolor

        quiet = ground(2, "idle")
        table.reconcile([replace(app.boxes[1], word="busy")])
        assert ground(2, "busy") != quiet
        assert ground(3, "idle") == quiet
        await eventually(lambda: ground(2, "busy") == quiet)
        table.flashing = False
        table.reconcile([replace(app.boxes[1], word="done")])
        assert ground(2, "done") == quiet


async def test_sort_cycles_by_key_and_by_header() -> None:
    app = Host(numbered(20))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        await pilot.press("o")
        assert sort_of(app) == ("key", False)
        assert "KEY▲" in text_of(app.table, 0)
        await pilot.press("o")
        assert sort_of(app) == ("size", False)
        await pilot.press("O")
        assert sort_of(app) == ("size", True)
        assert "SIZE▼" in text_of(app.table, 0) and app.table.keys[0] == "k00019"
        await pilot.press("o")
        assert sort_of(app) == (None, False) and app.table.keys[0] == "k00000"
        x = text_of(app.table, 0).index("SIZE")
        for expected in (("size", False), ("size", True), (None, False)):
            await pilot.click(app.table, offset=(x, 0))
            assert sort_of(app) == expected
        await pilot.click(app.table, offset=(text_of(app.table, 0).index("WORD"), 0))
        assert sort_of(app) == (None, False)
        told = app.last(RecordTable.Sorted)
        assert isinstance(told, RecordTable.Sorted) and told.column is None


async def test_marks_stay_with_their_records() -> None:
    app = Host(numbered(20))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        await pilot.press("space")
        assert marks_of(app) == ("k00000",) and table.cursor_key == "k00001"
        await pilot.press("j", "j", "v")
        assert marks_of(app) == ("k00000", "k00001", "k00002", "k00003")
        assert text_of(table, 1).startswith(" ■")
        table.sort_by("size", reverse=True)
        assert set(table.marked) == {"k00000", "k00001", "k00002", "k00003"}
        table.reconcile([], ["k00002"])
        await settle(pilot)
        told = app.last(RecordTable.MarksChanged)
        assert isinstance(told, RecordTable.MarksChanged)
        assert "k00002" in told.keys, "a marked one that is gone stays: the verb refuses it"
        table.set_filter("k00001")
        assert marks_of(app) == ("k00001",)
        await pilot.press("escape")
        assert marks_of(app) == () and table.filter_text == "k00001"
        await pilot.press("escape")
        assert table.filter_text == ""


async def test_escape_is_not_taken_while_there_is_nothing_to_clear() -> None:
    class Outer(Host):
        BINDINGS: ClassVar = [("escape", "heard")]
        heard = 0

        def action_heard(self) -> None:
            self.heard += 1

    app = Outer(numbered(3))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        await pilot.press("escape")
        assert app.heard == 1
        await pilot.press("space", "escape")
        assert app.heard == 1 and marks_of(app) == ()


async def test_enter_and_a_double_click_open_and_a_click_selects() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        await pilot.press("j", "enter")
        opened = app.last(RecordTable.Opened)
        assert isinstance(opened, RecordTable.Opened) and opened.key == "k00001"
        app.table.scroll_to(y=40, animate=False)
        await settle(pilot)
        assert app.table.cursor_key == "k00001"
        await pilot.click(app.table, offset=(5, 4))
        assert app.table.cursor_key == "k00043"
        app.said.clear()
        await pilot.double_click(app.table, offset=(5, 6))
        opened = app.last(RecordTable.Opened)
        assert isinstance(opened, RecordTable.Opened) and opened.key == "k00045"


async def test_a_click_below_the_rows_does_nothing_and_hover_shows_the_row() -> None:
    app = Host(numbered(3))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        await pilot.click(app.table, offset=(5, 15))
        assert app.table.cursor_key == "k00000"
        before = app.table.render_line(3)
        await pilot.hover(app.table, offset=(5, 3))
        hovered = app.table.render_line(3)
        assert hovered.text == before.text
        assert [s.style for s in hovered] != [s.style for s in before]
        await pilot.hover(app.table, offset=(5, 10))
        assert [s.style for s in app.table.render_line(3)] == [s.style for s in before]


async def test_the_wheel_scrolls_and_the_cursor_comes_back_with_the_next_key() -> None:
    app = Host(numbered(100))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        for _ in range(12):
            await pilot._post_mouse_events([MouseScrollDown], app.table, offset=(5, 5))
        assert app.table.scroll_offset.y > 0
        assert app.table.cursor_key == "k00000"
        await pilot.press("j")
        assert app.table.cursor_key == "k00001"
        assert line_of(app.table, "k00001") is not None


async def test_empty_says_what_there_is_to_say() -> None:
    app = Host([])
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        assert "Nothing here." in text_of(app.table, 2)
        await pilot.press("enter", "space", "v", "j", "G", "o")
        app.table.reconcile([Box("a")])
        app.table.set_filter("zzz")
        assert "Nothing matches /zzz" in text_of(app.table, 2)
        assert "all 1" in text_of(app.table, 3)


async def test_cells_and_records_can_be_read() -> None:
    app = Host([Box("a", word="a long sentence that does not fit the column it is in at all")])
    async with app.run_test(size=(40, 8)) as pilot:
        await settle(pilot)
        assert app.table.cell_text("word") == app.boxes[0].word
        assert app.table.cell_text("age", "a") == "0s"
        assert app.table.cell_text("nothing") == "" and app.table.cell_text("word", "b") == ""
        assert app.table.record() == app.boxes[0] and app.table.record("b") is None


async def test_other_columns_can_be_set() -> None:
    app = Host(numbered(3))
    async with app.run_test(size=(60, 8)) as pilot:
        await settle(pilot)
        app.table.sort_by("size", reverse=True)
        app.table.set_columns(app.table.columns[:2])
        await settle(pilot)
        assert sort_of(app) == (None, False)
        assert app.table.shown_columns == ("key", "word")
        assert "SIZE" not in text_of(app.table, 0)


async def test_a_stale_row_is_dimmed() -> None:
    app = Host([Box("a"), Box("b", stale=True), Box("c")])
    async with app.run_test(size=(60, 8)) as pilot:
        await settle(pilot)

        def ink(y: int) -> object:
            return [s.style.color for s in app.table.render_line(y) if "idle" in s.text and s.style]

        assert ink(2) != ink(3)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "nord", "ansi-dark"])
async def test_a_tone_keeps_the_ground_of_the_cursor(theme: str) -> None:
    app = Host(numbered(3))
    async with app.run_test(size=(60, 8)) as pilot:
        app.theme = theme
        await settle(pilot)
        grounds = {
            (s.style.bgcolor, s.style.underline) for s in app.table.render_line(1) if s.style
        }
        others = {(s.style.bgcolor, s.style.underline) for s in app.table.render_line(2) if s.style}
        assert len(grounds) == 1 and len(others) == 1
        assert grounds != others
        assert text_of(app.table, 1).startswith("›")


async def test_hostile_text_is_text() -> None:
    evil = "[bold red]x[/] \x1b[31mred\x1b]0;owned\x07 \u202eabc\nnext\ttab"
    app = Host([Box("plain", word="plain"), Box(evil, word=evil)])
    async with app.run_test(size=(160, 8)) as pilot:
        await settle(pilot)
        app.table.reconcile([Box(evil, word=evil + "!")])
        await pilot.press("G")
        app.table.set_filter("[bold red]")
        await settle(pilot)
        strip = app.table.render_line(1)
        assert "[bold red]x[/]" in strip.text
        assert strip.text.isprintable()
        assert strip.cell_length == 159
        assert not any(s.style and s.style.meta for s in strip)


@pytest.mark.slow
async def test_ten_thousand_rows_cost_what_is_on_the_screen() -> None:
    app = Host(numbered(10_000))
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        table = app.table
        assert len(app.drawn) <= 60
        await pilot.press("G")
        assert table.cursor_key == "k09999" and line_of(table, "k09999") == 29
        await pilot.press("g")
        table.set_filter("k0077")
        await settle(pilot)
        assert [*table.keys] == [f"k0077{n}" for n in range(10)]
        assert table.total == 10_000
        table.set_filter("")
        table.sort_by("size", reverse=True)
        await settle(pilot)
        assert table.keys[0] == "k09999" and table.cursor_key == "k00770"
        app.drawn.clear()
        table.reconcile([replace(box, seen=NOW - 5) for box in app.boxes])
        await settle(pilot)
        assert len(app.drawn) <= 30
        for _ in range(60):
            table.action_page(-1.0)
            await pilot.pause()
        assert len(table._painter._lines) <= 512


async def test_a_delta_before_the_table_is_on_a_screen_is_shown_later() -> None:
    app = Host([])
    app.table.reconcile(numbered(50))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        assert len(app.table.keys) == 50
        assert app.table.cursor_key == "k00000"
        assert "k00000" in text_of(app.table, 1)


def test_every_binding_has_an_id_and_a_description() -> None:
    for kind in RecordTable.__mro__:
        for binding in vars(kind).get("BINDINGS", []):
            if kind.__module__.startswith("widgets."):
                assert binding.id and binding.description, binding
    keys = set(RecordTable._merged_bindings.key_to_bindings) if RecordTable._merged_bindings else ()
    assert {"j", "k", "up", "down", "space", "enter"} <= set(keys)


async def test_a_flash_ends_with_the_next_ages_and_a_later_one_is_not_cut_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changed_cells, "LONGEST_S", 3600.0)
    monkeypatch.setattr(changed_cells, "FLASH_S", 3600.0)
    app = Host(numbered(3))
    async with app.run_test(size=(60, 21)) as pilot:
        await settle(pilot)
        table = app.table
        table.set_columns([c._replace(flash=c.id == "word") for c in table.columns])
        table.reconcile([replace(app.boxes[1], word="busy")])
        table.now += 1
        assert "word" in table._changed.of("k00001"), "it has not been lit for long enough"
        monkeypatch.setattr(changed_cells, "FLASH_S", 0.0)
        table.now += 1
        assert table._changed.of("k00001") == frozenset()
        monkeypatch.setattr(changed_cells, "FLASH_S", 3600.0)
        table.reconcile([replace(app.boxes[1], word="done")])
        table._changed.end_due()
        assert "word" in table._changed.of("k00001")
