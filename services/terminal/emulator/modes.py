"""Modes: SM, RM, DECSET, DECRST, their reports, and the alternate screen."""

from __future__ import annotations

from typing import Final

from services.terminal.cells import MouseMode, TerminalModes
from services.terminal.emulator.rectangles import Rectangles
from services.terminal.emulator.state import CELL_HEIGHT, CELL_WIDTH, CONFORMANCE, ROW_COST, TAB

_ANSI: Final = frozenset({4, 20})
_ANSI_NEVER: Final = frozenset({1, 2, 5, 7, 10, 11, 13, 14, 15, 16, 17, 18, 19})
_ANSI_ALWAYS: Final = frozenset({12})
"""Nothing is echoed here (SRM)."""
_VIEW: Final = {
    1: "application_cursor",
    5: "reverse_video",
    66: "application_keypad",
    67: "backspace_sends_bs",
    1000: "mouse",
    1002: "mouse",
    1003: "mouse",
    1004: "focus_events",
    1006: "mouse_sgr",
    1007: "alternate_scroll",
    2004: "bracketed_paste",
    2026: "synchronised",
}
"""Private modes a view and a keyboard obey, and by which field of `TerminalModes`."""
_SCREEN: Final = frozenset({3, 6, 7, 25, 40, 41, 45, 47, 69, 1045, 1047, 1048, 1049, 2031, 2048})
"""Those the emulator itself obeys. A mode that is in neither is not known: nothing may be
claimed that nobody here does."""
PRIVATE: Final = _SCREEN | _VIEW.keys()
_PRIVATE_ALWAYS: Final = frozenset({8, 2027})
"""Keys repeat as the outer terminal sends them, and clusters share a cell, asked or not."""
KEYBOARD_DISAMBIGUATE: Final = 1
"""The one flag of the Kitty keyboard protocol that is served."""
_KEYBOARDS_KEPT: Final = 16
_MOUSE: Final = {1000: MouseMode.CLICK, 1002: MouseMode.DRAG, 1003: MouseMode.MOTION}
_FLAG_MODES: Final = frozenset({6, 7, 41, 45, 69, 1045})
"""What the drawing loop looks at."""
_UNKNOWN, _SET, _RESET, _ALWAYS, _NEVER = range(5)


