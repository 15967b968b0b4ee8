"""What is written to a server, at the operator's word alone; looking never loads this."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.errors import UnavailableError
from services.net.http import ANSWER_S, LARGEST, Http

_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"


class WritingHttp(Http):
    """GETs and writes of one server; each is sent once, never again by itself."""

    async def merge_patch(self, path: str, changes: Mapping[str, Any]) -> bytes:
        """The resource as it is after `changes`, which take the place of what they name.

        Raises:
            ApiError: another status than 200.
            UnavailableError: no answer: whether it was done is not known.
        """
        return await self.write("PATCH", path, _MERGE, json.dumps(changes).encode())

    async def strategic_patch(self, path: str, changes: Mapping[str, Any]) -> bytes:
        """The same, with lists of named things added to; raises as `merge_patch`."""
        return await self.write("PATCH", path, _STRATEGIC, json.dumps(changes).encode())

    async def review(self, path: str, question: Mapping[str, Any]) -> bytes:
        """What a server answers to a question that changes nothing; raises as `merge_patch`."""
        return await self.write("POST", path, "application/json", json.dumps(question).encode())

    async def write(
        self,
        method: str,
        path: str,
        kind: str,
        content: bytes,
        limit_s: float = ANSWER_S,
        largest: int = LARGEST,
    ) -> bytes:
        """What is answered to `content`, which is of this media type; raises as `merge_patch`."""
        body = bytearray()
        async with self._send(method, path, (), limit_s, (kind, content)) as parts:
            async for part in parts:
                body += part
                if len(body) > largest:
                    raise UnavailableError(f"{self.address} answered with more than is expected.")
        return bytes(body)
