"""A Textual driver whose writes never block on a terminal that has gone away.

A closed window, a killed multiplexer or a lost connection ends Textual's writing thread; its queue
is then full for ever, and whoever writes to it would wait for ever with it.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator

from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

from services.text.charset import charset_of, in_charset
from tui.panel.key_parser import KeyParser

PATIENCE_S = 0.2
"""How long a full queue is waited for before it is asked whether anybody still reads it."""


class TerminalDriver(LinuxDriver):
    """LinuxDriver that drops output once the writer thread has ended, and keeps Alt on keys."""

    _charset = charset_of(os.environ)

    def run_input_thread(self) -> None:
        """Read keys; the driver makes its parser by this name and has no other place to say so."""
        vars(linux_driver)["XTermParser"] = KeyParser
        super().run_input_thread()

    def write(self, data: str) -> None:
        """Hand it to the writing thread while there is one, in the terminal's character set."""
        self._hand_over(in_charset(data, self._charset))

    def close(self) -> None:
        """Let the thread write what is left, if it still can."""
        self._hand_over(None)
        writer = self._writer_thread
        for _ in _while_alive(writer):
            assert writer is not None
            writer.join(PATIENCE_S)

    def _hand_over(self, data: str | None) -> None:
        writer = self._writer_thread
        for _ in _while_alive(writer):
            assert writer is not None
            try:
                writer._queue.put(data, timeout=PATIENCE_S)
            except queue.Full:
                continue
            return


def _while_alive(writer: WriterThread | None) -> Iterator[None]:
    while writer is not None and writer.is_alive():
        yield
