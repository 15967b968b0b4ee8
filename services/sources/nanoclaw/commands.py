"""Everything this panel can do to an install, and nothing else (upstream/nanoclaw: Ways to act).

A routed line on the chat socket, a restart of a group, a stop of one container, and a command in
one. There is no function here that writes a file, runs SQL, or starts, kills or pauses a container.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.errors import ProcessError, UnavailableError
from services.process import run
from services.sources.nanoclaw.client import deliver, exchange
from services.sources.nanoclaw.docker_cli import DOCKER, safe_name
from services.sources.nanoclaw.engagement import NudgePlan
from services.sources.nanoclaw.frames import FrameError, decode, encode
from services.sources.nanoclaw.install import Install
from services.text.redact import redact_line
from services.text.sanitize import sanitize

WORKDIR = "/workspace/agent"
SHELLS = ("bash", "sh", "zsh")
STOP_LIMIT_S = 20.0
RESTART_LIMIT_S = 60.0
SEND_LIMIT_S = 3.0


def stop_argv(name: str) -> tuple[str, ...]:
    """What the host itself runs to stop a container.

    Raises:
        UnavailableError: that is no name of a container.
    """
    return (DOCKER, "stop", "-t", "1", _require_safe_name(name))


def shell_argv(name: str, shell: str) -> tuple[str, ...]:
    """An interactive shell in a container.

    Raises:
        UnavailableError: that is no name of a container, or no shell we know.
    """
    if shell not in SHELLS:
        raise UnavailableError(f"There is no way to ask for the shell {sanitize(shell, 40)}.")
    return (
        *(DOCKER, "exec", "-it", "-e", "TERM=xterm-256color"),
        *("-w", WORKDIR, _require_safe_name(name), shell),
    )


def command_argv(name: str, argv: Sequence[str], *, stdin: bool = False) -> tuple[str, ...]:
    """One command in a container, without a terminal.

    Raises:
        UnavailableError: that is no name of a container, or there is no command.
    """
    if not argv:
        raise UnavailableError("There is no command to run.")
    return (
        DOCKER,
        "exec",
        *(("-i",) if stdin else ()),
        "-w",
        WORKDIR,
        _require_safe_name(name),
        *argv,
    )


def restart_frame(identity: str, group: str, message: str | None) -> bytes:
    """Restart what runs of a group; with a message the agent is told, and starts again at once."""
    args = {"id": group} if message is None else {"id": group, "message": message}
    return encode(identity, "groups-restart", args)


def routed_line(plan: NudgePlan) -> bytes:
    """The line a nudge sends; always with an address, so it never takes the chat slot.

    Raises:
        UnavailableError: the plan says it would not wake the session.
    """
    if plan.refusal or plan.address is None:
        raise UnavailableError(f"It cannot be nudged: {plan.refusal or 'no address'}.")
    to = {
        "channelType": plan.address.channel,
        "platformId": plan.address.platform,
        "threadId": plan.address.thread,
    }
    line = {"text": plan.text, "to": to, "sender": "operator", "senderId": plan.sender}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


async def nudge(install: Install, plan: NudgePlan) -> None:
    """Post the plan's text; the host says nothing back.

    Raises:
        UnavailableError: the plan refuses, or the host takes no line.
    """
    await deliver(install.chat_socket, routed_line(plan), SEND_LIMIT_S)


async def restart(install: Install, group: str, message: str | None) -> int:
    """Restart a group's running containers; how many there were.

    Raises:
        UnavailableError: the host did not answer, or refused.
    """
    identity = "wakedeck-restart"
    line = restart_frame(identity, group, message)
    answer = await exchange(install.admin_socket, line, RESTART_LIMIT_S)
    try:
        data = decode(answer, identity)
    except FrameError as error:
        raise UnavailableError(error.sentence) from error
    count = data.get("restarted") if isinstance(data, dict) else None
    return count if isinstance(count, int) else -1


async def stop(name: str) -> None:
    """Stop one container; its host notices.

    Raises:
        UnavailableError: it was not stopped, or nobody knows whether it was.
    """
    try:
        done = await run.run(stop_argv(name), timeout_s=STOP_LIMIT_S)
    except ProcessError as error:
        raise UnavailableError(error.sentence, advice=error.advice) from error
    if done.timed_out:
        raise UnavailableError(
            f"docker did not say within {STOP_LIMIT_S:g} s whether {name} was stopped."
        )
    if done.code:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = redact_line(lines[-1], 160) if lines else "it did not say why"
        raise UnavailableError(f"{name} was not stopped: {why}.")


def _require_safe_name(name: str) -> str:
    if not safe_name(name):
        raise UnavailableError(f"{sanitize(name, 80)} cannot be the name of a container.")
    return name
