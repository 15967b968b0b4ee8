"""What a screen is made of besides its cells: cursor, margins, modes, tab stops, character sets."""

from __future__ import annotations

from typing import TypeAlias

from services.lazy_dataclass import dataclass
from services.terminal.cells import CursorShape
from services.terminal.emulator.styles import Attribute

TAB = 8
CELL_WIDTH, CELL_HEIGHT = 8, 16
"""The size of a cell in pixels we speak of when asked; nothing here has pixels."""
ROW_COST = 64
"""What a change of a row costs besides its cells, in cells."""
CONFORMANCE = 4
"""The DEC level we answer as: VT420."""

Charset: TypeAlias = "dict[int, str] | None"
"""What to print instead of some ASCII characters; None for ASCII itself."""
_LINES = dict(
    zip(range(0x5F, 0x7F), " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True)
)  # fmt: skip
_SETS: dict[str, Charset] = {"0": _LINES, "2": _LINES, "A": {0x23: "£"}}


def charset(designator: str) -> Charset:
    """The set of a designating final byte; one we do not have is taken for ASCII."""
    return _SETS.get(designator)


@dataclass(frozen=True, slots=True)
class SavedCursor:
    """DECSC."""

    x: int
    y: int
    pending: bool
    attribute: Attribute
    charsets: tuple[Charset, ...]
    gl: int
    origin: bool


class ScreenCursor:
    """Where and how the next character is printed; columns and lines count from 0."""

    __slots__ = ("attribute", "pending", "saved", "style", "x", "y")

    def __init__(self, attribute: Attribute) -> None:
        self.x = self.y = 0
        self.pending = False
        """Whether it stands on the last column and the next character wraps first."""
        self.attribute = attribute
        self.style = 0
        """DECSCUSR."""
        self.saved: dict[bool, SavedCursor] = {}
        """DECSC; each screen has its own, True is the alternate one."""

    @property
    def shape(self) -> CursorShape:
        """What it looks like."""
        if self.style in (3, 4):
            return CursorShape.UNDERLINE
        return CursorShape.BAR if self.style in (5, 6) else CursorShape.BLOCK


class Margins:
    """The edges of the scrolling region, themselves part of it."""

    __slots__ = ("bottom", "left", "right", "top")

    def __init__(self, columns: int, lines: int) -> None:
        self.reset(columns, lines)

    def reset(self, columns: int, lines: int) -> None:
        """At the edges of the screen."""
        self.top, self.bottom = 0, lines - 1
        self.left, self.right = 0, columns - 1


class ModeFlags:
    """What SM, DECSET and the keyboard protocols turned on."""

    __slots__ = ("ansi", "keyboards", "level", "modify_other_keys", "private", "saved")

    def __init__(self) -> None:
        self.private: set[int] = {7, 25, 1007}
        self.ansi: set[int] = set()
        self.saved: dict[int, bool] = {}
        """XTSAVE."""
        self.modify_other_keys = 0
        self.keyboards: dict[bool, list[int]] = {False: [0], True: [0]}
        """Flags of the Kitty keyboard protocol, a stack for each of the two screens."""
        self.level = CONFORMANCE

    def apply_soft_reset(self) -> None:
        """DECSTR."""
        self.private -= {1, 6, 45, 66, 69, 1045}
        self.private |= {7, 25}
        self.ansi -= {2, 4}


class TabStops:
    """The columns at which tabs stop."""

    __slots__ = ("stops",)

    def __init__(self, columns: int) -> None:
        self.stops = set(range(TAB, columns, TAB))

    def __len__(self) -> int:
        return len(self.stops)

    def after(self, x: int, limit: int) -> list[int]:
        """Those right of a column and left of a limit, in order."""
        return sorted(stop for stop in self.stops if x < stop < limit)

    def before(self, x: int) -> list[int]:
        """Those left of a column, in order."""
        return sorted(stop for stop in self.stops if stop < x)

    def extend(self, before: int, columns: int) -> None:
        """Stops for the columns that are new."""
        first = (before + TAB - 1) // TAB * TAB
        self.stops = {stop for stop in self.stops if stop < columns}
        self.stops |= set(range(first, columns, TAB)) - {0}


class Charsets:
    """The designated character sets and which of them is printed in."""

    __slots__ = ("designated", "gl", "shift")

    def __init__(self) -> None:
        self.designated: list[Charset] = [None, None, None, None]
        self.gl = 0
        self.shift = 0
        """A single shift in force: 2 or 3."""

    @property
    def translation(self) -> Charset:
        """What is printed instead of some characters."""
        return self.designated[self.gl]

    @property
    def plain(self) -> bool:
        """Whether ASCII is printed as it is, now and after a shift in."""
        return not self.shift and self.designated[0] is None and self.translation is None
