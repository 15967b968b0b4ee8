"""Where ssh could ask, a shell is opened for it; where nothing has to be asked, none is."""

from __future__ import annotations

import dataclasses
import random

import pytest

from services.config.sources import RemoteTable
from services.models import GatewayState, SandboxId
from services.sources.protocol.actor import AsksInTerminal
from services.sources.remote.actor import RemoteActor
from services.sources.remote.failures import Ending, ended
from services.sources.remote.gate import ConnectGate
from services.sources.remote.source import open_remote
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.pty_transport import PtyTransport
from tests.support.clock import FakeClock


def opened(table: RemoteTable) -> RemoteActor:
    gate = ConnectGate(random.Random(1))
    actor = open_remote("box", table, FakeClock(), gate, False).actor
    assert isinstance(actor, RemoteActor) and isinstance(actor, AsksInTerminal)
    return actor


def test_a_host_without_a_key_is_asked_about_in_a_shell() -> None:
    actor = opened(RemoteTable(host="box"))
    assert actor.asking_shell() is None
    actor._link.status = dataclasses.replace(actor._link.status, asks=True)
    target = actor.asking_shell()
    assert target == SandboxId("box", "box")
    shell = actor.shell(target, ShellChoice())
    assert isinstance(shell, PtyTransport)
    assert shell._argv == ("ssh", "--", "box", "true")


def test_a_command_of_the_operators_own_is_not_guessed_at() -> None:
    actor = opened(RemoteTable(command=("ssh", "-J", "jump", "box")))
    actor._link.status = dataclasses.replace(actor._link.status, asks=True)
    assert actor.asking_shell() is None


@pytest.mark.parametrize(
    ("stderr", "asks"),
    [
        ("root@box: Permission denied (publickey,password).", True),
        ("Host key verification failed.", True),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            False,
        ),
        ("ssh: connect to host box port 22: Connection refused", False),
    ],
)
def test_a_changed_host_key_is_never_asked_about(stderr: str, asks: bool) -> None:
    actor = opened(RemoteTable(host="box"))
    failure = ended(actor._link.command, Ending(255, stderr, "", greeted=False))
    assert failure.asks is asks
    assert failure.state in (GatewayState.WRONG, GatewayState.DOWN)