class Modes(Rectangles):
    """What SM and DECSET turn on and RM and DECRST off."""

    def set_mode(self, *modes: int) -> None:
        """SM."""
        self.ansi |= _ANSI.intersection(modes)
        self.update_flags()

    def reset_mode(self, *modes: int) -> None:
        """RM."""
        self.ansi -= _ANSI.intersection(modes)
        self.update_flags()

    def set_private_mode(self, *modes: int) -> None:
        """DECSET."""
        for mode in modes:
            self._switch(mode, True)

    def reset_private_mode(self, *modes: int) -> None:
        """DECRST."""
        for mode in modes:
            self._switch(mode, False)

    def _switch(self, mode: int, on: bool) -> None:
        if mode not in PRIVATE or (mode == 69 and on and self.level < CONFORMANCE):
            return
        if mode in (47, 1047, 1048, 1049):
            self._switch_screen(mode, on)
            return
        if mode == 3:
            self._switch_columns(on)
            return
        if mode in _MOUSE:
            self.private -= _MOUSE.keys()
        if on:
            self.private.add(mode)
        else:
            self.private.discard(mode)
        if mode == 5:
            self.damage_base = None
        elif mode == 6:
            self.update_flags()
            self.cursor_to(1, 1)
        elif mode == 69:
            self.left, self.right = 0, self.columns - 1
            self.pending = self.pending and self.x == self.right
        elif mode == 2048 and on:
            self.report_size()
        if mode in _FLAG_MODES:
            self.update_flags()

    def report_size(self) -> None:
        """Tell the size in band (mode 2048)."""
        lines, columns = self.lines, self.columns
        pixels = f"{lines * CELL_HEIGHT};{columns * CELL_WIDTH}"
        self.send_reply(f"\x1b[48;{lines};{columns};{pixels}t")

    def _switch_columns(self, on: bool) -> None:
        """DECCOLM, where mode 40 allows it: clears the screen; the pane keeps its width."""
        if 40 not in self.private:
            return
        if on:
            self.private.add(3)
        else:
            self.private.discard(3)
        self.private.discard(69)
        self.reset_margins()
        self.update_flags()
        self.erase_in_display(2)
        self.cursor_to(1, 1)

    def _switch_screen(self, mode: int, on: bool) -> None:
        if mode == 1048:
            if on:
                self.save_cursor()
            else:
                self.restore_cursor()
        elif on:
            if mode == 1049 and not self.on_alternate:
                self.save_cursor()
            entered = self._select_screen(alternate=True)
            if mode == 1049 and entered:
                self._clear_screen()
        else:
            if mode == 1047 and self.on_alternate:
                self._clear_screen()
            self._select_screen(alternate=False)
            if mode == 1049:
                self.restore_cursor()

    def _clear_screen(self) -> None:
        self.cost += self.lines * ROW_COST
        for row in self.rows:
            row.erase(0, self.columns, self.attribute.blank)

    def _select_screen(self, *, alternate: bool) -> bool:
        """Show one of the two screens; False where it is shown already."""
        if self.on_alternate is alternate:
            return False
        self.rows, self.other_rows = self.other_rows, self.rows
        self.on_alternate = alternate
        self.damage_base = None
        return True

    def is_set(self, mode: int) -> bool:
        """Whether a private mode is on."""
        if mode in (47, 1047, 1049):
            return self.on_alternate
        return mode in self.private

    def save_modes(self, *modes: int) -> None:
        """XTSAVE."""
        for mode in PRIVATE.intersection(modes):
            self.saved_modes[mode] = self.is_set(mode)

    def restore_modes(self, *modes: int) -> None:
        """XTRESTORE."""
        for mode in modes:
            if mode in self.saved_modes:
                self._switch(mode, self.saved_modes[mode])

    def report_mode(self, mode: int = 0) -> None:
        """DECRQM for an ANSI mode."""
        if self.level >= 3:
            known = _SET if mode in self.ansi else _RESET if mode in _ANSI else _UNKNOWN
            value = _NEVER if mode in _ANSI_NEVER else known
            value = _ALWAYS if mode in _ANSI_ALWAYS else value
            self.send_reply(f"\x1b[{mode};{value}$y")

    def report_private_mode(self, mode: int = 0) -> None:
        """DECRQM for a private mode."""
        if self.level >= 3:
            known = _UNKNOWN
            if mode in PRIVATE:
                known = _SET if self.is_set(mode) else _RESET
            value = _ALWAYS if mode in _PRIVATE_ALWAYS else known
            self.send_reply(f"\x1b[?{mode};{value}$y")

    def reset(self) -> None:
        """RIS."""
        self.history.clear()
        self.title = self.icon_title = ""
        self.titles.clear()
        self.colours.clear()
        self.special_colours.clear()
        self.reset_state()

    def soft_reset(self) -> None:
        """DECSTR."""
        self.apply_soft_reset()

    def select_conformance(self, level: int = 0, _controls: int = 0) -> None:
        """DECSCL: a soft reset to a level; ours is the highest."""
        if 61 <= level <= 65:
            self.apply_soft_reset()
            self.level = min(level - 60, CONFORMANCE)

    def set_key_modifier_options(self, resource: int = 0, value: int = 0) -> None:
        """XTMODKEYS: only modifyOtherKeys matters."""
        if resource == 4:
            self.modify_other_keys = min(value, 2)

    def reset_key_modifier_options(self, resource: int = 0) -> None:
        """XTMODKEYS with a reset."""
        if resource == 4:
            self.modify_other_keys = 0

    @property
    def keyboard(self) -> list[int]:
        """The stack of Kitty keyboard flags of the screen that is shown; the last one counts."""
        return self.keyboards[self.on_alternate]

    def push_keyboard(self, flags: int = 0) -> None:
        """Kitty keyboard protocol: new flags, to be popped; the oldest goes when there are many."""
        self.keyboard.append(flags & KEYBOARD_DISAMBIGUATE)
        del self.keyboard[:-_KEYBOARDS_KEPT]

    def pop_keyboard(self, count: int = 0) -> None:
        """Kitty keyboard protocol: the flags before; none once the stack is empty."""
        del self.keyboard[-(count or 1) :]
        if not self.keyboard:
            self.keyboard.append(0)

    def set_keyboard(self, flags: int = 0, how: int = 0) -> None:
        """Kitty keyboard protocol: change the flags in place: replace, add or take away."""
        flags &= KEYBOARD_DISAMBIGUATE
        now = self.keyboard[-1]
        results = {0: flags, 1: flags, 2: now | flags, 3: now & ~flags}
        self.keyboard[-1] = results.get(how, now)

    def extend_tabs(self, before: int) -> None:
        """Stops for the columns that are new."""
        first = (before + TAB - 1) // TAB * TAB
        self.tabs = {stop for stop in self.tabs if stop < self.columns}
        self.tabs |= set(range(first, self.columns, TAB)) - {0}

    @property
    def terminal_modes(self) -> TerminalModes:
        """What a view and a keyboard have to know."""
        on = self.private
        mouse = next((_MOUSE[mode] for mode in _MOUSE if mode in on), MouseMode.OFF)
        return TerminalModes(
            application_cursor=1 in on,
            application_keypad=66 in on,
            backspace_sends_bs=67 in on,
            bracketed_paste=2004 in on,
            focus_events=1004 in on,
            mouse=mouse,
            mouse_sgr=1006 in on,
            alternate_screen=self.on_alternate,
            alternate_scroll=1007 in on,
            reverse_video=5 in on,
            synchronised=2026 in on,
            newline=20 in self.ansi,
            modify_other_keys=self.modify_other_keys,
            disambiguate=bool(self.keyboard[-1]),
        )
