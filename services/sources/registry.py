"""Opens the sources that are configured; a kind that is not configured is never imported."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import cache, cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, assert_never, cast

from services.clock import Clock
from services.config import paths
from services.config.settings import Settings, SourceSettings
from services.config.sources import (
    ArgoTable,
    CentmlTable,
    ExternalTable,
    KubernetesTable,
    LocalTable,
    NanoClawTable,
    OpenClawTable,
    OpenShellTable,
    RemoteTable,
    TerminalTable,
    VellumTable,
)
from services.errors import UnavailableError, WakedeckError, unforeseen
from services.models import Source
from services.sources.protocol.actor import Actor
from services.sources.protocol.observer import Observer
from services.sources.protocol.source import Lifecycle, OpenSource

if TYPE_CHECKING:
    from services.sources.remote.gate import ConnectGate

_ENDINGS = ("close", "leave")
"""Calls at the end of a panel: whatever goes wrong in them, the other sources are closed too."""
_LOG = logging.getLogger(__name__)
Half = TypeVar("Half")


def open_sources(settings: Settings, clock: Clock) -> tuple[OpenSource, ...]:
    """Every configured source, in order.

    Read-only settings get actors that refuse. Opening touches neither disk nor network. Each stands
    behind a fence: what goes wrong in it unforeseen is told as any failure of that source.
    """
    opener = _Opener(clock, settings.read_only)
    opened = tuple(_fenced(one, partial(_open, one, opener)) for one in settings.sources)
    if settings.read_only:
        from services.sources.protocol.actor import ReadOnlyActor

        return tuple(replace(one, actor=ReadOnlyActor(), proposer=None) for one in opened)
    return opened


def _fenced(one: SourceSettings, opening: Callable[[], OpenSource]) -> OpenSource:
    if isinstance(one.table, LocalTable):
        # What every panel without a configuration opens: its first frame needs none of it.
        from services.sources.local.info import local_info

        return open_later(local_info(one.key, one.table, _local_root(one.table)), opening)
    return open_fenced(Source(one.key, one.kind, one.key, ""), opening)


def _local_root(table: LocalTable) -> Path:
    return Path(table.root).expanduser() if table.root else paths.local_world()


class _Opener:
    """What the sources of one panel share."""

    def __init__(self, clock: Clock, read_only: bool) -> None:
        self.clock = clock
        self.read_only = read_only

    @cached_property
    def gate(self) -> ConnectGate:
        """What keeps many links from being made at once."""
        from services.sources.remote.gate import ConnectGate

        return ConnectGate()


def _open(source: SourceSettings, opener: _Opener) -> OpenSource:
    clock = opener.clock
    match source.table:
        case LocalTable() as table:
            from services.sources.local.source import open_local

            return open_local(source.key, table, clock, _local_root(table))
        case OpenShellTable() as table:
            from services.sources.openshell.source import open_openshell

            return open_openshell(source.key, table, clock)
        case KubernetesTable() as table:
            from services.sources.pods.source import open_kubernetes

            return open_kubernetes(source.key, table, clock, paths.open_shells_dir())
        case CentmlTable() as table:
            from services.sources.pods.source import open_centml

            return open_centml(source.key, table, clock)
        case ArgoTable() as table:
            from services.sources.pods.source import open_argo

            return open_argo(source.key, table, clock)
        case NanoClawTable() as table:
            from services.sources.nanoclaw.source import open_nanoclaw

            return open_nanoclaw(source.key, table, clock)
        case VellumTable() as table:
            from services.sources.vellum.source import open_vellum

            return open_vellum(source.key, table, clock)
        case OpenClawTable() as table:
            from services.sources.openclaw.source import open_openclaw

            return open_openclaw(source.key, table, clock, paths.openclaw_devices_dir())
        case TerminalTable() as table:
            from services.sources.terminal.source import open_terminal

            return open_terminal(source.key, table, clock)
        case RemoteTable() as table:
            from services.sources.remote.source import open_remote

            return open_remote(source.key, table, clock, opener.gate, opener.read_only)
        case ExternalTable() as table:
            from services.sources.remote.source import open_external

            return open_external(source.key, table, clock, opener.gate)
    assert_never(source.table)


def open_fenced(info: Source, opening: Callable[[], OpenSource]) -> OpenSource:
    """Open a source behind its fence; one that cannot be opened says why whenever it is asked.

    `info` is what is known of it before.
    """
    try:
        opened = opening()
        key = opened.info.key
    except (Exception, SystemExit) as error:
        said = error if isinstance(error, WakedeckError) else unforeseen(info.key, error)
        unopened = _Unopened(info, said)
        return OpenSource(cast(Observer, unopened), cast(Actor, unopened))
    return replace(
        opened,
        observer=_fence_half(key, opened.observer),
        actor=_fence_half(key, opened.actor),
        lifecycle=_fence_half(key, opened.lifecycle),
        proposer=_fence_half(key, opened.proposer),
        default_sandbox=_fence_half(key, opened.default_sandbox),
    )


def open_later(info: Source, opening: Callable[[], OpenSource]) -> OpenSource:
    """The same for a source that lives and dies with its panel, opened when it is first asked.

    `info` is all that opening it would tell.
    """
    opened = cache(partial(open_fenced, info, opening))
    return OpenSource(
        cast(Observer, _Later(info, lambda: opened().observer)),
        cast(Actor, _Later(info, lambda: opened().actor)),
        # One that could not be opened says so in every half.
        cast(Lifecycle, _Later(info, lambda: opened().lifecycle or opened().observer)),
    )


def _fence_half(key: str, half: Half) -> Half:
    if half is None:
        return half
    # From Python 3.12 on, `isinstance` with a protocol sees nothing that only `__getattr__` has.
    offered = {name: _passed_on(name) for name in dir(half) if not name.startswith("_")}
    return cast(Half, type("_FenceOfOne", (_Fence,), offered)(key, half))


def _passed_on(name: str) -> property:
    return property(lambda fence: fence.__getattr__(name))


class _Fence:
    """Passes every call on; what comes out of one is its result or an error of the services."""

    def __init__(self, key: str, behind: object) -> None:
        self._key = key
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = found(*args, **kwargs)
            except Exception as error:
                self._raise(error)
            if inspect.isawaitable(result):
                return self._awaited(name, result)
            if isinstance(result, AsyncIterator):
                return self._items(result)
            return result

        return call

    async def _awaited(self, name: str, result: Any) -> Any:
        try:
            return await result
        except Exception as error:
            if name not in _ENDINGS:
                self._raise(error)
            _LOG.exception("%s: %s failed", self._key, name)
            return None

    async def _items(self, items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        try:
            if isinstance(items, AsyncGenerator):
                async with aclosing(items):
                    async for one in items:
                        yield one
            else:
                async for one in items:
                    yield one
        except Exception as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        if isinstance(error, WakedeckError):
            raise error
        raise unforeseen(self._key, error) from error


class _Later:
    """A half of a source that is not opened yet."""

    def __init__(self, info: Source, half: Callable[[], object]) -> None:
        self.info = info
        self._half = half

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._half(), name)


class _Unopened:
    """A source that could not be opened: every call raises why."""

    def __init__(self, info: Source, error: WakedeckError) -> None:
        self.info = info
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise UnavailableError(self._error.sentence, advice=self._error.advice)

        return refuse

    async def close(self) -> None:
        """Nothing was opened."""

    async def leave(self) -> None:
        """Nothing was entered."""
