"""Following what arrives, and looking back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.scrollbar import ScrollTo, ScrollUp

from widgets.table.columns import Cell, Column
from widgets.table.row_window import HEADER
from widgets.table.stream_table import StreamTable


class Host(App[None]):
    """One stream of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table: StreamTable[int, int] = StreamTable(
            (Column("n", "N", lambda n, _: Cell.of(f"row {n}"), 10, sort_key=lambda n, _: -n),),
            key=lambda n: n,
            order=lambda n: n,
        )
        self.changes: list[tuple[bool, int]] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.reconcile(range(50))
        self.table.focus()

    def on_stream_table_follow_changed(self, message: StreamTable.FollowChanged) -> None:
        self.changes.append((message.stream.following, message.stream.unseen))


def lines(app: Host) -> list[str]:
    height = app.table.size.height
    return [app.table.render_line(y).text[2:].strip() for y in range(HEADER, height)]


def state(app: Host) -> tuple[bool, int]:
    return app.table.following, app.table.unseen


async def test_it_starts_at_the_newest_and_stays_there() -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        await pilot.pause()
        assert lines(app)[-1] == "row 49" and app.table.cursor_key == 49
        app.table.reconcile([50, 51])
        await pilot.pause()
        assert lines(app)[-1] == "row 51" and app.table.cursor_key == 51
        assert state(app) == (True, 0)
        await pilot.resize_terminal(30, 7)
        await pilot.pause()
        assert lines(app)[-1] == "row 51"


Look = Callable[[Pilot[None], Host], Awaitable[object]]


async def wheel(pilot: Pilot[None], app: Host) -> None:
    await pilot._post_mouse_events([MouseScrollUp], app.table, offset=(3, 3))


async def drag(pilot: Pilot[None], app: Host) -> None:
    app.table.post_message(ScrollTo(y=5))
    await pilot.pause()
    await pilot.wait_for_animation()


async def above_the_grip(pilot: Pilot[None], app: Host) -> None:
    app.table.post_message(ScrollUp())
    await pilot.pause()
    await pilot.wait_for_animation()


def press(key: str) -> Look:
    return lambda pilot, app: pilot.press(key)


@pytest.mark.parametrize(
    "look_back",
    [
        *(press(key) for key in ("k", "up", "pageup", "ctrl+u", "g", "home", "f", "o", "space")),
        wheel,
        drag,
        above_the_grip,
        lambda pilot, app: pilot.click(app.table, offset=(3, 4)),
    ],
)
async def test_looking_back_pauses_and_counts_what_arrives(look_back: Look) -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        await pilot.pause()
        await look_back(pilot, app)
        await pilot.pause()
        assert state(app) == (False, 0)
        key, seen = app.table.cursor_key, lines(app)
        app.table.reconcile([50, 51, 52])
        await pilot.pause()
        assert state(app) == (False, 3)
        assert app.table.cursor_key == key
        if app.table.sort == (None, False):
            assert lines(app) == seen
        assert app.changes[-1] == (False, 3)
        app.table.follow()
        await pilot.pause()
        assert state(app) == (True, 0)
        assert app.table.cursor_key == 52 and lines(app)[-1] == "row 52"


@pytest.mark.parametrize("key", ["f", "G", "end"])
async def test_keys_that_follow_again(key: str) -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        await pilot.press("g")
        app.table.reconcile([50])
        await pilot.press(key)
        assert state(app) == (True, 0)
        app.table.reconcile([51])
        await pilot.pause()
        assert lines(app)[-1] == "row 51"


async def test_going_down_does_not_pause_and_does_not_follow() -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        await pilot.press("j")
        assert state(app) == (True, 0)
        await pilot.press("k", "j")
        assert state(app) == (False, 0)


async def test_paused_rows_stay_under_the_eye_while_the_oldest_are_dropped() -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        await pilot.pause()
        app.table.select(30)
        await pilot.pause()
        seen = lines(app)
        app.table.reconcile(range(50, 60), range(10))
        await pilot.pause()
        assert lines(app) == seen and app.table.cursor_key == 30


async def test_what_a_filter_hides_is_not_counted_as_new() -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        app.table.set_filter("row 5")
        await pilot.press("k")
        app.table.reconcile([50, 61, 62])
        await pilot.pause()
        assert state(app) == (False, 1)


async def test_a_new_subject_is_followed() -> None:
    app = Host()
    async with app.run_test(size=(30, 11)) as pilot:
        await pilot.press("g")
        app.table.clear_records()
        app.table.reconcile(range(5))
        await pilot.pause()
        assert state(app) == (True, 0) and app.table.cursor_key == 4
