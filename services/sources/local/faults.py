"""Injects faults into the embedded world: real signals to real processes."""

from __future__ import annotations

import json
import os
import signal
import time
from enum import Enum

from services.errors import NotFoundError, RefusedError, UnavailableError
from services.sources.local import lock, spawn
from services.sources.local.layout import ProcessRecord, World, write_private

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


def _running_process(world: World, role: str) -> ProcessRecord:
    record = world.read_record(role)
    if record is None or spawn.alive(record).over:
        raise UnavailableError(
            f"The embedded world's {role} is not running, so it cannot be broken.",
            advice="Start it with `wakedeck local up`, or open the panel.",
        )
    return record


def _gateway_faults(world: World, **changes: object) -> None:
    """Change what the gateway is told to do wrong and make it look."""
    gateway = _running_process(world, "gateway")
    try:
        fields = json.loads(world.faults.read_text("utf-8"))
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
            request = {"sandbox": sandbox, "until": now + FLOOD_S}
            write_private(world.root / "flood.json", json.dumps(request))
            return f"Flooding {sandbox} with messages for {FLOOD_S:.0f} s."
        case InjectedFault.CLEAR:
            world.faults.unlink(missing_ok=True)
            (world.root / "flood.json").unlink(missing_ok=True)
            os.kill(_running_process(world, "gateway").pid, signal.SIGUSR1)
            return "Cleared the gateway's faults and the flood."
