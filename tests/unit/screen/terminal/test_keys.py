"""Keys, mouse, paste and focus as bytes: the whole table, in normal and application modes."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser

from services.terminal.cells import DEFAULT_MODES, MouseMode, TerminalModes
from tui.panel.terminal_driver import KeyParser
from widgets.terminal.keys import encode, encode_focus, encode_paste, lines_of, paste_question
from widgets.terminal.mouse import MouseAction, MouseInput, encode_mouse

NORMAL = DEFAULT_MODES
APPLICATION = TerminalModes(application_cursor=True, application_keypad=True)
LNM = TerminalModes(newline=True)
OTHER_1 = TerminalModes(modify_other_keys=1)
OTHER_2 = TerminalModes(modify_other_keys=2)
HELD = {
    "shift": 2,
    "alt": 3,
    "alt+shift": 4,
    "ctrl": 5,
    "ctrl+shift": 6,
    "alt+ctrl": 7,
    "alt+ctrl+shift": 8,
    "meta": 9,
}

PLAIN_KEYS = [
    # key, normal, application
    ("up", b"\x1b[A", b"\x1bOA"),
    ("down", b"\x1b[B", b"\x1bOB"),
    ("right", b"\x1b[C", b"\x1bOC"),
    ("left", b"\x1b[D", b"\x1bOD"),
    ("home", b"\x1b[H", b"\x1bOH"),
    ("end", b"\x1b[F", b"\x1bOF"),
    ("kp_begin", b"\x1b[E", b"\x1bOE"),
    ("insert", b"\x1b[2~", b"\x1b[2~"),
    ("delete", b"\x1b[3~", b"\x1b[3~"),
    ("pageup", b"\x1b[5~", b"\x1b[5~"),
    ("pagedown", b"\x1b[6~", b"\x1b[6~"),
    ("menu", b"\x1b[29~", b"\x1b[29~"),
    ("f1", b"\x1bOP", b"\x1bOP"),
    ("f2", b"\x1bOQ", b"\x1bOQ"),
    ("f3", b"\x1bOR", b"\x1bOR"),
    ("f4", b"\x1bOS", b"\x1bOS"),
    ("f5", b"\x1b[15~", b"\x1b[15~"),
    ("f6", b"\x1b[17~", b"\x1b[17~"),
    ("f7", b"\x1b[18~", b"\x1b[18~"),
    ("f8", b"\x1b[19~", b"\x1b[19~"),
    ("f9", b"\x1b[20~", b"\x1b[20~"),
    ("f10", b"\x1b[21~", b"\x1b[21~"),
    ("f11", b"\x1b[23~", b"\x1b[23~"),
    ("f12", b"\x1b[24~", b"\x1b[24~"),
    ("f13", b"\x1b[1;2P", b"\x1b[1;2P"),
    ("f17", b"\x1b[15;2~", b"\x1b[15;2~"),
    ("f24", b"\x1b[24;2~", b"\x1b[24;2~"),
    ("f25", b"\x1b[1;5P", b"\x1b[1;5P"),
    ("f35", b"\x1b[23;5~", b"\x1b[23;5~"),
    ("enter", b"\r", b"\r"),
    ("tab", b"\t", b"\t"),
    ("backspace", b"\x7f", b"\x7f"),
    ("escape", b"\x1b", b"\x1b"),
    ("space", b" ", b" "),
    ("multiply", b"*", b"\x1bOj"),
    ("add", b"+", b"\x1bOk"),
    ("separator", b",", b"\x1bOl"),
    ("subtract", b"-", b"\x1bOm"),
    ("decimal", b".", b"\x1bOn"),
    ("divide", b"/", b"\x1bOo"),
    ("equal", b"=", b"\x1bOX"),
]


@pytest.mark.parametrize(("key", "normal", "application"), PLAIN_KEYS, ids=lambda v: str(v)[:20])
def test_keys_without_a_modifier(key: str, normal: bytes, application: bytes) -> None:
    assert encode(key, None, NORMAL) == normal
    assert encode(key, None, APPLICATION) == application


CSI_KEYS = {
    **{name: f"\x1b[1;{{}}{final}" for name, final in zip(
        ("up", "down", "right", "left", "home", "end", "f1", "f2", "f3", "f4"), "ABCDHFPQRS",
        strict=True,
    )},
    **{name: f"\x1b[{number};{{}}~" for name, number in (
        ("insert", 2), ("delete", 3), ("pageup", 5), ("pagedown", 6), ("f5", 15), ("f6", 17),
        ("f7", 18), ("f8", 19), ("f9", 20), ("f10", 21), ("f11", 23), ("f12", 24),
    )},
}  # fmt: skip


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("key", CSI_KEYS)
def test_modifiers_are_a_parameter_in_either_mode(key: str, held: str) -> None:
    expected = CSI_KEYS[key].format(HELD[held]).encode()
    assert encode(f"{held}+{key}", None, NORMAL) == expected
    assert encode(f"{held}+{key}", None, APPLICATION) == expected


@pytest.mark.parametrize("letter", string.ascii_lowercase)
def test_control_and_alt_letters(letter: str) -> None:
    control = bytes([ord(letter) - 96])
    assert encode(letter, letter, NORMAL) == letter.encode()
    assert encode(letter.upper(), letter.upper(), NORMAL) == letter.upper().encode()
    assert encode(f"shift+{letter}", None, NORMAL) == letter.upper().encode()
    assert encode(f"ctrl+{letter}", None, NORMAL) == control
    assert encode(f"ctrl+{letter}", control.decode(), NORMAL) == control
    assert encode(f"ctrl+shift+{letter}", None, NORMAL) == control
    assert encode(f"alt+{letter}", None, NORMAL) == b"\x1b" + letter.encode()
    assert encode(f"alt+{letter}", letter, NORMAL) == b"\x1b" + letter.encode()
    assert encode(f"alt+shift+{letter}", None, NORMAL) == b"\x1b" + letter.upper().encode()
    assert encode(f"alt+ctrl+{letter}", None, NORMAL) == b"\x1b" + control


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ctrl+@", b"\x00"),
        ("ctrl+at", b"\x00"),
        ("ctrl+space", b"\x00"),
        ("ctrl+2", b"\x00"),
        ("ctrl+shift+2", b"\x00"),
        ("ctrl+left_square_bracket", b"\x1b"),
        ("ctrl+3", b"\x1b"),
        ("ctrl+backslash", b"\x1c"),
        ("ctrl+4", b"\x1c"),
        ("ctrl+right_square_bracket", b"\x1d"),
        ("ctrl+5", b"\x1d"),
        ("ctrl+circumflex_accent", b"\x1e"),
        ("ctrl+shift+6", b"\x1e"),
        ("ctrl+6", b"\x1e"),
        ("ctrl+underscore", b"\x1f"),
        ("ctrl+minus", b"\x1f"),
        ("ctrl+shift+minus", b"\x1f"),
        ("ctrl+slash", b"\x1f"),
        ("ctrl+7", b"\x1f"),
        ("ctrl+8", b"\x7f"),
        ("ctrl+question_mark", b"\x7f"),
        ("ctrl+shift+slash", b"\x7f"),
        ("ctrl+0", b"0"),
        ("ctrl+full_stop", b"."),
        ("alt+ctrl+space", b"\x1b\x00"),
        ("shift+space", b" "),
        ("alt+space", b"\x1b "),
        ("ctrl+j", b"\n"),
        ("ctrl+m", b"\r"),
        ("ctrl+i", b"\t"),
        ("ctrl+h", b"\x08"),
        ("shift+tab", b"\x1b[Z"),
        ("alt+shift+tab", b"\x1b\x1b[Z"),
        ("ctrl+tab", b"\t"),
        ("shift+enter", b"\r"),
        ("ctrl+enter", b"\r"),
        ("alt+enter", b"\x1b\r"),
        ("shift+backspace", b"\x7f"),
        ("ctrl+backspace", b"\x08"),
        ("alt+backspace", b"\x1b\x7f"),
        ("alt+ctrl+backspace", b"\x1b\x08"),
        ("shift+escape", b"\x1b"),
        ("alt+escape", b"\x1b\x1b"),
        ("alt+full_stop", b"\x1b."),
        ("alt+shift+full_stop", b"\x1b>"),
        ("alt+underscore", b"\x1b_"),
        ("alt+1", b"\x1b1"),
        ("alt+shift+1", b"\x1b!"),
        ("alt+é", "\x1bé".encode()),
        ("meta+x", b"\x1bx"),
        ("ctrl+f13", b"\x1b[1;6P"),
    ],
)
def test_everything_that_is_neither_a_letter_nor_csi(key: str, expected: bytes) -> None:
    assert encode(key, None, NORMAL) == expected


@pytest.mark.parametrize(
    "key",
    [
        *("left_shift", "right_control", "left_alt", "left_super", "right_meta", "left_hyper"),
        *("iso_level3_shift", "caps_lock", "num_lock", "scroll_lock", "print_screen", "pause"),
        *("media_play", "raise_volume", "mute_volume", "super+left", "hyper+a", "ctrl+я"),
        *("<scroll-up>", "<ignore>", "f37", "f99", "f0"),
    ],
)
def test_what_a_terminal_sends_nothing_for(key: str) -> None:
    assert encode(key, None, NORMAL) is None


def test_typed_text_is_sent_as_it_is() -> None:
    for text in ("é", "ß", "я", "漢", "🙂", "~", "€"):
        assert encode("whatever", text, NORMAL) == text.encode()
    for char in string.punctuation:
        assert encode("whatever", char, APPLICATION) == char.encode()


def test_a_keypad_key_that_typed_text_is_text_even_in_application_mode() -> None:
    assert encode("add", "+", APPLICATION) == b"+"
    assert encode("5", "5", APPLICATION) == b"5"
    assert encode("ctrl+add", None, APPLICATION) == b"+"


def test_new_line_mode_sends_two_characters() -> None:
    assert encode("enter", "\r", LNM) == b"\r\n"
    assert encode("ctrl+m", None, LNM) == b"\r"


@pytest.mark.parametrize(
    ("key", "one", "two"),
    [
        ("ctrl+a", b"\x01", b"\x1b[27;5;97~"),
        ("ctrl+shift+a", b"\x1b[27;6;65~", b"\x1b[27;6;65~"),
        ("alt+a", b"\x1ba", b"\x1b[27;3;97~"),
        ("ctrl+tab", b"\x1b[27;5;9~", b"\x1b[27;5;9~"),
        ("shift+tab", b"\x1b[Z", b"\x1b[Z"),
        ("shift+enter", b"\x1b[27;2;13~", b"\x1b[27;2;13~"),
        ("alt+enter", b"\x1b\r", b"\x1b[27;3;13~"),
        ("ctrl+full_stop", b"\x1b[27;5;46~", b"\x1b[27;5;46~"),
        ("shift+a", b"A", b"A"),
        ("up", b"\x1b[A", b"\x1b[A"),
        ("ctrl+up", b"\x1b[1;5A", b"\x1b[1;5A"),
        ("enter", b"\r", b"\r"),
    ],
)
def test_modify_other_keys(key: str, one: bytes, two: bytes) -> None:
    assert encode(key, None, OTHER_1) == one
    assert encode(key, None, OTHER_2) == two


def keys_of(sequence: str) -> list[events.Key]:
    parser = XTermParser()
    tokens = [*parser.feed(sequence), *parser.feed("")]
    return [token for token in tokens if isinstance(token, events.Key)]


@pytest.mark.parametrize(
    ("arrives", "leaves"),
    [
        # what a terminal with the kitty protocol sends Textual, and what the program must get
        ("\x1b[97;5u", b"\x01"),
        ("\x1b[97;2;65u", b"A"),
        ("\x1b[97;4u", b"\x1bA"),
        ("\x1b[113;5u", b"\x11"),
        ("\x1b[93;5u", b"\x1d"),
        ("\x1b[32;5u", b"\x00"),
        ("\x1b[32;2;32u", b" "),
        ("\x1b[27u", b"\x1b"),
        ("\x1b[13u", b"\r"),
        ("\x1b[13;3u", b"\x1b\r"),
        ("\x1b[9;2u", b"\x1b[Z"),
        ("\x1b[127u", b"\x7f"),
        ("\x1b[127;3u", b"\x1b\x7f"),
        ("\x1b[1;3D", b"\x1b[1;3D"),
        ("\x1b[1;6A", b"\x1b[1;6A"),
        ("\x1b[15;2~", b"\x1b[15;2~"),
        ("\x1b[46;3u", b"\x1b."),
        ("\x1b[57404;1;53u", b"5"),
        ("\x1b[57413;1;43u", b"+"),
        ("\x1b[57414u", b"\r"),
        ("\x1b[57417u", b"\x1b[D"),
        ("\x1b[57441u", b""),
        ("\x1b[233;1;233u", "é".encode()),
        # and without it
        ("\x1bOA", b"\x1b[A"),
        ("\x1bOP", b"\x1bOP"),
        ("\x1b[Z", b"\x1b[Z"),
        ("\x03", b"\x03"),
        ("\x1c", b"\x1c"),
        ("\x1d", b"\x1d"),
        ("\x1f", b"\x1f"),
        ("\x00", b"\x00"),
        ("\x7f", b"\x7f"),
        ("q", b"q"),
        ("漢", "漢".encode()),
    ],
)
def test_from_the_outer_terminal_through_textual(arrives: str, leaves: bytes) -> None:
    sent = b"".join(encode(key.key, key.character, NORMAL) or b"" for key in keys_of(arrives))
    assert sent == leaves


@given(st.text(max_size=30), st.none() | st.characters(), st.sampled_from([NORMAL, APPLICATION]))
def test_no_key_name_breaks_it(key: str, character: str | None, modes: TerminalModes) -> None:
    sent = encode(key, character, modes)
    assert sent is None or sent


# Mouse


def mouse(sgr: bool = True, mode: MouseMode = MouseMode.MOTION) -> TerminalModes:
    return TerminalModes(mouse=mode, mouse_sgr=sgr)


@pytest.mark.parametrize(
    ("event", "sgr", "legacy"),
    [
        (MouseInput(MouseAction.PRESS, 0, 0, 1), b"\x1b[<0;1;1M", b"\x1b[M !!"),
        (MouseInput(MouseAction.PRESS, 4, 9, 2), b"\x1b[<1;5;10M", b"\x1b[M!%*"),
        (MouseInput(MouseAction.PRESS, 4, 9, 3), b"\x1b[<2;5;10M", b'\x1b[M"%*'),
        (MouseInput(MouseAction.RELEASE, 4, 9, 3), b"\x1b[<2;5;10m", b"\x1b[M#%*"),
        (MouseInput(MouseAction.RELEASE, 0, 0, 1), b"\x1b[<0;1;1m", b"\x1b[M#!!"),
        (MouseInput(MouseAction.MOVE, 0, 0, 1), b"\x1b[<32;1;1M", b"\x1b[M@!!"),
        (MouseInput(MouseAction.MOVE, 0, 0, 0), b"\x1b[<35;1;1M", b"\x1b[MC!!"),
        (MouseInput(MouseAction.WHEEL_UP, 1, 1), b"\x1b[<64;2;2M", b'\x1b[M`""'),
        (MouseInput(MouseAction.WHEEL_DOWN, 1, 1), b"\x1b[<65;2;2M", b'\x1b[Ma""'),
        (MouseInput(MouseAction.WHEEL_LEFT, 1, 1), b"\x1b[<66;2;2M", b'\x1b[Mb""'),
        (MouseInput(MouseAction.WHEEL_RIGHT, 1, 1), b"\x1b[<67;2;2M", b'\x1b[Mc""'),
        (MouseInput(MouseAction.PRESS, 0, 0, 1, shift=True), b"\x1b[<4;1;1M", b"\x1b[M$!!"),
        (MouseInput(MouseAction.PRESS, 0, 0, 1, alt=True), b"\x1b[<8;1;1M", b"\x1b[M(!!"),
        (MouseInput(MouseAction.PRESS, 0, 0, 1, ctrl=True), b"\x1b[<16;1;1M", b"\x1b[M0!!"),
        (
            MouseInput(MouseAction.MOVE, 0, 0, 1, shift=True, alt=True, ctrl=True),
            b"\x1b[<60;1;1M",
            b"\x1b[M\\!!",
        ),
    ],
)
def test_mouse_reports(event: MouseInput, sgr: bytes, legacy: bytes) -> None:
    assert encode_mouse(event, mouse()) == sgr
    assert encode_mouse(event, mouse(sgr=False)) == legacy


def test_the_legacy_form_says_nothing_past_its_reach() -> None:
    far = MouseInput(MouseAction.PRESS, 223, 0, 1)
    assert encode_mouse(far, mouse(sgr=False)) is None
    assert encode_mouse(far, mouse()) == b"\x1b[<0;224;1M"
    edge = MouseInput(MouseAction.PRESS, 222, 222, 1)
    assert encode_mouse(edge, mouse(sgr=False)) == b"\x1b[M \xff\xff"


@pytest.mark.parametrize(
    ("mode", "press", "drag", "move"),
    [
        (MouseMode.OFF, False, False, False),
        (MouseMode.CLICK, True, False, False),
        (MouseMode.DRAG, True, True, False),
        (MouseMode.MOTION, True, True, True),
    ],
)
def test_a_program_gets_only_the_events_it_asked_for(
    mode: MouseMode, press: bool, drag: bool, move: bool
) -> None:
    modes = mouse(mode=mode)
    assert (encode_mouse(MouseInput(MouseAction.PRESS, 0, 0, 1), modes) is not None) is press
    assert (encode_mouse(MouseInput(MouseAction.MOVE, 0, 0, 1), modes) is not None) is drag
    assert (encode_mouse(MouseInput(MouseAction.MOVE, 0, 0, 0), modes) is not None) is move


def test_focus_reports_only_in_their_mode() -> None:
    assert encode_focus(True, NORMAL) is None
    assert encode_focus(True, TerminalModes(focus_events=True)) == b"\x1b[I"
    assert encode_focus(False, TerminalModes(focus_events=True)) == b"\x1b[O"


# Paste

BRACKETED = TerminalModes(bracketed_paste=True)


def test_a_paste_is_bracketed_only_where_asked() -> None:
    assert encode_paste("ls -l", NORMAL) == b"ls -l"
    assert encode_paste("ls -l", BRACKETED) == b"\x1b[200~ls -l\x1b[201~"


def test_line_ends_become_carriage_returns() -> None:
    assert encode_paste("a\nb\r\nc\rd\n\ne", NORMAL) == b"a\rb\rc\rd\r\re"


def test_nothing_in_a_paste_can_act_as_a_key_or_end_the_brackets() -> None:
    text = "a\x1b[201~rm\x03\x04\x1a\x00\x7f\x9b201~\x85é\tz"
    assert encode_paste(text, BRACKETED) == "\x1b[200~a[201~rm201~é\tz\x1b[201~".encode()


@given(st.text())
def test_no_paste_carries_a_control_but_tab_and_return(text: str) -> None:
    body = encode_paste(text, BRACKETED).removeprefix(b"\x1b[200~").removesuffix(b"\x1b[201~")
    decoded = body.decode()
    assert not {char for char in decoded if (char < " " or "\x7f" <= char <= "\x9f")} - {"\t", "\r"}
    assert encode_paste(text, NORMAL) == body


def test_several_lines_are_asked_about_unless_the_program_takes_brackets() -> None:
    reason = paste_question("one\ntwo\r\nthree\n", NORMAL)
    assert reason is not None
    assert "3 lines" in reason
    assert paste_question("one\ntwo", BRACKETED) is None
    assert paste_question("one", NORMAL) is None
    assert paste_question("one\n", NORMAL) is None


def test_a_line_longer_than_a_terminal_keeps_is_warned_about() -> None:
    assert paste_question("x" * 4095, NORMAL) is None
    reason = paste_question("x" * 4096, NORMAL)
    assert reason is not None
    assert "4096 bytes" in reason
    assert paste_question("é" * 2048, NORMAL) is not None
    assert paste_question("x" * 4096, BRACKETED) is None


def test_lines_are_counted_as_the_far_side_reads_them() -> None:
    assert lines_of("a\r\nb\rc\nd\n") == ["a", "b", "c", "d"]
    assert lines_of("") == [""]
    assert lines_of("\n") == [""]
    assert lines_of("a\n\n") == ["a", ""]


KITTY = TerminalModes(disambiguate=True, application_cursor=True)


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        # What types text, and what a shell needs to recover, is as ever.
        ("a", "a", b"a"),
        ("A", "A", b"A"),
        ("shift+a", None, b"A"),
        ("space", " ", b" "),
        ("enter", "\r", b"\r"),
        ("tab", "\t", b"\t"),
        ("backspace", "\x7f", b"\x7f"),
        # What legacy bytes confuse is told apart.
        ("escape", "\x1b", b"\x1b[27u"),
        ("shift+enter", None, b"\x1b[13;2u"),
        ("ctrl+enter", None, b"\x1b[13;5u"),
        ("alt+enter", "\r", b"\x1b[13;3u"),
        ("shift+tab", None, b"\x1b[9;2u"),
        ("ctrl+i", None, b"\x1b[105;5u"),
        ("ctrl+m", None, b"\x1b[109;5u"),
        ("ctrl+backspace", None, b"\x1b[127;5u"),
        ("ctrl+c", "\x03", b"\x1b[99;5u"),
        ("ctrl+shift+c", None, b"\x1b[99;6u"),
        ("alt+left_square_bracket", "[", b"\x1b[91;3u"),
        ("alt+shift+x", "X", b"\x1b[120;4u"),
        ("ctrl+@", "\x00", b"\x1b[32;5u"),
        ("super+k", None, b"\x1b[107;9u"),
        ("meta+k", None, b"\x1b[107;33u"),
        # Keys with a letter or a number of their own keep it; SS3 is no more.
        ("up", None, b"\x1b[A"),
        ("ctrl+up", None, b"\x1b[1;5A"),
        ("f1", None, b"\x1b[P"),
        ("f3", None, b"\x1b[13~"),
        ("shift+f3", None, b"\x1b[13;2~"),
        ("f5", None, b"\x1b[15~"),
        ("f13", None, b"\x1b[57376u"),
        ("delete", None, b"\x1b[3~"),
        ("add", None, b"\x1b[57413u"),
        ("add", "+", b"+"),
        ("left_shift", None, None),
    ],
)
def test_the_kitty_protocol_tells_keys_apart(
    key: str, character: str | None, sent: bytes | None
) -> None:
    assert encode(key, character, KITTY) == sent


@pytest.mark.parametrize(
    ("arrives", "leaves"),
    [
        *((f"\x1b{char}", f"\x1b{char}".encode()) for char in "\r\t\x7f\x01 !1afbxXé~"),
        ("\x1b[27;3;13~", b"\x1b\r"),
        ("\x1b[27;3;9~", b"\x1b\t"),
        ("\x1b[27;3;127~", b"\x1b\x7f"),
        ("\x1b[13;3u", b"\x1b\r"),
        ("\x1b[9;3u", b"\x1b\t"),
        ("\x1b[127;3u", b"\x1b\x7f"),
        ("\x1b[27;3u", b"\x1b\x1b"),
        ("\x1b\x1b", b"\x1b\x1b"),
        *((f"\x1b[1;3{final}", f"\x1b[1;3{final}".encode()) for final in "ABCD"),
        *((f"\x1b\x1b[{final}", f"\x1b\x1b[{final}".encode()) for final in "ABCD"),
    ],
)
def test_alt_stays_on_every_key_on_its_way_through_the_panel(arrives: str, leaves: bytes) -> None:
    parser = KeyParser()
    tokens = [*parser.feed(arrives), *parser.feed("")]
    keys = [token for token in tokens if isinstance(token, events.Key)]
    assert b"".join(encode(key.key, key.character, NORMAL) or b"" for key in keys) == leaves
