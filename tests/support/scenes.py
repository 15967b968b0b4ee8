"""The named pictures of the panel: one list for snapshots, screenshots and documents."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from textual.command import CommandInput, CommandList
from textual.pilot import Pilot

from services.config.settings import Settings, SourceSettings
from services.config.sources import LocalTable
from services.models import (
    Activity,
    GatewayState,
    Retry,
    SandboxId,
    SandboxState,
    ShellState,
    Step,
    StepState,
)
from services.sources.protocol.verdict import Verdict, VerdictKind
from services.terminal.transport.base import CloseReason
from tests.support.acted import Script, ScriptedTransport, scripted
from tests.support.clock import FakeClock
from tests.support.nanoclaw_scenes import CHAT, TASK, claw
from tests.support.stage import EVENTS, NOW, SANDBOXES, gateways, queue, sandbox
from tests.support.waiting import eventually
from tui.app import WakedeckApp
from tui.panel.layout import Pane
from tui.panel.log_screen import LogScreen
from tui.panel.shell_controller import REST_S
from widgets.panes.details import FactTable

PROMPT = (
    b"\x1b[1;34m~/work\x1b[0m $ git log --oneline -3\r\n"
    b"\x1b[33m9a3f1c2\x1b[0m Retry the importer with a longer deadline\r\n"
    b"\x1b[33m41d77ab\x1b[0m Name the queue in every error\r\n"
    b"\x1b[33m7be0d95\x1b[0m First sketch of the importer\r\n"
    b"\x1b[1;34m~/work\x1b[0m $ "
)
DOWN = "Gateway process 4242 has died."
Play = Callable[["Stage"], Awaitable[None]]


class Stage:
    """One panel on a scripted world under a clock that stands still."""

    def __init__(
        self, script: Script, settings: Settings, state: Path, *, welcomes: bool = False
    ) -> None:
        self.script = script
        self.state = state
        self.clock = FakeClock(NOW)
        self.app = WakedeckApp(
            settings,
            (scripted(script, self.clock),),
            self.clock,
            state=state,
            jitter=random.Random(7),
            welcomes=welcomes,
        )
        self.pilot: Pilot[int] | None = None

    async def press(self, *keys: str) -> None:
        assert self.pilot is not None
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        assert self.pilot is not None
        for _ in range(3):
            await self.pilot.pause()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for real work, such as a file being read, to have happened."""
        await eventually(holds, what="the stage never got there")
        await self.settle()

    async def seen(self) -> None:
        """The first look came in, the journal is open and the queue is shown."""
        engine = self.app.engine
        await self.until(lambda: self.script.looks > 0)
        await self.until(lambda: len(engine.board.sandboxes) == len(self.script.sandboxes))
        await self.until(lambda: engine.journal_loaded)


