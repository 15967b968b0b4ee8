"""The line at the top: how everything is, and how fresh that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from textual.content import Content
from textual.geometry import Region
from textual.reactive import reactive
from textual.widget import Widget

from services.models import SandboxState
from services.text.format import age, clock_time, countdown, latency
from services.text.signs import (
    COUNTED,
    LOST,
    NEEDS_YOU,
    SANDBOXES,
    STALE,
    UNKNOWN_LIST,
    WORKING,
    Sign,
)
from widgets.panes.sparkline import sparkline
from widgets.text.cell_text import sanitize_line
from widgets.text.styled_text import joined, signed, spread, styled

Totals: TypeAlias = tuple[tuple[Sign, int], ...]
"""How many rows carry each sign."""

_PRODUCT = "Wakedeck"
_QUIET = ("good", "busy", "calm", "dim")
_WIDEST_SPARK, _NARROW_SPARK = 24, 8


def totals_from(states: Iterable[tuple[SandboxState, int]], working: int, stale: int = 0) -> Totals:
    """Counts by sign, from counts by state that include `working` ready ones that are busy."""
    found = {SANDBOXES[state]: number for state, number in states}
    ready = SANDBOXES[SandboxState.READY]
    if working:
        found[ready] -= working
        found[WORKING] = working
    found[STALE] = stale
    return tuple((sign, found[sign]) for sign in COUNTED if found.get(sign))


class HeaderState(NamedTuple):
    """Everything the header says, ready to draw."""

    profile: str
    now: float
    totals: Totals = ()
    """Of the sandboxes, the most urgent first."""
    gateways: Totals = ()
    """The worst first."""
    trouble_since: float | None = None
    """Since when the first gateway in trouble has been in it."""
    lost: tuple[str, ...] = ()
    """Sources that do not answer."""
    waiting: bool = False
    """Whether a source has never answered: what is not seen is not known, not absent."""
    unknown_lists: int = 0
    needs_me: int = 0
    held_up_s: float = 0.0
    """For how long this process itself could not look, where that was just now."""
    latency_s: float | None = None
    slowest_of: int = 1
    """Of how many gateways the latency is the longest."""
    samples: tuple[float | None, ...] = ()
    """Round trips in seconds, oldest first; None for a probe nobody answered."""
    last_success_at: float | None = None
    """Of the source that has not answered for the longest time; None where one never has."""
    retry_at: float | None = None
    """When the lost peer is tried again; None while it is not lost."""
    retry_key: str = "r"
    read_only: bool = False
    paused: bool = False
    muted: bool = False
    banner: str = ""
    """Words that must not be missed, such as PRODUCTION."""
    production: bool = False
    """Whether the banner warns."""


class _Room(NamedTuple):
    """How much of each part to show."""

    product: bool = True
    profile: bool = True
    quiet_words: bool = True
    sparkline: int = _WIDEST_SPARK
    limits: bool = True
    clock: bool = True
    only_bad: bool = False
    terse: bool = False
    speed: bool = True


_SMALL = _Room(
    product=False, profile=False, quiet_words=False, sparkline=0, limits=False, clock=False
)
_TERSE = _SMALL._replace(quiet_words=True, only_bad=True, terse=True)
_ROOMS = (
    _Room(),
    _Room(sparkline=_NARROW_SPARK),
    _Room(sparkline=_NARROW_SPARK, limits=False),
    _Room(sparkline=_NARROW_SPARK, limits=False, clock=False),
    _Room(sparkline=0, limits=False, clock=False),
    _Room(sparkline=0, limits=False, clock=False, product=False),
    _SMALL._replace(profile=True),
    _SMALL,
    _TERSE,
    _TERSE._replace(speed=False),
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
    if state.needs_me:
        parts.append(_counted(NEEDS_YOU, state.needs_me))
    if state.unknown_lists:
        lists = "list" if state.unknown_lists == 1 else "lists"
        words = f"{state.unknown_lists} {lists} {UNKNOWN_LIST.word}"
        parts.append(signed(UNKNOWN_LIST, words))
    elif not state.lost and state.waiting:
        words = "not all are known yet" if state.totals else "sandboxes not known yet"
        parts.append(styled(words, "dim"))
    elif not state.lost and not state.totals:
        parts.append(styled("no sandboxes", "dim"))
    return joined(parts)


def _quiet(sign: Sign) -> bool:
    return sign.tone in _QUIET


def _right(state: HeaderState, room: _Room) -> Content:
    return joined(_right_parts(state, room))


def _right_parts(state: HeaderState, room: _Room) -> Iterator[Content]:
    if state.gateways:
        yield _gateways(state, room)
    elif not state.waiting:
        yield styled("no gateway", "dim")
    if state.lost:
        name = state.lost[0] if len(state.lost) == 1 else f"{len(state.lost)} sources"
        yield signed(LOST, sanitize_line(f"{name} {LOST.word}", 32))
    calm = not state.lost and all(_quiet(sign) for sign, _ in state.gateways)
    if calm and room.speed:
        yield from _speed(state, room)
    if state.last_success_at is not None and ((calm and room.speed) or state.lost):
        seen = age(state.now, state.last_success_at) + ("" if room.terse else " ago")
        word, tone = ("stale", "warn") if state.lost else ("ok", "dim")
        yield styled(f"{word} {seen}", tone)
    if state.retry_at is not None:
        now = "" if room.terse else " now"
        due = f"retry {countdown(state.now, state.retry_at)} · {state.retry_key}{now}"
        yield styled(due, "warn")
    if state.held_up_s:
        words = "HELD UP" if room.terse else "this panel was held up for"
        yield _badge(f"{words} {state.held_up_s:.0f}s", room)
    if state.paused:
        yield _badge("‖ PAUSED", room)
    if state.muted:
        yield _badge("MUTED", room)
    if state.read_only:
        yield _badge("READ-ONLY", room)
    if room.clock:
        yield styled(clock_time(state.now), "calm")


def _gateways(state: HeaderState, room: _Room) -> Content:
    """One state for all, or each with its number, the worst first with how long."""
    worst, number = state.gateways[0]
    since = state.trouble_since
    lasts = "" if since is None or _quiet(worst) else f" for {age(state.now, since)}"
    if len(state.gateways) == 1:
        name = "gateway" if number == 1 else f"{number} gateways"
        return signed(worst, f"{name} {worst.word}{lasts}")
    parts = [_counted(worst, number, lasts)]
    parts += [
        _counted(sign, count)
        for sign, count in state.gateways[1:]
        if not (room.only_bad and _quiet(sign))
    ]
    return joined([styled("gateways", "dim"), *parts], " ")


def _counted(sign: Sign, number: int, more: str = "") -> Content:
    return signed(sign, f"{number} {sign.word}{more}")


def _badge(words: str, room: _Room) -> Content:
    edge = "" if room.terse else " "
    return Content.styled(f"{edge}{words}{edge}", "bold reverse $text-warning")


def _banner(state: HeaderState, room: _Room) -> Content:
    words = sanitize_line(state.banner, 12 if room.terse else 32)
    tone = "$text-error" if state.production else "$text-accent"
    return Content.styled(f" {words} ", f"bold reverse {tone}")


def _speed(state: HeaderState, room: _Room) -> Iterator[Content]:
    most = "≤ " if state.slowest_of > 1 else ""
    parts = []
    if state.latency_s is not None:
        parts.append(styled(most + latency(state.latency_s), "calm"))
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

    state: reactive[HeaderState | None] = reactive(None, repaint=False)
    _drawn: Content | None = None
    _drawn_for: tuple[HeaderState | None, int] | None = None

    def show(self, state: HeaderState) -> None:
        """Say this from now on."""
        self.state = state

    def tick(self, now: float) -> None:
        """Redraw ages, countdown and clock at `now`, seconds since the epoch."""
        if self.state is not None:
            self.state = self.state._replace(now=now)

    def watch_state(self) -> None:
        """Repaint the cells that read differently, and nothing else."""
        before, now = self._drawn, self._line()
        if before is None or not self.is_mounted:
            self.refresh()
        elif not before.is_same(now):
            self._drawn, self._drawn_for = now, (self.state, self.content_size.width)
            start, end = changed_cells(before, now)
            self.refresh(Region(start, 0, end - start, 1))

    def render(self) -> Content:
        wanted = self.state, self.content_size.width
        if self._drawn is None or wanted != self._drawn_for:
            self._drawn, self._drawn_for = self._line(), wanted
        return self._drawn

    def _line(self) -> Content:
        if self.state is None:
            return Content.styled(_PRODUCT, "bold $text-accent")
        return header_line(self.state, self.content_size.width)


def changed_cells(before: Content, now: Content) -> tuple[int, int]:
    """First cell and the one past the last in which two lines of one width differ."""
    wide = max(before.cell_length, now.cell_length)
    if before.cell_length != now.cell_length or len(before.plain) != len(now.plain):
        return 0, wide
    old, new = _characters(before), _characters(now)
    low, high = 0, len(new)
    while low < high and old[low] == new[low]:
        low += 1
    while high > low and old[high - 1] == new[high - 1]:
        high -= 1
    return now[:low].cell_length, now[:high].cell_length


def _characters(line: Content) -> list[tuple[object, ...]]:
    """Each character with the styles it is in."""
    found: list[tuple[object, ...]] = [(character,) for character in line.plain]
    for start, end, style in line.spans:
        for at in range(start, min(end, len(found))):
            found[at] += (style,)
    return found
