"""Each viewer has a real panel of their own, which ends with them and with the server."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.page_server import NOWHERE, looking, page_server, panel_of
from tests.support.waiting import eventually
from tests.support.world_processes import child_names, living_children

DRAWN = b"far"
QUEUES = b"queues"


def panels() -> set[int]:
    """Panels that this process has started and that are still there."""
    return {one.pid for one in living_children("wakedeck.py")}


def quick(folder: Path, leaving: str = "") -> tuple[str, ...]:
    """What speaks as a panel does, draws nothing, and is counted; `leaving` is done at its end."""
    says = f'echo >> "$0"; echo __GANGLION__; cat > /dev/null; {leaving}'
    return ("/bin/sh", "-c", says, str(folder / "started"))


def started(folder: Path) -> int:
    """How many of those were."""
    file = folder / "started"
    return len(file.read_bytes()) if file.exists() else 0


def quick_ones() -> int:
    """How many of those are there; a worker may keep other children."""
    return sum(name in ("sh", "cat") for name in child_names())


async def test_a_panel_is_drawn_resized_and_ends_with_its_page(tmp_path: Path) -> None:
    async with page_server(panel_of(tmp_path, NOWHERE, "--read-only"), viewers=2) as gate:
        async with looking(gate) as page, looking(gate, 2, 46, 30) as phone:
            await eventually(lambda: DRAWN in page.drawn and DRAWN in phone.drawn)
            assert b"\x1b[38;2;" in page.drawn, "not in full colour"
            assert b"READ-ONLY" in page.drawn
            assert len(panels()) == 2
            async with looking(gate, 3) as third:
                await third.line.wait_closed()
                assert third.ended == "2 look already, which is as many as may."
            assert b"\x1b[60;" not in page.drawn
            await page.say("resize", {"width": 200, "height": 60})
            await eventually(lambda: b"\x1b[60;" in page.drawn, what="not drawn in its new size")
            # The same tab once more: the one before ends first.
            async with looking(gate, 2) as again:
                await phone.line.wait_closed()
                assert phone.ended == "This tab was opened anew."
                await eventually(lambda: DRAWN in again.drawn)
                killed = max(panels())
                os.kill(killed, signal.SIGKILL)
                await again.line.wait_closed()
                assert "ended unexpectedly" in again.ended
            await page.say("stdin", "q")
            await page.line.wait_closed()
            assert page.ended == "The panel was closed."
        await eventually(lambda: not panels())


async def test_a_reload_finds_the_view_and_the_server_takes_all_along(tmp_path: Path) -> None:
    async with page_server(panel_of(tmp_path)) as gate:
        async with looking(gate) as page:
            await eventually(lambda: DRAWN in page.drawn)
            assert QUEUES in page.drawn
            await page.say("stdin", "5")
            await page.say("stdin", "z")
            saved = f"pages/*/{1:032x}/views/default.json"
            state = tmp_path / "home/.local/state/wakedeck"
            await eventually(lambda: any(b"zoomed" in p.read_bytes() for p in state.glob(saved)))
        async with looking(gate) as again:
            await eventually(lambda: b"WHAT HAPPENED" in again.drawn)
            assert QUEUES not in again.drawn, "it is not zoomed"
            closing = asyncio.create_task(again.line.wait_closed())
    await closing
    assert again.ended in ("", "The server has ended.")
    assert not panels()
    assert not list(tmp_path.glob("home/.local/state/wakedeck/views/*"))


async def test_a_page_that_typed_a_flood_and_left_is_heard_to_leave(tmp_path: Path) -> None:
    """Its panel would take minutes to act on all of it."""
    async with page_server(quick(tmp_path)) as gate:
        async with looking(gate) as page:
            await eventually(lambda: started(tmp_path) == 1)
            await page.say("stdin", "j" * 1_000_000)
        async with looking(gate, 2) as page:
            for _ in range(3):
                await page.say("stdin", "j" * 1_000_000)
            await page.line.wait_closed()
            assert page.ended == "More was typed than a panel takes."
        await eventually(lambda: not quick_ones())


async def test_of_reloads_in_a_row_the_last_alone_gets_a_panel(tmp_path: Path) -> None:
    slow = quick(tmp_path, "sleep 2")  # all of the pages come while one panel leaves
    async with page_server(slow) as gate, AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(looking(gate)) for _ in range(12)]
        for one in pages[:-1]:
            await one.line.wait_closed()
            assert one.ended == "This tab was opened anew."
        await eventually(lambda: quick_ones() == 1)
        assert not pages[-1].ended and started(tmp_path) < 6
