"""What the emulator answers, and what it refuses."""

from __future__ import annotations

import base64

import pytest

from services.terminal.emulator import Emulator
from services.terminal.emulator.reports import _TITLES_KEPT

C = "\x1b["
ST = "\x1b\\"

ANSWERS: list[tuple[str, str, str]] = [
    ("DA1", f"{C}c", f"{C}?64;6;21;22;28c"),
    ("DA1 with 0", f"{C}0c", f"{C}?64;6;21;22;28c"),
    ("DECID", "\x1bZ", f"{C}?64;6;21;22;28c"),
    ("DA2", f"{C}>c", f"{C}>41;390;0c"),
    ("DA3", f"{C}=c", f"\x1bP!|00000000{ST}"),
    ("XTVERSION", f"{C}>q", f"\x1bP>|Wakedeck{ST}"),
    ("kitty keyboard", f"{C}?u", f"{C}?0u"),
    ("modifyOtherKeys", f"{C}>4;2m{C}?4m", f"{C}>4;2m"),
    ("DSR", f"{C}5n", f"{C}0n"),
    ("CPR", f"{C}3;4H{C}6n", f"{C}3;4R"),
    ("CPR with a wrap pending", "x" * 20 + f"{C}6n", f"{C}1;20R"),
    ("CPR in origin mode", f"{C}2;4r{C}?6h{C}6n", f"{C}1;1R"),
    ("DECXCPR", f"{C}2;3H{C}?6n", f"{C}?2;3;1R"),
    ("printer", f"{C}?15n", f"{C}?13n"),
    ("keys", f"{C}?25n", f"{C}?20n"),
    ("keyboard", f"{C}?26n", f"{C}?27;1;0;0n"),
    ("locator", f"{C}?55n", f"{C}?50n"),
    ("locator type", f"{C}?56n", f"{C}?57;0n"),
    ("macro space", f"{C}?62n", f"{C}0000*{{"),
    ("macro checksum", f"{C}?63;12n", f"\x1bP12!~0000{ST}"),
    ("data integrity", f"{C}?75n", f"{C}?70n"),
    ("sessions", f"{C}?85n", f"{C}?83n"),
    ("unknown status", f"{C}?99n{C}99n", ""),
    ("DECREQTPARM", f"{C}x", f"{C}2;1;1;128;128;1;0x"),
    ("DECRQM", f"{C}4$p", f"{C}4;2$y"),
    ("DECRQM set", f"{C}4h{C}4$p", f"{C}4;1$y"),
    ("DECRQM never", f"{C}1$p", f"{C}1;4$y"),
    ("DECRQM unknown", f"{C}99$p", f"{C}99;0$y"),
    ("DECRQM private", f"{C}?2004$p", f"{C}?2004;2$y"),
    ("DECRQM private set", f"{C}?2026h{C}?2026$p", f"{C}?2026;1$y"),
    ("DECRQM alternate", f"{C}?1049h{C}?1049$p", f"{C}?1049;1$y"),
    ("DECRQM private unknown", f"{C}?9999$p", f"{C}?9999;0$y"),
    ("DECRQM always", f"{C}?2027$p", f"{C}?2027;3$y"),
    ("DECRQM at level 2", f'{C}62;1"p{C}4$p{C}?7$p', ""),
    ("DECRQSS SGR", f"{C}1;4;31m\x1bP$qm{ST}", f"\x1bP1$r0;1;4;31m{ST}"),
    (
        "DECRQSS colours",
        f"{C}38:5:99;48;2;1;2;3m\x1bP$qm{ST}",
        f"\x1bP1$r0;38:5:99;48:2::1:2:3m{ST}",
    ),
    ("DECRQSS bright", f"{C}97;4:3;58;5;9m\x1bP$qm{ST}", f"\x1bP1$r0;4:3;97;58:5:9m{ST}"),
    ("DECRQSS margins", f"{C}2;4r\x1bP$qr{ST}", f"\x1bP1$r2;4r{ST}"),
    ("DECRQSS side margins", f"{C}?69h{C}3;4s\x1bP$qs{ST}", f"\x1bP1$r3;4s{ST}"),
    ("DECRQSS cursor", f"{C}4 q\x1bP$q q{ST}", f"\x1bP1$r4 q{ST}"),
    ("DECRQSS protection", f'{C}1"q\x1bP$q"q{ST}', f'\x1bP1$r1"q{ST}'),
    ("DECRQSS level", f'{C}65;1"p\x1bP$q"p{ST}', f'\x1bP1$r64;1"p{ST}'),
    ("DECRQSS extent", f"{C}2*x\x1bP$q*x{ST}", f"\x1bP1$r2*x{ST}"),
    ("DECRQSS status lines", f"\x1bP$q$}}{ST}\x1bP$q$~{ST}", f"\x1bP1$r0$}}{ST}\x1bP1$r0$~{ST}"),
    ("DECRQSS unknown", f"\x1bP$qz{ST}", f"\x1bP0$r{ST}"),
    ("XTGETTCAP", f"\x1bP+q436F{ST}", f"\x1bP1+r436F=323536{ST}"),
    ("XTGETTCAP unknown", f"\x1bP+q6162{ST}", f"\x1bP0+r{ST}"),
    ("size in cells", f"{C}18t", f"{C}8;5;20t"),
    ("screen in cells", f"{C}19t", f"{C}9;5;20t"),
    ("size in pixels", f"{C}14t{C}15t{C}16t", f"{C}4;80;160t{C}5;80;160t{C}6;16;8t"),
    ("window state and place", f"{C}11t{C}13t", f"{C}1t{C}3;0;0t"),
    ("checksum", f"AB{C}7;1;1;1;1;2*y", f"\x1bP7!~0083{ST}"),
    ("checksum of blanks", f"{C}1;1;1;1;1;3*y", f"\x1bP1!~0060{ST}"),
    ("checksum in origin mode", f"{C}3;1HX{C}3;5r{C}?6h{C}1;1;1;1;1;1*y", f"\x1bP1!~0058{ST}"),
    ("colour", "\x1b]4;1;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x07"),
    ("colour, ended by ST", f"\x1b]4;1;?{ST}", f"\x1b]4;1;rgb:cdcd/0000/0000{ST}"),
    ("colour of the theme", "\x1b]4;2;?\x07", "\x1b]4;2;rgb:1212/3434/5656\x07"),
    ("colour set", "\x1b]4;1;rgb:f/80/1234;1;?\x07", "\x1b]4;1;rgb:ffff/8080/1212\x07"),
    ("colour by #", "\x1b]10;#fff\x07\x1b]10;?\x07", "\x1b]10;rgb:f0f0/f0f0/f0f0\x07"),
    ("colour by ######", "\x1b]10;#808081\x07\x1b]10;?\x07", "\x1b]10;rgb:8080/8080/8181\x07"),
    (
        "colour by #########",
        "\x1b]10;#f00800123\x07\x1b]10;?\x07",
        "\x1b]10;rgb:f0f0/8080/1212\x07",
    ),
    ("colour by name", "\x1b]11;red\x07\x1b]11;?\x07", "\x1b]11;rgb:ffff/0000/0000\x07"),
    (
        "several colours",
        "\x1b]4;0;#111;1;#222\x07\x1b]4;0;?;1;?\x07",
        "\x1b]4;0;rgb:1010/1010/1010\x07\x1b]4;1;rgb:2020/2020/2020\x07",
    ),
    (
        "dynamic colours in turn",
        "\x1b]10;#111;#222\x07\x1b]10;?;?\x07",
        "\x1b]10;rgb:1010/1010/1010\x07\x1b]11;rgb:2020/2020/2020\x07",
    ),
    (
        "colour reset",
        "\x1b]4;1;#fff\x07\x1b]104;1\x07\x1b]4;1;?\x07",
        "\x1b]4;1;rgb:cdcd/0000/0000\x07",
    ),
    (
        "all colours reset",
        "\x1b]4;1;#fff\x07\x1b]104\x07\x1b]4;1;?\x07",
        "\x1b]4;1;rgb:cdcd/0000/0000\x07",
    ),
    (
        "foreground reset",
        "\x1b]10;#fff\x07\x1b]110\x07\x1b]10;?\x07",
        "\x1b]10;rgb:e5e5/e5e5/e5e5\x07",
    ),
    ("special colour", "\x1b]5;0;#abc\x07\x1b]5;0;?\x07", "\x1b]5;0;rgb:a0a0/b0b0/c0c0\x07"),
    (
        "special colours reset",
        "\x1b]5;0;#abc;1;#def\x07\x1b]105;0\x07\x1b]5;0;?;1;?\x07",
        "\x1b]5;0;rgb:e5e5/e5e5/e5e5\x07\x1b]5;1;rgb:d0d0/e0e0/f0f0\x07",
    ),
    (
        "all special colours reset, no other",
        "\x1b]5;0;#abc;4;#def\x07\x1b]4;1;#fff\x07\x1b]105\x07\x1b]5;0;?;4;?\x07\x1b]4;1;?\x07",
        "\x1b]5;0;rgb:e5e5/e5e5/e5e5\x07\x1b]5;4;rgb:e5e5/e5e5/e5e5\x07"
        "\x1b]4;1;rgb:f0f0/f0f0/f0f0\x07",
    ),
    (
        "one colour reset, no other",
        "\x1b]4;1;#fff;2;#fff\x07\x1b]104;1;x\x07\x1b]4;1;?;2;?\x07",
        "\x1b]4;1;rgb:cdcd/0000/0000\x07\x1b]4;2;rgb:f0f0/f0f0/f0f0\x07",
    ),
    (
        "all indexed colours reset, not the foreground",
        "\x1b]10;#111\x07\x1b]5;0;#abc\x07\x1b]104\x07\x1b]10;?\x07\x1b]5;0;?\x07",
        "\x1b]10;rgb:1010/1010/1010\x07\x1b]5;0;rgb:1010/1010/1010\x07",
    ),
    (
        "special colours by 4",
        "\x1b]4;256;#abc\x07\x1b]5;0;?\x07",
        "\x1b]5;0;rgb:a0a0/b0b0/c0c0\x07",
    ),
    ("no sixth special colour", "\x1b]5;5;#abc;4;#abc\x07\x1b]5;5;?\x07", ""),
    ("attributes of another kind", f"{C}1c{C}>1c{C}=1c{C}>1q{C}2x", ""),
    ("DECREQTPARM solicited", f"{C}1x", f"{C}3;1;1;128;128;1;0x"),
    (
        "special colour by 4",
        "\x1b]4;256;#abc\x07\x1b]4;256;?\x07",
        "\x1b]4;256;rgb:a0a0/b0b0/c0c0\x07",
    ),
    (
        "special colour reset",
        "\x1b]5;0;#abc\x07\x1b]105;0\x07\x1b]5;0;?\x07",
        "\x1b]5;0;rgb:e5e5/e5e5/e5e5\x07",
    ),
    ("no such colour", "\x1b]4;999;?\x07\x1b]4;1;nonsense\x07\x1b]4;x;?\x07", ""),
    (
        "cube and greys",
        "\x1b]4;196;?\x07\x1b]4;255;?\x07",
        "\x1b]4;196;rgb:ffff/0000/0000\x07\x1b]4;255;rgb:eeee/eeee/eeee\x07",
    ),
    ("clipboard is never read", "\x1b]52;c;?\x07", ""),
    (
        "the title is not told",
        "\x1b]2;secret\x07\x1b[21t\x1b]1;icon\x07\x1b[20t",
        f"\x1b]l{ST}\x1b]L{ST}",
    ),
]


