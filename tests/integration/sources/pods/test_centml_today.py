"""CentML as it is today: its words, logs and settings, beside the platform's own client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import CentmlTable
from services.errors import NotFoundError
from services.logs.reader import LogRecord
from services.models import Capability, SandboxId, SandboxState
from services.sources.pods import centml_logs
from services.sources.pods.centml_api import judge, read_status
from services.sources.pods.centml_token import CentmlCredential, credential_file, settings
from services.sources.pods.source import open_centml
from tests.integration.sources.pods.test_centml_source import ONE, jwt, platform, signed_in
from tests.support import centml_client
from tests.support.families import end, processes
from tests.support.platform_api import TOKEN
from tests.support.ran import ran


def revision(number: int | None, status: str, *pods: tuple[str, str], error: str = "") -> Any:
    details = [{"name": name, "status": word} for name, word in pods]
    return {
        "revision_number": number,
        "revision_status": status,
        "pod_details_list": details,
        "error_message": error or None,
    }


def v3(*revisions: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "status": "active", "revision_pod_details_list": list(revisions), **more}


def v2(service: str | None, error: str | None = None) -> dict[str, Any]:
    return {"id": 1, "status": "active", "service_status": service, "error_message": error}


S = SandboxState
STATES: list[tuple[dict[str, Any], SandboxState, tuple[str, ...], bool]] = [
    (v2("Healthy"), S.READY, (), False),
    (v2("Error", "CUDA out of memory"), S.BROKEN, ("CUDA out of memory", "Error"), False),
    (v2("ScaledToZero"), S.ASLEEP, ("ScaledToZero",), False),
    (v2("ScalingUp"), S.SETTLING, ("being scaled up",), False),
    (v2("CleanedUp"), S.ASLEEP, ("CleanedUp",), False),
    (v2("Unknown"), S.UNKNOWN, ("does not know",), False),
    (v2("Frobnicating"), S.UNKNOWN, ("Frobnicating", "does not know"), False),
    (v2(None), S.UNKNOWN, ("no pod list (v2)",), False),
    (v3(revision(1, "Healthy", ("a", "Running"))), S.READY, (), True),
    (v3(revision(1, "ScaledToZero")), S.ASLEEP, ("ScaledToZero",), False),
    (v3(revision(None, "Healthy", ("a", "Running"))), S.READY, (), True),
    (
        v3(revision(2, "CrashLoopBackOff", ("b", "CrashLoopBackOff")), revision(1, "Healthy")),
        S.BROKEN,
        ("crashes again",),
        False,
    ),
    (
        v3(
            revision(1, "Healthy", ("a", "Running")),
            revision(2, "ImagePullBackOff", ("b", "ImagePullBackOff"), error="no such tag"),
        ),
        S.BROKEN,
        ("revision 2 is ImagePullBackOff", "revision 2: no such tag", "b is ImagePullBackOff"),
        True,
    ),
    (v3(rollout_status="Degraded"), S.STUCK, ("Degraded",), False),
    (v3(rollout_status="Progressing"), S.SETTLING, ("rolled out",), False),
    (v3(rollout_status="Healthy"), S.ASLEEP, ("no pods",), False),
    (v3(), S.ASLEEP, ("no pods",), False),
]


@pytest.mark.parametrize(("told", "state", "words", "shell"), STATES)
def test_the_platforms_words(
    told: dict[str, Any], state: SandboxState, words: tuple[str, ...], shell: bool
) -> None:
    judged = judge(read_status(1, "m", told))
    assert judged.state is state, judged
    for word in words:
        assert word in judged.reason
    assert bool(judged.no_shell) is not shell


async def test_a_v2_deployment_says_its_own_words(tmp_path: Path, home: Path) -> None:
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        api.deploy(7)
        api.deployments[7] |= v2("Error", "CUDA out of memory") | {"id": 7}
        api.old.add(7)
        rows = {one.id.native_id: one for one in (await source.observer.observe()).sandboxes}
        assert rows["7"].state is SandboxState.BROKEN
        assert "CUDA out of memory" in rows["7"].reason
        assert ("service", "Error") in rows["7"].evidence
        assert Capability.SHELL in dict(rows["7"].unavailable)


# Logs


async def some(records: Any, count: int) -> list[LogRecord]:
    got = []
    async with asyncio.timeout(60), aclosing(records) as running:
        async for one in running:
            got.append(one)
            if len(got) == count:
                break
    return got


async def test_logs_of_each_revision_come_once_and_go_on(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(centml_logs, "NEXT_S", 0.02)
    monkeypatch.setattr(centml_logs, "_BACKOFF_S", 0.01)
    signed_in(home)
    async with platform(tmp_path) as (api, source):
        assert Capability.LOGS in source.info.capabilities
        with pytest.raises(NotFoundError, match="has written a log yet"):
            api.deploy(2)
            await some(source.observer.logs(SandboxId("ml", "2")), 1)
        api.deployments[1] = v3(
            revision(3, "Healthy", ("box", "Running")), revision(2, "Healthy"), type="inference_v3"
        )
        for number in range(300):
            api.write(1, 3, "box", 1_700_000_000_000 + number, f"line {number}")
        api.write(1, 2, "old", 1_600_000_000_000, "before")
        streams = await source.observer.log_streams(ONE)
        assert [one.name for one in streams] == ["3/box", "2/old"]
        api.busy = 2
        records = source.observer.logs(ONE)
        lines = await anext(records)
        assert lines.text == "line 100" and lines.at == 1_700_000_000.1
        for number in range(101, 300):
            assert (await anext(records)).text == f"line {number}"
        api.write(1, 3, "box", 1_700_000_000_299, "same instant")
        api.write(1, 3, "box", 1_700_000_001_000, "later")
        told = [(await anext(records)).text for _ in range(2)]
        assert told == ["same instant", "later"]
        await records.aclose()  # type: ignore[attr-defined]
        (before,) = await some(source.observer.logs(ONE, "2/old"), 1)
        assert before.text == "before"
        first = await some(source.observer.logs(ONE, since=1_700_000_001.0), 1)
        assert first[0].text in ("later", "line 0")
        with pytest.raises(NotFoundError, match="no log"):
            await some(source.observer.logs(ONE, "9/else"), 1)


# Settings


def test_the_settings_are_those_of_its_client(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "CENTML_PLATFORM_API_URL='https://from.file'\n"
        "centml_cred_file_path=/from/file.json\n"
        "CENTML_SERVICE_ACCOUNT_ID=${HOME}\nOTHER=1\nCENTML_CONFIG_PATH=/elsewhere\n"
    )
    told = settings({"HOME": "/h"}, tmp_path)
    assert told["CENTML_PLATFORM_API_URL"] == "https://from.file" and "OTHER" not in told
    assert credential_file(told) == Path("/from/file.json")
    # Its client reads where the folder is from the environment alone.
    assert "CENTML_CONFIG_PATH" not in told
    won = settings({"CENTML_PLATFORM_API_URL": "https://from.env"}, tmp_path)
    assert won["CENTML_PLATFORM_API_URL"] == "https://from.env"
    assert settings({"A": "b"}, tmp_path / "nowhere") == {"A": "b"}


async def test_a_service_account_in_the_file_signs_in_when_it_is_asked_to(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    async with platform(tmp_path) as (api, _):
        url = f"http://127.0.0.1:{api.peer.port}"
        fresh = jwt(4_000_000_000)
        api.tokens = {fresh}
        api.next_token = {"access_token": fresh}
        (work / ".env").write_text(
            f"CENTML_PLATFORM_API_URL={url}\nCENTML_SERVICE_ACCOUNT_ID=me\n"
            f"CENTML_SERVICE_ACCOUNT_SECRET=hush-hush\nCENTML_SERVICE_ACCOUNT_TOKEN_URL={url}/token\n"
        )
        source = open_centml("ml", CentmlTable(), SystemClock())
        assert not api.issued
        assert await source.actor.sign_in() == "issued to the service account"  # type: ignore[attr-defined]
        (asked,) = api.issued
        assert asked["client_id"] == "me" and asked["grant_type"] == "client_credentials"
        assert (await source.observer.observe()).sandboxes[0].state is SandboxState.READY
        assert "hush-hush" not in repr(source)
        await source.actor.close()
        await source.observer.close()


def test_a_hostile_file_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    assert settings({"A": "b"}, tmp_path) == {"A": "b"}
    credential = CentmlCredential(SystemClock(), {"A": "b"}, tmp_path)
    assert credential.environ == {"A": "b"}


# Beside the platform's own client


async def theirs(home: Path, url: str, *argv: str) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=centml_client.environ(home, url),
        cwd=home,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(180):
            out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    assert b"Traceback" not in said, said
    return process.returncode, out


SCRIPTS = {
    "exit 0": 0,
    "exit 1": 1,
    "exit 42": 42,
    "no-such-command-at-all": 127,
    "kill -KILL $$": 137,
    "exit 255": 255,
}


@pytest.mark.slow
@pytest.mark.timeout(600)  # each command of theirs imports for seconds
@pytest.mark.kit("centml")
async def test_codes_agree_with_the_platforms_own_client(tmp_path: Path, home: Path) -> None:
    token = jwt(4_000_000_000)
    signed_in(home, token)
    async with platform(tmp_path) as (api, source):
        api.tokens = {token}
        url = f"http://127.0.0.1:{api.peer.port}"
        for script, code in SCRIPTS.items():
            words = ("exec", "1", "--", "sh", "-c", script)
            told, _ = await theirs(home, url, *centml_client.command(*words))
            ours = await ran(source.actor, ONE, ("sh", "-c", script), 30)
            assert (told, ours.code) == (code, code), script
        # It waits for ever where an interactive shell gives up its line: an interrupted command.
        assert (await ran(source.actor, ONE, ("sh", "-c", "kill -INT $$"), 30)).code == 130
        # Where it is wrong we are not: its end marker in the output, a connection that is cut.
        lie = "printf '%s\\n' __CENTML_END_5f3a__:0; exit 3"
        told, _ = await theirs(
            home, url, *centml_client.command("exec", "1", "--", "sh", "-c", lie)
        )
        ours = await ran(source.actor, ONE, ("sh", "-c", lie), 30)
        assert told == 0 and ours.code == 3
        word = f"wd-{os.urandom(6).hex()}"
        cut = centml_client.command("exec", "1", "--", "sh", "-c", "sleep 60", word)
        begun = len(api.sockets)
        running = asyncio.create_task(theirs(home, url, *cut))
        while not processes(word) or len(api.sockets) == begun:
            await asyncio.sleep(0.05)  # between two looks at the process table
        api.sockets[-1].reset()
        assert (await running)[0] == 1
        end(word)


READ = """
import json, sys
from centml.sdk.api import get_centml_client
with get_centml_client() as client:
    status = client.get_status(1)
    print(json.dumps([
        status.rollout_status.value,
        [[r.revision_number, r.revision_status.value, r.error_message,
          [[p.name, p.status.value] for p in r.pod_details_list]]
         for r in status.revision_pod_details_list],
        client.get_deployment_pods(1, 3),
        [e.message for chunk in client.fetch_logs(1, 3, "box", start_time=0, end_time=2**41)
         for e in chunk],
    ]))
