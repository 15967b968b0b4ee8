"""A Textual driver that leaves when its terminal has gone, and never waits for it.

A closed window, a killed multiplexer or a lost connection ends Textual's writing thread; its queue
is then full for ever, and whoever writes to it would wait for ever with it. What is read from such
a terminal is nothing, again and again.

Textual names some of what a terminal sends for Alt and a key after another key (`ESC DEL` is
Ctrl+W, `ESC f` Ctrl+Right) and drops Alt from others (`ESC CR`). A program in a shell has to be
told what was pressed.
"""

from __future__ import annotations

import codecs
import os
import queue
import re
import selectors
import sys
import termios
from collections.abc import Iterable, Iterator
from typing import Any

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

from services.text.charset import charset_of, in_charset

PATIENCE_S = 0.2
"""How long a full queue is waited for before it is asked whether anybody still reads it."""
_POLL_S = 0.1
_READ = 4096
ESC = "\x1b"
_OTHER_KEY = re.compile(r"\x1b\[27;(\d{1,3});(\d{1,7})~")
"""What modifyOtherKeys sends: modifiers and a character."""


class KeyParser(XTermParser):
    """Bytes of the outer terminal as key events."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        known = sequence in ANSI_SEQUENCES_KEYS
        if known and len(sequence) == 2 and sequence[0] == ESC != sequence[1]:
            return self._with_alt(sequence[1])
        if alt:
            return self._with_alt(sequence)
        if match := _OTHER_KEY.fullmatch(sequence):
            sequence = f"{ESC}[{match[2]};{match[1]}u"
        return super()._sequence_to_key_events(sequence)

    def _with_alt(self, character: str) -> Iterable[events.Key]:
        for event in super()._sequence_to_key_events(character, alt=True):
            held = event.key.startswith("alt+")
            yield event if held else events.Key(f"alt+{event.key}", event.character)


class TerminalDriver(LinuxDriver):
    """LinuxDriver that drops output once nobody takes it, leaves then, and keeps Alt on keys."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._active = self._waiting = self._gone = False
        self._charset = charset_of(os.environ)
        if sys.__stdout__ is not None and not (sys.__stderr__ and sys.__stderr__.isatty()):
            self._file = sys.__stdout__

    def start_application_mode(self) -> None:
        """Take the terminal, once this process is in its foreground; leave where it cannot be."""
        may = self._in_foreground()
        self._waiting = may is None
        if may:
            try:
                super().start_application_mode()  # type: ignore[no-untyped-call]
            finally:
                self._active = True
        elif self._waiting:
            # Asking for it anyway would stop this process, and it would hear no signal.
            self._key_thread = None
            self._loop.call_later(_POLL_S, self._start_again)
        else:
            self._leave()

    def _start_again(self) -> None:
        if self._waiting:
            self.start_application_mode()
            self._redraw()

    def stop_application_mode(self) -> None:
        """Give the terminal back."""
        self._active = self._waiting = False
        super().stop_application_mode()

    def give_back(self) -> None:
        """Stop where nobody did: no thread of ours is left to hold the process."""
        if self._active:
            self.stop_application_mode()
            self.close()
            self.exit_event.set()

    def disable_input(self) -> None:
        """Stop reading keys, and drop those nobody read; nothing where another job has them."""
        if self._key_thread is not None:
            super().disable_input()

    def _in_foreground(self) -> bool | None:
        """None where another job has the terminal; False where it has gone."""
        try:
            termios.tcgetattr(self.fileno)
        except termios.error:
            return False
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp() or None
        except OSError:
            return True  # It is nobody's controlling terminal, and so has no jobs.

    def _sigcont_application(self, *_: object) -> None:
        """Take the terminal again, once: a hang-up brings this signal as well as the end of a stop.

        A second pair of threads beside the first would read the same keys and never be told to end.
        """
        if self._loop.is_closed():
            return
        if self._must_signal_resume:
            super()._sigcont_application()
            self._loop.call_soon_threadsafe(self._redraw)
        else:
            # Not here: what is interrupted may be taking the terminal just now, or hold the lock
            # of the queue that is written to.
            self._loop.call_soon_threadsafe(self._take_again)

    def _take_again(self) -> None:
        if self._active and self._auto_restart and not self._gone:
            self.suspend_application_mode()
            self.resume_application_mode()
            self._redraw()

    def _redraw(self) -> None:
        self._app.refresh(layout=True)

    def run_input_thread(self) -> None:
        """Read keys until the driver is told to stop, or the terminal has gone."""
        parser = KeyParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_POLL_S):
                    data = self._read()
                    if data is None:
                        self._leave()
                        return
                    # To the parser nothing is the end of everything.
                    for event in parser.feed(text) if (text := decode(data)) else ():
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

    def _read(self) -> bytes | None:
        """What was typed; None where the terminal has gone."""
        try:
            data = os.read(self.fileno, _READ)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        if not data:
            try:
                termios.tcgetattr(self.fileno)
            except termios.error:
                return None
        return data

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
        if data is not None and not self._waiting:
            self._leave()

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._app.call_later(self._app.run_action, "leave")


def _while_alive(writer: WriterThread | None) -> Iterator[None]:
    while writer is not None and writer.is_alive():
        yield
