"""Terminal servers as a source: added in three lines, judged, used, restarted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.config.settings import Flags, load
from services.config.sources import TerminalTable
from services.errors import NotFoundError, ShellError, UnavailableError
from services.models import (
    Capability,
    GatewayState,
    SandboxId,
    SandboxState,
    ShellState,
    StepState,
)
from services.sources.protocol.verdict import VerdictKind
from services.sources.registry import open_sources
from services.terminal.exec import sentinel
from services.terminal.exec.requests import ShellChoice
from tests.support import kits
from tests.support import seen as operator
from tests.support.bad_weather import bad_weather
from tests.support.http_peer import Exchange, http_peer
from tests.support.jupyter_peer import jupyter
from tests.support.ports import free_port
from tests.support.ran import link_steps, ran
from tests.support.seen import seen
from tests.support.shells import opened, read_to_end, read_until
from tests.support.terminal_servers import CREDENTIAL, PARAMS, SHELL, lines, served, source_of
from tests.support.ttyd import ttyd
from tests.support.waiting import eventually

every = pytest.mark.parametrize("kind", PARAMS)


@pytest.mark.parametrize("kind", [one for one in PARAMS if one != "json"])
async def test_three_lines_add_a_server_and_its_shell_works(
    kind: str, tmp_path: Path, home: Path
) -> None:
    async with served(kind, tmp_path / "pod") as one:
        path = home / "wakedeck.toml"
        path.write_text(lines(kind, one.address(one.port)))
        (source,) = open_sources(load(Flags(config=path), {}), SystemClock())
        observed = await source.observer.observe()
        (gateway,), (row,) = observed.gateways, observed.sandboxes
        assert (gateway.state, row.state) == (GatewayState.READY, SandboxState.READY)
        assert row.name == "box" and row.needs == (gateway.id,)
        assert CREDENTIAL not in repr((observed, source.info)) and "token=" not in repr(observed)
        shell = source.actor.shell(row.id, ShellChoice())
        async with opened(shell, 91, 27):
            await shell.write(b"stty size; pwd\r")
            output = await read_until(shell, str(tmp_path / "pod").encode())
            assert b"27 91" in output
            await shell.write(b"exit 7\r")
            _, ending = await read_to_end(shell)
        assert ending.code is None and ending.state is not ShellState.FAILED
        await source.actor.close()
        await source.observer.close()


@every
async def test_everyday_work(kind: str, tmp_path: Path) -> None:
    async with served(kind, tmp_path / "pod") as one, source_of(one.table()) as source:
        shell = source.actor.shell(SHELL, ShellChoice())
        async with seen(shell) as on_screen:
            await on_screen.run("clear", "")
            if kits.there("vim"):
                await operator.edit_a_file(on_screen, tmp_path / "pod")
            await operator.storm_of_sizes(on_screen)


@every
async def test_a_reconnect_proves_the_terminal_and_types_nothing(kind: str, tmp_path: Path) -> None:
    async with served(kind, tmp_path / "pod") as one, source_of(one.table()) as source:
        steps = await link_steps(source.actor, SHELL)
        assert [step.name for step in steps if step.state is StepState.OK] == ["sandbox", "connect"]
        with pytest.raises(UnavailableError, match="started where it runs"):
            source.actor.wake(SHELL)
        with pytest.raises(NotFoundError):
            source.actor.shell(SandboxId("box", "else"), ShellChoice())
        with pytest.raises(UnavailableError, match="picks what runs"):
            source.actor.shell(SHELL, ShellChoice(shell="zsh"))


@every
async def test_a_restarted_server_gives_a_new_shell(kind: str, tmp_path: Path) -> None:
    port = free_port()
    async with AsyncExitStack() as first:
        one = await first.enter_async_context(served(kind, tmp_path / "pod", port))
        async with source_of(one.table()) as source:
            shell = source.actor.shell(SHELL, ShellChoice())
            await shell.open(80, 24)
            await read_until(shell, b"pod$ ")
            await first.aclose()
            _, ending = await read_to_end(shell)
            assert ending.code is None
            await shell.close()
            down = await source.observer.observe()
            assert down.gateways[0].state is GatewayState.DOWN
            assert "refused the connection" in down.gateways[0].reason
            assert down.sandboxes[0].state is SandboxState.UNKNOWN
            assert (await source.observer.probe(SHELL)).kind is VerdictKind.TERMINAL
            with pytest.raises(ShellError, match="refused the connection"):
                await source.actor.shell(SHELL, ShellChoice()).open(80, 24)
            async with served(kind, tmp_path / "pod", port):

                async def ready() -> bool:
                    again = await source.observer.observe()
                    return again.sandboxes[0].state in (SandboxState.READY, SandboxState.UNKNOWN)

                await eventually(ready)
                shell = source.actor.shell(SHELL, ShellChoice())
                async with opened(shell):
                    await shell.write(b"echo u''p\r")
                    await read_until(shell, b"up\r\n")


@pytest.mark.kit("jupyter")
async def test_a_lost_jupyter_terminal_is_found_again_and_ends_with_its_shell(
    tmp_path: Path,
) -> None:
    async with jupyter(tmp_path) as one, source_of(TerminalTable(url=one.address)) as source:
        first = source.actor.shell(SHELL, ShellChoice())
        await first.open(80, 24)
        await read_until(first, b"$ ")
        await first.write(b"kept=treasure; echo se''t\r")
        await read_until(first, b"set\r\n")
        first._inner._inner.abort()  # type: ignore[attr-defined]
        _, ending = await read_to_end(first)
        assert ending.state is ShellState.LOST and ending.resumes
        await first.close()
        assert one.names() == ["1"]
        again = source.actor.shell(SHELL, ShellChoice())
        async with opened(again):
            await read_until(again, b"this is the terminal whose connection was lost")
            await again.write(b"echo found-$kept\r")
            await read_until(again, b"found-treasure")
        assert one.names() == []
        done = await ran(source.actor, SHELL, ("sh", "-c", "exit 42"), 30)
        assert done.code == 42 and one.names() == []


@pytest.mark.kit("jupyter")
async def test_a_cut_jupyter_shell_goes_on_by_itself_where_that_is_switched_on(
    tmp_path: Path,
) -> None:
    async with (
        served("jupyter", tmp_path / "pod") as one,
        bad_weather(one.port) as weather,
        source_of(one.table(weather.port, auto_reconnect=True)) as source,
    ):
        shell = source.actor.shell(SHELL, ShellChoice())
        async with opened(shell):
            await read_until(shell, b"$ ")
            await shell.write(b"kept=treasure; echo se''t\r")
            await read_until(shell, b"set\r\n")
            await asyncio.sleep(2.1)  # as long as an operator who typed is left alone
            weather.cut()
            await read_until(shell, b"connected again")
            await shell.write(b"echo found-$kept\r")
            await read_until(shell, b"found-treasure")


async def test_what_is_wrong_there_is_said(tmp_path: Path) -> None:
    async def answer(exchange: Exchange) -> None:
        where = exchange.request.path
        if where.startswith("/page"):
            await exchange.answer(200, "<html>hello</html>", kind="text/html")
        elif where.startswith("/gate"):
            await exchange.answer(502, "bad gateway")
        elif where.startswith("/login"):
            await exchange.answer(302, "", {"Location": "/signin"})
        elif where.startswith("/shut"):
            await exchange.answer(403, "nope")
        elif where.startswith("/odd"):
            await exchange.json(200, {"token": 7})
        else:
            await exchange.answer(404)

    expected = {
        ("page", "terminado", "http"): (
            GatewayState.WRONG,
            "A web page answers there, not Jupyter",
        ),
        ("page", "ttyd", "http"): (GatewayState.WRONG, "A web page answers there, not ttyd"),
        ("page", "json", "ws"): (GatewayState.WRONG, "A web page answers there, not a terminal"),
        ("gate", "json", "ws"): (GatewayState.DOWN, "It answers 502"),
        ("login", "terminado", "http"): (GatewayState.WRONG, "sign-in in front of it"),
        ("odd", "ttyd", "http"): (GatewayState.WRONG, "not ttyd"),
        ("none", "terminado", "http"): (GatewayState.WRONG, "named by the ws:// address"),
        ("none", "ttyd", "http"): (GatewayState.WRONG, "no ttyd terminal"),
        ("shut", "terminado", "http"): (GatewayState.READY, "does not accept the credential (403)"),
        ("none", "terminado", "ws"): (GatewayState.READY, "only opening one tells"),
    }
    async with http_peer(answer) as peer:
        for (place, family, scheme), (state, said) in expected.items():
            table = TerminalTable(
                url=f"{scheme}://127.0.0.1:{peer.port}/{place}",
                family=family,  # type: ignore[arg-type]
            )
            async with source_of(table) as source:
                seen_now = await source.observer.observe()
                gateway, row = seen_now.gateways[0], seen_now.sandboxes[0]
                assert gateway.state is state, (place, family, gateway)
                assert said in f"{gateway.reason} {row.reason}", (place, family)
                assert row.state is not SandboxState.READY


@pytest.mark.kit("ttyd")
async def test_a_credential_that_is_not_accepted_is_named_and_never_shown(tmp_path: Path) -> None:
    async with ttyd(tmp_path, CREDENTIAL) as one:
        wrong = "operator:wrong-word"
        table = TerminalTable(url=f"http://{wrong}@127.0.0.1:{one.port}", family="ttyd")
        async with source_of(table) as source:
            now = await source.observer.observe()
            assert now.gateways[0].state is GatewayState.READY
            assert now.sandboxes[0].state is SandboxState.BROKEN
            assert (await source.observer.probe(SHELL)).kind is VerdictKind.TERMINAL
            with pytest.raises(ShellError, match="does not accept the credential") as caught:
                await source.actor.shell(SHELL, ShellChoice()).open(80, 24)
            assert "wrong-word" not in repr((now, source.info, caught.value))


async def test_a_credential_never_travels_to_another_machine_in_the_clear() -> None:
    table = TerminalTable(url="http://terminal.invalid/?token=abcdef")
    async with source_of(table) as source:
        with pytest.raises(UnavailableError, match="without TLS"):
            await source.observer.observe()
        with pytest.raises(ShellError, match="without TLS"):
            await source.actor.shell(SHELL, ShellChoice()).open(80, 24)


@pytest.mark.kit("ttyd")
async def test_commands_are_typed_only_where_a_shell_is_said_to_be(tmp_path: Path) -> None:
    async with ttyd(tmp_path) as one:
        table = TerminalTable(url=f"http://127.0.0.1:{one.port}", family="ttyd")
        async with source_of(table) as source:
            assert Capability.EXEC not in source.info.capabilities
            with pytest.raises(UnavailableError, match="exec = true"):
                await ran(source.actor, SHELL, ("true",), 5)
        assert not one.shells()


@pytest.mark.kit("ttyd")
async def test_a_terminal_that_takes_no_input_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinel, "START_S", 0.5)
    async with ttyd(tmp_path, writable=False) as one:
        table = TerminalTable(url=f"http://127.0.0.1:{one.port}", family="ttyd", exec=True)
        async with source_of(table) as source:
            done = await ran(source.actor, SHELL, ("true",), 30)
    assert done.code is None and "no shell took the command within 0.5 s" in done.reason


@pytest.mark.kit("ttyd")
async def test_ttyd_is_told_its_sizes_and_its_program_ends_with_the_connection(
    tmp_path: Path,
) -> None:
    async with ttyd(tmp_path, CREDENTIAL) as one:
        table = TerminalTable(url=f"http://{CREDENTIAL}@127.0.0.1:{one.port}/", family="ttyd")
        async with source_of(table) as source:
            shell = source.actor.shell(SHELL, ShellChoice())
            async with opened(shell, 91, 27):
                await read_until(shell, b"pod$ ")
                await shell.resize(100, 30)
                await shell.write("stty size; echo 中文\r".encode())
                output = await read_until(shell, "\n中文\r".encode())
                assert b"30 100" in output and one.shells() == 1
                if b"pod$ " not in output.partition("\n中文\r".encode())[2]:
                    await read_until(shell, b"pod$ ")
                await eventually(one.at_prompt)
            await eventually(lambda: not one.shells())
            shell = source.actor.shell(SHELL, ShellChoice())
            async with opened(shell):
                await read_until(shell, b"pod$ ")
                await shell.write(b"exit 7\r")
                _, ending = await read_to_end(shell)
            # A close with 1006, which may not be sent: an end all the same.
            assert (ending.state, ending.code) == (ShellState.ENDED, None)
