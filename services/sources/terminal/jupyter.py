"""Terminals of a Jupyter server: made for a shell of ours, found again, ended with it.

See upstream/terminal: Terminado frames.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from services.errors import ShellError, WakedeckError
from services.models import Retry
from services.net.http import ApiError, Http
from services.sources.terminal.server import TerminalServer

LIMIT_S = 3.0
MOST_KEPT = 64


class JupyterTerminals:
    """Those that shells of this panel left on one server."""

    def __init__(self, server: TerminalServer, http: Http) -> None:
        self._http = http
        self._path = f"{server.address.path}/api/terminals"
        self._lost: list[str] = []
        self._unended: list[str] = []

    async def take(self, name: str, *, fresh: bool) -> tuple[str, bool]:
        """The terminal for a shell, and whether it was there before.

        It is `name` if that is still there, else one whose shell lost its connection unless a
        `fresh` one is wanted, else a new one.

        Raises:
            ApiError: the server refused.
            ShellError: it made none.
        """
        await asyncio.gather(*(self.end(left) for left in self._unended))
        for known in (name, *(() if fresh else tuple(self._lost))):
            if known and await self._exists(known):
                self._lost = [one for one in self._lost if one != known]
                return known, True
        told = await self._http.json(self._path, method="POST")
        made = told.get("name") if isinstance(told, dict) else None
        if not isinstance(made, str) or not made or len(made) > 200:
            raise ShellError("the server made no terminal", retry=Retry.NO)
        return made, False

    async def _exists(self, name: str) -> bool:
        try:
            await self._http.get(self._of(name))
        except ApiError as error:
            if error.status != 404:
                raise
            self._lost = [one for one in self._lost if one != name]
            return False
        return True

    def lose(self, name: str) -> None:
        """The connection to it was lost: the next shell goes on in it."""
        self._lost = [*self._lost, name][-MOST_KEPT:]

    async def end(self, name: str) -> bool:
        """End it with what runs in it; tried again at the next connection if that fails."""
        self._unended = [one for one in self._unended if one != name]
        try:
            await self._http.get(self._of(name), limit_s=LIMIT_S, method="DELETE")
        except ApiError as error:
            if error.status == 404:
                return True
        except WakedeckError:
            pass
        else:
            return True
        self._unended = [*self._unended, name][-MOST_KEPT:]
        return False

    def _of(self, name: str) -> str:
        return f"{self._path}/{quote(name, safe='')}"
