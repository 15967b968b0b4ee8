"""The one gate where text leaves the command line: whatever is printed cannot steer a terminal.

Installed around a whole command, so that usage errors and tables pass it alike. Bytes that `exec`
and `shell` hand on go past it by their file descriptors: they are a program's, not ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from services.text.sanitize import printable


class GatedStream:
    """A text stream whose `write` escapes control, invisible and direction-changing characters."""

    errors = "backslashreplace"

    def __init__(self, stream: TextIO) -> None:
        """What cannot be spelled in the stream's encoding is escaped from now on."""
        self._stream = stream
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError, ValueError):
                reconfigure(errors=self.errors)

    @property
    def encoding(self) -> str:
        """Never ASCII by name: click would then write to the bytes below and miss the gate."""
        known = self._stream.encoding or "utf-8"
        return "utf-8" if known.lower() in ("ascii", "ansi_x3.4-1968", "us-ascii") else known

    def write(self, text: str) -> int:
        """Write the text as it may be shown; the count is that of `text`."""
        self._stream.write(printable(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each as `write` does."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def gated() -> Iterator[None]:
    """Stdout and stderr behind the gate for as long as this lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (
        one if isinstance(one, GatedStream) or one is None else GatedStream(one) for one in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
