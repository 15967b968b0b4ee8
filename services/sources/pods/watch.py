"""Pods of a namespace, listed once and watched from then on: thousands cost no polling.

A watch that ends goes on from the version it had seen; one whose version is too old begins with a
new list, and so does one that broke, when it is asked for the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError
from services.sources.pods.http import ApiError, Http, Query
from services.sources.pods.pod import Pod, PodList, read_event, read_list, read_pod

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


class PodWatch:
    """The pods of one namespace, or of all where that is empty; kept up by one task."""

    def __init__(self, http: Http, namespace: str, selector: str, clock: Clock) -> None:
        self.lists = 0
        """How often everything had to be listed."""
        self._http = http
        self._path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self._selection: Query = (("labelSelector", selector),) if selector else ()
        self._clock = clock
        self._pods: dict[str, Pod] = {}
        self._version = ""
        self._following: asyncio.Task[None] | None = None

    @property
    def live(self) -> bool:
        """Whether changes come by themselves now."""
        return self._following is not None and not self._following.done()

    async def pods(self) -> Mapping[str, Pod]:
        """Every pod by its `namespace/name`; lists only where no watch runs.

        Raises:
            UnavailableError: the list could not be had.
        """
        if not self.live:
            await self._list()
            self._following = asyncio.create_task(self._follow(), name="pod watch")
        return self._pods

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
        self._pods, self._version = found, version
        self.lists += 1

    async def _pages(self, limit: int) -> tuple[dict[str, Pod], str]:
        found: dict[str, Pod] = {}
        token = ""
        while True:
            query = [*self._selection]
            if limit:
                query.append(("limit", str(limit)))
            if token:
                query.append(("continue", token))
            page = await self._page(tuple(query))
            found.update((pod.native_id, pod) for pod in page.items)
            token = page.metadata.continue_
            if not token:
                return found, page.metadata.resource_version

    async def _page(self, query: Query) -> PodList:
        body = await self._http.get(self._path, query)
        try:
            return await asyncio.to_thread(read_list, body)
        except UnfitError as error:
            raise UnavailableError(f"{self._http.address} gave no list of pods.") from error

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
            ("watch", "1"),
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
            pod = read_pod(event.object)
        except UnfitError as error:
            raise UnavailableError(f"{self._http.address} sent a change that is none.") from error
        self._version = pod.metadata.resource_version or self._version
        if event.type in ("ADDED", "MODIFIED"):
            self._pods[pod.native_id] = pod
        elif event.type == "DELETED":
            self._pods.pop(pod.native_id, None)


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
            raise UnavailableError("A change of a pod is larger than 8 MiB.")
