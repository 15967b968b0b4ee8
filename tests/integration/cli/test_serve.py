"""`wakedeck serve` as it is run: it says where, ends with its panels, and refuses in a sentence."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from services.config.settings import Settings, SourceSettings
from services.config.sources import LocalTable
from services.sources.local import process_records, world
from services.sources.local.layout import World
from services.web.gate import Gate, place
from tests.support.page_server import NOWHERE, PANEL, ROOT, looking
from tests.support.waiting import eventually
from tui.cli.serve_run import held


@asynccontextmanager
async def serving(
    folder: Path, *words: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The command, and the address it printed."""
    (folder / "page.toml").write_text(NOWHERE, "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(*PANEL, "--config", str(folder / "page.toml"), "serve", "--port", "0", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            address = (await process.stdout.readline()).decode().strip()
        yield process, address
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def gate_of(address: str, cookie: str) -> Gate:
    """What a page that was let in knows."""
    base, _, token = address.partition("/?token=")
    return Gate(place("127.0.0.1", int(base.rpartition(":")[2]), ""), token, cookie)


async def let_in(address: str) -> Gate:
    """Change the token for the cookie, as a browser does."""
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(address)
    assert answer.status_code == 303
    return gate_of(address, next(iter(answer.cookies.values())))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_every_signal_ends_it_and_its_panels(tmp_path: Path, number: signal.Signals) -> None:
    async with serving(tmp_path) as (process, address):
        gate = await let_in(address)
        async with looking(gate) as page:
            await eventually(lambda: b"READ-ONLY" in page.drawn)
            panels = psutil.Process(process.pid).children()
            assert len(panels) == 1 and "--read-only" in panels[0].cmdline()
            assert os.getpgid(panels[0].pid) == panels[0].pid
            # Neither the token nor the cookie can be read from the process table.
            for one in (psutil.Process(process.pid), *panels):
                said = " ".join((*one.cmdline(), *one.environ().values()))
                assert gate.token not in said and gate.cookie not in said
            process.send_signal(number)
            async with asyncio.timeout(60):
                code = await process.wait()
            assert code == (-9 if number is signal.SIGKILL else 0)
            await eventually(lambda: not any(one.is_running() for one in panels))


def refused(*words: str, code: str = "import wakedeck; wakedeck.main()") -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-c", code, "serve", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "" and "Traceback" not in ran.stderr
    return ran.returncode, ran.stderr


def test_without_its_extra_it_is_one_sentence() -> None:
    hide = "import sys; sys.modules['aiohttp'] = None; import wakedeck; wakedeck.main()"
    code, said = refused(code=hide)
    assert code == 1 and said.splitlines() == [
        "wakedeck: The page needs aiohttp and textual-serve, which are not installed.",
        "  Install the extra: pip install 'wakedeck[web]'.",
    ]


def test_what_may_not_be_served_is_refused() -> None:
    code, said = refused("--host", "0.0.0.0")
    assert code == 2 and "in the clear" in said and "--public-url" in said
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused("--port", str(taken.getsockname()[1]))
    assert code == 1 and "cannot be served on 127.0.0.1" in said


async def test_actions_are_allowed_by_word_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, "--allow-actions") as (process, address):
        assert process.stderr is not None
        async with asyncio.timeout(60):
            said = (await process.stderr.readline()).decode()
        assert "can act" in said
        async with looking(await let_in(address)):
            children = psutil.Process(process.pid).children
            await eventually(lambda: len(children()) == 1)
            assert "--read-only" not in children()[0].cmdline()


PANEL_THAT_LEAVES = (
    "import asyncio, sys\n"
    "from pathlib import Path\n"
    "from services.sources.local.layout import World\n"
    "from services.sources.local.world import WorldLifecycle\n"
    "async def main():\n"
    "    one = WorldLifecycle(World(Path(sys.argv[1])))\n"
    "    print(await one.enter())\n"
    "    await one.leave()\n"
    "asyncio.run(main())\n"
)


async def test_a_page_loaded_again_finds_the_same_agents(tmp_path: Path) -> None:
    shared = World(tmp_path / "world")
    source = SourceSettings("local", "local", LocalTable(root=str(shared.root)))
    async with held(Settings("default", (source,))):
        await eventually(lambda: len(world.records(shared)) == 7)
        before = world.records(shared)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PANEL_THAT_LEAVES, str(shared.root)),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert (await child.communicate())[0] == b"False\n"
        assert world.records(shared) == before
        assert not any(process_records.alive(one).over for one in before)
    assert all(process_records.alive(one).over for one in before if one.role != world.UP)
    assert not list(shared.leases.iterdir())
