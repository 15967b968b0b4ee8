"""What the screens of the panel are given: the services and what the app does for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.clock import Clock
from services.config.settings import Settings
from services.models import SandboxId
from tui.engine import Engine
from tui.panel.actions import Actions, Notify
from tui.panel.attach import AgentAttach
from tui.panel.bell import TerminalBell
from tui.panel.bulk import Bulk
from tui.panel.confirmations import Confirmations
from tui.panel.copy import Copier
from tui.panel.details import Details
from tui.panel.empty_states import EmptyStates
from tui.panel.history import EventHistory
from tui.panel.quitting import Quitting
from tui.panel.shells import Shells
from tui.panel.view_state import ViewStateStore
from widgets.panes.header import HeaderState


class Context(NamedTuple):
    """Built once by the app; no screen needs to know the app's type."""

    settings: Settings
    clock: Clock
    engine: Engine
    shells: Shells
    actions: Actions
    bulk: Bulk
    confirmations: Confirmations
    agent_attach: AgentAttach
    details: Details
    quitting: Quitting
    history: EventHistory
    empty_states: EmptyStates
    copier: Copier
    terminal_bell: TerminalBell
    view_state: ViewStateStore
    key: Callable[[str], str]
    """The first key of an action, by its id, as it reads on the screen."""
    header: Callable[[], HeaderState]
    """The header as of now."""
    open_log: Callable[[SandboxId], None]
    notify: Notify
    first_start: bool
    """Whether the hint of the first start is shown."""
