"""A command in a sandbox, the same in every family: codes, streams, input, stops, losses."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from services.errors import ShellError
from services.terminal.exec import sentinel
from services.terminal.exec.requests import (
    ExecEvent,
    ExecOutput,
    ExecRequest,
    ExecResult,
    ExecStream,
    collect_output,
)
from tests.integration.sources.pods.test_kube_source import BOX, cluster
from tests.support.families import APART, FAMILIES, end, family, gone, processes
from tests.support.kube_exec import V4
from tests.support.ran import pieces, ran
from tests.support.transfers import megabytes, send_up

pytestmark = pytest.mark.slow

every = pytest.mark.parametrize("name", FAMILIES)
apart = pytest.mark.parametrize("name", APART)


def mark() -> str:
    """A word that tells our processes from all others."""
    return f"wd-{secrets.token_hex(8)}"


def sh(script: str, word: str = "sh") -> tuple[str, ...]:
    return ("sh", "-c", script, word)


async def until(events: AsyncIterator[ExecEvent], wanted: bytes) -> bytes:
    """Output of both streams up to and with `wanted`."""
    output = b""
    async with asyncio.timeout(60):
        while wanted not in output:
            event = await anext(events)
            assert isinstance(event, ExecOutput), (event, output)
            output += event.data
    return output


async def the_rest(events: AsyncIterator[ExecEvent]) -> tuple[bytes, ExecResult]:
    async with asyncio.timeout(60):
        left = await collect_output(events)
    return left.stdout, ExecResult(left.code, left.reason)


CODES = {
    "exit 0": 0,
    "exit 1": 1,
    "exit 42": 42,
    "exit 255": 255,
    "./not-executable": 126,
    "no-such-command-at-all": 127,
    "kill -INT $$": 130,
    "kill -KILL $$": 137,
}


@every
async def test_exit_codes_and_the_unknown_one(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "not-executable"
    broken.write_text("x")
    # Where a folder of the PATH may not be searched, a shell calls what is missing forbidden.
    places = [one for one in os.get_exec_path() if os.access(one, os.X_OK)]
    monkeypatch.setenv("PATH", os.pathsep.join(places))
    async with family(name, tmp_path, home, monkeypatch) as one:
        got = {}
        for script in CODES:
            asked = sh(script.replace("./not-executable", str(broken)))
            done = await ran(one.actor, one.sandbox, asked, 30)
            got[script] = done.code
        assert got == CODES
        for argv, code in (((str(broken),), 126), (("no-such-program-at-all",), 127)):
            assert (await ran(one.actor, one.sandbox, argv, 30)).code == code
        word = mark()
        request = ExecRequest(sh("echo u''p; sleep 60", word), timeout_s=60)
        async with aclosing(one.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
            await until(events, b"up")
            one.cut()
            _, result = await the_rest(events)
        assert result.code is None, "of a connection that was lost"
        assert "it was ended in" in result.reason or "it may still run in" in result.reason
        if name in APART:
            await gone(word)
    end(word)


@every
async def test_output_comes_as_it_is_written_and_input_as_it_is_asked_for(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def typed() -> AsyncIterator[bytes]:
        while data := await said.get():
            yield data

    odd = bytes(range(256)) * 3
    async with family(name, tmp_path, home, monkeypatch) as one:
        script = "read -r a; echo got $a >&2; wc -c; read -r b || echo end; exit 3"
        request = ExecRequest(sh(script), stdin=typed(), timeout_s=60)
        async with aclosing(one.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
            said.put_nowait(b"first\n")
            await until(events, b"got first\n")
            said.put_nowait(odd)
            said.put_nowait(b"\x03\x04\x1c")
            said.put_nowait(b"")
            output, result = await the_rest(events)
        assert output.split() == [b"771", b"end"] and result.code == 3


@every
async def test_input_arrives_as_it_is_and_a_command_need_not_read_it(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with family(name, tmp_path, home, monkeypatch) as one:
        sent = os.urandom(200_000)
        file = tmp_path / "sent"
        argv = sh(f"cat > {file}; exit 5")
        done = await ran(one.actor, one.sandbox, argv, 60, stdin=sent)
        assert done.code == 5 and file.read_bytes() == sent
        done = await ran(one.actor, one.sandbox, sh("exit 6"), 60, stdin=sent)
        assert (done.stdout, done.code) == (b"", 6)
        done = await ran(one.actor, one.sandbox, ("cat",), 60, stdin=b"")
        assert (done.stdout, done.code) == (b"", 0)
        done = await ran(one.actor, one.sandbox, ("cat",), 60)
        assert (done.stdout, done.code) == (b"", 0)


@every
@pytest.mark.timeout(3600)
async def test_megabytes_go_up_whole(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A terminal takes a piece at a time: fifty megabytes there are sent by `make soak`.
    size = megabytes(50 if name in APART else 1)
    async with family(name, tmp_path, home, monkeypatch) as one:
        sent = await send_up(one.actor, one.sandbox, size)
    said = f"{name}: {size / 1e6:g} MB up in {sent.seconds:.1f} s, {sent.grown >> 20} MiB more held"
    print(said)  # noqa: T201 for the soak
    assert sent.whole, sent
    assert sent.grown < 48 << 20


@apart
async def test_the_two_outputs_come_apart(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with family(name, tmp_path, home, monkeypatch) as one:
        request = ExecRequest(sh("echo o; echo e >&2; printf '\\377\\033[2J'"), timeout_s=20)
        got: dict[ExecStream, bytes] = dict.fromkeys(ExecStream, b"")
        async for event in one.actor.exec(one.sandbox, request):
            if isinstance(event, ExecOutput):
                got[event.stream] += event.data
        assert got == {ExecStream.STDOUT: b"o\n\xff\x1b[2J", ExecStream.STDERR: b"e\n"}


@every
async def test_an_interrupted_command_says_its_last_words_and_its_code(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = mark()
    async with family(name, tmp_path, home, monkeypatch) as one:
        script = "trap 'echo bye; exit 9' INT; echo u''p; while :; do sleep 0.1; done"
        request = ExecRequest(sh(script, word))
        async with aclosing(one.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
            await until(events, b"up")
            assert processes(word)
            request.stop.set()
            output, result = await the_rest(events)
        assert b"bye\n" in output and result == ExecResult(9)
        await gone(word)


@every
async def test_a_deadline_ends_the_command_and_leaves_its_outcome_unknown(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = mark()
    async with family(name, tmp_path, home, monkeypatch) as one:
        done = await ran(one.actor, one.sandbox, sh("sleep 60; echo late", word), 1.5)
        assert done.code is None and done.reason.startswith("no status within 1.5 s; it was stop")
        assert b"late" not in done.stdout
        await gone(word)


@apart
async def test_a_command_that_will_not_end_is_killed_with_its_group(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = mark()
    async with family(name, tmp_path, home, monkeypatch) as one:
        deaf = f"trap '' INT TERM HUP; sh -c 'while :; do sleep 0.2; done' {word} & wait; wait"
        async with asyncio.timeout(60):
            done = await ran(one.actor, one.sandbox, sh(deaf, word), 1)
        assert done.code is None
        await gone(word)


@every
async def test_one_that_is_no_longer_followed_is_ended(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = mark()
    async with family(name, tmp_path, home, monkeypatch) as one:
        request = ExecRequest(sh("echo u''p; sleep 60", word))
        async with aclosing(one.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
            await until(events, b"up")
            assert processes(word)
        await gone(word)


@every
async def test_what_nobody_takes_is_not_piled_up(
    name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with family(name, tmp_path, home, monkeypatch) as one:
        # A server cuts off a shell that ended seconds ago, however slowly we take the rest.
        linger = f"60.{os.getpid():07}"
        monkeypatch.setattr(sentinel, "LINGER_S", linger)
        script = "head -c 60000000 /dev/zero | tr '\\0' x; echo; echo e''nd"
        request = ExecRequest(sh(script), timeout_s=500)
        me, most, total, tail = psutil.Process(), 0, 0, b""
        async with aclosing(one.actor.exec(one.sandbox, request)) as events:  # type: ignore[type-var]
            await until(events, b"x")
            before = me.memory_info().rss
            await asyncio.sleep(1)  # real time: that long nobody takes what comes
            async for event in events:
                if isinstance(event, ExecOutput):
                    total += len(event.data)
                    tail = (tail + event.data)[-16:]
                    most = max(most, me.memory_info().rss - before)
                else:
                    assert event == ExecResult(0)
        assert total > 59_000_000 and tail.endswith(b"x\nend\n")
        assert most < 48 << 20
    end(linger)


async def test_a_container_without_sh_runs_commands_all_the_same(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        one.api.exec.missing = {"sh", "/bin/sh"}
        actor = one.source.actor
        done = await ran(actor, BOX, ("bash", "-c", "cat; exit 4"), 20, stdin=b"in")
        assert (done.stdout, done.code) == (b"in", 4)
        with pytest.raises(ShellError, match="not started"):
            await ran(actor, BOX, ("no-such-program-at-all",), 20)
        sleep = f"61.{os.getpid():07}"
        done = await ran(actor, BOX, ("sleep", sleep), 1)
        assert done.code is None and "may still run in pod box" in done.reason
    end(sleep)


async def test_an_old_server_is_given_no_input_and_nothing_is_begun(tmp_path: Path) -> None:
    word = mark()
    async with cluster(tmp_path) as one:
        one.api.subprotocols = (V4,)
        file = tmp_path / "touched"
        with pytest.raises(ShellError, match="too old"):
            await ran(one.source.actor, BOX, sh(f"touch {file}; cat", word), 20, stdin=b"x")
        await gone(word)
        assert not file.exists()


async def test_input_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise OSError(5, "Input/output error")

    async with cluster(tmp_path) as one:
        request = ExecRequest(("cat",), stdin=broken(), timeout_s=20)
        done = await collect_output(one.source.actor.exec(BOX, request))
        assert done.code is None and "Input/output error" in done.reason


async def test_one_asked_to_stop_before_it_began_never_begins(tmp_path: Path) -> None:
    async with cluster(tmp_path) as one:
        word = mark()
        request = ExecRequest(sh("sleep 60", word), stdin=pieces(b"x"))
        request.stop.set()
        done = await collect_output(one.source.actor.exec(BOX, request))
        assert done.code is None and "interrupted" in done.reason
        await gone(word)
