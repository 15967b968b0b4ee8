"""How one key mends what was broken, as a recording: `make screenshots` draws it anew.

A scripted panel is played under a clock that stands still, so that the same code always gives the
same bytes: `one-key.cast` for asciinema, and `one-key.svg`, which moves by itself.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len
from rich.color import blend_rgb
from rich.console import Console
from rich.style import Style
from textual.strip import Strip

from services.models import SandboxState, Step, StepState
from services.sources.protocol.verdict import Verdict, VerdictKind
from tests.support.acted import READY, ScriptedTransport
from tests.support.scenes import PLAIN, Scene, Stage, nothing, populated
from tests.support.screenshots import FOLDER
from tests.support.stage import SANDBOXES, sandbox

COLUMNS, LINES = 100, 30
TITLE = "Wakedeck: break, see, one key, a shell"
REST_S = 4.0
"""How long the last frame stands before it begins again."""
DIED = "Process 4243 has died."
PROMPT = b"\x1b[1;34m~/work\x1b[0m $ "
TYPED = "tail -1 export.log"
ANSWER = b"\r\nexport resumed at 48 211 of 96 400 rows\r\n" + PROMPT
_CELL, _LINE, _EDGE = 8.4, 17, 12
_DEFAULT = Style.parse("#e2e2e4 on #11141c")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands on the screen from a moment on."""

    at: float
    lines: tuple[Strip, ...]


async def play() -> list[Frame]:
    """Play the story and keep what is seen."""
    scene = Scene("one-key", (COLUMNS, LINES), nothing, populated, PLAIN)
    stage = scene.stage()
    try:
        async with stage.app.run_test(size=scene.size) as pilot:
            await scene.perform(stage, pilot)
            told = [Frame(at, _seen(stage)) async for at in _story(stage)]
            await stage.app.engine.close()
    finally:
        shutil.rmtree(stage.state, ignore_errors=True)
    return told


def _seen(stage: Stage) -> tuple[Strip, ...]:
    return tuple(one.simplify() for one in stage.app.screen._compositor.render_strips())


async def _story(stage: Stage) -> AsyncIterator[float]:
    """The moments that are worth a frame, in seconds from the beginning."""
    script = stage.script
    yield 0.0
    script.sandboxes = (
        sandbox("data-pull", SandboxState.DOWN, DIED, due=3),
        *SANDBOXES[1:],
    )
    await _look(stage)
    yield 2.0
    script.verdicts = [Verdict(VerdictKind.REPAIRABLE, DIED, wakeable=True)]
    script.hold = asyncio.Event()
    script.wake_steps = (
        Step("start", StepState.RUNNING, limit_s=12.0),
        Step("start", StepState.OK),
    )
    await stage.press("w")
    await stage.until(lambda: bool(script.woken))
    for at in (4.5, 5.0, 5.5):
        stage.app.dashboard.tick()
        await stage.settle()
        yield at
        await stage.clock.advance(0.5)
    script.verdicts, script.sandboxes = [READY], SANDBOXES
    script.hold.set()
    await stage.until(lambda: _ended(stage))
    await _look(stage)
    yield 6.0
    transport = ScriptedTransport(PROMPT)
    script.transport = lambda: transport
    await stage.press("s")
    await _painted(stage, "~/work $")
    yield 9.0
    for number, char in enumerate(TYPED, 1):
        transport.say(char.encode())
        await _painted(stage, f"~/work $ {TYPED[:number]}".rstrip())
        yield 10.0 + number * 0.08
    transport.say(ANSWER)
    await _painted(stage, "of 96 400 rows\n~/work $")
    yield 12.0


async def _look(stage: Stage) -> None:
    """Let the panel look again and draw what it saw."""
    looks = stage.script.looks
    await stage.clock.advance(2.5)
    await stage.until(lambda: stage.script.looks > looks)
    stage.app.dashboard.tick()
    await stage.settle()


async def _painted(stage: Stage, end: str) -> None:
    def painted() -> bool:
        screens = (one.emulator.display for one in stage.app.shells)
        shown = ("\n".join(line.rstrip() for line in lines).rstrip() for lines in screens)
        return any(one.endswith(end) for one in shown)

    await stage.until(painted)


def _ended(stage: Stage) -> bool:
    attempt = stage.app.engine.latest_attempt(SANDBOXES[0].id)
    return attempt is not None and attempt.state.ended


def cast(frames: list[Frame]) -> str:
    """The frames as a recording of version 2; each sends the lines that changed."""
    console = Console(color_system="truecolor", force_terminal=True, legacy_windows=False)
    said = [json.dumps({"version": 2, "width": COLUMNS, "height": LINES, "title": TITLE})]
    before: tuple[Strip, ...] = ()
    for frame in frames:
        sent = "".join(
            f"\x1b[{y + 1};1H{line.render(console)}\x1b[0m"
            for y, line in enumerate(frame.lines)
            if y >= len(before) or line != before[y]
        )
        start = "\x1b[?25l\x1b[2J" if not before else ""
        said.append(json.dumps([round(frame.at, 2), "o", start + sent], ensure_ascii=False))
        before = frame.lines
    said.append(json.dumps([round(frames[-1].at + REST_S, 2), "o", ""]))
    return "\n".join(said) + "\n"


