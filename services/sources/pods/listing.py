"""One list of a kind of resource, read page by page (upstream/pods: Lists and watches).

A page that came is never asked for again: a list that broke off goes on behind its last page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from services.errors import UnavailableError
from services.files.bounded import UnfitError, parse_json
from services.lazy_dataclass import dataclass
from services.net.http import ApiError, Http, Query
from services.sources.pods.pod import ListMetadata

PAGE = 500
SILENCE_S = 30.0
"""A list without a byte for this long has broken off; otherwise it may take what it takes."""
GONE = 410


class _Metadata(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class Watchable(Protocol):
    """What a list and a watch need of a resource."""

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
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{self.group}{scope}/{self.plural}"


class ResourceListing(Generic[T]):
    """Where one list stands."""

    def __init__(self, http: Http, kind: WatchedKind[T], namespace: str, selection: Query) -> None:
        self.version = ""
        """Of the first page: what changed since then has to be watched for."""
        self.rows = 0
        self.left: int | None = None
        """How many the server says are still to come; None where it does not say."""
        self.done = False
        self._http = http
        self._kind = kind
        self._path = kind.path(namespace)
        self._selection = selection
        self._token = ""
        self._limit = PAGE

    @property
    def progress(self) -> str:
        """How far it came, in words."""
        of = f" of {self.rows + self.left}" if self.left else ""
        return f"{self.rows}{of} {self._kind.plural} listed so far"

    async def pages(self) -> AsyncIterator[list[T]]:
        """The pages that are still to come.

        Raises:
            UnavailableError: one did not come; ask again for the rest.
        """
        while not self.done:
            try:
                page = await self._page()
            except ApiError as error:
                if error.status != GONE or not self._limit:
                    raise
                self._begin_anew(error)
                continue
            metadata = page.metadata
            self.version = self.version or metadata.resource_version
            self.rows += len(page.items)
            self.left = metadata.remaining_item_count
            self._token = metadata.continue_
            self.done = not self._token
            yield page.items

    def _begin_anew(self, expired: ApiError) -> None:
        """Go on with the token a server gives for the rest as it is now, or take all in one."""
        token = _rest_token(expired)
        if token and token != self._token:
            self._token = token
            return
        self._token, self._limit, self.rows, self.left, self.version = "", 0, 0, None, ""

    async def _page(self) -> _Page[T]:
        query = [*self._selection]
        if self._limit:
            query.append(("limit", str(self._limit)))
        if self._token:
            query.append(("continue", self._token))
        body = await self._http.get(self._path, tuple(query), SILENCE_S)
        try:
            return await asyncio.to_thread(self._kind.read_list, body)
        except UnfitError as error:
            said = f"{self._http.address} gave no list of {self._kind.plural}."
            raise UnavailableError(said) from error


def _rest_token(expired: ApiError) -> str:
    """The `continue` of a 410 (upstream/pods: Lists and watches)."""
    try:
        token = parse_json(expired.body)["metadata"]["continue"]
    except (UnfitError, KeyError, TypeError):
        return ""
    return token if isinstance(token, str) else ""
