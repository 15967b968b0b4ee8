"""Resources of a namespace, listed once and watched from then on: thousands cost no polling.

The watch begins with the first page of the list, so that every row that came is kept up while the
others still come. One that ends or breaks goes on from the version it had seen; one whose version
is too old begins with a new list.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Generic

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError
from services.net.http import ApiError, Http, Query
from services.sources.pods.listing import GONE, ResourceListing, T, Watchable, WatchedKind
from services.sources.pods.pod import (
    ApiStatus,
    Pod,
    read_event,
    read_list,
    read_pod,
    read_status,
)
from services.text.redact import redact_line

SILENCE_S = 100.0
"""Bookmarks come every minute or so; a watch this silent is taken for dead."""
HELD_UP_S = 6.0
"""A watch that has not begun for this long is held back by something: it is listed again."""
_RECENT_S = 1.5
_SERVER_S = 240
_NO_WATCH = frozenset({403, 405})
_SHORTEST_S = 1.0
_LONGEST_EVENT = 8 << 20
_LOG = logging.getLogger(__name__)


class _ExpiredError(Exception):
    """The server no longer knows the version the watch begins at."""


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
        self.namespace = namespace
        self.changed = asyncio.Event()
        """Set with every page and every change; whoever waits for it clears it."""
        self._http = http
        self._kind = kind
        self._path = kind.path(namespace)
        self._selection = selection
        self._clock = clock
        self._rows: dict[str, T] = {}
        self._version = ""
        self._listing: ResourceListing[T] | None = ResourceListing(http, kind, namespace, selection)
        self._reached: set[str] = set()
        """What the list under way or its watch told of."""
        self._heard: set[str] = set()
        """What the watch told of meanwhile: a page that comes later is older."""
        self._deleted: set[str] = set()
        self._true_at = 0.0
        self._old_at = 0.0
        self._problem: UnavailableError | None = None
        self._task: asyncio.Task[None] | None = None
        self._watching = False
        self._unwatchable = False
        """The user may list and not watch: every look lists."""
        self.moves = 0
        """Counts what `moved` tells."""
        self._moved = asyncio.Event()

    @property
    def rows(self) -> Mapping[str, T]:
        """Every one by its `namespace/name`, as far as they came."""
        return self._rows

    @property
    def live(self) -> bool:
        """Whether changes come by themselves now."""
        return self._watching

    @property
    def progress(self) -> str:
        """How far a list under way came, in words; empty where all there is is known."""
        return "" if self._listing is None else self._listing.progress

    @property
    def under_way(self) -> bool:
        """Whether a list is being read."""
        task = self._task
        return self._listing is not None and task is not None and not task.done()

    @property
    def coming(self) -> bool:
        """Whether a list is under way that nothing has stopped."""
        return self._listing is not None and self._problem is None

    @property
    def problem(self) -> UnavailableError | None:
        """Why the last attempt to list or watch ended; None while one goes on."""
        return self._problem

    def seen_at(self, pod: str, now: float) -> float:
        """When a pod was as it stands here (epoch)."""
        if self._listing is not None and pod not in self._reached:
            return self._old_at
        return now if self._watching else self._true_at

    def take_deleted(self) -> frozenset[str]:
        """What the server told to be gone, since this was asked for the last time."""
        gone, self._deleted = frozenset(self._deleted - self._rows.keys()), set()
        return gone

    async def look(self, limit_s: float) -> None:
        """Take the list and the watch up where they stopped; wait for them `limit_s` at most."""
        if self._task is not None and self._is_held_up():
            await self.close()
            self._begin_list()
        if self._task is None or self._task.done():
            self._problem = None
            if self._unwatchable and self._listing is None:
                self._begin_list()
            self._task = asyncio.create_task(self._run(), name=f"watch of {self._kind.plural}")
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._problem is None and not self._settled:
                    await self.moved(self.moves)

    @property
    def _settled(self) -> bool:
        """Whether what is here is true now, or was a moment ago."""
        recent = self._clock.now() - self._true_at < _RECENT_S
        return self._listing is None and (self._watching or self._unwatchable or recent)

    def _is_held_up(self) -> bool:
        """Whether a watch was asked for and has not begun: something on the way keeps it back."""
        waits = self._listing is None and not self._watching and not self._unwatchable
        return waits and self._clock.now() - self._true_at > HELD_UP_S

    async def moved(self, since: int) -> None:
        """Return when a page came, or the list or the watch began or ended, `since` so many."""
        while self.moves == since:
            self._moved.clear()
            await self._moved.wait()

    def _move(self) -> None:
        self.moves += 1
        self.changed.set()
        self._moved.set()

    async def close(self) -> None:
        """Stop watching; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        """List and watch until that does not work; what was learned by then is kept."""
        try:
            while not (self._unwatchable and self._listing is None):
                began = self._clock.monotonic()
                try:
                    await self._list_and_watch()
                except _ExpiredError:
                    self._begin_list()
                except ApiError as error:
                    if error.status != GONE:
                        raise
                    self._begin_list()
                await self._pause(began)
        except UnavailableError as error:
            self._problem = error
            _LOG.info("the watch of %s ended: %s", self._path, error)
        finally:
            self._stopped_watching()
            self._move()

    async def _list_and_watch(self) -> None:
        listing = self._listing
        if listing is None:
            await self._follow()
            return
        pages = listing.pages()
        if not self._version:
            self._take_page(await anext(pages))
            self._true_at = self._clock.now()
            self._version = listing.version
        following = asyncio.ensure_future(self._follow())
        reading = asyncio.ensure_future(self._read(pages))
        try:
            await asyncio.wait((following, reading), return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for one in (following, reading):
                one.cancel()
            ended = await asyncio.gather(following, reading, return_exceptions=True)
        for how in ended:
            if isinstance(how, Exception):
                raise how

    async def _read(self, pages: AsyncIterator[list[T]]) -> None:
        async for page in pages:
            self._take_page(page)
        for name in self._rows.keys() - self._reached:
            del self._rows[name]
        self._listing = None
        self._move()

    def _take_page(self, page: list[T]) -> None:
        for one in page:
            name = _key(one)
            if name not in self._heard:
                self._rows[name] = one
            self._reached.add(name)
        self._move()

    def _begin_list(self) -> None:
        self._old_at = self._true_at
        self._listing = ResourceListing(self._http, self._kind, self.namespace, self._selection)
        self._version = ""
        self._reached.clear()
        self._heard.clear()

    async def _follow(self) -> None:
        while not self._unwatchable:
            began = self._clock.monotonic()
            try:
                await self._watch()
            except ApiError as error:
                if error.status not in _NO_WATCH:
                    raise
                self._unwatchable = True
                self._move()
                return
            self._stopped_watching()
            await self._pause(began)

    async def _pause(self, began: float) -> None:
        if self._clock.monotonic() - began < _SHORTEST_S:
            await self._clock.sleep(_SHORTEST_S)

    async def _watch(self) -> None:
        query = (
            *self._selection,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(_SERVER_S)),
        )
        async with self._http.stream(self._path, query, SILENCE_S) as parts:
            self._watching = True
            self._move()
            async for line in _lines(parts):
                self._take(line)

    def _stopped_watching(self) -> None:
        if self._watching:
            self._true_at = self._clock.now()
        self._watching = False

    def _take(self, line: bytes) -> None:
        try:
            event = read_event(line)
            if event.type == "ERROR":
                self._refused(read_status(event.object))
            one = self._kind.read_one(event.object)
        except UnfitError as error:
            raise UnavailableError(f"{self._http.address} sent a change that is none.") from error
        self._version = one.metadata.resource_version or self._version
        name = _key(one)
        if event.type in ("ADDED", "MODIFIED"):
            self._rows[name] = one
        elif event.type == "DELETED":
            self._rows.pop(name, None)
            self._deleted.add(name)
        else:
            return
        self.changed.set()
        if self._listing is not None:
            self._reached.add(name)
            self._heard.add(name)

    def _refused(self, status: ApiStatus) -> None:
        if status.code == GONE:
            raise _ExpiredError
        said = redact_line(status.message, 200)
        raise UnavailableError(
            f"{self._http.address} ended the watch of {self._kind.plural}: {said}."
        )


def _key(one: Watchable) -> str:
    return f"{one.metadata.namespace}/{one.metadata.name}"


PODS: WatchedKind[Pod] = WatchedKind("/api/v1", "pods", read_list, read_pod)


class PodWatch(ResourceWatch[Pod]):
    """The pods of one namespace, or of all where that is empty."""

    def __init__(self, http: Http, namespace: str, selector: str, clock: Clock) -> None:
        selection: Query = (("labelSelector", selector),) if selector else ()
        super().__init__(http, PODS, namespace, selection, clock)

    @property
    def pods(self) -> Mapping[str, Pod]:
        """Every pod by its `namespace/name`, as far as they came."""
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