def answers_to(sent: str, allow_title_report: bool = False) -> str:
    got: list[bytes] = []
    emulator = Emulator(
        20, 5, got.append, palette={2: 0x123456}, allow_title_report=allow_title_report
    )
    emulator.feed(sent.encode())
    return b"".join(got).decode()


@pytest.mark.parametrize(("name", "sent", "answer"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_the_program_is_answered(name: str, sent: str, answer: str) -> None:
    assert answers_to(sent) == answer, name


def test_titles_are_told_where_that_was_allowed() -> None:
    told = answers_to("\x1b]2;one\x07\x1b]1;two\x07\x1b[21t\x1b[20t", allow_title_report=True)
    assert told == f"\x1b]lone{ST}\x1b]Ltwo{ST}"


@pytest.mark.parametrize(
    ("pushes", "pop", "title", "icon"),
    [
        (["0"], "0", "a", "b"),
        (["1"], "1", "x", "b"),
        (["2"], "2", "a", "y"),
        (["0"], "1", "x", "b"),
        (["1", "2"], "0", "a", "b"),
        ([], "0", "x", "y"),
    ],
)
def test_titles_are_pushed_and_popped(pushes: list[str], pop: str, title: str, icon: str) -> None:
    pushed = "".join(f"{C}22;{which}t" for which in pushes)
    sent = f"\x1b]2;a\x07\x1b]1;b\x07{pushed}\x1b]2;x\x07\x1b]1;y\x07{C}23;{pop}t{C}21t{C}20t"
    assert answers_to(sent, allow_title_report=True) == f"\x1b]l{title}{ST}\x1b]L{icon}{ST}"


def test_the_clipboard_is_written_only_where_that_was_allowed() -> None:
    data = base64.b64encode("schön".encode()).decode()
    copied: list[str] = []
    refusing = Emulator(20, 5, on_clipboard=copied.append)
    refusing.feed(f"\x1b]52;c;{data}\x07".encode())
    assert copied == []
    allowing = Emulator(20, 5, allow_clipboard=True, on_clipboard=copied.append)
    allowing.feed(f"\x1b]52;c;{data}\x07\x1b]52;c;???\x07\x1b]52;c;?\x07".encode())
    assert copied == ["schön"]


def test_titles_are_bounded_and_harmless() -> None:
    emulator = Emulator(20, 5)
    emulator.feed(("\x1b]0;a\x01b\u202e" + "x" * 5000 + "\x07").encode())
    assert len(emulator.title) <= 200
    assert "\x01" not in emulator.title and "\u202e" not in emulator.title


def test_without_a_reply_nothing_is_answered_and_nothing_breaks() -> None:
    Emulator(20, 5).feed("".join(sent for _, sent, _ in ANSWERS).encode())


def test_colours_that_are_asked_for_are_those_of_the_theme_of_this_moment() -> None:
    said: list[bytes] = []
    emulator = Emulator(20, 4, said.append)
    emulator.palette = {1: 0x102030, 256: 0x010203, 257: 0xFFFEFD}
    emulator.feed(b"\x1b]10;?\x07\x1b]11;?\x1b\\\x1b]4;1;?\x07")
    assert b"".join(said) == (
        b"\x1b]10;rgb:0101/0202/0303\x07"
        b"\x1b]11;rgb:ffff/fefe/fdfd\x1b\\"
        b"\x1b]4;1;rgb:1010/2020/3030\x07"
    )
    said.clear()
    emulator.palette = {256: 0x999999}
    emulator.feed(b"\x1b]10;?\x07")
    assert said == [b"\x1b]10;rgb:9999/9999/9999\x07"]


def test_only_so_many_titles_are_kept() -> None:
    emulator = Emulator(20, 5)
    for number in range(_TITLES_KEPT + 1):
        emulator.feed(f"\x1b]2;t{number}\x07{C}22;2t".encode())
    found = []
    for _ in range(_TITLES_KEPT + 1):
        emulator.feed(f"{C}23;2t".encode())
        found.append(emulator.title)
    kept = [f"t{number}" for number in reversed(range(_TITLES_KEPT))]
    assert found == [*kept, kept[-1]]
