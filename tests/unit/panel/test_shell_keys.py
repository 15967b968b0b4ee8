"""The chords of a shell's view, while the view's module is loaded by a thread."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from textual.widget import Widget

from tui.panel.shell_keys import footer_rows


@pytest.mark.parametrize("module", [None, ModuleType("half loaded")], ids=["not yet", "half"])
def test_no_widget_is_a_shell_before_the_view_is_loaded(
    module: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "widgets.terminal.view", module)
    assert footer_rows(Widget()) == ()
