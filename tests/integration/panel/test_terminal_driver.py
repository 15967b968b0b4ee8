"""The driver and the signals that reach it while it takes the terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from tests.support.waiting import eventually
from tui.panel.terminal_driver import TerminalDriver


@pytest.fixture
def handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


async def test_going_on_is_heard_while_the_terminal_is_being_taken(
    monkeypatch: pytest.MonkeyPatch, handlers: None
) -> None:
    """A stop and its end in the midst of taking the terminal: it is taken once more."""
    taken: list[str] = []

    def take(driver: TerminalDriver) -> None:
        taken.append("taken")
        if len(taken) == 1:
            os.kill(os.getpid(), signal.SIGCONT)

    monkeypatch.setattr(LinuxDriver, "start_application_mode", take)
    monkeypatch.setattr(LinuxDriver, "stop_application_mode", lambda _: taken.append("given"))
    ours, theirs = os.openpty()
    try:
        app: App[None] = App()
        driver = TerminalDriver(app, size=(80, 24))
        driver.fileno = theirs
        driver.start_application_mode()
        await eventually(lambda: taken == ["taken", "given", "taken"], what=lambda: taken)
        driver.stop_application_mode()
        driver._sigcont_application()
        assert driver._active is False
    finally:
        os.close(ours)
        os.close(theirs)
