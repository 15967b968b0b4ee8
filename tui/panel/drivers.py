"""Which Textual driver draws the panel, and whether it can: a terminal, or one that is named.

A web server starts the panel with pipes and names a driver in TEXTUAL_DRIVER. Such a driver stops
reading when its input ends and tells nobody; the panel then leaves as it does without a terminal.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from services.errors import ConfigError, RefusedError
from services.text.charset import charset_of
from services.text.sanitize import sanitize
from tui.panel.themes import COLOR_SYSTEM

if TYPE_CHECKING:
    from textual.app import App
    from textual.driver import Driver

    from tui.panel.terminal_driver import TerminalDriver

VARIABLE = "TEXTUAL_DRIVER"
_COLOR_SYSTEMS = ("auto", "standard", "256", "truecolor")

LEAST_MB = {resource.RLIMIT_AS: 1024, resource.RLIMIT_DATA: 256}
"""Of addresses and of what is written: each thread sets far more addresses aside than it uses."""
LEAST_FILES = 16
_NAMES = {resource.RLIMIT_AS: "address space", resource.RLIMIT_DATA: "data"}


def check() -> None:
    """Whether there is something the panel can draw on.

    Raises:
        ConfigError: the driver or the colours that are named cannot be had.
        RefusedError: a terminal is needed and there is none.
    """
    colors = os.environ.get(COLOR_SYSTEM, "auto")
    if colors not in _COLOR_SYSTEMS:
        raise ConfigError(
            f"{COLOR_SYSTEM} names {sanitize(colors, 80)!r}, which is no set of colours.",
            advice=f"There are: {', '.join(_COLOR_SYSTEMS)}.",
        )
    named = os.environ.get(VARIABLE, "")
    if named and not _needs_terminal(_load(named)):
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RefusedError("the panel needs a terminal; `wakedeck status` works without one.")
    term = os.environ.get("TERM", "").strip().lower()
    if term in ("dumb", "unknown"):
        raise RefusedError(
            f"the panel needs a terminal that can place text, and TERM says {term}; "
            "`wakedeck status` works without one."
        )


def charset_notice() -> str:
    """Said once in a terminal that cannot show the signs; empty in one that can."""
    charset = charset_of(os.environ)
    if charset == "utf-8":
        return ""
    return f"This terminal's character set is {charset.upper()}: frames and signs are ASCII here."


@contextmanager
def given_back(app: App[int]) -> Iterator[None]:
    """The terminal of an app is its shell's again, whatever ended the app."""
    try:
        yield
    finally:
        driver = app._driver
        if isinstance(driver, _terminal_driver()):
            driver.give_back()


def _load(named: str) -> type[Driver]:
    from textual.driver import Driver

    module, _, symbol = named.partition(":")
    try:
        found = getattr(importlib.import_module(module), symbol)
    except Exception as error:
        raise ConfigError(
            f"{VARIABLE} names {sanitize(named, 80)!r}, which cannot be loaded.",
            advice="Unset it to use the terminal.",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise ConfigError(
            f"{VARIABLE} names {sanitize(named, 80)!r}, which is no driver of Textual.",
            advice="Unset it to use the terminal.",
        )
    return found


def _needs_terminal(driver: type[Driver]) -> bool:
    from textual.drivers.linux_driver import LinuxDriver

    return issubclass(driver, LinuxDriver)


def adapt(chosen: type[Driver]) -> type[Driver]:
    """Textual's choice, but one that outlives its terminal, or leaves when its server has gone."""
    if chosen.__name__ == "LinuxDriver":
        return _terminal_driver()
    from textual.drivers.web_driver import WebDriver

    return _served(chosen) if issubclass(chosen, WebDriver) else chosen


def _terminal_driver() -> type[TerminalDriver]:
    from tui.panel.terminal_driver import TerminalDriver

    return TerminalDriver


def _served(chosen: Any) -> type[Driver]:
    class ServedDriver(chosen):  # type: ignore[misc]
        """The named driver; the panel leaves, once, when nobody is at the other end."""

        def __init__(self, *args: Any, **extra: Any) -> None:
            super().__init__(*args, **extra)
            self._write_all: Callable[[memoryview], int] = vars(self)["_write"]
            self._write = self._write_or_leave

        def run_input_thread(self) -> None:
            """Read until the end of the input."""
            try:
                super().run_input_thread()
            finally:
                self._leave()

        def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
            """A server that asks us to quit gets what the key for it does."""
            if packet_type == "quit":
                self._leave()
            else:
                super().on_meta(packet_type, payload)

        def _write_or_leave(self, data: bytes) -> None:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._write_all(rest) :]
            except OSError:
                self._leave()

        def _leave(self) -> None:
            if not self.exit_event.is_set():
                self.exit_event.set()
                self._app.call_later(self._app.run_action, "leave")

    return ServedDriver


def check_limits() -> None:
    """Look at the limits of this process.

    Raises:
        RefusedError: they are too low; the sentence says which and by how much.
    """
    for which, least in LEAST_MB.items():
        most = resource.getrlimit(which)[0]
        if most != resource.RLIM_INFINITY and most < least << 20:
            raise RefusedError(
                f"the panel needs {least} MB of {_NAMES[which]}, and may have {most >> 20} here.",
                advice="Raise the limit (`ulimit -v`, `ulimit -d`); `wakedeck status` needs less.",
            )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files < LEAST_FILES:
        raise RefusedError(
            f"the panel needs {LEAST_FILES} open files, and may have {files} here.",
            advice="Raise the limit with `ulimit -n`.",
        )
