"""Cut points in terminal output, and the mode changes of a dropped part.

See upstream/terminal: Backlog and skipping. Bytes in, bytes out; nothing here draws.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[\x00-\x17\x19\x1c-\x1f0-?]*[ -/]*[@-~]"  # CSI; controls inside it are obeyed
    rb"|[\]PX^_][^\x07\x18\x1a\x1b]*(?:[\x07\x18\x1a]|(?=\x1b))"  # OSC, DCS, SOS, PM, APC
    rb"|[ -/]+[0-~]"  # nF
    rb"|[0-OQ-WYZ\\`-~]"  # two bytes
    rb")"
)
_UNFINISHED = re.compile(
    rb"\x1b(?:\[[\x00-\x17\x19\x1c-\x1f0-?]*[ -/]*|[\]PX^_][^\x07\x18\x1a\x1b]*|[ -/]*)\Z"
)
_TAIL_BYTES = 1100
"""Longer than any sequence whose effect is kept."""

_CHANGE = re.compile(
    rb"\x1b(?:"
    rb"\[(?P<private>\??)(?P<numbers>[0-9;]{0,80}+)(?P<final>[hlr]| q)"
    rb"|(?P<soft>\[!p)"
    rb"|\[(?P<keyboard>[<>=])(?P<flags>[0-9;]{0,20})u"
    rb"|(?P<hard>c)"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<slot>[()*+])[!-/]?[0-~]"
    rb"|\](?P<title>[02];[^\x07\x18\x1a\x1b]{0,1024})(?:\x07|\x1b\\)"
    rb")"
)
_CHANGES = re.compile(
    rb"\x1b(?:"
    rb"\[(?![0-9;]*+[mHKJ])\??[0-9;]{0,80}+(?:[hlr]| q)|\[!p|\[[<>=][0-9;]{0,20}u"
    rb"|[c=>]|[()*+][!-/]?[0-~]"
    rb"|\][02];[^\x07\x18\x1a\x1b]{0,1024}(?:\x07|\x1b\\)"
    rb")"
)
"""The same without its groups and with the commonest sequences out of the way: twice as fast."""
_SCREEN = re.compile(rb"\x1b\[\?[0-9;]*(?:47|1049)[0-9;]*[hl]")
_SHIFTS = (b"\x0e", b"\x0f")
_RESTORED_MODES = frozenset(
    b"?1 ?5 ?6 ?7 ?25 ?47 ?66 ?1000 ?1002 ?1003 ?1004 ?1006 ?1007"
    b" ?1047 ?1049 ?67 ?2004 ?2026 ?2031 ?2048 4 20".split()
)
_ALTERNATE_SCREEN_MODES = frozenset(b"?47 ?1047 ?1049".split())
_SOFT_RESET_MODES = frozenset(b"?1 ?6 ?7 ?25 ?66 4".split())
_FRESH_LINE = b"\x1b]8;;\x1b\\\x1b[m\r\x1b[K"
"""No link and no colour; the line that was being drawn goes."""


def unfinished_sequence(data: bytes) -> bytes:
    """The sequence that `data` stops in the middle of; of a very long one its introducer."""
    escape = data.rfind(b"\x1b")
    if escape < 0 or not _UNFINISHED.match(data, escape):
        return b""
    return data[escape:] if len(data) - escape <= _TAIL_BYTES else data[escape : escape + 2]


def unfinished_character(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not finished there: 0 to 3."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return back if back < length else 0
    return 0


def find_cut_point(data: bytes, wanted: int) -> tuple[int, bytes]:
    """Where to go on after dropping at least `wanted` bytes of `data`, and what to put before it.

    A line start if there is one, else the next place between two characters and sequences. Only
    a sequence without an end lies across it: its introducer is the second half of the answer.
    """
    position = wanted
    while True:
        newline = data.find(b"\n", position)
        position = newline + 1 if newline >= 0 else position
        escape = data.rfind(b"\x1b", 0, position)
        if escape < 0:
            break
        whole = _SEQUENCE.match(data, escape)
        if whole is None:
            if _UNFINISHED.match(data, escape):
                return position, data[escape : escape + 2]
            break
        if whole.end() <= position:
            break
        position = whole.end()
    while position < len(data) and data[position] & 0xC0 == 0x80:
        position += 1
    return position, b""


def mode_changes(data: bytes) -> bytes:
    """A shorter output with the net effect of `data`, also where more follows or went before.

    Of changes that repeat only the last counts, but for the first change of the screen.
    """
    shift_at = max(data.rfind(shift) for shift in _SHIFTS)
    if shift_at < 0:
        found = _CHANGES.findall(data)
    else:
        matches = list(_CHANGES.finditer(data))
        found = [match[0] for match in matches if match.start() < shift_at]
        found.append(data[shift_at : shift_at + 1])
        found += [match[0] for match in matches if match.start() > shift_at]
    keyboard = _KeyboardStack()
    for change in found:
        keyboard.apply(change)
    found = [change for change in found if change[-1:] != b"u"]
    last = list(dict.fromkeys(reversed(found)))[::-1]
    if any(_SCREEN.match(change) for change in last):
        last.insert(0, next(change for change in found if _SCREEN.match(change)))
    return keyboard.pops + b"".join(last) + keyboard.pushes


def complete_length(data: bytes) -> int:
    """How much of `data` ends neither inside a sequence nor between a string and its end."""
    end = len(data)
    for _ in range(2):
        end -= len(unfinished_sequence(data[:end]))
    return end


def net_effect(data: bytes) -> bytes:
    """The shortest output that leaves an emulator in the modes `data` would have left it in.

    Private and plain modes, alternate screen, charsets, margins, keypad, cursor shape, title and
    resets; then a fresh line without colour.
    """
    change = _ModeChanges()
    reset_at = -1
    for found in _CHANGE.finditer(data):
        change.apply(found)
        if found["hard"] is not None:
            reset_at = found.start()
    shift_at = max(data.rfind(shift) for shift in _SHIFTS)
    return change.output(data[shift_at : shift_at + 1] if shift_at > reset_at else b"")


class _ModeChanges:
    """The last value of each mode and setting, in the order they were last set."""

    def __init__(self) -> None:
        self._resets = b""
        self._modes: dict[bytes, bool] = {}
        self._alternate_first: bool | None = None
        self._last: dict[str, bytes] = {}
        self._keyboard = _KeyboardStack()

    def apply(self, found: re.Match[bytes]) -> None:
        """Take one change in."""
        self._keyboard.apply(found[0])
        if found["keyboard"] is not None:
            return
        if found["final"] in (b"h", b"l"):
            for number in found["numbers"].split(b";"):
                self._mode(found["private"] + number, on=found["final"] == b"h")
        elif found["final"] is not None:
            if not found["private"]:
                self._set(found["final"].decode("ascii"), found[0])
        elif found["hard"] is not None:
            self._resets = b"\x1bc"
            self._modes.clear()
            self._last.clear()
            self._alternate_first = False
        elif found["soft"] is not None:
            self._resets = self._resets.replace(b"\x1b[!p", b"") + b"\x1b[!p"
            for name in _SOFT_RESET_MODES:
                self._modes.pop(name, None)
            self._last.pop("r", None)
        elif found["slot"] is not None:
            self._set("charset" + found["slot"].decode("ascii"), found[0])
        else:
            self._set(found.lastgroup or "", found[0])

    def _mode(self, name: bytes, *, on: bool) -> None:
        if name not in _RESTORED_MODES:
            return
        if name in _ALTERNATE_SCREEN_MODES and self._alternate_first is None:
            self._alternate_first = on
        self._modes.pop(name, None)
        self._modes[name] = on

    def _set(self, what: str, sequence: bytes) -> None:
        self._last.pop(what, None)
        self._last[what] = sequence

    def output(self, shift: bytes) -> bytes:
        """All of it, resets first."""
        parts = [self._keyboard.pops, self._resets, *self._last.values(), shift]
        for name, on in self._modes.items():
            if name in _ALTERNATE_SCREEN_MODES and not on and self._alternate_first:
                # Entered and left again within what was dropped: nothing happened.
                continue
            parts.append(b"\x1b[" + name + (b"h" if on else b"l"))
        parts.append(self._keyboard.pushes)
        return b"".join(parts) + _FRESH_LINE


_KEYBOARD = re.compile(rb"\x1b\[([<>=])([0-9]*)(?:;([0-9]*))?u")
_KEYBOARDS_KEPT = 16


class _KeyboardStack:
    """What pushes, pops and changes of the Kitty keyboard protocol come to."""

    def __init__(self) -> None:
        self._popped = 0
        self._below: int | None = None
        """The flags set in place where nothing was pushed."""
        self._pushed: list[int] = []

    def apply(self, sequence: bytes) -> None:
        """Take one in; a reset forgets everything, other sequences mean nothing here."""
        if sequence == b"\x1bc":
            self._popped, self._below, self._pushed = 0, None, []
        found = _KEYBOARD.fullmatch(sequence)
        if found is None:
            return
        number, how = (int((digits or b"0")[-4:] or 0) for digits in found.groups()[1:])
        if found[1] == b">":
            self._pushed.append(number & 1)
            del self._pushed[:-_KEYBOARDS_KEPT]
        elif found[1] == b"<":
            rest = max((number or 1) - len(self._pushed), 0)
            del self._pushed[-(number or 1) :]
            if rest:
                self._popped = min(self._popped + rest, _KEYBOARDS_KEPT)
                self._below = None
        elif how in (0, 1) or number & 1:
            value = 0 if how == 3 else number & 1
            if self._pushed:
                self._pushed[-1] = value
            else:
                self._below = value

    @property
    def pops(self) -> bytes:
        """What was taken off: to come before a change of the screen, which has its own stack."""
        return b"\x1b[<%du" % self._popped if self._popped else b""

    @property
    def pushes(self) -> bytes:
        """What was put on, to come after it."""
        below = b"" if self._below is None else b"\x1b[=%d;1u" % self._below
        return below + b"".join(b"\x1b[>%du" % flags for flags in self._pushed)
