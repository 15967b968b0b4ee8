"""The Kubernetes source end to end: a kubeconfig, a server over TLS, real processes in its pods."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import NotFoundError, ShellError, UnavailableError
from services.logs.follower import log_line
from services.logs.reader import LogEndedError
from services.models import (
    Capability,
    GatewayState,
    Observation,
    Retry,
    Sandbox,
    SandboxId,
    SandboxState,
    ShellState,
    StepState,
)
from services.sources.pods.source import open_kubernetes
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from services.terminal.transport.base import CloseReason
from tests.support.http_peer import Exchange
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod, status
from tests.support.kubectl import kubeconfig
from tests.support.ran import link_steps, ran
from tests.support.shells import opened, read_to_end, read_until
from tests.support.tls import Authority
from tests.support.waiting import eventually

BOX = SandboxId("prod", "default/box")


class Cluster:
    """A cluster and the source that serves it."""

    def __init__(self, api: KubeApi, source: OpenSource, config: Path) -> None:
        self.api = api
        self.source = source
        self.config = config

    async def sandboxes(self) -> dict[str, Sandbox]:
        seen = await self.source.observer.observe()
        return {one.name: one for one in seen.sandboxes}

    async def asked(self, true: Callable[[], bool]) -> None:
        """Look until the server was asked for something."""

        async def came() -> bool:
            await self.sandboxes()
            return true()

        await eventually(came)

    async def until(self, name: str, state: SandboxState | None) -> Sandbox | None:
        """Look until a pod is in a state, or is not there any more."""

        async def reached() -> list[Sandbox | None]:
            one = (await self.sandboxes()).get(name)
            assert (None if one is None else one.state) is state, one
            return [one]

        return (await eventually(reached))[0]


@asynccontextmanager
async def cluster(folder: Path, **options: object) -> AsyncIterator[Cluster]:
    authority = Authority(folder / "ca")
    async with kube_api(folder / "pod", authority.server("localhost")) as api:
        await api.put(pod("box"))
        config = kubeconfig(
            folder, f"https://localhost:{api.peer.port}", TOKEN, authority.certificate
        )
        wanted = KubernetesTable(kubeconfig=str(config), **options)  # type: ignore[arg-type]
        source = open_kubernetes("prod", wanted, SystemClock())
        try:
            yield Cluster(api, source, config)
        finally:
            await source.actor.close()
            await source.observer.close()


async def test_pods_are_seen_with_their_gateway(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        begun = datetime.now(UTC).isoformat()
        await one.api.put(pod("web", phase="Pending", containerStatuses=[], startTime=begun))
        seen = await one.source.observer.observe()
        (gateway,) = seen.gateways
        assert (gateway.state, gateway.name) == (GatewayState.READY, "test")
        assert gateway.latency_s is not None and gateway.latency_s > 0
        assert ("server", "v1.33.1") in gateway.evidence
        box, web = seen.sandboxes
        assert (box.id, box.state, box.unavailable) == (BOX, SandboxState.READY, ())
        assert (web.name, web.state) == ("web", SandboxState.SETTLING)
        assert dict(web.unavailable)[Capability.SHELL] == "it has not started"
        assert TOKEN not in repr(seen)


async def test_changes_come_by_themselves(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.sandboxes()
        await one.api.put(pod("late"))
        await one.until("late", SandboxState.READY)
        await one.api.put(pod("late", phase="Failed", reason="Evicted", message="disk pressure"))
        failed = await one.until("late", SandboxState.BROKEN)
        assert failed is not None
        assert "evicted" in failed.reason and "disk pressure" in failed.reason
        await one.api.remove("late")
        await one.until("late", None)
        assert one.api.lists == 1


@pytest.mark.parametrize("in_stream", [True, False])
async def test_a_version_that_is_too_old_begins_a_new_list(tmp_path: Path, in_stream: bool) -> None:
    async with cluster(tmp_path) as one:
        await one.sandboxes()
        await one.api.put(pod("while-watched"))
        await one.until("while-watched", SandboxState.READY)
        await one.api.expire(in_stream)
        await one.asked(lambda: one.api.lists == 2)
        await one.api.put(pod("after"))
        await one.until("after", SandboxState.READY)
        assert set(await one.sandboxes()) == {"box", "while-watched", "after"}


async def test_a_watch_that_ends_goes_on_where_it_was(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.asked(lambda: one.api.watches == 1)
        await one.api.cut()
        await one.asked(lambda: one.api.watches == 2)
        await one.api.put(pod("after"))
        await one.until("after", SandboxState.READY)
        assert one.api.lists == 1


async def test_many_pods_come_in_pages_and_only_the_chosen_ones(tmp_path: Path) -> None:
    async with cluster(tmp_path, selector="app=agent") as one:
        one.api.page = 7
        for number in range(30):
            await one.api.put(pod(f"pod-{number}"))
        stranger = pod("stranger")
        stranger["metadata"]["labels"] = {"app": "other"}
        await one.api.put(stranger)
        assert len(await one.sandboxes()) == 31
        assert "stranger" not in await one.sandboxes()


async def test_all_namespaces_tell_pods_of_one_name_apart(tmp_path: Path) -> None:
    async with cluster(tmp_path, all_namespaces=True) as one:
        await one.api.put(pod("box", "other"))
        seen = await one.source.observer.observe()
        assert {item.id.native_id for item in seen.sandboxes} == {"default/box", "other/box"}


async def test_a_cluster_that_is_gone_is_said_and_found_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.sandboxes()

        async def broken(exchange: Exchange) -> bool:
            exchange.abort()
            return True

        one.api.refuse = broken
        with pytest.raises(UnavailableError, match=f"localhost:{one.api.peer.port}"):
            await one.source.observer.observe()
        one.api.refuse = None
        assert "box" in await one.sandboxes()


def refusing(code: int, said: str) -> Callable[[Exchange], Awaitable[bool]]:
    async def refuse(exchange: Exchange) -> bool:
        if exchange.request.path == "/version":
            return False
        await exchange.json(code, status(code, "No", said))
        return True

    return refuse


async def test_a_refusal_says_what_to_do(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.api.refuse = refusing(403, "pods is forbidden")
        with pytest.raises(UnavailableError, match="does not let") as caught:
            await one.source.observer.observe()
        assert "pods is forbidden" in str(caught.value) and caught.value.advice


async def test_a_credential_that_is_refused_leaves_a_row_to_sign_in_on(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        await one.sandboxes()
        one.api.refuse = refusing(401, "Unauthorized")
        one.api.tokens = set()
        await one.api.cut()

        async def refused() -> Observation | None:
            seen = await one.source.observer.observe()
            return seen if seen.gateways[0].state is GatewayState.WRONG else None

        seen = cast(Observation, await eventually(refused))
        assert "does not accept the credential (401)" in seen.gateways[0].reason
        assert not seen.sandboxes and seen.unknown


async def test_a_shell_opens_with_one_call_and_is_the_best_there_is(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell, 90, 30):
            output = await read_until(shell, b"pod$ ")
            assert b"7733" not in output
            await shell.write(b"stty size; echo $0; exit 5\r")
            output, ending = await read_to_end(shell)
        assert b"30 90" in output and b"bash" in output
        assert (ending.state, ending.code) == (ShellState.ENDED, 5)


async def test_a_named_shell_that_is_not_there_falls_back_and_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        slim = tmp_path / "slim"
        slim.mkdir()
        (slim / "sh").symlink_to("/bin/sh")
        one.api.exec.env["PATH"] = str(slim)
        shell = one.source.actor.shell(BOX, ShellChoice(shell="zsh"))
        async with opened(shell):
            output = await read_until(shell, b"$ ")
            assert b"no zsh in this container: this is sh" in output


async def test_a_container_without_sh_is_tried_and_named(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.api.exec.missing = {"sh", "/bin/sh", "bash", "/bin/bash"}
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            output, ending = await read_to_end(shell)
        assert b"no /bin/sh in this container; trying bash" in output
        assert ending.state is ShellState.FAILED
        assert ending.reason == (
            "this container has no shell; this adds one that has: kubectl --context test -n default"
            " debug -it box --image=busybox --target=main"
        )
        one.api.exec.missing = {"sh", "/bin/sh"}
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")


async def left_running(one: Cluster) -> int:
    """How many shells still run in the pod, once that settles."""
    await eventually(lambda: not one.api.exec.alive)
    return one.api.exec.alive


@pytest.mark.parametrize("busy", [False, True])
async def test_a_shell_that_is_left_is_hung_up_in_its_pod(tmp_path: Path, busy: bool) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        await shell.open(80, 24)
        await read_until(shell, b"pod$ ")
        if busy:
            await shell.write(b"echo go''ing; sleep 300\r")
            await read_until(shell, b"going")
        assert one.api.exec.alive == 1
        await shell.close()
        assert await left_running(one) == 0


async def test_a_shell_that_was_cut_is_hung_up_too(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        await shell.open(80, 24)
        await read_until(shell, b"pod$ ")
        one.api.sockets[-1].reset()
        _, ending = await read_to_end(shell)
        assert ending.state is ShellState.LOST and ending.code is None
        await shell.close()
        assert await left_running(one) == 0


async def test_a_shell_left_before_its_first_word_is_hung_up(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        await shell.open(80, 24)
        await shell.close()
        assert await left_running(one) == 0


async def test_what_could_not_be_hung_up_is_with_the_next_shell(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        await shell.open(80, 24)
        await read_until(shell, b"pod$ ")

        async def broken(exchange: Exchange) -> bool:
            exchange.abort()
            return True

        one.api.refuse = broken
        await shell.close()
        assert one.api.exec.alive == 1
        one.api.refuse = None
        again = one.source.actor.shell(BOX, ShellChoice())
        async with opened(again):
            await read_until(again, b"pod$ ")
            await eventually(lambda: one.api.exec.alive <= 1)
        assert await left_running(one) == 0


async def test_a_pod_that_is_deleted_while_silent_is_noticed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            await one.api.remove("box")
            assert await shell.ping()
            ending = await shell.read()
            assert isinstance(ending, CloseReason)
            assert (ending.state, ending.reason) == (ShellState.LOST, "the pod was deleted")


async def test_a_pod_that_was_replaced_is_another_one(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            other = pod("box")
            other["metadata"]["uid"] = "another"
            await one.api.put(other)
            assert await shell.ping()
            ending = await shell.read()
            assert isinstance(ending, CloseReason) and "replaced" in ending.reason


async def test_a_killed_shell_asks_the_pod_why(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            dead = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
            stopped = [{"name": "main", "restartCount": 0, "state": dead}]
            await one.api.put(pod("box", containerStatuses=stopped))
            await shell.write(b"kill -KILL $$\r")
            _, ending = await read_to_end(shell)
        assert ending.code == 137 and "memory" in ending.reason


@pytest.mark.parametrize("how", ["missing", "forbidden"])
async def test_a_shell_that_cannot_be_run_is_followed_by_the_next(tmp_path: Path, how: str) -> None:
    async with cluster(tmp_path) as one:
        getattr(one.api.exec, how).update(("sh", "/bin/sh"))
        shell = one.source.actor.shell(BOX, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"pod$ ")
            await shell.write(b"echo $0; exit 4\r")
            output, ending = await read_to_end(shell)
        assert b"bash" in output and ending.code == 4
        getattr(one.api.exec, how).update(("bash", "/bin/bash"))
        none = one.source.actor.shell(BOX, ShellChoice())
        async with opened(none):
            _, ending = await read_to_end(none)
        assert "has no shell" in ending.reason and ending.retry is Retry.NO


async def test_commands_have_their_streams_and_codes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        actor = one.source.actor
        script = ("sh", "-c", "echo out; echo err >&2; exit 42")
        done = await ran(actor, BOX, script, 20, ShellChoice())
        assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 42)
        done = await ran(actor, BOX, ("echo $0",), 20, ShellChoice(shell="bash"))
        assert (done.stdout, done.code) == (b"bash\n", 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"phase": "Succeeded"}, "finished"),
        ({"phase": "Pending", "containerStatuses": []}, "not started"),
    ],
)
async def test_a_pod_that_cannot_have_a_shell_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    async with cluster(tmp_path) as one:
        await one.api.put(pod("box", **change))
        with pytest.raises(ShellError, match=words):
            await one.source.actor.shell(BOX, ShellChoice()).open(80, 24)
        assert not one.api.exec.terminals


async def test_unknown_pods_and_containers_are_named(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        gone = SandboxId("prod", "default/gone")
        with pytest.raises(ShellError, match="no pod gone"):
            await one.source.actor.shell(gone, ShellChoice()).open(80, 24)
        with pytest.raises(ShellError, match="no container 'side'") as caught:
            await one.source.actor.shell(BOX, ShellChoice(container="side")).open(80, 24)
        assert "main" in caught.value.advice
        with pytest.raises(NotFoundError):
            one.source.actor.shell(SandboxId("prod", "nonsense"), ShellChoice())
        with pytest.raises(UnavailableError):
            one.source.actor.shell(BOX, ShellChoice(pod="other"))


async def test_a_token_is_renewed_once_where_the_server_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        token = tmp_path / "token"
        token.write_text("old")
        config = json.loads(one.config.read_text())
        config["users"][0]["user"] = {"tokenFile": str(token)}
        one.config.write_text(json.dumps(config))
        one.api.tokens = {"old", TOKEN}
        shell = one.source.actor.shell(BOX, ShellChoice())

        async def late(exchange: Exchange) -> bool:
            if exchange.request.path.endswith("/exec"):
                one.api.tokens = {TOKEN}
                token.write_text(TOKEN)
            return False

        one.api.refuse = late
        async with opened(shell):
            await read_until(shell, b"pod$ ")


async def test_reconnecting_proves_the_link_step_by_step(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        steps = await link_steps(one.source.actor, BOX)
        ended = [(step.name, step.state) for step in steps if step.ended_at is not None]
        assert ended == [
            ("credential", StepState.OK),
            ("sandbox", StepState.OK),
            ("connect", StepState.OK),
        ]
        verdict = await one.source.observer.probe(BOX)
        assert verdict.kind is VerdictKind.READY
        gone = await one.source.observer.probe(SandboxId("prod", "default/gone"))
        assert gone.kind is VerdictKind.TERMINAL and gone.advice


async def test_a_helper_runs_for_the_operator_and_never_for_a_look(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        ran = tmp_path / "ran"
        helper = tmp_path / "helper"
        answer = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": TOKEN},
        }
        helper.write_text(
            f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> {ran}\n'
            f"cat <<'E'\n{json.dumps(answer)}\nE\n"
        )
        helper.chmod(0o700)
        config = json.loads(one.config.read_text())
        config["users"][0]["user"] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "./helper",
                "interactiveMode": "IfAvailable",
            }
        }
        one.config.write_text(json.dumps(config))
        seen = await one.source.observer.observe()
        (gateway,) = seen.gateways
        assert gateway.state is GatewayState.UNKNOWN and "comes from helper" in gateway.reason
        assert [one.reason for _, one in seen.unknown] == [gateway.reason]
        assert (await one.source.observer.probe(BOX)).kind is VerdictKind.READY
        assert not ran.exists()
        for step in await link_steps(one.source.actor, BOX):
            assert step.state is not StepState.FAILED, step
        assert json.loads(ran.read_text())["spec"]["interactive"] is False
        assert "box" in await one.sandboxes()
        assert len(ran.read_text().splitlines()) == 1


async def test_logs_are_harmless_lines(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.api.log = b"first\x1b[2J\nauthorization: Bearer abcdefghijk\nlast"
        lines = [log_line(line).text async for line in one.source.observer.logs(BOX)]
        assert lines[0] == "first" and lines[-1] == "last"
        assert "abcdefghijk" not in "".join(lines)


async def test_every_container_has_its_log_and_the_one_before(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        box = pod(
            "box",
            containerStatuses=[
                {"name": "main", "restartCount": 0, "state": {"running": {}}},
                {"name": "side", "restartCount": 2, "state": {"running": {}}},
            ],
            initContainerStatuses=[
                {"name": "setup", "state": {"terminated": {"exitCode": 0}}},
                {"name": "later", "state": {"waiting": {"reason": "PodInitializing"}}},
            ],
        )
        box["spec"]["containers"] = [{"name": "main"}, {"name": "side"}]
        box["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "side"}
        await one.api.put(box)
        streams = await one.source.observer.log_streams(BOX)
        assert [(each.name, each.title) for each in streams] == [
            ("side", "side"),
            ("side/previous", "side, the run before"),
            ("main", "main"),
            ("setup", "setup, before the others"),
        ]
        one.api.logs = {"side": b"now", "side/previous": b"then", "setup": b"set"}
        for name, said in (("", "now"), ("side/previous", "then"), ("setup", "set")):
            texts: list[str] = []
            ended = pytest.raises(LogEndedError) if "previous" in name else nullcontext()
            with ended:
                async for line in one.source.observer.logs(BOX, name):
                    texts.append(line.text)
            assert texts == [said]
        asked = [each for each in one.api.peer.requests if each.path.endswith("/log")]
        assert [each.one("follow") for each in asked] == ["true", "", "true"]
        for wrong in ("nobody", "main/previous", "later"):
            with pytest.raises(NotFoundError, match="has no log"):
                await anext(one.source.observer.logs(BOX, wrong))


async def test_nothing_of_a_key_stays_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("operator", use="clientAuth")
    context = authority.server("localhost", clients=True)
    async with kube_api(tmp_path / "pod", context) as api:
        api.tokens = {"nobody has this"}
        await api.put(pod("box"))
        server = f"https://localhost:{api.peer.port}"
        config = kubeconfig(tmp_path, server, "", authority.certificate)
        table = json.loads(config.read_text())
        table["users"][0]["user"] = {
            "client-certificate": os.path.relpath(certificate, tmp_path),
            "client-key": os.path.relpath(key, tmp_path),
        }
        config.write_text(json.dumps(table))
        source = open_kubernetes("prod", KubernetesTable(kubeconfig=str(config)), SystemClock())
        try:
            assert len((await source.observer.observe()).sandboxes) == 1
            shell = source.actor.shell(BOX, ShellChoice())
            async with opened(shell):
                await read_until(shell, b"pod$ ")
            assert not list(place.iterdir())
        finally:
            await source.actor.close()
            await source.observer.close()
