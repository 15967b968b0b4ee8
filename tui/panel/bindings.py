"""Which key does what on the dashboard; an operator's keymap names the ids."""

from __future__ import annotations

from textual.binding import Binding, BindingType

DASHBOARD: list[BindingType] = [
    Binding("w", "wake", "Wake", id="repair.wake"),
    Binding("r", "reconnect", "Reconnect", id="repair.reconnect"),
    Binding("s", "shell", "Shell", id="panel.shell"),
    Binding("A", "attach", "Attach to the agent", id="panel.attach", show=False),
    Binding("L", "logs", "Logs", id="panel.logs"),
    Binding("N", "next_needing", "Next that needs you", id="panel.next-needing", show=False),
    Binding("n", "only_needing", "Only what needs you", id="panel.only-needing", show=False),
    Binding("c", "cancel", "Cancel", id="repair.cancel", show=False),
    Binding("a", "offer", "Approve repair", id="repair.offer", show=False),
    Binding("z", "zoom", "Zoom", id="panel.zoom"),
    Binding("1", "pane('sandboxes')", "Sandboxes", id="panel.sandboxes", show=False),
    Binding("2", "pane('gateways')", "Gateways", id="panel.gateways", show=False),
    Binding("3", "pane('queues')", "Queues", id="panel.queues", show=False),
    Binding("4", "pane('shell')", "Shells", id="panel.shells", show=False),
    Binding("5", "pane('events')", "Events", id="panel.events", show=False),
    Binding("tab", "cycle(1)", "Next pane", id="panel.next", show=False),
    Binding("shift+tab", "cycle(-1)", "Previous pane", id="panel.previous", show=False),
    Binding("right_square_bracket", "shell_tab(1)", "Next shell", id="shell.next", show=False),
    Binding("left_square_bracket", "shell_tab(-1)", "Previous shell", id="shell.back", show=False),
    Binding("x", "close_shell", "Close shell", id="shell.close", show=False),
    Binding("R", "refresh_now", "Refresh now", id="panel.refresh", show=False),
    Binding("p", "pause", "Pause refresh", id="panel.pause", show=False),
    Binding("y", "copy_record", "Copy record as JSON", id="panel.copy", show=False),
    Binding("C", "copy_cell", "Copy a cell", id="panel.copy-cell", show=False),
    Binding("Y", "copy_name", "Copy name or text", id="panel.copy-name", show=False),
]
