"""One command over a terminal without exit codes: sentinel lines mark its output and code.

The terminal merges stdout and stderr and gives no status of its own, so the shell is asked to print
a marker before the command and one with its exit code after it. Only a parsed end marker is proof;
every other ending is unknown (upstream/pods: Commands by markers; upstream/pods: Exit status).

A terminal takes some bytes for keys and has no end of input, so input travels as lines of plain
characters, which the far shell turns back into bytes: base64 where there is a `base64` to decode
it, else the octal escapes of `printf`. The shell prints a marker for each piece it took, and only
a few pieces are typed ahead: a server that has to wait for a terminal to take input may wait with
all its other terminals (upstream/terminal: Input that nobody reads).
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from services.errors import RefusedError
from services.terminal.exec.event_buffer import EventBuffer
from services.terminal.exec.process_keeper import ProcessKeeper, end_cut_off
from services.terminal.exec.remote_pid import SAY_SESSION, PidPreamble
from services.terminal.exec.requests import ExecEvent, ExecResult
from services.terminal.transport.base import CloseReason, Transport

DECODES_BASE64 = "+"
"""What follows the begin marker where base64 is understood."""
FIND_DECODER = (
    ' d=; [ "$( (printf QQ== | base64 -d) 2>/dev/null)" = A ]'
    f" && d={DECODES_BASE64}; [ \"$d\" ] && stty eof '^D' 2>/dev/null"
)
"""The line to type before anything is taken; it sets `d`."""
_LINE = 765
"""Raw bytes of a line of base64: 1020 characters, which terminals other than Linux take too."""
_LINES = 5
_OCTAL_LINE = 512
_END_OF_FILE = b"\x04"
COLUMNS, LINES = 200, 50
"""Wide enough that no marker ever wraps."""
MAX_COMMAND_BYTES = 64 * 1024
_PIECE = 200
_SAFE = frozenset(b' ()*+,./:;<=>?@[]^_{|}~#&"$' + bytes(range(48, 58)))
_NUMBER = re.compile(rb"(?::-?\d{0,10}\r?)?")
LINGER_S = 1
"""How long the shell outlives its last line: what ttyd has not sent by a program's end is lost."""
START_S = 30.0
"""How long a terminal may take to show that a shell runs the command."""
_KEY_INTERVAL_S = 1.0
_MOST_BUFFERED_EVENTS = 64
"""Pieces of output nobody has taken yet."""


@dataclass(frozen=True, slots=True)
class InputCoding:
    """How input is typed."""

    piece: int
    """Most bytes of a piece."""
    ahead: int
    """Most pieces that nobody took yet: 10 KiB; Linux holds 12 before who writes has to wait."""
    encode: Callable[[bytes], bytes]
    """What is typed for a piece."""


def _encode_base64(piece: bytes) -> bytes:
    """A line for the shell, then what a decoder reads from the terminal up to its end of file."""
    lines = (base64.b64encode(piece[at : at + _LINE]) for at in range(0, len(piece), _LINE))
    return b"\n".join((b"", *lines, _END_OF_FILE))


def _encode_octal(piece: bytes) -> bytes:
    return b"".join(_ENCODED_BYTES[one] for one in piece) + b"\n"


_ENCODED_BYTES = tuple(
    bytes((one,)) if chr(one).isascii() and chr(one).isalnum() else b"\\%03o" % one
    for one in range(256)
)
BASE64 = InputCoding(_LINE * _LINES, 2, _encode_base64)
OCTAL = InputCoding(_OCTAL_LINE, 4, _encode_octal)


def receiving_loop(last: str, each: str) -> str:
    """Shell text: input up to the line `last` on stdout, `each` on descriptor 3 for every piece."""
    # Where a broken pipe is ignored, as servers have it, only its failure ends the loop.
    take = 'if [ "$d" ]; then base64 -d; else printf "$l"; fi 2>/dev/null'
    return f"while IFS= read -r l && [ \"$l\" != '{last}' ] && {take}; do printf '{each}' >&3; done"


def _printf_escape(raw: bytes) -> str:
    """Bytes as a printf format of plain characters: no tab completion, no history expansion."""
    return "".join(chr(one) if one in _SAFE else f"\\{one:03o}" for one in raw)


