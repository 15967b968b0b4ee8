"""The one write there is: a merge patch, at the operator's word; looking never loads this."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.errors import UnavailableError
from services.net.http import ANSWER_S, LARGEST, Http

CONTENT_TYPE = "application/merge-patch+json"


class PatchingHttp(Http):
    """GETs and merge patches of one server."""

    async def merge_patch(self, path: str, changes: Mapping[str, Any]) -> bytes:
        """The resource as it is after `changes`; sent once, never again by itself.

        Raises:
            ApiError: another status than 200.
            UnavailableError: no answer: whether it was done is not known.
        """
        body = bytearray()
        content = CONTENT_TYPE, json.dumps(changes).encode()
        async with self._send("PATCH", path, (), ANSWER_S, content) as parts:
            async for part in parts:
                body += part
                if len(body) > LARGEST:
                    raise UnavailableError(f"{self.address} answered with more than 64 MiB.")
        return bytes(body)
