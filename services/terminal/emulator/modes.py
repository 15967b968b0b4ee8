"""Modes: SM, RM, DECSET, DECRST, their reports, and the alternate screen."""

from __future__ import annotations

from typing import Final

from services.terminal.cells import MouseMode, TerminalModes
from services.terminal.emulator.cursor import cursor_to
from services.terminal.emulator.erase import erase_in_display
from services.terminal.emulator.screen import Screen
from services.terminal.emulator.state import CELL_HEIGHT, CELL_WIDTH, CONFORMANCE, ROW_COST

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


def set_mode(screen: Screen, *modes: int) -> None:
    """SM."""
    screen.modes.ansi |= _ANSI.intersection(modes)
    screen.update_flags()


def reset_mode(screen: Screen, *modes: int) -> None:
    """RM."""
    screen.modes.ansi -= _ANSI.intersection(modes)
    screen.update_flags()


def set_private_mode(screen: Screen, *modes: int) -> None:
    """DECSET."""
    for mode in modes:
        _switch(screen, mode, True)


def reset_private_mode(screen: Screen, *modes: int) -> None:
    """DECRST."""
    for mode in modes:
        _switch(screen, mode, False)


def _switch(screen: Screen, mode: int, on: bool) -> None:
    if mode not in PRIVATE or (mode == 69 and on and screen.modes.level < CONFORMANCE):
        return
    if mode in (47, 1047, 1048, 1049):
        _switch_screen(screen, mode, on)
        return
    if mode == 3:
        _switch_columns(screen, on)
        return
    if mode in _MOUSE:
        screen.modes.private -= _MOUSE.keys()
    if on:
        screen.modes.private.add(mode)
    else:
        screen.modes.private.discard(mode)
    if mode == 5:
        screen.damage_base = None
    elif mode == 6:
        screen.update_flags()
        cursor_to(screen, 1, 1)
    elif mode == 69:
        screen.margins.left, screen.margins.right = 0, screen.columns - 1
        screen.cursor.pending = screen.cursor.pending and screen.cursor.x == screen.margins.right
    elif mode == 2048 and on:
        report_size(screen)
    if mode in _FLAG_MODES:
        screen.update_flags()


def report_size(screen: Screen) -> None:
    """Tell the size in band (mode 2048)."""
    lines, columns = screen.lines, screen.columns
    pixels = f"{lines * CELL_HEIGHT};{columns * CELL_WIDTH}"
    screen.send_reply(f"\x1b[48;{lines};{columns};{pixels}t")


def _switch_columns(screen: Screen, on: bool) -> None:
    """DECCOLM, where mode 40 allows it: clears the screen; the pane keeps its width."""
    if 40 not in screen.modes.private:
        return
    if on:
        screen.modes.private.add(3)
    else:
        screen.modes.private.discard(3)
    screen.modes.private.discard(69)
    screen.reset_margins()
    screen.update_flags()
    erase_in_display(screen, 2)
    cursor_to(screen, 1, 1)


def _switch_screen(screen: Screen, mode: int, on: bool) -> None:
    if mode == 1048:
        if on:
            screen.save_cursor()
        else:
            screen.restore_cursor()
    elif on:
        if mode == 1049 and not screen.on_alternate:
            screen.save_cursor()
        entered = _select_screen(screen, alternate=True)
        if mode == 1049 and entered:
            _clear_screen(screen)
    else:
        if mode == 1047 and screen.on_alternate:
            _clear_screen(screen)
        _select_screen(screen, alternate=False)
        if mode == 1049:
            screen.restore_cursor()


def _clear_screen(screen: Screen) -> None:
    screen.cost += screen.lines * ROW_COST
    for row in screen.rows:
        row.erase(0, screen.columns, screen.cursor.attribute.blank)


def _select_screen(screen: Screen, *, alternate: bool) -> bool:
    """Show one of the two screens; False where it is shown already."""
    if screen.on_alternate is alternate:
        return False
    screen.rows, screen.other_rows = screen.other_rows, screen.rows
    screen.on_alternate = alternate
    screen.damage_base = None
    return True


def is_set(screen: Screen, mode: int) -> bool:
    """Whether a private mode is on."""
    if mode in (47, 1047, 1049):
        return screen.on_alternate
    return mode in screen.modes.private


def save_modes(screen: Screen, *modes: int) -> None:
    """XTSAVE."""
    for mode in PRIVATE.intersection(modes):
        screen.modes.saved[mode] = is_set(screen, mode)


def restore_modes(screen: Screen, *modes: int) -> None:
    """XTRESTORE."""
    for mode in modes:
        if mode in screen.modes.saved:
            _switch(screen, mode, screen.modes.saved[mode])


def report_mode(screen: Screen, mode: int = 0) -> None:
    """DECRQM for an ANSI mode."""
    if screen.modes.level >= 3:
        known = _SET if mode in screen.modes.ansi else _RESET if mode in _ANSI else _UNKNOWN
        value = _NEVER if mode in _ANSI_NEVER else known
        value = _ALWAYS if mode in _ANSI_ALWAYS else value
        screen.send_reply(f"\x1b[{mode};{value}$y")


def report_private_mode(screen: Screen, mode: int = 0) -> None:
    """DECRQM for a private mode."""
    if screen.modes.level >= 3:
        known = _UNKNOWN
        if mode in PRIVATE:
            known = _SET if is_set(screen, mode) else _RESET
        value = _ALWAYS if mode in _PRIVATE_ALWAYS else known
        screen.send_reply(f"\x1b[?{mode};{value}$y")


def reset(screen: Screen) -> None:
    """RIS."""
    screen.history.clear()
    screen.title = screen.icon_title = ""
    screen.titles.clear()
    screen.colours.clear()
    screen.special_colours.clear()
    screen.reset_state()


def soft_reset(screen: Screen) -> None:
    """DECSTR."""
    screen.apply_soft_reset()


def select_conformance(screen: Screen, level: int = 0, _controls: int = 0) -> None:
    """DECSCL: a soft reset to a level; ours is the highest."""
    if 61 <= level <= 65:
        screen.apply_soft_reset()
        screen.modes.level = min(level - 60, CONFORMANCE)


def set_key_modifier_options(screen: Screen, resource: int = 0, value: int = 0) -> None:
    """XTMODKEYS: only modifyOtherKeys matters."""
    if resource == 4:
        screen.modes.modify_other_keys = min(value, 2)


def reset_key_modifier_options(screen: Screen, resource: int = 0) -> None:
    """XTMODKEYS with a reset."""
    if resource == 4:
        screen.modes.modify_other_keys = 0


def push_keyboard(screen: Screen, flags: int = 0) -> None:
    """Kitty keyboard protocol: new flags, to be popped; the oldest goes when there are many."""
    screen.keyboard.append(flags & KEYBOARD_DISAMBIGUATE)
    del screen.keyboard[:-_KEYBOARDS_KEPT]


def pop_keyboard(screen: Screen, count: int = 0) -> None:
    """Kitty keyboard protocol: the flags before; none once the stack is empty."""
    del screen.keyboard[-(count or 1) :]
    if not screen.keyboard:
        screen.keyboard.append(0)


def set_keyboard(screen: Screen, flags: int = 0, how: int = 0) -> None:
    """Kitty keyboard protocol: change the flags in place: replace, add or take away."""
    flags &= KEYBOARD_DISAMBIGUATE
    now = screen.keyboard[-1]
    results = {0: flags, 1: flags, 2: now | flags, 3: now & ~flags}
    screen.keyboard[-1] = results.get(how, now)


def keypad_application(screen: Screen) -> None:
    """DECKPAM."""
    screen.modes.private.add(66)


def keypad_numeric(screen: Screen) -> None:
    """DECKPNM."""
    screen.modes.private.discard(66)


def terminal_modes(screen: Screen) -> TerminalModes:
    """What a view and a keyboard have to know."""
    on = screen.modes.private
    mouse = next((_MOUSE[mode] for mode in _MOUSE if mode in on), MouseMode.OFF)
    return TerminalModes(
        application_cursor=1 in on,
        application_keypad=66 in on,
        backspace_sends_bs=67 in on,
        bracketed_paste=2004 in on,
        focus_events=1004 in on,
        mouse=mouse,
        mouse_sgr=1006 in on,
        alternate_screen=screen.on_alternate,
        alternate_scroll=1007 in on,
        reverse_video=5 in on,
        synchronised=2026 in on,
        newline=20 in screen.modes.ansi,
        modify_other_keys=screen.modes.modify_other_keys,
        disambiguate=bool(screen.keyboard[-1]),
    )