def sentinel_script(
    argv: Sequence[str], begin: str, end: str, *, taken: str = "", terminal: bool = False
) -> str:
    """The lines to type: each far below a terminal's 4095-byte line.

    See upstream/pods: Commands by markers.

    With `taken`, input is taken in pieces of the coding that the begin marker tells, up to a line
    that is `end`; the marker `taken` is printed for each.
    With `terminal` the command has the terminal itself, and cannot be suspended.

    Raises:
        RefusedError: the command is longer than 64 KiB.
    """
    command = shlex.join(argv).encode("utf-8", "surrogateescape")
    if len(command) > MAX_COMMAND_BYTES:
        raise RefusedError(
            f"The command is {len(command)} bytes long; a terminal takes {MAX_COMMAND_BYTES}.",
            advice="Put it in a file in the sandbox and run that.",
        )
    # The shell survives a Ctrl-C that ends the command, to tell its code.
    lines = [
        " unset HISTFILE; trap : INT; stty -echo 2>/dev/null; printf '\\033[?2004l'; c=",
    ]
    for at in range(0, len(command), _PIECE):
        piece = _printf_escape(command[at : at + _PIECE])
        # A letter holds the place of newlines that a substitution would strip.
        lines.append(f" c=$c$(printf '{piece}x'); c=${{c%x}}")
    # The markers are never typed as they are printed, so an echo cannot be taken for them.
    first, last, each = (f"{word[:4]}''{word[4:]}" for word in (begin, end, taken))
    run = '(trap : INT; eval "$c") </dev/null'
    prepare = coding = ""
    if terminal:
        prepare, run = " trap '' TSTP; stty echo 2>/dev/null;", '(trap : INT; eval "$c")'
    elif taken:
        lines.append(FIND_DECODER)
        coding = '"$d"'
        run = f'{{ {receiving_loop(last, each)} | (trap : INT; eval "$c") 3>&-; }} 3>&1'
    lines.append(
        f"{prepare} printf '\\n%s\\n' '{first}'{coding}; {run}; r=$?;"
        f" printf '%s:%d\\n' '{last}' \"$r\"; sleep {LINGER_S}; exit $r"
    )
    return "\n".join(lines) + "\n"


def new_marker() -> str:
    """A marker of one command: nothing it prints can be taken for it."""
    return f"WAKEDECK_{secrets.token_hex(10)}"


class SentinelParser:
    """Extracts the command's output and exit code from the stream; no I/O."""

    def __init__(self, begin: str, end: str, taken: str = "", *, raw: bool = False) -> None:
        """With `raw` the terminal's line ends are left as they are."""
        self._line_end = b"\r\n" if raw else b"\n"
        coding = re.escape(DECODES_BASE64.encode())
        told = re.escape(begin.encode()) + rb"(" + coding + rb")?\r?\n"
        self._begin = re.compile(rb"(?:^|\n)" + told)
        self._end = re.compile(re.escape(end.encode()) + rb":(-?\d+)\r?\n")
        self._marker = end.encode()
        self._taken = taken.encode()
        self._buffer = b""
        self.started = False
        self.coding = OCTAL
        """How the shell wants its input, once it started."""
        self.taken = 0
        """How many pieces of input the shell took."""
        self.code: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The part of the command's output that is now certain."""
        if self.code is not None:
            return b""
        self._buffer += data
        if not self.started:
            found = self._begin.search(self._buffer)
            if found is None:
                self._buffer = self._buffer[-4096:]
                return b""
            self.started = True
            if found[1]:
                self.coding = BASE64
            self._buffer = self._buffer[found.end() :]
        if self._taken:
            pieces = self._buffer.split(self._taken)
            self.taken += len(pieces) - 1
            self._buffer = b"".join(pieces)
        found = self._end.search(self._buffer)
        if found is not None:
            self.code = int(found.group(1))
            certain, self._buffer = self._buffer[: found.start()], b""
        else:
            sure = len(self._buffer) - self._partial_marker()
            certain, self._buffer = self._buffer[:sure], self._buffer[sure:]
        return certain.replace(b"\r\n", self._line_end)

    def _partial_marker(self) -> int:
        """How many bytes at the end may be the beginning of a marker, or of a newline."""
        held = self._buffer
        at = held.rfind(self._marker)
        if at >= 0 and _NUMBER.fullmatch(held, at + len(self._marker)):
            return len(held) - at
        if held.endswith(b"\r"):
            return 1
        return max(_overlap(held, self._marker), _overlap(held, self._taken))

    def flush(self) -> bytes:
        """What is left where no end marker came."""
        left, self._buffer = (self._buffer if self.started else b""), b""
        return left.replace(b"\r\n", self._line_end)


