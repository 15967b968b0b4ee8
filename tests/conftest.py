"""Coroutine tests run on a fresh loop each; every test gets its own home."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import re
import sys
from collections.abc import Generator
from itertools import count
from pathlib import Path

import pytest

from services.process.ends import hear_ends
from services.process.signals import catch_ignored
from tests.support import dice, kits

pytest_plugins = ["tests.support.account", "tests.support.order"]
dice.load()
catch_ignored()  # what a test starts begins with default signals, also in a background job
hear_ends()
# Workers and the many programs tests start find our code compiled, whatever the shell asks for.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the collector what stays to the end: it went through all tests again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        if "textual.app" in sys.modules:
            from tests.support import idle

            idle.install()
        gc.freeze()
        gc.set_threshold(5_000, 20, 50)
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests to their end."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose kit cannot be had."""
    for mark in item.iter_markers("kit"):
        kits.need(*mark.args)


_numbers = count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which looks through the folders of all tests before it for a free name."""
    name = re.sub(r"\W", "_", request.node.name)[:24]
    return tmp_path_factory.mktemp(f"{name}{next(_numbers)}", numbered=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no test reads or writes the files of whoever runs it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder
