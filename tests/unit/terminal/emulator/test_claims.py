"""What is claimed is there: modes, keyboard protocol, character sets, and who ends a wrap."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import pytest

from services.terminal.cells import BACKGROUND, DEFAULT_MODES, TerminalModes
from services.terminal.emulator import Emulator, modes
from services.terminal.emulator.dispatch import (
    CONTROL_SEQUENCES,
    CONTROLS,
    ENDS_PENDING_WRAP,
    ESCAPES,
    MAY_END_PENDING_WRAP,
)
from widgets.terminal.keys import encode
from widgets.terminal.mouse import MouseAction, MouseInput, encode_mouse

C = "\x1b["


def told(sent: str) -> str:
    said: list[bytes] = []
    Emulator(20, 4, said.append).feed(sent.encode())
    return b"".join(said).decode()


@pytest.mark.parametrize("mode", [4, 9, 12, 18, 19, 42, 60, 1001, 1005, 1015, 1016, 1034, 9999])
def test_a_mode_nobody_obeys_is_not_known_even_when_set(mode: int) -> None:
    assert told(f"{C}?{mode}h{C}?{mode}$p") == f"{C}?{mode};0$y"


def test_every_mode_a_view_should_obey_changes_what_the_view_is_told() -> None:
    names = {field.name for field in fields(TerminalModes)}
    for mode, name in modes._VIEW.items():
        on, off = Emulator(20, 4), Emulator(20, 4)
        on.feed(f"{C}?{mode}h".encode())
        off.feed(f"{C}?{mode}l".encode())
        assert name in names
        assert getattr(on.modes, name) != getattr(off.modes, name), mode


KEYS = ("up", "home", "backspace", "escape", "enter", "kp_5", "add", "f1", "ctrl+c", "alt+a")


@pytest.mark.parametrize(
    "name", ["application_cursor", "application_keypad", "backspace_sends_bs", "newline"]
)
def test_every_keyboard_mode_changes_a_key(name: str) -> None:
    changed = replace(DEFAULT_MODES)
    object.__setattr__(changed, name, True)
    assert any(encode(key, None, DEFAULT_MODES) != encode(key, None, changed) for key in KEYS)


@pytest.mark.parametrize("mode", [1000, 1002, 1003])
def test_a_mouse_mode_that_is_known_sends_a_click(mode: int) -> None:
    emulator = Emulator(20, 4)
    emulator.feed(f"{C}?{mode}h{C}?1006h".encode())
    press = MouseInput(MouseAction.PRESS, column=3, line=2, button=1)
    sent = encode_mouse(press, emulator.modes)
    assert sent == b"\x1b[<0;4;3M"


# The Kitty keyboard protocol


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        ("", 0),
        (f"{C}>1u", 1),
        (f"{C}>5u", 1),  # Only the first flag is served, so only that one is told.
        (f"{C}>1u{C}>0u", 0),
        (f"{C}>1u{C}>0u{C}<u", 1),
        (f"{C}>1u{C}>1u{C}<2u", 0),
        (f"{C}>1u{C}<99u", 0),
        (f"{C}=1u", 1),
        (f"{C}=1;2u{C}=1;3u", 0),
        (f"{C}=1;9u", 0),
        (f"{C}>1u\x1bc", 0),
        (f"{C}>1u{C}?1049h", 0),  # The alternate screen has a stack of its own.
        (f"{C}>1u{C}?1049h{C}>0u{C}?1049l", 1),
        (f"{C}>1u" * 1000 + f"{C}<15u", 1),
        (f"{C}>1u" * 1000 + f"{C}<16u", 0),
    ],
)
def test_the_keyboard_stack(sent: str, flags: int) -> None:
    assert told(f"{sent}{C}?u") == f"{C}?{flags}u"
    emulator = Emulator(20, 4)
    emulator.feed(sent.encode())
    assert emulator.modes.disambiguate is bool(flags)


# Sizes and colours that are told without being asked for


def test_a_new_size_is_told_in_band_where_it_was_asked_for() -> None:
    said: list[bytes] = []
    emulator = Emulator(20, 4, said.append)
    emulator.resize(30, 5)
    assert not said
    emulator.feed(f"{C}?2048h".encode())
    emulator.resize(40, 6)
    emulator.resize(40, 6)
    assert said == [b"\x1b[48;5;30;80;240t", b"\x1b[48;6;40;96;320t"]


def test_the_colour_scheme_is_told_when_asked_and_when_it_changes() -> None:
    said: list[bytes] = []
    emulator = Emulator(20, 4, said.append, palette={BACKGROUND: 0x1E1E1E})
    emulator.feed(f"{C}?996n".encode())
    emulator.palette = {BACKGROUND: 0xFFFFFF}
    emulator.feed(f"{C}?996n{C}?2031h".encode())
    emulator.palette = {BACKGROUND: 0xFAFAFA}
    emulator.palette = {BACKGROUND: 0x000000}
    assert said == [b"\x1b[?997;1n", b"\x1b[?997;2n", b"\x1b[?997;1n"]


# Values and their length


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (f"{C}?{'0' * 20}25$p", f"{C}?25;1$y"),
        (f"{C}{'0' * 20}1m\x1bP$qm\x1b\\", "\x1bP1$r0;1m\x1b\\"),
        (f"{C}{'9' * 20}m\x1bP$qm\x1b\\", "\x1bP1$r0m\x1b\\"),
        (f"{C}1;{'9' * 20}m\x1bP$qm\x1b\\", "\x1bP1$r0;1m\x1b\\"),
        (f"{C}38;5;{'0' * 20}9m\x1bP$qm\x1b\\", "\x1bP1$r0;91m\x1b\\"),
        (f"{C}4:{'0' * 20}3m\x1bP$qm\x1b\\", "\x1bP1$r0;4:3m\x1b\\"),
        (f"\x1b]{'0' * 20}11;?\x07", "\x1b]11;rgb:0000/0000/0000\x07"),
        (f"\x1b]4;{'0' * 20}1;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x07"),
        (f"\x1bP{'0' * 20}1$qm\x1b\\", "\x1bP1$r0m\x1b\\"),
        (f"\x1b]105;{'9' * 9000}\x07\x1b]104;{'9' * 9000}\x07{C}5n", f"{C}0n"),
    ],
)
def test_numbers_are_bounded_by_their_value(sent: str, answer: str) -> None:
    assert told(sent) == answer


def test_the_line_drawing_set_is_whole() -> None:
    emulator = Emulator(40, 2)
    emulator.feed(b"\x1b(0" + bytes(range(0x5F, 0x7F)) + b"\x1b(B")
    assert emulator.display[0].rstrip() == " ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"


# Who ends a pending wrap

FULL = "0123456789abcdefghij"
SENT = {
    **{handler: f"{C}{key}" for key, (handler, _) in CONTROL_SEQUENCES.items()},
    **{handler: f"\x1b{key}" for key, handler in ESCAPES.items()},
    **{handler: char for char, handler in CONTROLS.items()},
}


def pending_after(sent: str) -> bool:
    emulator = Emulator(20, 4)
    emulator.feed((FULL + sent).encode())
    return emulator._screen.cursor.pending


def test_every_handler_ends_a_pending_wrap_as_its_table_says() -> None:
    known = set(SENT)
    assert known >= ENDS_PENDING_WRAP and known >= MAY_END_PENDING_WRAP
    assert not ENDS_PENDING_WRAP & MAY_END_PENDING_WRAP
    for handler, sent in SENT.items():
        if handler not in MAY_END_PENDING_WRAP:
            assert pending_after(sent) is (handler not in ENDS_PENDING_WRAP), handler


def place_of_x(rows: list[str]) -> tuple[int, int]:
    return next((y, row.index("X")) for y, row in enumerate(rows) if "X" in row)


def test_who_keeps_a_pending_wrap_in_libghostty_keeps_it_here() -> None:
    pyghostty = pytest.importorskip("pyghostty")
    # Unknown to libghostty, or at odds with xterm there: upstream/terminal has each.
    apart = {"insert_columns", "delete_columns", "back_index", "forward_index", "reverse_index"}
    for handler, sent in SENT.items():
        name = handler.__name__
        if name in apart:
            continue
        other = pyghostty.Terminal(20, 4)
        other.feed((FULL + sent + "X").encode())
        theirs = place_of_x(other.text().split("\n"))
        other.close()
        emulator = Emulator(20, 4)
        emulator.feed((FULL + sent + "X").encode())
        assert place_of_x(emulator.display) == theirs, name


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_same_wraps(seed: int) -> None:
    chance = random.Random(seed)
    parts = [chance.choice([FULL, "x", *SENT.values()]) for _ in range(60)]
    data = "".join(parts).encode()
    whole, cut = Emulator(20, 4), Emulator(20, 4)
    whole.feed(data)
    for at in range(len(data)):
        cut.feed(data[at : at + 1])
    assert whole.display == cut.display
    assert whole.cursor == cut.cursor
