"""A log in a program of the operator's own, and the panel back after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.errors import UnavailableError
from tests.support.panels import panel, toasts
from tests.support.scenes import LOG, logged, settings
from tui.app import WakedeckApp
from tui.panel.log_screen import EDITOR, PAGER, LogScreen, program_command
from widgets.panes.binding_rows import key_sections


@pytest.mark.parametrize(
    ("variables", "environ", "words"),
    [
        (PAGER, {"PAGER": "cat -A"}, ["cat", "-A"]),
        (EDITOR, {"EDITOR": "cat", "VISUAL": ""}, ["cat"]),
        (EDITOR, {"EDITOR": "false", "VISUAL": "cat '-v'"}, ["cat", "-v"]),
    ],
)
def test_the_variable_names_it(
    variables: tuple[str, ...], environ: dict[str, str], words: list[str]
) -> None:
    assert program_command(variables, environ) == words


@pytest.mark.parametrize("named", ["nobody-has-this", "cat 'half"])
def test_one_that_cannot_be_had_is_said(named: str) -> None:
    with pytest.raises(UnavailableError) as raised:
        program_command(PAGER, {"PAGER": named})
    assert "PAGER" in raised.value.sentence


async def test_the_text_is_given_to_the_program_and_the_panel_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal of a test cannot be given away: that is done by hand, the rest here."""
    seen = tmp_path / "seen"
    script = (
        f"import sys, pathlib; pathlib.Path({str(seen)!r}).write_text(open(sys.argv[1]).read())"
    )
    program = tmp_path / "pager"
    program.write_text(f"#!{sys.executable}\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PAGER", str(program))

    @contextmanager
    def suspend(self: WakedeckApp) -> Iterator[None]:
        yield

    monkeypatch.setattr(WakedeckApp, "suspend", suspend)
    async with panel(tmp_path / "state", logged()) as stage:
        await stage.press("L")
        screen = stage.app.screen
        assert isinstance(screen, LogScreen)
        await stage.until(lambda: len(screen.pane.view.lines) == len(LOG))
        await stage.press("vertical_line")
        await stage.until(seen.exists)
        await stage.until(lambda: seen.read_text("utf-8").count("\n") == len(LOG))
        assert "Message routed" in seen.read_text("utf-8")
        assert stage.app.screen is screen


async def test_a_terminal_that_cannot_be_given_away_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "cat")
    monkeypatch.delenv("VISUAL", raising=False)
    async with panel(tmp_path, logged()) as stage:
        await stage.press("L")
        await stage.press("e")
        await stage.until(lambda: bool(toasts(stage.app)))
        assert "cannot be given" in toasts(stage.app)[0]


async def test_a_read_only_panel_starts_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor or a pager opens a shell for whoever sits before it."""
    started: list[object] = []
    monkeypatch.setattr(LogScreen, "_show", started.append)
    async with panel(tmp_path, logged(), settings(read_only=True)) as stage:
        await stage.press("L")
        await stage.press("e", "vertical_line")
        await stage.until(lambda: len(toasts(stage.app)) == 2)
        assert "read-only" in toasts(stage.app)[0] and not started
        sections = key_sections(stage.app, stage.app.screen.active_bindings)
        off = {row.id for one in sections for row in one.rows if not row.enabled}
        assert {"log.pager", "log.editor"} <= off
