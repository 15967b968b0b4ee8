"""One list of pods, read page by page (upstream/pods: Lists and watches).

A page that came is never asked for again: a list that broke off goes on behind its last page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.errors import UnavailableError
from services.files.bounded import UnfitError, parse_json
from services.sources.pods.http import ApiError, Http, Query
from services.sources.pods.pod import Pod, PodList, read_list

PAGE = 500
SILENCE_S = 30.0
"""A list without a byte for this long has broken off; otherwise it may take what it takes."""
GONE = 410


class PodListing:
    """Where one list stands."""

    def __init__(self, http: Http, path: str, selection: Query) -> None:
        self.version = ""
        """Of the first page: what changed since then has to be watched for."""
        self.rows = 0
        self.left: int | None = None
        """How many the server says are still to come; None where it does not say."""
        self.done = False
        self._http = http
        self._path = path
        self._selection = selection
        self._token = ""
        self._limit = PAGE

    @property
    def progress(self) -> str:
        """How far it came, in words."""
        of = f" of {self.rows + self.left}" if self.left else ""
        return f"{self.rows}{of} pods listed so far"

    async def pages(self) -> AsyncIterator[list[Pod]]:
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

    async def _page(self) -> PodList:
        query = [*self._selection]
        if self._limit:
            query.append(("limit", str(self._limit)))
        if self._token:
            query.append(("continue", self._token))
        body = await self._http.get(self._path, tuple(query), SILENCE_S)
        try:
            return await asyncio.to_thread(read_list, body)
        except UnfitError as error:
            raise UnavailableError(f"{self._http.address} gave no list of pods.") from error


def _rest_token(expired: ApiError) -> str:
    """The `continue` of a 410 (upstream/pods: Lists and watches)."""
    try:
        token = parse_json(expired.body)["metadata"]["continue"]
    except (UnfitError, KeyError, TypeError):
        return ""
    return token if isinstance(token, str) else ""
