"""Credential helpers that ask: real scripts on real terminals, from the question to the headers."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import ShellError, UnavailableError
from services.models import SandboxId, ShellState
from services.sources.pods import sign_in_shell
from services.sources.pods.kube_actor import KubeActor
from services.sources.pods.kube_client import Kube
from services.sources.protocol.actor import AsksInTerminal, SignsInOnTerminal
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support.shells import opened, read_to_end, read_until
from tests.support.waiting import eventually

VERSION = "client.authentication.k8s.io/v1"
SECRET = "minted-1f0c"
ITSELF = SandboxId("prod", "prod")
GIVEN = json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": {"token": SECRET}})
TELL = f"echo '{GIVEN}'"
PASSWORD = f"""
test -t 0 && test -t 2 && ! test -t 1 || exit 8
case "$KUBERNETES_EXEC_INFO" in *'"interactive": true'*) ;; *) exit 9 ;; esac
stty -echo; printf 'Password: ' >&2
read -r word; stty echo; echo >&2
test "$word" = sesame || {{ echo wrong >&2; exit 3; }}
{TELL}
"""


class Site:
    """A cluster whose credential a script gives."""

    def __init__(self, folder: Path, script: str, mode: str) -> None:
        program, config = folder / "log-in", folder / "config"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        how = {"apiVersion": VERSION, "command": str(program), "interactiveMode": mode}
        told = {
            "current-context": "prod",
            "clusters": [{"name": "prod", "cluster": {"server": "https://localhost:1"}}],
            "users": [{"name": "me", "user": {"exec": how}}],
            "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "me"}}],
        }
        config.write_text(json.dumps(told))
        clock = SystemClock()
        self.kube = Kube(KubernetesTable(kubeconfig=str(config)), clock)
        self.actor = KubeActor("prod", self.kube, clock)

    async def typed(self, *keys: bytes, after: bytes = b"Password: ") -> tuple[bytes, CloseReason]:
        """What the helper's terminal showed, and how signing in ended."""
        await self.kube.credential()
        shell = self.actor.shell(ITSELF, ShellChoice())
        async with opened(shell):
            seen = await read_until(shell, after) if after else b""
            for one in keys:
                await shell.write(one)
            rest, ending = await read_to_end(shell)
        return seen + rest, ending


def test_its_actor_can_be_asked(tmp_path: Path) -> None:
    actor: object = Site(tmp_path, "", "Never").actor
    assert isinstance(actor, AsksInTerminal)
    assert isinstance(actor, SignsInOnTerminal)


async def test_a_password_is_asked_and_the_credential_never_shown(tmp_path: Path) -> None:
    site = Site(tmp_path, PASSWORD, "Always")
    assert site.actor.asking_shell() is None  # nothing was read yet, and nothing is read for it
    seen, ending = await site.typed(b"sesame\r")
    assert (ending.state, ending.reason) == (ShellState.ENDED, "signed in, from log-in"), seen
    assert b"sesame" not in seen and SECRET.encode() not in seen
    credential = await site.kube.credential()
    assert credential.headers() == (("Authorization", f"Bearer {SECRET}"),)
    assert site.actor.asking_shell() == ITSELF
    # A link that is proved right afterwards, and any later one, asks nobody.
    assert await site.actor._sign_in_once() == "from log-in"
    assert await site.actor._sign_in_once() == "as signed in before"


@pytest.mark.parametrize(
    ("script", "keys", "after", "words"),
    [
        (PASSWORD, b"guess\r", b"Password: ", "log-in failed (exit code 3)."),
        (PASSWORD, b"\x03", b"Password: ", "log-in was ended before it gave a credential."),
        ("echo no", b"", b"", "log-in printed no credential."),
        (f"head -c 1100000 /dev/zero | tr '\\0' ' '; {TELL}", b"", b"", "printed no credential."),
        ("exit 255", b"", b"", "log-in failed (exit code 255)."),
        ("exec 2>&- <&-; exit 4", b"", b"", "log-in failed (exit code 4)."),
    ],
    ids=["wrong", "cancelled", "garbage", "too much", "minus one", "closed"],
)
async def test_what_went_wrong_is_said(
    tmp_path: Path, script: str, keys: bytes, after: bytes, words: str
) -> None:
    site = Site(tmp_path, script, "Always")
    seen, ending = await site.typed(keys, after=after)
    assert ending.state is ShellState.FAILED and ending.reason.endswith(words), (seen, ending)
    assert (await site.kube.credential()).needs_helper


async def test_one_at_a_time_and_a_closed_tab_ends_it(tmp_path: Path) -> None:
    site = Site(tmp_path, "echo $$ >&2; trap '' HUP INT; while :; do sleep 0.05; done", "Always")
    await site.kube.credential()
    shell = site.actor.shell(ITSELF, ShellChoice())
    with pytest.raises(UnavailableError, match="runs already"):
        site.actor.shell(ITSELF, ShellChoice())
    async with opened(shell):
        pid = int(await read_until(shell, b"\n"))
        with pytest.raises(UnavailableError, match="runs already"):
            site.actor.terminal_sign_in()
    await eventually(lambda: not psutil.pid_exists(pid))
    again = site.actor.shell(ITSELF, ShellChoice())
    await again.close()


async def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_shell, "ASKING_LIMIT_S", 0.2)
    site = Site(tmp_path, "read -r word", "Always")
    _, ending = await site.typed(after=b"")
    assert ending.state is ShellState.FAILED and "was ended after 0.2 s" in ending.reason


async def test_one_that_is_not_there(tmp_path: Path) -> None:
    site = Site(tmp_path, "", "Always")
    (tmp_path / "log-in").unlink()
    await site.kube.credential()
    shell = site.actor.shell(ITSELF, ShellChoice())
    with pytest.raises(ShellError, match=r"does not start: cannot run .*(log-in|…): no such file"):
        await shell.open(80, 24)
    await shell.close()


@pytest.mark.parametrize("mode", ["Never", "IfAvailable", "Always"])
async def test_who_gets_a_terminal(tmp_path: Path, mode: str) -> None:
    site = Site(tmp_path, "exit 5", mode)
    await site.kube.credential()
    assert (site.actor.asking_shell() is not None) is (mode == "Always")
    shell = site.actor.terminal_sign_in()
    assert (shell is not None) is (mode != "Never")
    if shell is not None:
        await shell.close()
    # What failed where it could not ask may ask the next time.
    with pytest.raises(UnavailableError) as caught:
        await site.actor.sign_in()
    assert ("in a tab now" in caught.value.advice) is (mode == "IfAvailable")
    assert (site.actor.asking_shell() is not None) is (mode != "Never")
