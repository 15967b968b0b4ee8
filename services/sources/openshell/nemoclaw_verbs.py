"""What may be asked of NemoClaw for one sandbox, each with its question, its limit and its proof.

See upstream/openshell: NemoClaw commands. What changes or destroys more is text to copy.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from services.lazy_dataclass import dataclass
from services.models import BY_HAND, Facts
from services.sources.openshell.nemoclaw_cli import NemoclawTool, port_of
from services.sources.openshell.nemoclaw_registry import NemoclawEntry
from services.sources.openshell.nemoclaw_reports import (
    NemoclawReport,
    doctor_report,
    status_report,
)

RECOVER = "repair-agent"
_ALONE = "\nIt may take up to {minutes:.0f} minutes. Nothing else is done to it meanwhile."
_RECREATES = (
    "\nThis NemoClaw ({version}) is older than 0.0.126: it MAY MAKE THE CONTAINER ANEW, with a"
    " backup. Data was lost that way once."
)


@dataclass(frozen=True, slots=True)
class NemoclawVerb:
    """One command of NemoClaw as an action."""

    verb: str
    label: str
    words: tuple[str, ...]
    """What its help has to list after the sandbox's name."""
    limit_s: float
    title: str
    means: str
    button: str
    act: str
    """As in `NemoClaw could not repair the agent`."""
    done: str
    """What its exit of 0 claims."""
    flags: tuple[str, ...] = ()
    typed: bool = False
    """Whether the sandbox's name has to be typed."""
    gateway_only: bool = False
    """Whether it is for agents with a gateway of their own."""
    proves: bool = False
    """Whether the agent is asked afterwards: the exit code is no proof."""
    report: Callable[[Mapping[str, object]], NemoclawReport | None] | None = None
    """What reads its JSON, which then decides instead of the exit code."""

    def consequence(self, name: str, tool: NemoclawTool) -> str:
        """What it may do, in sentences."""
        said = self.means.format(name=name) + _ALONE.format(minutes=max(self.limit_s / 60, 1))
        if self.verb != RECOVER or not tool.may_recreate:
            return said
        return said + _RECREATES.format(version=tool.version_text)


NEMOCLAW_VERBS = (
    NemoclawVerb(
        RECOVER,
        "Repair the agent (NemoClaw) in",
        ("recover",),
        330.0,
        "Let NemoClaw repair the agent?",
        "`nemoclaw {name} recover` may start the sandbox, wait for its agent or start that again,"
        " which cuts what it is doing, and put forwards of NemoClaw's own in place of ours.",
        "Repair",
        "repair the agent",
        "NemoClaw says that it is well",
        gateway_only=True,
        proves=True,
    ),
    NemoclawVerb(
        "restart-agent",
        "Restart the agent (NemoClaw) in",
        ("gateway", "restart"),
        180.0,
        "Let NemoClaw restart the agent?",
        "`nemoclaw {name} gateway restart` restarts the agent even where it is well: what it is"
        " doing is cut.",
        "Restart",
        "restart the agent",
        "NemoClaw says that it was restarted",
        gateway_only=True,
        proves=True,
    ),
    NemoclawVerb(
        "nemoclaw-start",
        "Let NemoClaw start",
        ("start",),
        400.0,
        "Let NemoClaw start this sandbox?",
        "`nemoclaw {name} start` starts it, waits for its agent and repairs that, sends one real"
        " request to its model, and forgets that it was stopped on purpose.",
        "Start",
        "start it",
        "NemoClaw says that it runs",
        proves=True,
    ),
    NemoclawVerb(
        "nemoclaw-stop",
        "Let NemoClaw stop",
        ("stop",),
        120.0,
        "Let NemoClaw stop this sandbox?",
        "`nemoclaw {name} stop` stops its container and its dashboard's forward: everything that"
        " runs in it ends. Its files stay. NemoClaw notes that it was stopped on purpose.",
        "Stop",
        "stop it",
        "NemoClaw says that it is stopped",
        typed=True,
    ),
    NemoclawVerb(
        "nemoclaw-status",
        "Ask NemoClaw about",
        ("status",),
        120.0,
        "Ask NemoClaw how it is?",
        "`nemoclaw {name} status` does more than look: it selects the sandbox's gateway, may start"
        " a stopped sandbox, its agent or a forward, and sends one real request to its model, which"
        " costs tokens.",
        "Ask",
        "tell how it is",
        "",
        flags=("--json",),
        report=status_report,
    ),
    NemoclawVerb(
        "nemoclaw-doctor",
        "Let NemoClaw's doctor examine",
        ("doctor",),
        120.0,
        "Let NemoClaw examine it?",
        "`nemoclaw {name} doctor` mends nothing; some of its checks send a small request to the"
        " model's provider.",
        "Examine",
        "examine it",
        "",
        flags=("--json",),
        report=doctor_report,
    ),
)


def by_hand(entry: NemoclawEntry) -> Facts:
    """What is left to the operator's own terminal: it changes more, or shows a secret."""
    port = port_of(entry.gateway)
    prefix = f"NEMOCLAW_GATEWAY_PORT={port} nemoclaw" if port else "nemoclaw"
    name = shlex.quote(entry.name)
    commands = (f"{name} logs --tail 200", f"launch {name}", f"{name} rebuild")
    web = (f"{name} dashboard-url",) if entry.port is not None else ()
    return tuple((BY_HAND, f"{prefix} {said}") for said in (*commands, *web))
