"""What a view needs to draw a terminal: styles, runs, rows, cursor and modes; no behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from typing import Protocol, TypeAlias

from services.lazy_dataclass import dataclass

Colour: TypeAlias = int
"""-1 for the default, 0-255 for a palette index, `RGB | 0xRRGGBB` for a true colour."""

DEFAULT: Colour = -1
RGB: Colour = 1 << 24

FOREGROUND, BACKGROUND, CURSOR = 256, 257, 258
"""Keys of `TerminalScreen.colours` past the palette."""

_LEVELS = (0, 95, 135, 175, 215, 255)
EXTENDED_COLOURS = (
    *(red << 16 | green << 8 | blue for red in _LEVELS for green in _LEVELS for blue in _LEVELS),
    *((8 + 10 * step) * 0x10101 for step in range(24)),
)
"""Palette entries 16-255 as 0xRRGGBB: the cube, then the greys."""


class Underline(IntEnum):
    """SGR 4:n."""

    NONE = 0
    SINGLE = 1
    DOUBLE = 2
    CURLY = 3
    DOTTED = 4
    DASHED = 5


@dataclass(frozen=True, slots=True, eq=False)
class CellStyle:
    """How a cell is drawn. The emulator interns them: within one, equal styles are one object."""

    foreground: Colour = DEFAULT
    background: Colour = DEFAULT
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: Underline = Underline.NONE
    underline_colour: Colour = DEFAULT
    blink: bool = False
    reverse: bool = False
    conceal: bool = False
    strike: bool = False
    overline: bool = False
    link: str = ""
    """Target of an OSC 8 hyperlink; outside text, to be shown before it is followed."""

    def __eq__(self, other: object) -> bool:
        """Whether they are drawn alike."""
        if not isinstance(other, CellStyle):
            return NotImplemented
        return self is other or all(
            getattr(self, name) == getattr(other, name) for name in CellStyle.__slots__
        )

    def __hash__(self) -> int:
        return hash((self.foreground, self.background, self.bold, self.link))


PLAIN = CellStyle()

Run: TypeAlias = tuple[str, CellStyle]
"""Neighbouring cells of equal style. Its width is the cell length of its text."""


class ScreenRow(Protocol):
    """One line of the screen or of the scrollback. The object scrolls; it is not copied."""

    cache: object | None
    """For the view: what it drew. The emulator sets it to None whenever the row changes."""

    @property
    def runs(self) -> Sequence[Run]:
        """The cells from column 0; cells past the last run are blank and plain."""

    @property
    def wrapped(self) -> bool:
        """Whether the logical line goes on in the next row (a soft wrap)."""

    @property
    def text(self) -> str:
        """The cells as text, without trailing blanks."""


class CursorShape(Enum):
    """DECSCUSR."""

    BLOCK = "block"
    UNDERLINE = "underline"
    BAR = "bar"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the cursor is, in cells from the top left of the screen."""

    column: int
    line: int
    visible: bool = True
    shape: CursorShape = CursorShape.BLOCK
    blinking: bool = True


class MouseMode(Enum):
    """Which mouse events the program asked for: modes 1000, 1002, 1003."""

    OFF = "off"
    CLICK = "click"
    DRAG = "drag"
    MOTION = "motion"


@dataclass(frozen=True, slots=True)
class TerminalModes:
    """What the program asked of keys, paste and mouse."""

    application_cursor: bool = False
    application_keypad: bool = False
    backspace_sends_bs: bool = False
    """DECBKM."""
    bracketed_paste: bool = False
    focus_events: bool = False
    mouse: MouseMode = MouseMode.OFF
    mouse_sgr: bool = False
    alternate_screen: bool = False
    alternate_scroll: bool = True
    reverse_video: bool = False
    synchronised: bool = False
    newline: bool = False
    """LNM: Enter sends CR LF."""
    modify_other_keys: int = 0
    disambiguate: bool = False
    """The Kitty keyboard protocol's first flag: keys that share legacy bytes are told apart."""


DEFAULT_MODES = TerminalModes()


class PromptPart(Enum):
    """What OSC 133 says begins at a mark, by its letter."""

    PROMPT = "A"
    INPUT = "B"
    OUTPUT = "C"
    END = "D"
    """The command is over: its output ends here."""


@dataclass(frozen=True, slots=True)
class PromptMark:
    """A mark of the shell: the absolute line, the column and what begins there."""

    line: int
    column: int
    part: PromptPart


class TerminalScreen(Protocol):
    """An emulator as its view sees it; read on the event loop between feeds."""

    @property
    def columns(self) -> int:
        """Width in cells."""

    @property
    def lines(self) -> int:
        """Height in cells."""

    @property
    def rows(self) -> Sequence[ScreenRow]:
        """The visible rows, top first; always `lines` of them."""

    @property
    def history_base(self) -> int:
        """Absolute number of the oldest kept scrollback line; grows as lines are dropped."""

    @property
    def history_size(self) -> int:
        """How many scrollback lines are kept. Screen row y has the absolute number
        `history_base + history_size + y`."""

    def history_row(self, number: int) -> ScreenRow:
        """The scrollback line of that absolute number.

        Raises:
            IndexError: it was never there or has been dropped.
        """

    @property
    def cursor(self) -> Cursor:
        """The cursor."""

    @property
    def modes(self) -> TerminalModes:
        """The modes."""

    @property
    def title(self) -> str:
        """What OSC 0 or 2 last said, bounded and harmless."""

    @property
    def folder(self) -> str:
        """The working folder OSC 7 last said, bounded and harmless; empty where none was said."""

    @property
    def prompt_marks(self) -> Sequence[PromptMark]:
        """The marks of the shell in what is kept, oldest first."""

    @property
    def bells(self) -> int:
        """How many bells have rung since the start."""

    @property
    def colours(self) -> Mapping[int, int]:
        """Palette entries the program redefined (OSC 4, 10, 11, 12): index to 0xRRGGBB.

        Keys 0-255 are the palette, 256 the default foreground, 257 the default background,
        258 the cursor.
        """

    def take_damage(self) -> frozenset[int] | None:
        """Screen rows that changed since last asked; None means all of them."""
