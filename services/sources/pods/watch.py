"""Resources of a namespace, listed once and watched from then on: thousands cost no polling.

A watch that ends goes on from the version it had seen; one whose version is too old begins with a
new list, and so does one that broke, when it is asked for the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from services.clock import Clock
from services.errors import UnavailableError
from services.sources.pods.http import ApiError, Http, Query
from services.sources.pods.pod import ListMetadata, Pod, read_event, read_list, read_pod

PAGE = 500
SILENCE_S = 100.0
"""Bookmarks come every minute or so; a watch this silent is taken for dead."""
_SERVER_S = 240
_GONE = 410
_SHORTEST_S = 1.0
_LONGEST_EVENT = 8 << 20
_LOG = logging.getLogger(__name__)


class _ExpiredError(Exception):
    """The server no longer knows the version the watch begins at."""


class _Metadata(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class Watchable(Protocol):
    """What a watch needs of a resource."""

    @property
    def metadata(self) -> _Metadata: ...


T = TypeVar("T", bound=Watchable)


class _Page(Protocol[T]):
    @property
    def metadata(self) -> ListMetadata: ...
    @property
    def items(self) -> list[T]: ...


@dataclass(frozen=True, slots=True)
class WatchedKind(Generic[T]):
    """One kind of resource: where it is, and how it is read."""

    group: str
    """`/api/v1`, or `/apis/GROUP/VERSION`."""
    plural: str
    read_list: Callable[[bytes], _Page[T]]
    read_one: Callable[[bytes | msgspec.Raw], T]

    def path(self, namespace: str) -> str:
        """Where those of one namespace are, or all of them where that is empty."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.group}{scope}/{self.plural}"


class ResourceWatch(Generic[T]):
    """What one query finds of a kind in one namespace, or in all; kept up by one task."""

    def __init__(
        self,
        http: Http,
        kind: WatchedKind[T],
        namespace: str,
        selection: Query,
        clock: Clock,
    ) -> None:
        """`selection` is what a list and a watch are narrowed by."""
        self.lists = 0
        """How often everything had to be listed."""
        self.changed = asyncio.Event()
        """Set with every list and every change; whoever waits for it clears it."""
        self._http = http
        self._kind = kind
        self._path = kind.path(namespace)
        self._selection = selection
        self._clock = clock
        self._rows: dict[str, T] = {}
        self._version = ""
        self._following: asyncio.Task[None] | None = None

    @property
    def live(self) -> bool:
        """Whether changes come by themselves now."""
        return self._following is not None and not self._following.done()

    @property
    def rows(self) -> Mapping[str, T]:
        """Every one by its `namespace/name`, as it was last told."""
        return self._rows

    async def look(self) -> None:
        """Have the rows be those of now; lists only where no watch runs.

        Raises:
            UnavailableError: the list could not be had.
        """
        if not self.live:
            await self._list()
            self._following = asyncio.create_task(
                self._follow(), name=f"watch of {self._kind.plural}"
            )

    async def close(self) -> None:
        """Stop watching; idempotent."""
        task, self._following = self._following, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _list(self) -> None:
        """Read every page; a list that expires between two pages begins again, whole."""
        try:
            found, version = await self._pages(PAGE)
        except ApiError as error:
            if error.status != _GONE:
                raise
            found, version = await self._pages(0)
        self._rows, self._version = found, version
        self.lists += 1
        self.changed.set()

    async def _pages(self, limit: int) -> tuple[dict[str, T], str]:
        found: dict[str, T] = {}
        token = ""
        while True:
            query = [*self._selection]
            if limit:
                query.append(("limit", str(limit)))
            if token:
                query.append(("continue", token))
            page = await self._page(tuple(query))
            found.update((_key(one), one) for one in page.items)
            token = page.metadata.continue_
            if not token:
                return found, page.metadata.resource_version

    async def _page(self, query: Query) -> _Page[T]:
        body = await self._http.get(self._path, query)
        try:
            return await asyncio.to_thread(self._kind.read_list, body)
        except (msgspec.DecodeError, RecursionError) as error:
            said = f"{self._http.address} gave no list of {self._kind.plural}."
            raise UnavailableError(said) from error

    async def _follow(self) -> None:
        try:
            while True:
                began = self._clock.monotonic()
                try:
                    await self._watch()
                except _ExpiredError:
                    await self._list()
                except ApiError as error:
                    if error.status != _GONE:
                        raise
                    await self._list()
                if self._clock.monotonic() - began < _SHORTEST_S:
                    await self._clock.sleep(_SHORTEST_S)
        except UnavailableError as error:
            # The next look lists again, and says it if that does not work either.
            _LOG.info("the watch of %s ended: %s", self._path, error)

    async def _watch(self) -> None:
        query = (
            *self._selection,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(_SERVER_S)),
        )
        async with self._http.stream(self._path, query, SILENCE_S) as parts:
            async for line in _lines(parts):
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            event = read_event(line)
            if event.type == "ERROR":
                raise _ExpiredError
            one = self._kind.read_one(event.object)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnavailableError(f"{self._http.address} sent a change that is none.") from error
        self._version = one.metadata.resource_version or self._version
        if event.type in ("ADDED", "MODIFIED"):
            self._rows[_key(one)] = one
        elif event.type == "DELETED":
            self._rows.pop(_key(one), None)
        else:
            return
        self.changed.set()


def _key(one: Watchable) -> str:
    return f"{one.metadata.namespace}/{one.metadata.name}"


PODS: WatchedKind[Pod] = WatchedKind("/api/v1", "pods", read_list, read_pod)


class PodWatch(ResourceWatch[Pod]):
    """The pods of one namespace, or of all where that is empty."""

    def __init__(self, http: Http, namespace: str, selector: str, clock: Clock) -> None:
        selection: Query = (("labelSelector", selector),) if selector else ()
        super().__init__(http, PODS, namespace, selection, clock)

    async def pods(self) -> Mapping[str, Pod]:
        """Every pod by its `namespace/name`; lists only where no watch runs.

        Raises:
            UnavailableError: the list could not be had.
        """
        await self.look()
        return self.rows


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines; one without an end is no event.

    Raises:
        UnavailableError: a line above 8 MiB.
    """
    rest = bytearray()
    async for part in parts:
        rest += part
        if b"\n" in part:
            *whole, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in whole:
                if line.strip():
                    yield line
        if len(rest) > _LONGEST_EVENT:
            raise UnavailableError("A change of a resource is larger than 8 MiB.")
