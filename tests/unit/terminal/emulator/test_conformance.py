"""What programs send and what the screen must show: one line of the table for each behaviour.

Screens are 10 × 5. A case gives bytes, the rows expected (short rows and missing ones are blank)
and, where it matters, the cursor as (column, line) from 0.
"""

from __future__ import annotations

import pytest

from services.terminal.cells import PLAIN
from services.terminal.emulator import Emulator

E = "\x1b"
C = "\x1b["
GRID = f"abcde\r\nfghij\r\nklmno\r\npqrst\r\nuvwxy{C}2;3H"
SIDES = f"{C}?69h{C}2;4s"
REGION = f"{C}?69h{C}2;4s{C}2;4r{C}2;3H"
OFF = f"{C}?69l{C}r"
FULL = "0123456789"

Case = tuple[str, str, list[str], tuple[int, int] | None]

CASES: list[Case] = [
    # printing and wrapping
    ("text", "hello", ["hello"], (5, 0)),
    ("wrap is put off", FULL, [FULL], (9, 0)),
    ("wrap", FULL + "x", [FULL, "x"], (1, 1)),
    ("backspace after the last column", f"{FULL}\bX", ["01234567X9"], (9, 0)),
    ("newline with a wrap pending", f"{FULL}\r\nx", [FULL, "x"], (1, 1)),
    ("line feed with a wrap pending", f"{FULL}\nx", [FULL, "         x"], (9, 1)),
    ("no autowrap", f"{C}?7l{FULL}xyz", ["012345678z"], (9, 0)),
    ("autowrap off and on keeps the wrap", f"{FULL}{C}?7l{C}?7hx", [FULL, "x"], (1, 1)),
    ("CBT keeps the wrap", f"{FULL}{C}Z{C}6nx", [FULL, "x"], (1, 1)),
    ("a tab after CBT", f"{C}?7l{FULL}{C}3Z\tx", ["01234567x9"], (9, 0)),
    ("text after CBT without autowrap", f"{C}?7l{FULL}{C}Zab", ["01234567ab"], (9, 0)),
    ("a move after CBT ends the wrap", f"{FULL}{C}Z{C}Cx", ["012345678x"], (9, 0)),
    ("text after CBT in a second piece", f"{FULL}{C}Z{C}0Zxy\r\nz", [FULL, "xy", "z"], (1, 2)),
    ("a cursor saved after CBT", f"{FULL}{C}Z{E}7{C}3H{E}8x", [FULL, "x"], (1, 1)),
    ("a soft reset keeps the wrap", f"{FULL}{C}!px", [FULL, "x"], (1, 1)),
    ("EL 1 ends the wrap", f"{FULL}{C}1Kx", ["         x"], (9, 0)),
    ("ED 1 ends the wrap", f"{FULL}{C}1Jx", ["         x"], (9, 0)),
    ("IL outside the region keeps the wrap", f"{C}3;5r{FULL}{C}Lx", [FULL, "x"], (1, 1)),
    ("scroll at the bottom", "1\r\n2\r\n3\r\n4\r\n5\r\n6", ["2", "3", "4", "5", "6"], (1, 4)),
    ("erasing with a wrap pending", f"{FULL}{C}K", ["012345678"], (9, 0)),
    ("erasing drops the wrap", f"{FULL}{C}KX", ["012345678X"], (9, 0)),
    # wide characters at every edge
    ("wide", "日本", ["日本"], (4, 0)),
    ("wide that does not fit", "012345678日", ["012345678", "日"], (2, 1)),
    ("wide without autowrap", f"{C}?7l012345678日", ["01234567日"], (9, 0)),
    ("half of a wide one is overwritten", f"日本{C}1;2Hx", [" x本"], (2, 0)),
    ("first half is overwritten", f"日本{C}1;3Hx", ["日x"], (3, 0)),
    ("wide over two halves", f"日本{C}1;2H語", [" 語"], (3, 0)),
    ("erase half of a wide one", f"日本{C}1;2H{C}X", ["  本"], (1, 0)),
    ("delete half of a wide one", f"日本{C}1;2H{C}P", ["  本".replace("  ", " ", 1)], (1, 0)),
    ("insert into a wide one", f"日本{C}1;2H{C}@", ["   本"], (1, 0)),
    ("insert pushes half a wide one out", f"12345678日{C}1;1H{C}@", [" 12345678"], (0, 0)),
    ("combining", "e\u0301x", ["e\u0301x"], (2, 0)),
    ("combining at the last column", "012345678e\u0301", ["012345678e\u0301"], (9, 0)),
    ("combining with nothing before it", "\u0301x", ["x"], (1, 0)),
    ("emoji sequence", "👩‍💻x", ["👩‍💻x"], (3, 0)),
    ("flags", "🇫🇷🇩🇪x", ["🇫🇷🇩🇪x"], (5, 0)),
    ("variation selector widens", "❤️x", ["❤️x"], (3, 0)),
    ("widened at the last column", "012345678❤️x", ["012345678", "❤️x"], (3, 1)),
    ("skin tone", "👍🏽x", ["👍🏽x"], (3, 0)),
    ("repeat a wide one", f"日{C}2b", ["日日日"], (6, 0)),
    # C0
    ("backspace stops at the edge", "a\b\b\bX", ["X"], (1, 0)),
    ("tab", "a\tb", ["a       b"], (9, 0)),
    ("tab stops at the edge", "\t\t\tX", ["         X"], (9, 0)),
    ("tab keeps the wrap pending", f"{FULL}\tX", [FULL, "X"], (1, 1)),
    ("tab wraps first in mode 41", f"{C}?41h{FULL}\tX", [FULL, "        X"], (9, 1)),
    ("vertical tab and form feed", "a\x0bb\x0cc", ["a", " b", "  c"], (3, 2)),
    ("newline mode", f"{C}20ha\nb", ["a", "b"], (1, 1)),
    ("nul, enquiry and delete", "a\x00\x05\x7fb", ["ab"], (2, 0)),
    # cursor movement
    ("CUU stops", f"{C}3;3H{C}9AX", ["  X"], (3, 0)),
    ("CUU stops at the margin", f"{C}2;4r{C}3;3H{C}9AX", ["", "  X"], (3, 1)),
    ("CUU above the margin", f"{C}3;4r{C}2;3H{C}9AX", ["  X"], (3, 0)),
    ("CUD stops", f"{C}9BX", ["", "", "", "", "X"], (1, 4)),
    ("CUD stops at the margin", f"{C}2;3r{C}2;1H{C}9BX", ["", "", "X"], (1, 2)),
    ("CUD below the margin", f"{C}1;2r{C}4;1H{C}9BX", ["", "", "", "", "X"], (1, 4)),
    ("CUF stops", f"{C}99CX", ["         X"], (9, 0)),
    ("CUF stops at the margin", f"{SIDES}{C}1;2H{C}99CX", ["   X"], (3, 0)),
    ("CUF right of the margin", f"{SIDES}{C}1;6H{C}99CX", ["         X"], (9, 0)),
    ("CUB stops", f"abc{C}99DX", ["Xbc"], (1, 0)),
    ("CUB stops at the margin", f"{SIDES}{C}1;4H{C}99DX", [" X"], (2, 0)),
    ("CUB left of the margin", f"{C}?69h{C}3;5s{C}1;2H{C}99DX", ["X"], (1, 0)),
    ("CNL", f"abc{C}2EX", ["abc", "", "X"], (1, 2)),
    ("CPL", f"\n\nabc{C}1FX", ["", "X", "abc"], (1, 1)),
    ("CNL goes to the left margin", f"{SIDES}{C}1;3H{C}EX", ["", " X"], (2, 1)),
    ("CHA", f"abc{C}2GX", ["aXc"], (2, 0)),
    ("CHA in origin mode", f"{SIDES}{C}?6h{C}1GX", [" X"], (2, 0)),
    ("HPA in origin mode", f"{SIDES}{C}?6h{C}1`X", [" X"], (2, 0)),
    ("HPA stops at the margin", f"{SIDES}{C}?6h{C}9`X", ["   X"], (3, 0)),
    ("HPR in origin mode", f"{SIDES}{C}?6h{C}9aX", ["   X"], (3, 0)),
    ("CBT in origin mode", f"{SIDES}{C}?6h{C}3G{C}ZX", [" X"], (2, 0)),
    ("HPR ignores margins", f"{SIDES}{C}1;3H{C}4aX", ["      X"], (7, 0)),
    ("VPA", f"{C}3dX", ["", "", "X"], (1, 2)),
    ("VPA in origin mode", f"{C}2;4r{C}?6h{C}2dX", ["", "", "X"], (1, 2)),
    ("VPA stops at the margin", f"{C}2;4r{C}?6h{C}9dX", ["", "", "", "X"], (1, 3)),
    ("VPR in origin mode", f"{C}2;4r{C}?6h{C}9eX", ["", "", "", "X"], (1, 3)),
    ("zeros before a number", f"{C}{'0' * 300}3;{'0' * 12}5HX", ["", "", "    X"], (5, 2)),
    ("a number past any bound", f"{C}{'9' * 5000};3HX", ["", "", "", "", "  X"], (3, 4)),
    ("a colon where none belongs", f"abc{C}1:2JX", ["abcX"], (4, 0)),
    ("1049 left on the main screen", f"ab{C}?1049l{C}2;2Hcd{C}?1049le", ["eb", " cd"], (1, 0)),
    ("VPR ignores margins", f"{C}1;2r{C}3eX", ["", "", "", "X"], (1, 3)),
    ("CUP without parameters", f"abc{C}HX", ["Xbc"], (1, 0)),
    ("CUP clamps", f"{C}99;99HX", ["", "", "", "", "         X"], (9, 4)),
    ("CUP with zeros", f"abc{C}0;0HX", ["Xbc"], (1, 0)),
    ("CUP of a column alone", f"{C};3HX", ["  X"], (3, 0)),
    ("HVP", f"{C}2;2fX", ["", " X"], (2, 1)),
    ("CUP in origin mode", f"{REGION}{C}?6h{C}1;1HX", ["", " X"], (2, 1)),
    ("CUP clamps to the margins", f"{REGION}{C}?6h{C}99;99HX", ["", "", "", "   X"], (3, 3)),
    ("CR goes to the margin", f"{SIDES}{C}1;3H\rX", [" X"], (2, 0)),
    ("CR left of the margin", f"{C}?69h{C}3;5s{C}1;2H\rX", ["X"], (1, 0)),
    # reverse wraparound
    ("no reverse wrap by itself", f"{C}2;1H\bX", ["", "X"], (1, 1)),
    ("reverse wrap", f"{C}?45h{C}2;1H\bX", ["         X"], (9, 0)),
    ("reverse wrap needs autowrap", f"{C}?45h{C}?7l{C}2;1H\bX", ["", "X"], (1, 1)),
    ("reverse wrap with a wrap pending", f"{C}?45h{FULL}\bX", ["012345678X"], (9, 0)),
    (
        "reverse wrap round the margins",
        f"{C}?45h{C}2;4r{C}2;1H\bX",
        ["", "", "", "         X"],
        (9, 3),
    ),
    ("reverse wrap at the side margin", f"{C}?45h{SIDES}{C}2;2H\bX", ["   X"], (3, 0)),
    ("reverse wrap by several", f"{C}1;9Habcd{C}?45h{C}4D", ["        ab", "cd"], (8, 0)),
    # tabs
    ("HTS", f"{C}1;4H{E}H\r\tX", ["   X"], (4, 0)),
    ("TBC here", f"\t{C}g\r\tX", ["         X"], (9, 0)),
    ("TBC all", f"{C}3g\tX", ["         X"], (9, 0)),
    ("TBC of nothing", f"{C}1;3H{C}g\r\tX", ["        X"], (9, 0)),
    ("CHT", f"{C}1;4H{E}H\r{C}2IX", ["        X"], (9, 0)),
    ("CBT", f"{C}1;10H{C}ZX", ["        X"], (9, 0)),
    ("CBT ignores margins", f"{C}?69h{C}3;9s{C}1;7H{C}2ZX", ["X"], (1, 0)),
    ("tab stops at the right margin", f"{C}?69h{C}2;5s{C}1;1H\tX", ["    X"], (4, 0)),
    # erasing
    ("EL 0", f"abcde{C}1;3H{C}K", ["ab"], (2, 0)),
    ("EL 1", f"abcde{C}1;3H{C}1K", ["   de"], (2, 0)),
    ("EL 2", f"abcde{C}1;3H{C}2K", [""], (2, 0)),
    ("EL unknown", f"abcde{C}1;3H{C}9K", ["abcde"], (2, 0)),
    ("ED 0", f"{GRID}{C}J", ["abcde", "fg"], (2, 1)),
    ("ED 1", f"{GRID}{C}1J", ["", "   ij", "klmno", "pqrst", "uvwxy"], (2, 1)),
    ("ED 2", f"{GRID}{C}2J", [], (2, 1)),
    ("ED 3 leaves the screen", f"abc{C}3J", ["abc"], None),
    ("ED unknown", f"abc{C}5J", ["abc"], None),
    ("ED ignores margins", f"{GRID}{REGION}{C}J", ["abcde", "fg"], None),
    ("ECH", f"abcde{C}1;2H{C}2X", ["a  de"], (1, 0)),
    ("ECH ignores margins", f"abcdefg{SIDES}{C}1;3H{C}4X", ["ab    g"], None),
    # inserting and deleting
    ("ICH", f"abcde{C}1;2H{C}2@", ["a  bcde"], (1, 0)),
    ("ICH off the edge", f"{FULL}{C}1;2H{C}3@", ["0   123456"], (1, 0)),
    ("ICH between margins", f"abcdefg{C}?69h{C}2;5s{C}1;3H{C}@", ["ab cdfg"], None),
    ("ICH outside margins", f"abcdefg{SIDES}{C}1;1H{C}9@", ["abcdefg"], None),
    ("DCH", f"abcde{C}1;2H{C}2P", ["ade"], (1, 0)),
    ("DCH too many", f"abcde{C}1;2H{C}99P", ["a"], (1, 0)),
    ("DCH between margins", f"abcde{SIDES}{C}1;3H{C}P", ["abd e"], None),
    ("DCH outside margins", f"abcde{SIDES}{C}1;1H{C}99P", ["abcde"], None),
    ("IL", f"{GRID}{C}L", ["abcde", "", "fghij", "klmno", "pqrst"], (0, 1)),
    ("IL in a region", f"{GRID}{REGION}{C}L", ["abcde", "f   j", "kghio", "plmnt", "uvwxy"], None),
    ("IL outside a region", f"{GRID}{REGION}{C}1;1H{C}L", GRID[:33].split("\r\n")[:5], None),
    ("DL", f"{GRID}{C}M", ["abcde", "klmno", "pqrst", "uvwxy"], (0, 1)),
    ("DL too many", f"{GRID}{C}99M", ["abcde"], None),
    ("DL in a region", f"{GRID}{REGION}{C}M", ["abcde", "flmnj", "kqrso", "p   t", "uvwxy"], None),
    ("DL outside a region", f"{GRID}{REGION}{C}2;1H{C}M", GRID[:33].split("\r\n")[:5], None),
    ("SU", f"{GRID}{C}2S", ["klmno", "pqrst", "uvwxy"], (2, 1)),
    (
        "SU in a region",
        f"{GRID}{REGION}{C}1;1H{C}2S",
        ["abcde", "fqrsj", "k   o", "p   t", "uvwxy"],
        None,
    ),
    ("SD", f"{GRID}{C}2T", ["", "", "abcde", "fghij", "klmno"], (2, 1)),
    (
        "SD in a region",
        f"{GRID}{REGION}{C}1;1H{C}2T",
        ["abcde", "f   j", "k   o", "pghit", "uvwxy"],
        None,
    ),
    ("SD too many", f"{GRID}{REGION}{C}99T", ["abcde", "f   j", "k   o", "p   t", "uvwxy"], None),
    ("DECIC", f"{GRID}{C}'}}", ["ab cde", "fg hij", "kl mno", "pq rst", "uv wxy"], (2, 1)),
    ("DECDC", f"{GRID}{C}'~", ["abde", "fgij", "klno", "pqst", "uvxy"], (2, 1)),
    (
        "DECIC in a region",
        f"{GRID}{REGION}{C}'}}",
        ["abcde", "fg hj", "kl mo", "pq rt", "uvwxy"],
        None,
    ),
    ("DECDC outside a region", f"{GRID}{REGION}{C}1;1H{C}'~", GRID[:33].split("\r\n")[:5], None),
    ("DECBI moves", f"{C}2;3H{E}6X", ["", " X"], (2, 1)),
    (
        "DECBI scrolls",
        f"{GRID}{REGION}{C}3;2H{E}6",
        ["abcde", "f ghj", "k lmo", "p qrt", "uvwxy"],
        None,
    ),
    (
        "DECBI at the edge of the screen",
        f"{GRID}{REGION}{C}3;1H{E}6",
        GRID[:33].split("\r\n")[:5],
        (0, 2),
    ),
    ("DECFI moves", f"{C}2;3H{E}9X", ["", "   X"], (4, 1)),
    (
        "DECFI scrolls",
        f"{GRID}{REGION}{C}3;4H{E}9",
        ["abcde", "fhi j", "kmn o", "prs t", "uvwxy"],
        None,
    ),
    ("insert mode", f"abc{C}H{C}4hX", ["Xabc"], (1, 0)),
    ("insert mode loses the end", f"{FULL}{C}H{C}4hX", ["X012345678"], (1, 0)),
    ("insert mode between margins", f"abcdef{SIDES}{C}1;3H{C}4hX", ["abXcef"], None),
    ("REP", f"a{C}3b", ["aaaa"], (4, 0)),
    ("REP wraps", f"{C}1;9Ha{C}3b", ["        aa", "aa"], (2, 1)),
    ("REP of nothing", f"{C}3bx", ["x"], (1, 0)),
    ("REP between margins", f"{SIDES}{C}1;2Ha{C}3b", [" aaa", " a"], None),
    # index
    ("IND", f"a{E}Db", ["a", " b"], (2, 1)),
    (
        "IND scrolls the region",
        f"{GRID}{C}2;4r{C}4;1H{E}D",
        ["abcde", "klmno", "pqrst", "", "uvwxy"],
        (0, 3),
    ),
    (
        "IND below the region",
        f"{GRID}{C}1;2r{C}5;1H{E}DX",
        ["abcde", "fghij", "klmno", "pqrst", "Xvwxy"],
        (1, 4),
    ),
    (
        "IND beside the region",
        f"{GRID}{REGION}{C}4;6H{E}DX",
        ["abcde", "fghij", "klmno", "pqrstX", "uvwxy"],
        (6, 3),
    ),
    ("NEL", f"abc{E}Ed", ["abc", "d"], (1, 1)),
    ("RI", f"\na{E}Mb", [" b", "a"], (2, 0)),
    ("RI scrolls", f"a\r\nb{C}H{E}MX", ["X", "a", "b"], (1, 0)),
    ("RI above the region", f"ab{C}3;4r{C}1;1H{E}MX", ["Xb"], (1, 0)),
    ("LF scrolls only the region", f"{C}2;3r{C}2;1H1\r\n2\r\n3", ["", "2", "3"], (1, 2)),
    # margins
    ("DECSTBM goes home", f"abc{C}2;4rX", ["Xbc"], (1, 0)),
    ("DECSTBM of one line", f"abc{C}3;3rX", ["abcX"], (4, 0)),
    ("DECSTBM beyond the screen", f"{C}2;99r{C}5;1H\nX", ["", "", "", "", "X"], (1, 4)),
    ("DECSLRM wraps", f"{SIDES}{C}1;2Habcd", [" abc", " d"], (2, 1)),
    ("DECSLRM without mode 69 saves", f"ab{C}2;4scd{C}uX", ["abXd"], (3, 0)),
    ("mode 69 off removes margins", f"{SIDES}{C}?69labcdefg", ["abcdefg"], (7, 0)),
    ("origin mode goes home", f"{REGION}{C}?6hX", ["", " X"], (2, 1)),
    # saved cursor
    ("DECSC", f"ab{E}7{C}4;4H{E}8X", ["abX"], (3, 0)),
    ("DECRC of nothing", f"{C}3;3H{E}8X", ["X"], (1, 0)),
    ("DECSC keeps the wrap", f"{FULL}{E}7{C}H{E}8X", [FULL, "X"], (1, 1)),
    ("DECSC keeps origin mode off", f"{E}7{REGION}{C}?6h{E}8{C}1;1HX", ["X"], (1, 0)),
    ("DECSC keeps the character set", f"{E}(0{E}7{E}(B{E}8q", ["─"], (1, 0)),
    ("SCOSC", f"ab{C}s{C}4;4H{C}uX", ["abX"], (3, 0)),
    ("mode 1048", f"ab{C}?1048h{C}4;4H{C}?1048lX", ["abX"], (3, 0)),
    ("DECSC by screen", f"ab{E}7{C}?47h{C}3;3H{E}7{C}?47l{E}8X", ["abX"], (3, 0)),
    # alternate screen
    ("1049 restores", f"shell{C}?1049hprogram{C}?1049lX", ["shellX"], (6, 0)),
    ("1049 clears", f"shell{C}?1049h", [""], (5, 0)),
    ("1047 clears on leaving", f"a{C}?1047hb{C}?1047l{C}?1047h", [""], (2, 0)),
    ("47 does not clear", f"a{C}?47hb{C}?47l{C}?47h", [" b"], (2, 0)),
    ("47 keeps the cursor", f"ab{C}?47hX{C}?47lY", ["ab Y"], (4, 0)),
    ("1049 twice", f"shell{C}?1049h{C}3;3H{C}?1049h{C}?1049lX", ["shellX"], (6, 0)),
    # character sets
    ("line drawing", f"{E}(0lqk{E}(Bq", ["┌─┐q"], (4, 0)),
    ("shift out", f"{E})0q\x0eq\x0fq", ["q─q"], (3, 0)),
    ("single shift", f"{E}*0q{E}Nqq", ["q─q"], (3, 0)),
    ("single shift with wide text", f"{E}+0{E}Oqq日", ["─q日"], (4, 0)),
    ("locking shift", f"{E}*0{E}nq{E}(B", ["─"], (1, 0)),
    ("pound sign", f"{E}(A#", ["£"], (1, 0)),
    ("other sets are ASCII", f"{E}(Kq{E})<q", ["qq"], (2, 0)),
    # resets
    ("DECSTR", f"{C}4h{C}?6h{C}2;4r{C}?69h{C}2;4s{C}3;3H{C}!pab", ["", "", "", "   ab"], (5, 3)),
    ("DECSTR forgets the saved cursor", f"{C}3;3H{E}7{C}!p{E}8X", ["X"], (1, 0)),
    ("RIS", f"abc{C}2;4r{C}?6h{E}cX", ["X"], (1, 0)),
    ("RIS leaves the alternate screen", f"a{C}?1049hb{E}c{C}?47h", [""], (0, 0)),
    ("DECALN", f"{C}2;3r{E}#8X", ["XEEEEEEEEE", *["EEEEEEEEEE"] * 4], (1, 0)),
    ("XTSAVE", f"{C}?7l{C}?7s{C}?7h{C}?7r{FULL}x", ["012345678x"], (9, 0)),
    ("DECSCL 3 has no side margins", f'{C}63;1"p{SIDES}{C}1;2Habcd', [" abcd"], (5, 0)),
    # rectangles
    (
        "DECCRA",
        f"{GRID}{C}1;1;2;2;1;3;4;1$v",
        ["abcde", "fghij", "klmab", "pqrfg", "uvwxy"],
        (2, 1),
    ),
    (
        "DECCRA overlapping",
        f"{GRID}{C}1;1;3;3;1;2;2;1$v",
        ["abcde", "fabcj", "kfgho", "pklmt", "uvwxy"],
        None,
    ),
    (
        "DECCRA clips",
        f"{GRID}{C}1;1;2;2;1;5;10;1$v",
        [*GRID[:26].split("\r\n")[:4], "uvwxy    a"],
        None,
    ),
    ("DECCRA of nothing", f"{GRID}{C}3;3;2;2;1;1;1;1$v", GRID[:33].split("\r\n")[:5], None),
    ("DECCRA cuts wide ones", f"日本{C}1;2;1;3;1;2;1;1$v", ["日本", ""], None),
    ("DECFRA", f"{GRID}{C}88;2;2;3;3$x", ["abcde", "fXXij", "kXXno", "pqrst", "uvwxy"], (2, 1)),
    ("DECFRA of a control", f"{GRID}{C}7;2;2;3;3$x", GRID[:33].split("\r\n")[:5], None),
    (
        "DECFRA in origin mode",
        f"{GRID}{REGION}{C}?6h{C}88;1;1;1;2$x",
        ["abcde", "fXXij", "klmno", "pqrst", "uvwxy"],
        None,
    ),
    ("DECERA", f"{GRID}{C}2;2;3;3$z", ["abcde", "f  ij", "k  no", "pqrst", "uvwxy"], (2, 1)),
    ("DECERA of all", f"{GRID}{C}$z", [], None),
    ("DECSERA", f'a{C}1"qb{C}0"qc{C}${{', [" b"], None),
    # protection
    ("DECSEL", f'a{C}1"qb{C}0"qc{C}?2K', [" b"], None),
    ("DECSED", f'a{C}1"qb{C}2"qc{C}?2J', [" b"], None),
    ("EL and DECSCA", f'a{C}1"qb{C}0"qc{C}2K', [""], None),
    ("EL and SPA", f"a{E}Vb{E}Wc{C}2K", [" b"], None),
    ("ED and SPA", f"a{E}Vb{E}Wc{C}2J", [" b"], None),
    ("ECH and SPA", f"a{E}Vb{E}Wc{C}H{C}3X", [" b"], None),
    ("DECSED and SPA", f"a{E}Vb{E}Wc{C}?2J", [""], None),
    ("DECSERA and SPA", f"a{E}Vb{E}Wc{C}1;1;1;3${{", [""], None),
    # what must not be printed
    ("DCS", f"a{E}Pq#0;2;0;0;0~~{E}\\b", ["ab"], (2, 0)),
    ("APC, PM and SOS", f"a{E}_x{E}\\{E}^y{E}\\{E}Xz{E}\\b", ["ab"], (2, 0)),
    ("Linux palette", f"a{E}]P0123456b{E}]Rc", ["abc"], (3, 0)),
    ("colon colours", f"{C}38:2::1:2:3ma{C}4:3mb", ["ab"], (2, 0)),
    ("kitty keyboard", f"a{C}>1u{C}<u{C}=3;1ub", ["ab"], (2, 0)),
    ("soft reset and DECSCUSR", f"a{C}!p{C}2 qb", ["ab"], (2, 0)),
    ("DEC locator", f"a{C}1;2'zb{C}=cc{E} Fd", ["abcd"], (4, 0)),
    ("modifyOtherKeys", f"a{C}>4;2mb", ["ab"], (2, 0)),
    ("private SGR", f"a{C}?4mb", ["ab"], (2, 0)),
    ("too many parameters", f"a{C}1;2Bb{C}1;2;3HX", ["aX", " b"], (2, 0)),
    ("OSC ended by ST", f"a{E}]0;t{E}\\b", ["ab"], (2, 0)),
    ("OSC cut by CAN", f"a{E}]0;t\x18b", ["ab"], (2, 0)),
    ("OSC cut by an escape", f"a{E}]0;t{C}2Cb", ["a  b"], (4, 0)),
    ("CAN in a sequence", f"a{C}3\x18b", ["ab"], (2, 0)),
    ("SUB in a sequence", f"a{C}3\x1ab", ["ab"], (2, 0)),
    ("controls in a sequence", f"a{C}2\r\nCb", ["a", "  b"], (3, 1)),
    ("escape in a sequence", f"a{C}3{C}Cb", ["a b"], (3, 0)),
    ("parameters after intermediates", f"a{C}1 2qb", ["ab"], (2, 0)),
    ("8-bit CSI", "a\x9b2Cb", ["a  b"], (4, 0)),
    ("8-bit OSC and ST", "a\x9d0;t\x9cb", ["ab"], (2, 0)),
    ("8-bit index", "a\x84b", ["a", " b"], (2, 1)),
    ("unknown escapes", f"a{E}%G{E}%@{E}!b", ["a"], (1, 0)),
    ("zero width space", "a\u200bbc", ["abc"], (3, 0)),
    ("direction marks", "a\u202eb\u2066c", ["abc"], (3, 0)),
    ("window operations", f"a{C}8;25;80t{C}3;1;1t{C}1tb", ["ab"], (2, 0)),
    ("DECCOLM without permission", f"abc{C}?3hX", ["abcX"], (4, 0)),
    ("DECCOLM clears and keeps the size", f"{C}?40habc{C}?3hX", ["X"], (1, 0)),
]