def settings(**changes: object) -> Settings:
    """The plain settings of a picture."""
    base = Settings("default", (SourceSettings("local", "local", LocalTable()),), animation=False)
    return replace(base, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture: its name, its size, its world and what is played in it."""

    name: str
    size: tuple[int, int]
    play: Play
    script: Callable[[], Script]
    settings: Settings
    events: bool = True
    welcomes: bool = False

    def stage(self) -> Stage:
        """A fresh one; call it with a running loop or not."""
        os.environ["TZ"] = "UTC"
        time.tzset()
        state = Path(tempfile.mkdtemp(prefix="wakedeck-scene-"))
        return Stage(self.script(), self.settings, state, welcomes=self.welcomes)

    async def perform(self, stage: Stage, pilot: Pilot[int]) -> None:
        """Play it to the picture."""
        stage.pilot = pilot
        await stage.seen()
        if self.events:
            stage.app.dashboard.show_events(EVENTS)
            stage.app.details.on_events(EVENTS)
            stage.app.dashboard.tick()
        await self.play(stage)
        await stage.settle()


def populated() -> Script:
    """Everything works."""
    return Script(
        gateways(),
        SANDBOXES,
        {SANDBOXES[0].id: queue()},
        transport=lambda: ScriptedTransport(PROMPT),
    )


def broken() -> Script:
    """One agent is stuck, one has died, the gateway is fine."""
    script = populated()
    script.sandboxes = (
        sandbox(
            "data-pull",
            SandboxState.STUCK,
            "Process 4243 is stopped: no progress.",
            due=7,
        ),
        SANDBOXES[1],
        sandbox("night-watch", SandboxState.DOWN, "Process 4245 has died.", due=3),
        SANDBOXES[3],
    )
    script.verdicts = [
        Verdict(
            VerdictKind.REPAIRABLE,
            "Process 4243 is stopped: no progress.",
            wakeable=True,
        )
    ]
    return script


LONG_NAME = "importer-of-the-night-shift-mailbox"


def bad_morning() -> Script:
    """One asks, one is dead, one is stuck, and a second source has lost its gateway's trust."""
    script = populated()
    script.sandboxes = (
        sandbox("data-pull", SandboxState.STUCK, "Process 4243 is stopped: no progress.", due=7),
        replace(
            SANDBOXES[1],
            needs_me="Apply the change to the billing export? (Yes, No)",
            inbound=(("due", 3), ("processing", 1), ("failed", 2), ("completed", 41)),
        ),
        sandbox(
            LONG_NAME,
            SandboxState.DOWN,
            "Process 4245 has died; 12 messages wait, the oldest for 43 min.",
            due=12,
        ),
        SANDBOXES[3],
    )
    for number, due in ((0, 7), (2, 12)):
        _fill(script, number, due)
    return script


def _fill(script: Script, number: int, due: int) -> None:
    """Give a sandbox a queue, and its row the counts of that."""
    one = script.sandboxes[number]
    held = script.queues[one.id] = queue(one.name, due)
    rows = list(script.sandboxes)
    rows[number] = replace(one, inbound=held.inbound, outbound=held.outbound)
    script.sandboxes = tuple(rows)


def four_hundred() -> Script:
    """Many rows, three of them red."""
    script = bad_morning()
    script.sandboxes += tuple(
        sandbox(
            f"worker-{number:03d}",
            activity=Activity.WORKING if number % 3 == 0 else Activity.IDLE,
            tool="Bash" if number % 3 == 0 else "",
        )
        for number in range(396)
    )
    return script


def waking() -> Script:
    """A wake that has begun."""
    script = broken()
    script.hold = asyncio.Event()
    script.wake_steps = (Step("start", StepState.RUNNING, limit_s=12.0),)
    return script


def wake_failed() -> Script:
    """A wake that cannot succeed."""
    script = broken()
    script.wake_steps = (
        Step("start", StepState.RUNNING, limit_s=12.0),
        Step("start", StepState.FAILED, NOW, NOW, 12.0, "The processes do not start in time."),
    )
    return script


def refused() -> Script:
    """The gateway refuses our credential."""
    said = "The gateway refuses this panel's credential (403)."
    script = populated()
    script.gateways = gateways(GatewayState.WRONG, said)
    script.verdicts = [
        Verdict(
            VerdictKind.TERMINAL,
            said,
            advice="Waking cannot help: the gateway is up and says no. Issue a new credential "
            "with `wakedeck local down` and start again.",
        )
    ]
    return script


def rejected() -> Script:
    """It serves, and only the operator can decide what would help."""
    script = populated()
    script.verdicts = [
        Verdict(
            VerdictKind.TERMINAL,
            "It serves, and its gateway does not accept the stored credential.",
            advice="Re-issuing the credential helps, after you confirm; it signs every other "
            "device out.",
            confirmable="repair-guardian",
        )
    ]
    return script


async def nothing(stage: Stage) -> None:
    """The picture is what opens."""


async def filtered(stage: Stage) -> None:
    await stage.press("slash", *"pull", "enter")


async def lose_source(stage: Stage) -> None:
    stage.script.failure = "The embedded world does not answer."
    await stage.clock.advance(2.5)
    await stage.settle()
    stage.app.dashboard.tick()


async def offline(stage: Stage) -> None:
    await lose_source(stage)
    await stage.clock.advance(21.0)
    stage.app.dashboard.tick()


async def wake(stage: Stage) -> None:
    await stage.press("w")
    await stage.until(lambda: bool(stage.script.woken))
    await stage.clock.advance(3.2)
    stage.app.dashboard.tick()


async def wake_to_the_end(stage: Stage) -> None:
    await stage.press("w")

    def ended() -> bool:
        attempt = stage.app.engine.latest_attempt(SANDBOXES[0].id)
        return attempt is not None and attempt.state.ended

    await stage.until(ended)


async def ask_to_repair(stage: Stage) -> None:
    await wake_to_the_end(stage)
    await stage.press("a")

    def asked() -> bool:
        focused = stage.app.focused
        return focused is not None and focused.id == "confirm-no"

    await stage.until(asked)
    await stage.settle()


async def open_shell(stage: Stage) -> None:
    await stage.press("s")

    def painted() -> bool:
        return any(
            one.session.shell.state is ShellState.OPEN
            and "\n".join(one.emulator.display).rstrip().endswith("~/work $")
            for one in stage.app.shells
        )

    await stage.until(painted)


async def lose_shell(stage: Stage) -> None:
    await open_shell(stage)
    opened = next(iter(stage.app.shells))
    transport = opened.session._transport
    assert isinstance(transport, ScriptedTransport)
    transport.say(
        CloseReason(ShellState.LOST, "connection reset, outcome unknown", retry=Retry.AUTO)
    )
    await stage.until(lambda: opened.session.shell.state is ShellState.LOST)


async def details(stage: Stage) -> None:
    await stage.press("enter")


def of_session(native_id: str) -> Play:
    """The details of that one, with what its source tells."""

    async def play(stage: Stage) -> None:
        wanted = SandboxId("local", native_id)
        for _ in stage.script.sandboxes:
            if stage.app.dashboard.selected != wanted:
                await stage.press("down")
        await stage.press("enter")
        if stage.script.described[wanted]:
            screen = stage.app.screen
            await stage.until(lambda: bool(screen.query_one("#detail-described", FactTable).facts))

    return play


async def helped(stage: Stage) -> None:
    await stage.press("question_mark")


async def palette(stage: Stage) -> None:
    await stage.press("ctrl+p")
    screen = stage.app.screen
    screen.query_one(CommandInput).cursor_blink = False
    await stage.press(*"wake")
    entries = screen.query_one(CommandList)
    await stage.until(lambda: entries.option_count == 1 + len(SANDBOXES))


async def confirm(stage: Stage) -> None:
    await open_shell(stage)
    view = next(iter(stage.app.shells)).view
    view.paste("rm -r build\nmake\n")
    await stage.settle()


async def zoom_queue(stage: Stage) -> None:
    seen = queue()
    for second, due in enumerate((0, 1, 1, 3, 5, 4, 6, 3, 2, 2), -9):
        then = replace(seen, observed_at=seen.observed_at + second, inbound=(("due", due),))
        stage.app.dashboard.show_queue(then if second else seen)
    await stage.press("3", "z")


async def mark_two(stage: Stage) -> None:
    await stage.press("space", "space", "M")


LOG = (
    '[01:06:12.004] INFO Message routed sessionId="sess-a" kind="chat"',
    '[01:06:12.190] INFO Spawning container name="data-pull-1"',
    "[01:06:14.551] DEBUG Poll found 2 messages",
    '[01:06:15.020] WARN Fetch is slow url="https://user:***@example.org/export" waited=4000',
    "[01:06:19.882] ERROR Fetch failed: the peer closed the connection before it had said how long "
    "the export is; what came of it, 48 211 of an unknown number of bytes, was thrown away",
    "[01:06:19.883] INFO Retry in 20 s try=3 of=6",
    "[01:06:20.417] INFO not markup: [bold red]stop[/] and ‹202E›no tricks",
    '[01:06:39.890] INFO Fetch begins again url="https://example.org/export"',
)


def logged() -> Script:
    """A log with three streams, one of which says something."""
    script = populated()
    script.logs = {name: asyncio.Queue() for name in ("agent", "gateway", "host")}
    for line in LOG:
        script.logs["agent"].put_nowait(line)
    return script


async def read_log(stage: Stage) -> None:
    await stage.press("L")
    screen = stage.app.screen
    assert isinstance(screen, LogScreen)
    await stage.until(lambda: len(screen.pane.view.lines) == len(LOG))
    await stage.press("slash", *"fetch", "enter")


async def show_shell_pane(stage: Stage) -> None:
    stage.app.dashboard.focus_pane(Pane.SHELL)


async def morning(stage: Stage) -> None:
    """The dead one is selected; its events and the end of its log stand in pane 4."""
    for line in LOG[:5]:
        stage.script.logs["agent"].put_nowait(line)
    await stage.press("down")
    await stage.clock.advance(REST_S)
    view = stage.app.dashboard.shell_controller.now_view
    lines = view.render_lines
    await stage.until(lambda: any("Fetch failed" in one.text for one in lines(view.size.region)))


def morning_logged() -> Script:
    script = bad_morning()
    script.logs = {"agent": asyncio.Queue()}
    return script


async def only_needing(stage: Stage) -> None:
    await stage.press("n")


async def ask_to_quit(stage: Stage) -> None:
    await open_shell(stage)
    await stage.press("ctrl+right_square_bracket", "q")


NORMAL, SMALL, LARGE = (140, 40), (80, 24), (200, 55)
PLAIN = settings()

SCENES = (
    Scene("first-run", NORMAL, nothing, populated, PLAIN, events=False, welcomes=True),
    Scene("empty", NORMAL, nothing, Script, PLAIN, events=False),
    Scene("populated", NORMAL, nothing, populated, PLAIN),
    Scene("wide", LARGE, open_shell, populated, PLAIN),
    Scene("filtered", NORMAL, filtered, populated, PLAIN),
    Scene("stale", NORMAL, lose_source, populated, PLAIN),
    Scene("offline", NORMAL, offline, populated, PLAIN),
    Scene("broken", NORMAL, nothing, broken, PLAIN),
    Scene("bad-morning", (160, 42), morning, morning_logged, PLAIN),
    Scene("bad-morning-small", SMALL, nothing, bad_morning, PLAIN),
    Scene("four-hundred", (200, 60), nothing, four_hundred, PLAIN),
    Scene("needs-you", (100, 30), only_needing, four_hundred, PLAIN),
    Scene("quit-asked", NORMAL, ask_to_quit, populated, PLAIN),
    Scene("waking", NORMAL, wake, waking, PLAIN),
    Scene("wake-failed", NORMAL, wake_to_the_end, wake_failed, PLAIN),
    Scene("credential-refused", NORMAL, wake_to_the_end, refused, PLAIN),
    Scene("repair-offered", NORMAL, wake_to_the_end, rejected, PLAIN),
    Scene("repair-asked", SMALL, ask_to_repair, rejected, PLAIN),
    Scene("shell-open", NORMAL, open_shell, populated, PLAIN),
    Scene("shell-lost", NORMAL, lose_shell, populated, PLAIN),
    Scene("details", NORMAL, details, populated, PLAIN),
    Scene("paused-task", (160, 45), of_session(TASK), claw, PLAIN, events=False),
    Scene("waiting-approval", SMALL, of_session(CHAT), claw, PLAIN, events=False),
    Scene("help", NORMAL, helped, populated, PLAIN),
    Scene("palette", NORMAL, palette, populated, PLAIN),
    Scene("confirm", NORMAL, confirm, populated, PLAIN),
    Scene("queue-zoomed", NORMAL, zoom_queue, populated, PLAIN),
    Scene("logs", NORMAL, read_log, logged, PLAIN),
    Scene("production", NORMAL, mark_two, broken, settings(profile="prod", production=True)),
    Scene("read-only", NORMAL, nothing, populated, settings(read_only=True)),
    Scene("small", SMALL, nothing, broken, PLAIN),
    Scene("small-shell", SMALL, open_shell, populated, PLAIN),
    Scene("light", NORMAL, open_shell, broken, settings(theme="wakedeck-light")),
    Scene("contrast", NORMAL, nothing, broken, settings(theme="wakedeck-contrast")),
    Scene("sixteen-colours", NORMAL, nothing, broken, settings(theme="ansi-dark")),
)