"""


@pytest.mark.slow
@pytest.mark.kit("centml")
async def test_status_and_logs_read_as_the_platforms_own_client_reads_them(
    tmp_path: Path, home: Path
) -> None:
    token = jwt(4_000_000_000)
    signed_in(home, token)
    async with platform(tmp_path) as (api, source):
        api.tokens = {token}
        api.deployments[1] = v3(
            revision(3, "Healthy", ("box", "Running")),
            revision(2, "ScaledToZero", error="CUDA out of memory"),
            rollout_status="Healthy",
            type="inference_v3",
        )
        for number in range(40):
            api.write(1, 3, "box", 1_700_000_000_000 + number * 7, f"line {number}")
        url = f"http://127.0.0.1:{api.peer.port}"
        code, out = await theirs(home, url, sys.executable, "-c", READ)
        assert code == 0
        rollout, revisions, pods, lines = json.loads(out)
        (row, *_) = (await source.observer.observe()).sandboxes
        facts = dict(row.evidence)
        assert facts["rollout"] == rollout
        for number, status, error, details in revisions:
            assert facts[f"revision {number}"] == status
            assert not error or f"revision {number}: {error}" in row.evidence[-1][1]
            for name, word in details:
                assert facts[f"pod {name}"] == word
        streams = await source.observer.log_streams(ONE)
        assert [one.name for one in streams] == [f"3/{pod}" for pod in pods]
        ours = await some(source.observer.logs(ONE), len(lines))
        assert [one.text for one in ours] == lines
        assert TOKEN not in repr(row)
