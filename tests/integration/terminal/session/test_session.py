"""Whole sessions against a real gateway and real terminals."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from services.clock import SystemClock
from services.models import Retry, ShellState
from services.terminal.emulator import Emulator
from services.terminal.session.output_buffer import LIMIT_BYTES
from services.terminal.session.recording import (
    RecordedOutput,
    RecordedSize,
    SessionRecorder,
    read_recording,
)
from services.terminal.session.scheduler import ParseScheduler
from services.terminal.session.session import ANSWER_S, ShellSession
from services.terminal.transport.pty_transport import PtyTransport
from tests.integration.terminal.transport.test_pty import BASH, ENV
from tests.support.clock import FakeClock, settle
from tests.support.shells import (
    BOX,
    DEAF,
    UP,
    RecordingScreen,
    RunningGateway,
    running_gateway,
    running_session,
)
from tests.support.waiting import LIMIT_S, eventually

PROMPT = b"box $ "
EARLY = (ShellState.RESOLVING, ShellState.CONNECTING)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path / "world") as running:
        yield running


def states(shells: list[object]) -> list[ShellState]:
    seen: list[ShellState] = []
    for shell in shells:
        state = shell.state  # type: ignore[attr-defined]
        if not seen or seen[-1] is not state:
            seen.append(state)
    return seen


async def test_from_connecting_to_the_shells_own_end(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport(), columns=91, lines=17) as running:
        await running.shows(PROMPT)
        running.session.type(b"stty size; exit 3\r")
        await running.until(lambda: running.session.shell.state.over)
        shell = running.session.shell
    assert b"17 91\r\n" in running.screen.fed
    assert states(list(running.shells)) == [
        ShellState.CONNECTING,
        ShellState.OPEN,
        ShellState.ENDED,
    ]
    assert (shell.code, shell.retry) == (None, Retry.ASK)
    assert "unknown" in shell.reason


async def test_a_local_child_tells_its_code() -> None:
    async with running_session(PtyTransport(BASH, env=ENV, notice="here")) as running:
        await running.shows(b"$ ")
        running.session.type(b"exit 3\r")
        await running.until(lambda: running.session.shell.state.over)
    assert running.session.shell.code == 3
    assert running.session.shell.notice == "here"


async def test_a_handshake_that_is_refused_is_a_failure_not_an_exception(
    gateway: RunningGateway,
) -> None:
    async with running_session(gateway.transport("nobody")) as running:
        await running.until(lambda: running.session.shell.state.over)
    shell = running.session.shell
    assert (shell.state, shell.retry) == (ShellState.FAILED, Retry.NO)
    assert "404" in shell.reason
    assert states(list(running.shells)) == [ShellState.CONNECTING, ShellState.FAILED]


async def test_a_gateway_killed_mid_stream_is_lost_with_the_last_words_shown(
    own: RunningGateway,
) -> None:
    async with running_session(own.transport()) as running:
        await running.shows(PROMPT)
        running.session.type(b"echo last w''ords; exec sleep 300\r")
        await running.shows(b"last words\r\n")
        own.process.kill()
        await running.until(lambda: running.session.shell.state.over)
    shell = running.session.shell
    assert (shell.state, shell.code) == (ShellState.LOST, None)
    assert "unknown" in shell.reason


class SlowScreen(RecordingScreen):
    """Parses about 1 MB/s, as a plain emulator does."""

    def feed(self, data: bytes, cells: int | None = None) -> None:
        super().feed(data)
        until = asyncio.get_running_loop().time() + len(data) / 1_000_000
        while asyncio.get_running_loop().time() < until:
            pass


async def test_a_flood_is_skipped_and_a_key_ends_it(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport(), screen=SlowScreen()) as running:
        await running.shows(PROMPT)
        running.session.type(b"yes\r")
        await running.until(lambda: running.session.shell.skipping)
        assert running.session.shell.skipped_bytes > 0
        assert running.session.waiting <= LIMIT_BYTES
        running.session.type(b"\x03")
        await running.shows(b"^C")
        running.session.type(b"echo al''ive\r")
        await running.shows(b"alive\r\n")
        await running.until(lambda: not running.session.shell.skipping)
        assert PROMPT in bytes(running.screen.fed).rpartition(b"^C")[2]


async def test_a_slow_emulator_is_skipped_ahead_and_ends_at_the_prompt(
    gateway: RunningGateway,
) -> None:
    async with running_session(gateway.transport(), screen=SlowScreen()) as running:
        await running.shows(PROMPT)
        running.session.type(b"seq 1 1000000; printf '\\\\033[?1h'; seq 1 9; echo d''one\r")
        await running.shows(b"done\r\n")
        await running.until(lambda: running.screen.fed.endswith(PROMPT))
        skipped = running.session.shell.skipped_bytes
        fed = bytes(running.screen.fed)
    assert skipped > 1_000_000
    whole = sum(len(str(n)) + 2 for n in range(1, 1_000_001))
    assert whole - 300_000 < skipped + len(fed) < whole + 300_000
    assert b"\r\n8\r\n9\r\ndone\r\n" in fed
    kept = fed.partition(b"\r\x1b[K")[2]
    assert re.match(rb"\d+\r\n\d+\r\n\d+\r\n", kept)


async def test_one_shell_answers_while_another_floods(gateway: RunningGateway) -> None:
    scheduler = ParseScheduler()
    async with (
        running_session(gateway.transport(), scheduler, screen=SlowScreen(), alone=False) as flood,
        running_session(gateway.transport(), scheduler, alone=False) as calm,
    ):
        await flood.shows(PROMPT)
        await calm.shows(PROMPT)
        flood.session.type(b"yes\r")
        await flood.until(lambda: flood.session.skipping)
        for turn in range(20):
            calm.session.type(b"echo t''urn%d.\r" % turn)
            await calm.shows(b"turn%d.\r\n" % turn)
        assert flood.session.shell.state is ShellState.OPEN
        flood.session.type(b"\x03")
        await flood.shows(b"^C")


async def test_a_big_paste_waits_for_its_reader_and_ctrl_c_drops_it(
    gateway: RunningGateway,
) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        running.session.type(DEAF)
        await running.shows(UP)
        running.session.paste(b"echo r''an\n" * 100_000)
        await running.until(lambda: running.session.shell.input_blocked)
        assert running.session.unsent_paste_bytes > 900_000
        running.session.type(b"\x03")
        assert running.session.unsent_paste_bytes == 0
        await running.until(lambda: not running.session.shell.input_blocked)
        running.session.type(b"echo al''ive\r")
        await running.shows(b"alive\r\n")
        assert b"ran\r\n" not in running.screen.fed


async def test_a_big_paste_into_a_reader_arrives_whole(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        running.session.type(b"stty -echo; echo u''p; cat | cksum; stty echo\r")
        await running.shows(UP)
        running.session.paste("wörd 🚀\n".encode() * 30_000)
        await running.until(lambda: running.session.unsent_paste_bytes == 0)
        running.session.type(b"\x04")
        await running.shows(b" 330000\r\n")


async def test_keys_overtake_a_paste(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        running.session.type(b"cat > /dev/null\r")
        await running.shows(b"null\r\n")
        running.session.paste(b"x" * 60 + b"\n")
        running.session.paste(b"y" * 100_000)
        running.session.cancel_paste()
        assert running.session.unsent_paste_bytes == 0
        running.session.type(b"\x03")
        await running.shows(b"^C")


def size_told(screen: RecordingScreen, number: int) -> bytes:
    """The size the shell answered to that question; empty until it has."""
    found = re.search(rb"size-%d: (\d+ \d+)\." % number, screen.fed)
    return bytes(found[1]) if found else b""


async def test_two_hundred_sizes_while_typing_end_at_the_last(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        for size in range(200):
            running.session.resize(40 + size, 10 + size)
            running.session.type(b"x")
            if size % 20 == 0:
                await asyncio.sleep(0.02)  # sizes come over time, as when a window is dragged
        assert running.screen.sizes[-1] == (239, 209)
        running.session.type(b"\x15")
        # The last size travels a little after the keys.
        async with asyncio.timeout(LIMIT_S):
            for number in itertools.count():
                running.session.type(f"echo size-{number}: $(stty size).\r".encode())
                told = await eventually(partial(size_told, running.screen, number))
                if told == b"209 239":
                    break


async def test_leaving_an_idle_shell_ends_it(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        running.session.detach()
        running.session.detach()
        await running.until(lambda: running.session.shell.state.over)
    assert running.session.shell.state is ShellState.DETACHED
    assert b"exit" in running.screen.fed


async def test_leaving_a_busy_shell_interrupts_nothing() -> None:
    script = "trap 'echo int''errupted' INT; echo u''p; while :; do sleep 0.05; done"
    async with running_session(PtyTransport(("bash", "-c", script), env=ENV)) as running:
        await running.shows(b"up\r\n")
        running.session.detach()
        await running.until(lambda: running.session.shell.state.over)
    assert running.session.shell.state is ShellState.DETACHED
    assert b"interrupted" not in running.screen.fed


async def test_what_the_emulator_answers_reaches_the_program(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        running.session.type(b'read -r -d R got; echo "got ${got#?}R"\r')
        await running.shows(b"\x1b[?2004l\r")
        assert running.screen.reply is not None
        running.screen.reply(b"\x1b[1;1R")
        await running.shows(b"got [1;1R\r\n")


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 100])
async def test_leaving_while_connecting_leaves_nothing(gateway: RunningGateway, turns: int) -> None:
    async with running_session(gateway.transport()) as running:
        for _ in range(turns):
            await asyncio.sleep(0)  # a turn of the loop: called off at another point each time
        running.session.detach()
        await running.until(lambda: running.session.shell.state.over)
    assert running.session.shell.state is ShellState.DETACHED


@pytest.mark.parametrize("doing", ["connect", "paste", "resize", "flood"])
async def test_cancelled_at_any_time_it_leaves_no_task_handle_or_complaint(
    gateway: RunningGateway, doing: str, caplog: pytest.LogCaptureFixture
) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    handles = psutil.Process().num_fds()
    for _ in range(3):
        async with running_session(gateway.transport()) as running:
            if doing != "connect":
                await running.shows(PROMPT)
            if doing == "paste":
                running.session.type(DEAF)
                await running.shows(UP)
                running.session.paste(b"z\n" * 100_000)
            if doing == "resize":
                running.session.resize(50, 50)
            if doing == "flood":
                running.session.type(b"yes\r")
                await running.shows(b"y\r\ny\r\n")
            await asyncio.sleep(0.01)  # some of it is under way, at whatever point
        assert running.session.shell.state is ShellState.DETACHED
    gc.collect()
    await eventually(lambda: psutil.Process().num_fds() <= handles)
    assert complaints == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_ten_sessions_leave_no_shell_behind(gateway: RunningGateway) -> None:
    scheduler = ParseScheduler()
    for _ in range(10):
        async with running_session(gateway.transport(), scheduler) as running:
            await running.shows(PROMPT)
    await eventually(lambda: not psutil.Process(gateway.process.pid).children())
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_the_token_is_in_no_log_and_no_word(
    own: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for token in ("a-wrong-token-that-must-not-show", own.token):
        transport = own.transport(token=token)
        async with running_session(transport) as running:
            await running.until(lambda: running.session.shell.state not in EARLY)
            if running.session.shell.state is ShellState.OPEN:
                await running.shows(PROMPT)
                running.session.type(b"echo secret-output\r")
                await running.shows(b"secret-output\r\n")
                own.process.kill()
                await running.until(lambda: running.session.shell.state.over)
        said = caplog.text + repr(running.shells) + repr(transport)
        assert token not in said
    assert "secret-output" not in caplog.text


async def test_an_emulator_that_fails_ends_its_own_shell_alone(gateway: RunningGateway) -> None:
    class Broken(RecordingScreen):
        def feed(self, data: bytes, cells: int | None = None) -> None:
            if b"poison" in data:
                raise ValueError("no such thing")
            super().feed(data)

    scheduler = ParseScheduler()
    async with (
        running_session(gateway.transport(), scheduler, screen=Broken(), alone=False) as broken,
        running_session(gateway.transport(), scheduler, alone=False) as fine,
    ):
        await broken.shows(PROMPT)
        await fine.shows(PROMPT)
        broken.session.type(b"echo poison\r")
        await broken.until(lambda: broken.session.shell.state.over)
        assert broken.session.shell.state is ShellState.FAILED
        fine.session.type(b"echo al''ive\r")
        await fine.shows(b"alive\r\n")


async def test_a_view_that_fails_does_not_stop_the_shell(gateway: RunningGateway) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("the view is gone")

    screen = RecordingScreen()
    session = ShellSession(
        "s",
        BOX,
        gateway.transport(),
        screen,
        clock=SystemClock(),
        scheduler=ParseScheduler(),
        on_change=explode,
        on_paint=explode,
    )
    task = asyncio.create_task(session.run(80, 24))
    async with asyncio.timeout(60):
        await eventually(lambda: PROMPT in screen.fed)
        session.type(b"exit\r")
        assert (await task).state is ShellState.ENDED


async def test_a_key_is_answered_for_a_moment(gateway: RunningGateway) -> None:
    clock = FakeClock()
    session = ShellSession(
        "s",
        BOX,
        gateway.transport(),
        RecordingScreen(),
        clock=clock,
        scheduler=ParseScheduler(),
        on_change=lambda _: None,
        on_paint=lambda: None,
    )
    seen = [session.answering]
    session.type(b"x")
    seen.append(session.answering)
    await clock.advance(ANSWER_S)
    assert [*seen, session.answering] == [False, True, False]


async def test_after_the_end_nothing_is_sent_and_nothing_changes(gateway: RunningGateway) -> None:
    async with running_session(gateway.transport()) as running:
        await running.shows(PROMPT)
        running.session.type(b"exit\r")
        await running.until(lambda: running.session.shell.state.over)
        last = running.session.shell
        running.session.type(b"x")
        running.session.paste(b"y" * 100_000)
        running.session.resize(10, 10)
        running.session.detach()
        assert running.session.unsent_paste_bytes == 0
        await settle()
    assert running.session.shell == last
    assert sum(shell.state.over for shell in running.shells) == 1


async def test_with_the_real_emulator_titles_replies_and_sizes_work(
    gateway: RunningGateway,
) -> None:
    screen = Emulator(80, 24)
    changed = asyncio.Event()
    session = ShellSession(
        "s",
        BOX,
        gateway.transport(),
        screen,
        clock=SystemClock(),
        scheduler=ParseScheduler(),
        on_change=lambda _: changed.set(),
        on_paint=changed.set,
    )

    async def shows(wanted: str) -> None:
        async with asyncio.timeout(60):
            while not any(wanted in line for line in screen.display):
                changed.clear()
                await changed.wait()

    task = asyncio.create_task(session.run(72, 20))
    await shows("box $")
    assert (screen.columns, screen.lines) == (72, 20)
    session.type(b"printf '\\033]0;a title\\007\\033[6n'; read -rsd R at; echo \"<${at#?}>\"\r")
    await shows("<[")
    assert session.shell.title == "a title"
    session.type(b"seq 20000 23000; echo all-$((1+1))\r")
    await shows("all-2")
    session.resize(60, 15)
    assert screen.unreflowed > 1000
    async with asyncio.timeout(60):
        while screen.unreflowed:
            changed.clear()
            await changed.wait()
    assert screen.history_size > 2900
    session.type(b"exit\r")
    assert (await task).state is ShellState.ENDED


async def test_a_transcript_holds_every_byte_even_of_what_was_skipped(tmp_path: Path) -> None:
    kept = SessionRecorder(tmp_path, "shell", SystemClock())
    flood = ("python3", "-c", "print('x' * 4_000_000 + 'the end')")
    transport = PtyTransport(flood, env=ENV)
    async with running_session(transport, screen=SlowScreen(), recorder=kept) as running:
        await running.until(lambda: running.session.shell.state.over)
    shell = running.session.shell
    assert shell.skipped_bytes > 0
    assert f"recorded in {kept.path}" in shell.notice
    frames = list(read_recording(kept.path))
    assert frames[0] == RecordedSize(frames[0].at, 80, 24)
    data = b"".join(frame.data for frame in frames if isinstance(frame, RecordedOutput))
    assert data == b"x" * 4_000_000 + b"the end\r\n"
