"""Injects faults into the embedded world: real signals to real processes, and `faults.json`."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from services.errors import NotFoundError, RefusedError, UnavailableError
from services.files.bounded import parse_json, read_bounded
from services.sources.local import lock, process_records
from services.sources.local.flood import flood_file, request_flood
from services.sources.local.layout import ProcessRecord, World, write_private

log = logging.getLogger("wakedeck.gateway")

DRAIN_S = 6.0
FLOOD_S = 20.0


class InjectedFault(Enum):
    """What can be broken; `clear` mends what a wake is not meant to mend."""

    AGENT_KILL = "agent-kill"
    AGENT_HANG = "agent-hang"
    AGENT_CRASH_LOOP = "agent-crash-loop"
    GATEWAY_KILL = "gateway-kill"
    GATEWAY_HANG = "gateway-hang"
    GATEWAY_DRAIN = "gateway-drain"
    CREDENTIAL_REFUSED = "credential-refused"
    SHELL_DROP = "shell-drop"
    FLOOD = "flood"
    CLEAR = "clear"

    @property
    def announcement(self) -> str:
        """What injecting it will do, before it is done."""
        return _ANNOUNCED[self]


_ANNOUNCED = {
    InjectedFault.AGENT_KILL: "kills its process; one key brings it back",
    InjectedFault.AGENT_HANG: "stops its process in its tracks: alive, no progress",
    InjectedFault.AGENT_CRASH_LOOP: "kills it and makes every start fail for a while",
    InjectedFault.GATEWAY_KILL: "kills the gateway in front of all of them: every row is cut off",
    InjectedFault.GATEWAY_HANG: "stops the gateway: it accepts and does not answer",
    InjectedFault.GATEWAY_DRAIN: "lets the gateway end by itself in a few seconds",
    InjectedFault.CREDENTIAL_REFUSED: "makes the gateway refuse this panel until cleared",
    InjectedFault.SHELL_DROP: "cuts its open shells without a goodbye",
    InjectedFault.FLOOD: "sends it messages for some seconds, faster than it answers",
    InjectedFault.CLEAR: "takes back the gateway's faults and the flood",
}


def _running_process(world: World, role: str) -> ProcessRecord:
    record = world.read_record(role)
    if record is None or process_records.alive(record).over:
        raise UnavailableError(
            f"The embedded world's {role} is not running, so it cannot be broken.",
            advice="Start it with `wakedeck local up`, or open the panel.",
        )
    return record


def _gateway_faults(world: World, **changes: object) -> None:
    """Change what the gateway is told to do wrong and make it look."""
    gateway = _running_process(world, "gateway")
    try:
        fields = parse_json(read_bounded(world.faults))
    except (OSError, ValueError):
        fields = {}
    if not isinstance(fields, dict):
        fields = {}
    fields.update(changes)
    write_private(world.faults, json.dumps(fields))
    os.kill(gateway.pid, signal.SIGUSR1)


def _crash_loop(world: World, name: str) -> None:
    agent = _running_process(world, f"agent-{name}")
    os.kill(agent.pid, signal.SIGKILL)
    # The dead agent's lock stays, as after a power cut: every start from now on refuses it.
    # Its first failed start is what makes the host try again, and again.
    lock.record_crash(world.sandbox(name), f"stale lock left by pid {agent.pid}")


def inject(world: World, sandbox: str, fault: InjectedFault) -> str:
    """Do it; gives a sentence saying what was done.

    Raises:
        NotFoundError: no such sandbox in the world.
        UnavailableError: what should break is not running.
        RefusedError: the process is not ours to signal.
    """
    if sandbox not in world.names():
        known = ", ".join(world.names()) or "none; start it with `wakedeck local up`"
        raise NotFoundError(f"No sandbox {sandbox!r} in the embedded world. There are: {known}.")
    try:
        return _inject(world, sandbox, fault)
    except PermissionError as error:
        raise RefusedError("That process belongs to another user.") from error
    except ProcessLookupError as error:
        raise UnavailableError("That process has just ended by itself.") from error


def _inject(world: World, sandbox: str, fault: InjectedFault) -> str:
    now = time.time()
    match fault:
        case InjectedFault.AGENT_KILL:
            os.kill(_running_process(world, f"agent-{sandbox}").pid, signal.SIGKILL)
            return f"Killed the agent of {sandbox}."
        case InjectedFault.AGENT_HANG:
            os.kill(_running_process(world, f"agent-{sandbox}").pid, signal.SIGSTOP)
            return f"Stopped the agent of {sandbox} in its tracks."
        case InjectedFault.AGENT_CRASH_LOOP:
            _crash_loop(world, sandbox)
            return f"The agent of {sandbox} now crashes at every start."
        case InjectedFault.GATEWAY_KILL:
            os.kill(_running_process(world, "gateway").pid, signal.SIGKILL)
            return "Killed the gateway."
        case InjectedFault.GATEWAY_HANG:
            os.kill(_running_process(world, "gateway").pid, signal.SIGSTOP)
            return "The gateway accepts connections and answers none."
        case InjectedFault.GATEWAY_DRAIN:
            _gateway_faults(world, drain_until=now + DRAIN_S)
            return f"The gateway drains and ends in {DRAIN_S:.0f} s."
        case InjectedFault.CREDENTIAL_REFUSED:
            _gateway_faults(world, credential_refused=True)
            return "The gateway now refuses our credential."
        case InjectedFault.SHELL_DROP:
            _gateway_faults(world, drop_shells={sandbox: now})
            return f"Cut every shell of {sandbox} without a goodbye."
        case InjectedFault.FLOOD:
            _running_process(world, "host")
            request_flood(world, sandbox, now + FLOOD_S)
            return f"Flooding {sandbox} with messages for {FLOOD_S:.0f} s."
        case InjectedFault.CLEAR:
            world.faults.unlink(missing_ok=True)
            flood_file(world).unlink(missing_ok=True)
            os.kill(_running_process(world, "gateway").pid, signal.SIGUSR1)
            return "Cleared the gateway's faults and the flood."


@dataclass(frozen=True, slots=True)
class Faults:
    """What to do wrong, on purpose; instants are seconds since the epoch."""

    credential_refused: bool = False
    """403 for everything that needs the token."""
    drain_until: float | None = None
    """Not ready and no new terminals until then; then a clean exit."""
    drop_shells: Mapping[str, float] = field(default_factory=dict)
    """Sandbox to when it was asked: its terminals opened before that are cut."""


def read_faults(path: Path) -> Faults:
    """What the file asks for; a missing or corrupt one asks for nothing, and the log says so."""
    try:
        fields = parse_json(read_bounded(path))
    except FileNotFoundError:
        return Faults()
    except (OSError, ValueError) as error:
        log.warning("faults cannot be read (%s): none are obeyed", type(error).__name__)
        return Faults()
    if not isinstance(fields, dict):
        log.warning("faults are not a JSON object: none are obeyed")
        return Faults()
    dropped = fields.get("drop_shells")
    return Faults(
        credential_refused=fields.get("credential_refused") is True,
        drain_until=_instant(fields.get("drain_until")),
        drop_shells={
            str(name): asked
            for name, value in (dropped if isinstance(dropped, dict) else {}).items()
            if (asked := _instant(value)) is not None
        },
    )


def _instant(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
