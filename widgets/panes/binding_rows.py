"""The bindings that work right now, as rows for a footer or a help page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.screen import Screen

from widgets.text.cell_text import sanitize_line

_Found: TypeAlias = tuple[Binding, list[str], bool, str]
"""A binding, its keys as they read, whether it is enabled, its tooltip."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One action and every key that reaches it."""

    keys: tuple[str, ...]
    """As they read on screen, such as `^p` or `?`."""
    description: str
    id: str
    action: str
    """As `App.run_action` takes it, namespace included."""
    enabled: bool = True
    shown: bool = True
    """Wanted in a footer."""
    reason: str = ""
    """More about it, or why it is disabled."""
    place: DOMNode | None = field(default=None, compare=False, repr=False)
    """Where the action runs; None for the app."""


class KeySection(NamedTuple):
    """The rows of one place, such as a pane or the whole screen."""

    title: str
    rows: tuple[KeyRow, ...]


def key_sections(
    app: App[Any],
    active: Mapping[str, ActiveBinding],
    titles: Mapping[str, str] | None = None,
) -> tuple[KeySection, ...]:
    """The active bindings of a screen by place, the focused widget's first, the app's last.

    `titles` names places by the name of their class or of a base; others read as their class name.
    Bindings without a description are left out.
    """
    places: dict[DOMNode, dict[str, _Found]] = {}
    for bound in active.values():
        binding = bound.binding
        if not binding.description or binding.system:
            continue
        rows = places.setdefault(bound.node, {})
        key = app.get_key_display(binding)
        reason = disabled_reason(bound.node, binding.action)
        enabled, words = bound.enabled and not reason, reason or bound.tooltip
        if binding.action in rows:
            keys = rows[binding.action][1]
            if key not in keys:
                keys.append(key)
        else:
            rows[binding.action] = (binding, [key], enabled, words)
    return tuple(
        KeySection(_title(node, titles or {}), tuple(_rows(node, _declared(node, rows))))
        for node, rows in places.items()
    )


@runtime_checkable
class DisabledReasons(Protocol):
    """A widget or screen that knows why one of its actions is disabled."""

    def disabled_reason(self, action: str) -> str:
        """The reason; empty where it would do something."""


def disabled_reason(node: DOMNode, action: str) -> str:
    """Why an action is disabled; empty where it is not, or nobody knows.

    Such an action keeps its key: pressed, it says the reason. It is only shown as off.
    """
    return node.disabled_reason(action) if isinstance(node, DisabledReasons) else ""


def _declared(node: DOMNode, rows: Mapping[str, _Found]) -> list[_Found]:
    """In the order of declaration, which a keymap would otherwise upset."""
    actions = [binding.action for _, binding in node._bindings]
    order = {action: number for number, action in reversed(list(enumerate(actions)))}
    return sorted(rows.values(), key=lambda found: order.get(found[0].action, len(order)))


def _rows(node: DOMNode, found: Iterable[_Found]) -> Iterable[KeyRow]:
    for binding, keys, enabled, tooltip in found:
        yield KeyRow(
            place=node,
            keys=tuple(keys),
            description=sanitize_line(binding.description, 80),
            id=binding.id or "",
            action=binding.action,
            enabled=enabled,
            shown=binding.show,
            reason=sanitize_line(tooltip, 200),
        )


def _title(node: DOMNode, titles: Mapping[str, str]) -> str:
    for cls in type(node).__mro__:
        if cls.__name__ in titles:
            return titles[cls.__name__]
    return "Everywhere" if isinstance(node, App) else type(node).__name__


def keys_of(screen: Screen[Any], id: str) -> str:
    """The keys bound to an action by the id of its binding, as they read; empty for none."""
    found = [
        screen.app.get_key_display(bound.binding)
        for bound in screen.active_bindings.values()
        if bound.binding.id == id
    ]
    return ", ".join(dict.fromkeys(found))
