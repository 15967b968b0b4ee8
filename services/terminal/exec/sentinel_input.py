"""A command's input typed into a terminal: what is typed, and the shell text that takes it.

A terminal takes some bytes for keys and has no end of input, so input travels as lines of plain
characters, which the far shell turns back into bytes: base64 where there is a `base64` to decode
it, else the octal escapes of `printf`. The shell prints a marker for each piece it took, and only
a few pieces are typed ahead: a server that has to wait for a terminal to take input may wait with
all its other terminals (upstream/terminal: Input that nobody reads).
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from services.lazy_dataclass import dataclass

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
