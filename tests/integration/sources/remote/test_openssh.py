"""Every way a link over a real OpenSSH fails: its sentence, what helps, and that it comes back."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from services.models import GatewayState
from services.sources.remote import gate, session
from tests.support import sshd
from tests.support.remote import LiveRemote, live_remote, program
from tests.support.sshd import SshHost, ssh_host
from tests.support.waiting import eventually
from tests.support.world_processes import living_children

pytestmark = pytest.mark.kit("sshd")
SERVED = "hello()\nrows('alpha')\nfor _ in incoming(): pass\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    """A server that is trusted; what is tried again is tried again at once."""
    monkeypatch.setattr(gate, "LASTING_S", 0.3)
    monkeypatch.setattr(gate, "LONGEST_S", 0.3)
    with ssh_host(tmp_path / "ssh") as one:
        yield one


def served(tmp_path: Path) -> str:
    """A far side of one sandbox, as a remote command."""
    return " ".join(program(tmp_path, SERVED))


async def comes_back(box: LiveRemote) -> None:
    """That the same source connects once the cause is gone, by itself."""
    await box.way(lambda way: way.state is GatewayState.READY)
    await box.until(lambda seen: [one.name for one in seen.sandboxes] == ["alpha"])


async def test_a_host_that_nobody_knows(host: SshHost, tmp_path: Path) -> None:
    host.write_client(HostName="no-such-host.invalid")
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.DOWN)
        assert way.reason.startswith("There is no host box.")
        host.write_client(HostName="127.0.0.1")
        await comes_back(box)


async def test_a_host_where_nothing_listens(host: SshHost, tmp_path: Path) -> None:
    host.end()
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.DOWN)
        assert way.reason.startswith("box refuses the connection.")
        sshd.start(host, {})
        await comes_back(box)


async def test_a_host_that_does_not_answer(host: SshHost, tmp_path: Path) -> None:
    """It accepts and says nothing: a host behind a wall that drops."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host.write_client(Port=str(silent.getsockname()[1]), ConnectTimeout="1")
        async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
            way = await box.way(lambda one: one.state is GatewayState.DOWN)
            assert way.reason == "box did not answer in time."


async def test_a_host_key_that_is_not_known(host: SshHost, tmp_path: Path) -> None:
    host.known_hosts.write_text("")
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert way.reason.startswith("The host key of box is not known yet.")
        assert host.known_hosts.read_text() == "", "a key was accepted for the operator"
        host.trust()
        await comes_back(box)


async def test_a_host_key_that_has_changed(host: SshHost, tmp_path: Path) -> None:
    sshd._key(tmp_path / "other")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    host.known_hosts.write_text(f"[127.0.0.1]:{host.port} {kind} {key}\n")
    before = host.known_hosts.read_text()
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert way.reason.startswith("The host key of box is not the one that is known")
        assert "ssh-keygen -R" in way.reason
        assert host.known_hosts.read_text() == before
        assert box.source.info.kind == "remote" and not box.board.sandboxes


async def test_a_host_that_accepts_no_key(host: SshHost, tmp_path: Path) -> None:
    allowed = (host.folder / "authorized_keys").read_text()
    (host.folder / "authorized_keys").write_text("")
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert way.reason.startswith("box accepts none of your keys.")
        (host.folder / "authorized_keys").write_text(allowed)
        await comes_back(box)


