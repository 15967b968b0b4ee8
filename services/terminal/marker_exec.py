"""One command over a terminal that has no exit codes: the code travels between two markers.

The terminal merges stdout and stderr and gives no status of its own, so the shell is asked to
print a marker before the command and one with its exit code after it. Only a parsed end marker is
proof; every other ending is unknown (pod-terminal contract §1.7, §0.1).
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from collections.abc import Callable, Sequence

from services.errors import RefusedError
from services.terminal.requests import ExecResult
from services.terminal.transport import Ending, Transport

COLUMNS, LINES = 200, 50
"""Wide enough that no marker ever wraps."""
LONGEST_COMMAND = 64 * 1024
_PIECE = 200
_SAFE = frozenset(b' ()*+,./:;<=>?@[]^_{|}~#&"$' + bytes(range(48, 58)))
_PATIENCE_S = 2.0


def _escaped(raw: bytes) -> str:
    """Bytes as a printf format of plain characters: no tab completion, no history expansion."""
    return "".join(chr(one) if one in _SAFE else f"\\{one:03o}" for one in raw)


def script(argv: Sequence[str], begin: str, end: str) -> str:
    """The lines to type: each far below a terminal's 4095-byte line (§1.7).

    Raises:
        RefusedError: the command is longer than 64 KiB.
    """
    command = shlex.join(argv).encode("utf-8", "surrogateescape")
    if len(command) > LONGEST_COMMAND:
        raise RefusedError(
            f"The command is {len(command)} bytes long; a terminal takes {LONGEST_COMMAND}.",
            advice="Put it in a file in the sandbox and run that.",
        )
    lines = [" unset HISTFILE; stty -echo 2>/dev/null; printf '\\033[?2004l'; c="]
    for at in range(0, len(command), _PIECE):
        piece = _escaped(command[at : at + _PIECE])
        # A letter holds the place of newlines that a substitution would strip.
        lines.append(f" c=$c$(printf '{piece}x'); c=${{c%x}}")
    # The markers are never typed as they are printed, so an echo cannot be taken for them.
    first, last = (f"{word[:4]}''{word[4:]}" for word in (begin, end))
    lines.append(
        f" printf '\\n%s\\n' '{first}'; (eval \"$c\") </dev/null; r=$?; "
        f"printf '\\n%s:%d\\n' '{last}' \"$r\"; exit $r"
    )
    return "\n".join(lines) + "\n"


class Cut:
    """Cuts the command's own output out of the stream; pure, fed any pieces."""

    def __init__(self, begin: str, end: str) -> None:
        self._begin = re.compile(rb"(?:^|\n)" + re.escape(begin.encode()) + rb"\r?\n")
        self._end = re.compile(rb"\r?\n" + re.escape(end.encode()) + rb":(-?\d+)\r?\n")
        self._hold = len(end) + 16
        self._buffer = b""
        self._begun = False
        self.code: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The part of the command's output that is now certain."""
        if self.code is not None:
            return b""
        self._buffer += data
        if not self._begun:
            found = self._begin.search(self._buffer)
            if found is None:
                self._buffer = self._buffer[-4096:]
                return b""
            self._begun = True
            self._buffer = self._buffer[found.end() - 1 :]
            # The newline before the end marker may be this very one: output may be empty.
            self._drop_first = True
        found = self._end.search(self._buffer)
        if found is not None:
            self.code = int(found.group(1))
            certain, self._buffer = self._buffer[: found.start()], b""
            return self._clean(certain)
        if len(self._buffer) <= self._hold:
            return b""
        certain, self._buffer = self._buffer[: -self._hold], self._buffer[-self._hold :]
        if certain.endswith(b"\r"):
            certain, self._buffer = certain[:-1], b"\r" + self._buffer
        return self._clean(certain)

    def rest(self) -> bytes:
        """What is left where no end marker came."""
        left, self._buffer = (self._buffer if self._begun else b""), b""
        return self._clean(left)

    _drop_first = False

    def _clean(self, raw: bytes) -> bytes:
        if raw and self._drop_first:
            self._drop_first = False
            raw = raw[1:]
        return raw.replace(b"\r\n", b"\n")


async def run(
    transport: Transport,
    argv: Sequence[str],
    timeout_s: float,
    on_output: Callable[[bytes], None] | None = None,
) -> ExecResult:
    """Run one command to its end over a fresh transport, which is closed in every case.

    Raises:
        ShellError: the transport could not be opened.
        RefusedError: the command is too long.
    """
    begin, end = (f"WAKEDECK_{secrets.token_hex(10)}" for _ in range(2))
    typed = script(argv, begin, end).encode("ascii")
    cut = Cut(begin, end)
    kept: list[bytes] = []

    def keep(piece: bytes) -> None:
        if piece:
            kept.append(piece)
            if on_output is not None:
                on_output(piece)

    reason = ""
    try:
        async with asyncio.timeout(timeout_s):
            await transport.open(COLUMNS, LINES)
            await transport.write(typed)
            while cut.code is None:
                got = await transport.read()
                if isinstance(got, Ending):
                    reason = f"The terminal ended before the command's status: {got.reason}"
                    break
                keep(cut.feed(got))
    except TimeoutError:
        reason = f"No status within {timeout_s:g} s; the command was interrupted."
        await _interrupt(transport)
    finally:
        await transport.close()
    keep(cut.rest())
    return ExecResult(b"".join(kept), b"", cut.code, "" if cut.code is not None else reason)


async def _interrupt(transport: Transport) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await transport.write(b"\x03")
            await transport.write(b"\x04")
    except TimeoutError:
        return