def _overlap(held: bytes, marker: bytes) -> int:
    """How much of the marker's beginning is at the end."""
    most = min(len(marker) - 1, len(held))
    return next((size for size in range(most, 0, -1) if held.endswith(marker[:size])), 0)


class SentinelCommand:
    """A `CommandTransport` over a terminal that is not open yet."""

    input_delays_pongs = False
    """Less is typed ahead than a terminal holds."""

    def __init__(
        self, transport: Transport, place: str, keeper: ProcessKeeper | None = None
    ) -> None:
        """With a `keeper` the shell says who it is, and is ended where its connection is cut."""
        self.place = place
        self._transport = transport
        self._keeper = keeper
        self._preamble = PidPreamble()
        self._end = ""
        self._parser = SentinelParser("", "")
        self._started = asyncio.Event()
        self._start_by: float | None = None
        self._typed = 0
        self._input_taken = asyncio.Event()
        self._events = EventBuffer(self._receive)

    async def begin(self, argv: tuple[str, ...], *, stdin: bool) -> None:
        """Open the terminal and type the command.

        Raises:
            ShellError: the transport could not be opened.
            RefusedError: the command is too long.
        """
        begin, self._end, taken = new_marker(), new_marker(), new_marker() if stdin else ""
        script = sentinel_script(argv, begin, self._end, taken=taken)
        typed = (script if self._keeper is None else f"{SAY_SESSION}\n{script}").encode("ascii")
        self._parser = SentinelParser(begin, self._end, taken)
        await self._transport.open(COLUMNS, LINES)
        await self._transport.write(typed)
        self._start_by = asyncio.get_running_loop().time() + START_S

    async def read(self) -> ExecEvent:
        """The next output, or how it ended."""
        return await self._events.read()

    async def _receive(self) -> None:
        try:
            async with asyncio.timeout_at(None if self._parser.started else self._start_by):
                got = await self._transport.read()
        except TimeoutError:
            why = f"no shell took the command within {START_S:g} s; is input allowed there?"
            self._events.finish(ExecResult(None, why))
            return
        if isinstance(got, CloseReason):
            self._events.emit(self._parser.flush())
            left = await end_cut_off(self._keeper, self._preamble.remote, self.place)
            why = f"The terminal ended before the command's status: {got.reason}; {left}"
            self._events.finish(ExecResult(None, why))
        else:
            if not self._parser.started and self._keeper is not None:
                got = self._preamble.feed(got)
            self._events.emit(self._parser.feed(got))
            if self._parser.started:
                self._started.set()
            if self._parser.code is not None:
                self._events.finish(ExecResult(self._parser.code))
        self._input_taken.set()

    async def write(self, data: bytes) -> None:
        """Type input, as the shell takes it; nothing once the command ended."""
        await self._started.wait()
        coding = self._parser.coding
        for at in range(0, len(data), coding.piece):
            while self._typed - self._parser.taken >= coding.ahead and not self._events.ended:
                self._input_taken.clear()
                await self._input_taken.wait()
            if self._events.ended:
                return
            self._typed += 1
            await self._transport.write(coding.encode(data[at : at + coding.piece]))

    async def end_input(self) -> None:
        """Type the line that ends it."""
        await self._started.wait()
        if not self._events.ended:
            await self._transport.write(self._end.encode() + b"\n")

    async def ping(self) -> bool:
        """A sign of life."""
        return await self._transport.ping()

    async def stop(self) -> bool:
        """Press Ctrl-C, again, Ctrl-backslash, Ctrl-D; then end its shell, where that can be."""
        for key in (b"\x03", b"\x03", b"\x1c", b"\x04"):
            if not self._events.ended:
                await self._transport.write(key)
                await self._wait_for_end()
        if self._events.ended:
            return self._parser.code is not None
        remote = self._preamble.remote
        return self._keeper is not None and remote is not None and await self._keeper.end(remote)

    async def _wait_for_end(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_KEY_INTERVAL_S):
                while not self._events.ended:
                    if len(self._events) < _MOST_BUFFERED_EVENTS:
                        await self._events.receive_unless(lambda: self._events.ended)
                    else:
                        await asyncio.sleep(_KEY_INTERVAL_S)

    async def close(self) -> None:
        """Leave the terminal, which ends what runs in it as far as the platform lets us."""
        await self._transport.close()