async def test_no_wakedeck_there_and_one_that_is_too_old(host: SshHost, tmp_path: Path) -> None:
    argv = host.argv("env", "PATH=/usr/bin:/bin", "wakedeck", "source", "--stdio")
    async with live_remote(argv, tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert way.reason.startswith("There is no wakedeck on box.") and "pipx" in way.reason
    old = tmp_path / "wakedeck"
    old.write_text("#!/bin/sh\necho \"Error: No such command 'source'.\" >&2\nexit 2\n")
    old.chmod(0o755)
    async with live_remote(host.argv(str(old), "source", "--stdio"), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert way.reason.startswith("The wakedeck on box is too old")


async def test_another_protocol_is_told_with_both_versions(host: SshHost, tmp_path: Path) -> None:
    code = "hello(protocol=2, product='wakedeck', version='9.1')\nfor _ in incoming(): pass\n"
    async with live_remote(host.argv(" ".join(program(tmp_path, code))), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert "wakedeck 9.1 with protocol 2" in way.reason
        assert f"wakedeck {version('wakedeck')} with protocol 1" in way.reason


async def test_a_banner_before_the_hello_is_no_trouble(host: SshHost, tmp_path: Path) -> None:
    argv = host.argv(f"printf 'Welcome to box\\n\\0\\0\\001x today is \\0'; {served(tmp_path)}")
    async with live_remote(argv, tmp_path / "locks") as box:
        await comes_back(box)


async def test_nothing_but_a_banner(
    host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "HELLO_S", 2.0)
    argv = host.argv("printf 'Closed for \\033[31mmaintenance\\033[0m until six\\n'; cat")
    async with live_remote(argv, tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.WRONG)
        assert "it said: Closed for maintenance until six" in way.reason


async def test_a_far_side_that_crashes(host: SshHost, tmp_path: Path) -> None:
    code = "hello()\nrows('alpha')\nnext(incoming())\nsys.exit('database is gone')\n"
    async with live_remote(host.argv(" ".join(program(tmp_path, code))), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.DOWN)
        assert way.reason.startswith("Wakedeck on box ended (status 1): database is gone.")


async def test_a_message_that_is_cut_in_half(host: SshHost, tmp_path: Path) -> None:
    code = "hello()\nrows('alpha')\nnext(incoming())\nout.write(b'\\0\\0\\1\\0half'); out.flush()\n"
    async with live_remote(host.argv(" ".join(program(tmp_path, code))), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.DOWN)
        assert "ended in the middle of a message" in way.reason


async def test_a_link_that_stalls(
    host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PING_S", 0.4)
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        await comes_back(box)
        ssh = next(one for one in living_children(str(host.config)) if one.name() == "ssh")
        ssh.send_signal(signal.SIGSTOP)
        way = await box.way(lambda one: one.state is not GatewayState.READY)
        assert way.state is GatewayState.HUNG and "no sign of life" in way.reason
        await eventually(lambda: not ssh.is_running())
        await comes_back(box)


async def test_a_server_that_dies_under_the_link(host: SshHost, tmp_path: Path) -> None:
    async with live_remote(host.argv(served(tmp_path)), tmp_path / "locks") as box:
        await comes_back(box)
        host.end()
        way = await box.way(lambda one: one.state is GatewayState.DOWN)
        assert "lost" in way.reason or "refuses" in way.reason
        kept = await box.look()
        assert [one.name for one in kept.sandboxes] == ["alpha"] and kept.sandboxes[0].stale
        sshd.start(host, {})
        await comes_back(box)


async def test_a_link_that_drips(
    host: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte at a time: too slow for a hello, and never a burden."""
    monkeypatch.setattr(session, "HELLO_S", 2.0)
    drip = (
        "import subprocess, sys, time\n"
        f"far = subprocess.Popen({program(tmp_path, SERVED)!r}, stdout=subprocess.PIPE, stdin=0)\n"
        "while byte := far.stdout.read(1):\n"
        "    sys.stdout.buffer.write(byte); sys.stdout.buffer.flush(); time.sleep(0.2)\n"
    )
    (tmp_path / "drip.py").write_text(drip)
    argv = host.argv(sys.executable, str(tmp_path / "drip.py"))
    async with live_remote(argv, tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.HUNG)
        assert "did not answer within 2 s" in way.reason


async def test_a_clock_that_is_an_hour_off(host: SshHost, tmp_path: Path) -> None:
    code = "real = time.time\ntime.time = lambda: real() - 3600\n" + SERVED
    async with live_remote(host.argv(" ".join(program(tmp_path, code))), tmp_path / "locks") as box:
        await comes_back(box)
        way = await box.way(lambda one: "behind" in one.reason)
        assert way.reason == "Its clock is 3600 s behind; ages are right all the same."
        row = (await box.look()).sandboxes[0]
        assert abs(row.observed_at - way.observed_at) < 60


async def test_a_forced_command_and_a_shared_connection(host: SshHost, tmp_path: Path) -> None:
    """The key may do one thing alone; ssh keeps one connection for several links."""
    key = (host.folder / "user.pub").read_text()
    allowed = host.folder / "authorized_keys"
    allowed.write_text(f'restrict,command="{served(tmp_path)}" {key}')
    socket_path = tmp_path / "c"
    host.write_client(ControlMaster="auto", ControlPath=str(socket_path), ControlPersist="20")
    try:
        async with (
            live_remote(host.argv("wakedeck source --stdio"), tmp_path / "locks") as box,
            live_remote(host.argv("rm -rf /nowhere"), tmp_path / "locks", "other") as other,
        ):
            await comes_back(box)
            await comes_back(other)
    finally:
        subprocess.run(
            ["ssh", "-F", str(host.config), "-O", "exit", host.name],
            capture_output=True,
            check=False,
        )
    await eventually(lambda: not socket_path.exists())


async def test_ssh_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with live_remote(["ssh", "box"], tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.DOWN)
        assert way.reason.startswith("ssh is not installed")


def test_the_command_of_a_host() -> None:
    """As the page has it; the profile and the sources go along."""
    from services.config.sources import RemoteTable
    from services.sources.remote.command import remote_command

    command = remote_command("box", RemoteTable(host="box", profile="night", only=("home",)), True)
    assert " ".join(command.argv) == (
        "ssh -T -o BatchMode=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -- box "
        "wakedeck source --stdio --profile night --only home --read-only"
    )