@pytest.mark.parametrize("sent", ["38;2;1;2;3 m", "48;2;1;2;3  m", "31 m", "38;2;1;2;-3m"])
def test_a_colour_with_anything_else_in_it_is_none(sent: str) -> None:
    emulator = Emulator(10, 5)
    emulator.feed(f"{C}{sent}{C}{sent}x".encode())
    assert next(iter(emulator.rows[0].runs))[1] == PLAIN


def padded(rows: list[str]) -> list[str]:
    return [*rows, *[""] * (5 - len(rows))]


@pytest.mark.parametrize(("name", "sent", "rows", "cursor"), CASES, ids=[case[0] for case in CASES])
def test_the_screen_shows(
    name: str, sent: str, rows: list[str], cursor: tuple[int, int] | None
) -> None:
    for cut in (False, True):
        emulator = Emulator(10, 5)
        data = sent.encode()
        for piece in [data[at : at + 1] for at in range(len(data))] if cut else [data]:
            emulator.feed(piece)
        assert [row.text for row in emulator.rows] == padded(rows), name
        if cursor is not None:
            assert (emulator.cursor.column, emulator.cursor.line) == cursor


def test_every_case_has_its_own_name() -> None:
    names = [case[0] for case in CASES]
    assert len(names) == len(set(names))
