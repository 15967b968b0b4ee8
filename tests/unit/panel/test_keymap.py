"""The operator's keys: a clash is one only where both actions are live at once."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from services.errors import ConfigError
from tui.app import bound_actions
from tui.panel.keymap import live_together, resolve


def test_every_binding_has_an_id_and_words() -> None:
    from tui.dashboard import Dashboard
    from tui.panel.key_labels import rebindable

    every = bound_actions()
    assert {"repair.wake", "table.mark", "stream.follow", "queue.merge", "app.help"} <= {
        one.id for one in every
    }
    assert all(one.description for one in every)
    assert len(rebindable(())) < len(every)
    assert len(Dashboard.BINDINGS) == sum(one.place == "panel" for one in every)


@pytest.mark.parametrize(
    ("wanted", "both"),
    [
        ({"repair.wake": "r"}, ("repair.wake", "repair.reconnect")),
        ({"repair.wake": "j"}, ("repair.wake", "table.down")),
        ({"panel.zoom": "question_mark"}, ("panel.zoom", "app.help")),
        ({"stream.follow": "slash"}, ("stream.follow", "pane.filter")),
        ({"queue.merge": "s"}, ("queue.merge", "panel.shell")),
    ],
)
def test_a_clash_names_both(wanted: dict[str, str], both: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as said:
        resolve(bound_actions(), wanted)
    for name in both:
        assert repr(name) in str(said.value.sentence)


@pytest.mark.parametrize(
    "wanted",
    [
        {"confirm.yes": "w"},
        {"repair.wake": "r", "repair.reconnect": "w"},
        {"table.mark": "m, insert", "queue.merge": "b"},
        {"details.copy": "s"},
    ],
)
def test_keys_of_places_that_are_never_live_together_may_be_the_same(
    wanted: dict[str, str],
) -> None:
    known = bound_actions()
    ids = {one.id for one in known}
    wanted = {name: key for name, key in wanted.items() if name in ids}
    assert resolve(known, wanted) == wanted


def test_the_defaults_are_no_clash() -> None:
    assert resolve(bound_actions(), {}) == {}
    assert live_together("panel", "table")
    assert not live_together("repair", "queues")
    assert not live_together("confirm", "panel")


def test_no_binding_of_the_panel_is_without_an_id_or_out_of_reach() -> None:
    root = Path(__file__).resolve().parents[3]
    reach = {one.id for one in bound_actions()}
    nameless, unreachable = [], []
    for path in sorted((*(root / "tui").rglob("*.py"), *(root / "widgets").rglob("*.py"))):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if name == "tui.panel.replay":
            continue  # An app of its own, with a player's keys.
        for cls in vars(importlib.import_module(name)).values():
            if not (inspect.isclass(cls) and cls.__module__ == name):
                continue
            for binding in vars(cls).get("BINDINGS", ()):
                if not binding.id:
                    nameless.append(f"{cls.__name__}: {binding.key}")
                elif binding.id not in reach:
                    unreachable.append(binding.id)
    # The chord out of a shell is fixed: the terminal's view lets no other key pass.
    assert nameless == ["ShellPane: ctrl+right_square_bracket"]
    assert unreachable == []