def svg(frames: list[Frame]) -> str:
    """The frames as one picture that moves; a line that stays is in it once."""
    ends = frames[-1].at + REST_S
    styles: dict[str, str] = {}
    spans: dict[tuple[float, float], list[str]] = {}
    for y in range(LINES):
        for start, end, strip in _stays(frames, y, ends):
            drawn = "".join(_drawn(strip, y, styles))
            spans.setdefault((start, end), []).append(drawn)
    rules = [f".{name}{{{rule}}}" for rule, name in styles.items()]
    groups = []
    for number, ((start, end), parts) in enumerate(sorted(spans.items())):
        shown = ""
        if (start, end) != (0.0, ends):
            rules.append(_times(f"t{number}", start / ends * 100, end / ends * 100))
            shown = f' class="v" style="animation-name:t{number}"'
        groups.append(f"<g{shown}>{''.join(parts)}</g>")
    width, height = COLUMNS * _CELL + 2 * _EDGE, LINES * _LINE + 2 * _EDGE
    font = "font:14px 'DejaVu Sans Mono','Fira Code',Menlo,Consolas,monospace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" '
        f'width="{width:g}" height="{height}" role="img" aria-label="{escape(TITLE)}">\n'
        f"<style>text{{{font};white-space:pre}}"
        f".v{{animation-duration:{ends:g}s;animation-iteration-count:infinite;"
        "animation-timing-function:step-end}\n" + "\n".join(rules) + "</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="{_hex(_DEFAULT, ground=True)}"/>\n'
        f'<g transform="translate({_EDGE},{_EDGE})">\n' + "\n".join(groups) + "\n</g>\n</svg>\n"
    )


def _stays(frames: list[Frame], y: int, ends: float) -> Iterator[tuple[float, float, Strip]]:
    """From when to when a line stands, and what it is."""
    start = 0
    for at in range(1, len(frames) + 1):
        if at == len(frames) or frames[at].lines[y] != frames[start].lines[y]:
            until = ends if at == len(frames) else frames[at].at
            yield frames[start].at, until, frames[start].lines[y]
            start = at


def _times(name: str, start: float, end: float) -> str:
    """Keyframes of what is shown between two parts of a hundred."""
    steps = {0.0: "hidden", round(start, 3): "visible"}
    if end < 100:
        steps[round(end, 3)] = "hidden"
    told = "".join(f"{at:g}%{{visibility:{how}}}" for at, how in steps.items())
    return f"@keyframes {name}{{{told}}}"


def _drawn(strip: Strip, y: int, styles: dict[str, str]) -> Iterator[str]:
    """The grounds and the texts of a line."""
    x = 0
    texts = []
    for text, given, _ in strip:
        style = _DEFAULT + (given or Style.null())
        cells = cell_len(text)
        ground = _hex(style, ground=True)
        if ground != _hex(_DEFAULT, ground=True):
            yield (
                f'<rect x="{x * _CELL:g}" y="{y * _LINE}" width="{cells * _CELL + 0.2:g}" '
                f'height="{_LINE + 0.2:g}" class="{_named(f"fill:{ground}", styles)}"/>'
            )
        lead = len(text) - len(text.lstrip())
        if shown := text.strip():
            rule = f"fill:{_hex(style, ground=False)}" + (";font-weight:bold" if style.bold else "")
            texts.append(
                f'<text x="{(x + lead) * _CELL:g}" y="{y * _LINE + 13}" '
                f'textLength="{cell_len(shown) * _CELL:g}" class="{_named(rule, styles)}">'
                f"{escape(shown)}</text>"
            )
        x += cells
    yield from texts


def _hex(style: Style, *, ground: bool) -> str:
    """A colour of a style, faint text halfway to the ground."""
    color = style.bgcolor if ground else style.color
    assert color is not None
    triplet = color.get_truecolor(foreground=not ground)
    if style.dim and not ground and style.bgcolor is not None:
        triplet = blend_rgb(triplet, style.bgcolor.get_truecolor(foreground=False))
    return triplet.hex


def _named(rule: str, styles: dict[str, str]) -> str:
    """The class of a rule, which a picture needs once."""
    return styles.setdefault(rule, f"s{len(styles)}")


def main() -> None:
    """Write both files."""
    frames = asyncio.run(play())
    (FOLDER / "one-key.cast").write_text(cast(frames), "utf-8")
    (FOLDER / "one-key.svg").write_text(svg(frames), "utf-8")


if __name__ == "__main__":
    main()
