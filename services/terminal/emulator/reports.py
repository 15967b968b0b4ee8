"""Replies to the program's queries (upstream/terminal: Answers)."""

from __future__ import annotations

import re
from typing import Final

from services.terminal.emulator.modes import Modes
from services.terminal.emulator.sgr import parameters
from services.terminal.emulator.state import CELL_HEIGHT, CELL_WIDTH
from services.terminal.emulator.styles import Protection

_STATUS: Final = {
    15: "?13n",  # no printer
    25: "?20n",  # keys unlocked
    26: "?27;1;0;0n",
    53: "?50n",  # no locator
    55: "?50n",
    56: "?57;0n",
    62: "0000*{",  # no macro space
    75: "?70n",
    85: "?83n",
}
_CAPABILITIES: Final = {"Co": "256", "colors": "256", "TN": "xterm-256color", "RGB": "8/8/8"}
_TITLES_KEPT: Final = 10
_REQUESTS_ANSWERED: Final = 16
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,64}")


class Reports(Modes):
    """Device attributes, status reports, settings, window operations."""

    allow_title_report = False

    def report_device_attributes(self, mode: int = 0) -> None:
        """DA1: a VT420 with selective erase, horizontal scrolling, colour and rectangles."""
        if mode == 0:
            self.send_reply("\x1b[?64;6;21;22;28c")

    def identify(self) -> None:
        """DECID."""
        self.report_device_attributes()

    def report_secondary_attributes(self, mode: int = 0) -> None:
        """DA2: as an xterm that answers DECRQCRA the way we do."""
        if mode == 0:
            self.send_reply("\x1b[>41;390;0c")

    def report_tertiary_attributes(self, mode: int = 0) -> None:
        """DA3."""
        if mode == 0:
            self.send_reply("\x1bP!|00000000\x1b\\")

    def report_version(self, mode: int = 0) -> None:
        """XTVERSION."""
        if mode == 0:
            self.send_reply("\x1bP>|Wakedeck\x1b\\")

    def report_keyboard(self) -> None:
        """Kitty keyboard protocol: the flags that are on; also the sign that it is served."""
        self.send_reply(f"\x1b[?{self.keyboard[-1]}u")

    def report_key_modifier_options(self, resource: int = 0) -> None:
        """XTQMODKEYS."""
        if resource == 4:
            self.send_reply(f"\x1b[>4;{self.modify_other_keys}m")

    def _cursor_address(self) -> tuple[int, int]:
        y, x = (self.y - self.top, self.x - self.left) if self.origin else (self.y, self.x)
        return max(0, y) + 1, max(0, x) + 1

    def report_device_status(self, what: int = 0) -> None:
        """DSR."""
        if what == 5:
            self.send_reply("\x1b[0n")
        elif what == 6:
            line, column = self._cursor_address()
            self.send_reply(f"\x1b[{line};{column}R")

    def report_private_status(self, what: int = 0, label: int = 0) -> None:
        """DSR, the DEC kind."""
        if what == 6:
            line, column = self._cursor_address()
            self.send_reply(f"\x1b[?{line};{column};1R")
        elif what == 996:
            self.report_colour_scheme()
        elif what == 63:
            self.send_reply(f"\x1bP{label}!~0000\x1b\\")
        elif what in _STATUS:
            self.send_reply("\x1b[" + _STATUS[what])

    def report_colour_scheme(self) -> None:
        """Whether the theme is dark (1) or light (2); sent by itself in mode 2031."""
        self.send_reply(f"\x1b[?997;{1 if self.dark else 2}n")

    def report_parameters(self, how: int = 0) -> None:
        """DECREQTPARM."""
        if how <= 1:
            self.send_reply(f"\x1b[{how + 2};1;1;128;128;1;0x")

    def request_setting(self, setting: str) -> None:
        """DECRQSS: only settings we know are ever sent back."""
        if self.level < 3:
            return
        protection = self.attribute.protection == Protection.SELECTIVE
        values = {
            "m": parameters(self.attribute.style),
            "r": f"{self.top + 1};{self.bottom + 1}",
            "s": f"{self.left + 1};{self.right + 1}",
            "t": str(max(24, self.lines)),
            " q": str(self.cursor_style or 1),
            '"q': "1" if protection else "0",
            '"p': f"{60 + self.level};1",
            "*|": str(self.lines),
            "*x": str(self.attribute_extent),
            "$|": str(self.columns),
            "$}": "0",
            "$~": "0",
        }
        value = values.get(setting)
        self.send_reply("\x1bP0$r\x1b\\" if value is None else f"\x1bP1$r{value}{setting}\x1b\\")

    def request_capabilities(self, names: str) -> None:
        """XTGETTCAP: hexadecimal names; unknown ones are refused without echoing them."""
        for name in names.split(";")[:_REQUESTS_ANSWERED]:
            known = bytes.fromhex(name).decode("latin-1") if _HEX.fullmatch(name) else ""
            value = _CAPABILITIES.get(known)
            if value is None:
                self.send_reply("\x1bP0+r\x1b\\")
            else:
                label, given = known.encode().hex().upper(), value.encode().hex().upper()
                self.send_reply(f"\x1bP1+r{label}={given}\x1b\\")

    def set_cursor_style(self, style: int = 0) -> None:
        """DECSCUSR."""
        if style <= 6:
            self.cursor_style = style

    def set_protection(self, how: int = 0) -> None:
        """DECSCA."""
        if how in (0, 1, 2):
            self.protect(Protection.SELECTIVE if how == 1 else Protection.NONE)

    def start_protected(self) -> None:
        """SPA."""
        self.protect(Protection.ISO)

    def end_protected(self) -> None:
        """EPA."""
        self.protect(Protection.NONE)

    def operate_window(self, what: int = 0, which: int = 0, *_: int) -> None:
        """Window operations: sizes are told; nothing moves or resizes the pane."""
        lines, columns = self.lines, self.columns
        answers = {
            11: "1t",
            13: "3;0;0t",
            14: f"4;{lines * CELL_HEIGHT};{columns * CELL_WIDTH}t",
            15: f"5;{lines * CELL_HEIGHT};{columns * CELL_WIDTH}t",
            16: f"6;{CELL_HEIGHT};{CELL_WIDTH}t",
            18: f"8;{lines};{columns}t",
            19: f"9;{lines};{columns}t",
        }
        if what in answers:
            self.send_reply("\x1b[" + answers[what])
        elif what in (20, 21):
            letter, text = ("L", self.icon_title) if what == 20 else ("l", self.title)
            shown = text if self.allow_title_report else ""
            self.send_text_reply(f"\x1b]{letter}{shown}\x1b\\")
        elif what == 22:
            self._push_titles(which)
        elif what == 23:
            self._pop_titles(which)

    def send_text_reply(self, text: str) -> None:
        """Send an answer that holds text."""
        if self.reply is not None:
            self.reply(text.encode("utf-8", "replace"))

    def _push_titles(self, which: int) -> None:
        icon = self.icon_title if which in (0, 1) else None
        title = self.title if which in (0, 2) else None
        if len(self.titles) < _TITLES_KEPT:
            self.titles.append((icon, title))

    def _pop_titles(self, which: int) -> None:
        if not self.titles:
            return
        icon, title = self.titles.pop()
        if which == 0 and self.titles and (icon is None or title is None):
            more = self.titles.pop()
            icon, title = icon or more[0], title or more[1]
        if icon is not None and which in (0, 1):
            self.icon_title = icon
        if title is not None and which in (0, 2):
            self.title = title
