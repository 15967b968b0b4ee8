"""The line at the top: how everything is, and how fresh that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from services.models import Sandbox, SandboxState
from services.text.format import age, clock_time, countdown, latency
from services.text.signs import SANDBOXES, WORKING, Sign, sandbox_sign
from widgets.panes.sparkline import sparkline
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import joined, signed, spread, styled

Totals: TypeAlias = tuple[tuple[Sign, int], ...]
"""How many sandboxes carry each sign, healthy ones first."""

_PRODUCT = "Wakedeck"
_ORDER = (
    *("ready", WORKING.word, "asleep", "settling", "cut off", "stuck", "down", "broken"),
    *("unknown", "absent"),
)
_QUIET = ("good", "busy", "calm", "dim")
_WIDEST_SPARK, _NARROW_SPARK = 24, 8


def totals_of(sandboxes: Iterable[Sandbox]) -> Totals:
    """Counts by state, a working sandbox apart from a ready one; states nobody is in are left out.

    A ready sandbox that is idle counts as ready.
    """
    states: Counter[SandboxState] = Counter()
    working = 0
    for sandbox in sandboxes:
        states[sandbox.state] += 1
        working += sandbox_sign(sandbox) == WORKING
    return totals_from(states.items(), working)


def totals_from(states: Iterable[tuple[SandboxState, int]], working: int) -> Totals:
    """The same from counts by state that include `working` ready ones that are busy."""
    found = {SANDBOXES[state]: number for state, number in states}
    ready = SANDBOXES[SandboxState.READY]
    if working:
        found[ready] -= working
        found[WORKING] = working
    shown = [(sign, number) for sign, number in found.items() if number]
    return tuple(sorted(shown, key=lambda pair: _ORDER.index(pair[0].word)))


@dataclass(frozen=True, slots=True)
class HeaderState:
    """Everything the header says, ready to draw."""

    profile: str
    now: float
    totals: Totals = ()
    link: Sign | None = None
    """How the gateway is reached; None where nothing is configured."""
    link_name: str = "gateway"
    latency_s: float | None = None
    samples: tuple[float | None, ...] = ()
    """Round trips in seconds, oldest first; None for a probe nobody answered."""
    last_success_at: float | None = None
    retry_at: float | None = None
    """When the lost peer is tried again; None while it is not lost."""
    retry_key: str = "r"
    stale: bool = False
    """The totals are older than they should be."""
    read_only: bool = False
    paused: bool = False
    muted: bool = False
    banner: str = ""
    """Words that must not be missed, such as PRODUCTION."""
    production: bool = False
    """Whether the banner warns."""


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of each part to show."""

    product: bool = True
    profile: bool = True
    quiet_words: bool = True
    sparkline: int = _WIDEST_SPARK
    limits: bool = True
    clock: bool = True
    only_bad: bool = False
    terse: bool = False


_ROOMS = (
    _Room(),
    _Room(sparkline=_NARROW_SPARK),
    _Room(sparkline=_NARROW_SPARK, limits=False),
    _Room(sparkline=_NARROW_SPARK, limits=False, clock=False),
    _Room(sparkline=0, limits=False, clock=False),
    _Room(sparkline=0, limits=False, clock=False, product=False),
    _Room(sparkline=0, limits=False, clock=False, product=False, quiet_words=False),
    _Room(sparkline=0, limits=False, clock=False, quiet_words=False, product=False, profile=False),
    _Room(
        sparkline=0,
        limits=False,
        clock=False,
        product=False,
        profile=False,
        only_bad=True,
        terse=True,
    ),
)


def header_line(state: HeaderState, width: int) -> Content:
    """The header in exactly `width` cells: trimmings go first, bad news and badges stay."""
    left, right = Content(""), Content("")
    for room in _ROOMS:
        left, right = _left(state, room), _right(state, room)
        if left.cell_length + right.cell_length + 2 <= width:
            break
    return spread(left, right, width)


def _left(state: HeaderState, room: _Room) -> Content:
    parts = [_banner(state, room)] if state.banner else []
    parts += [Content.styled(_PRODUCT, "bold $text-accent")] if room.product else []
    if room.profile and state.profile:
        parts.append(styled(sanitize_line(state.profile, 24), "dim"))
    parts += [
        signed(
            sign, f"{count}" if _quiet(sign) and not room.quiet_words else f"{count} {sign.word}"
        )
        for sign, count in state.totals
        if not (room.only_bad and _quiet(sign))
    ]
    if not state.totals:
        parts.append(styled("no sandboxes", "dim"))
    return joined(parts)


def _quiet(sign: Sign) -> bool:
    return sign.tone in _QUIET


def _right(state: HeaderState, room: _Room) -> Content:
    return joined(_right_parts(state, room))


def _right_parts(state: HeaderState, room: _Room) -> Iterator[Content]:
    if state.link is None:
        yield styled("no gateway", "dim")
    else:
        yield signed(state.link, f"{state.link_name} {state.link.word}")
    if state.retry_at is None:
        yield from _speed(state, room)
    if state.last_success_at is not None:
        seen = age(state.now, state.last_success_at) + ("" if room.terse else " ago")
        late = state.stale or state.retry_at is not None
        yield styled(f"stale {seen}" if state.stale else f"ok {seen}", "warn" if late else "dim")
    if state.retry_at is not None:
        now = "" if room.terse else " now"
        due = f"retry {countdown(state.now, state.retry_at)} · {state.retry_key}{now}"
        yield styled(due, "warn")
    if state.paused:
        yield _badge("‖ PAUSED", room)
    if state.muted:
        yield _badge("MUTED", room)
    if state.read_only:
        yield _badge("READ-ONLY", room)
    if room.clock:
        yield styled(clock_time(state.now), "calm")


def _badge(words: str, room: _Room) -> Content:
    edge = "" if room.terse else " "
    return Content.styled(f"{edge}{words}{edge}", "bold reverse $text-warning")


def _banner(state: HeaderState, room: _Room) -> Content:
    words = sanitize_line(state.banner, 12 if room.terse else 32)
    tone = "$text-error" if state.production else "$text-accent"
    return Content.styled(f" {words} ", f"bold reverse {tone}")


def _speed(state: HeaderState, room: _Room) -> Iterator[Content]:
    parts = [styled(latency(state.latency_s), "calm")] if state.latency_s is not None else []
    drawn = sparkline(state.samples, room.sparkline)
    if drawn.blocks:
        parts.append(styled(drawn.blocks, "dim"))
    if room.limits and drawn.blocks and drawn.low is not None and drawn.high is not None:
        low, high = f"{drawn.low * 1000:.0f}", latency(drawn.high)
        parts.append(styled(f"{low}–{high}" if drawn.low < 9.95 else high, "dim"))
    yield joined(parts, " ")


class HealthHeader(Widget):
    """One line: product, totals by state, link, latency, freshness, badges and clock."""

    DEFAULT_CSS = """
    HealthHeader {
        dock: top;
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $text;
    }
    """
    ALLOW_SELECT = False

    state: reactive[HeaderState | None] = reactive(None)

    def show(self, state: HeaderState) -> None:
        """Say this from now on."""
        self.state = state

    def tick(self, now: float) -> None:
        """Redraw ages, countdown and clock at `now`, seconds since the epoch."""
        if self.state is not None:
            self.state = replace(self.state, now=now)

    def render(self) -> Content:
        if self.state is None:
            return Content.styled(_PRODUCT, "bold $text-accent")
        return header_line(self.state, self.content_size.width)
