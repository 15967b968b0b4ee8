"""A credential helper on a terminal with the operator at it (upstream/pods: Cluster access).

The terminal carries its stdin and stderr; its stdout, the credential, goes past the screen.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from services.errors import ShellError, WakedeckError
from services.models import Retry, ShellState
from services.sources.pods.access import Helper
from services.sources.pods.credential import KubeCredential
from services.sources.pods.sign_in import LARGEST, environment, name_of, read, take
from services.terminal.transport.base import CloseReason, require_open
from services.terminal.transport.forwarding import ForwardingShell
from services.terminal.transport.pty_transport import PtyTransport

ASKING_LIMIT_S = 600.0
"""How long a person may take to answer."""
NOTICE = "The credential helper asks, on your own machine. Ctrl-C ends it."
_READ_BYTES = 64 * 1024
_LAST_SIGNAL = 128 + 64


class _Answer:
    """What a helper prints, read as it comes and kept up to a bound."""

    def __init__(self, handle: int) -> None:
        os.set_blocking(handle, False)
        self._handle: int | None = handle
        self._data = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(handle, self._read)

    def _read(self) -> bool:
        """Take what is there; whether there may be more."""
        if self._handle is None:
            return False
        try:
            data = os.read(self._handle, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.close()
        # One byte beyond the bound is kept: cut short, it could pass for a whole one.
        self._data += data[: LARGEST + 1 - len(self._data)]
        return bool(data) and len(self._data) <= LARGEST

    def finish(self) -> bytes:
        """All of it; empty where it was too much."""
        while self._read():
            pass
        self.close()
        return b"" if len(self._data) > LARGEST else bytes(self._data)

    def close(self) -> None:
        """Let go of the pipe; idempotent."""
        if self._handle is not None:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None


class SignInShell(ForwardingShell):
    """One run of the helper; it is `ENDED` once its credential was taken, else `FAILED`."""

    def __init__(
        self,
        find: Callable[[], Awaitable[KubeCredential]],
        taken: Callable[[str], None],
    ) -> None:
        """`taken` hears, in a few words, whose credential is used from now on."""
        super().__init__(NOTICE)
        self.over = False
        """Whether it was closed: it was ended, or was never begun."""
        self._find = find
        self._taken = taken
        self._credential: KubeCredential | None = None
        self._helper: Helper | None = None
        self._answer: _Answer | None = None
        self._until = 0.0

    async def open(self, columns: int, lines: int) -> None:
        """Start the helper on a terminal of that size.

        Raises:
            ShellError: there is none, or it cannot be run.
        """
        try:
            self._credential = await self._find()
        except WakedeckError as error:
            raise ShellError(error.sentence, retry=Retry.NO, advice=error.advice) from error
        access = self._credential.access
        helper = self._helper = access.identity.helper
        if helper is None or not access.cluster.secure:
            raise ShellError("the kubeconfig names no credential helper any more", retry=Retry.NO)
        env = environment(access, helper, interactive=True) | {"TERM": "xterm-256color"}
        reading, writing = os.pipe()
        self._answer = _Answer(reading)
        try:
            self._inner = PtyTransport(helper.argv, env=env, stdout=writing)
            await self._inner.open(columns, lines)
        except ShellError as error:
            said = f"the credential helper does not start: {error.sentence}"
            raise ShellError(said, retry=Retry.NO, advice=helper.advice) from error
        finally:
            os.close(writing)
        self._until = asyncio.get_running_loop().time() + ASKING_LIMIT_S

    async def read(self) -> bytes | CloseReason:
        """What it asks, or how signing in ended."""
        try:
            async with asyncio.timeout_at(self._until):
                got = await require_open(self._inner).read()
        except TimeoutError:
            await self.close()
            return self._failed(f"was ended after {ASKING_LIMIT_S:g} s")
        return self._ended(got.code) if isinstance(got, CloseReason) else got

    async def close(self) -> None:
        """End the helper and what it started."""
        try:
            await super().close()
        finally:
            self.over = True
            if self._answer is not None:
                self._answer.close()

    def _ended(self, code: int | None) -> CloseReason:
        assert self._answer is not None and self._credential is not None
        assert self._helper is not None
        if code is None or 128 < code <= _LAST_SIGNAL:
            return self._failed("was ended before it gave a credential")
        if code != 0:
            return self._failed(f"failed (exit code {code})")
        helper = self._helper
        try:
            minted = read(self._answer.finish(), name_of(helper), helper.version)
            said = take(self._credential, helper, minted)
        except WakedeckError as error:
            return CloseReason(ShellState.FAILED, error.sentence)
        self._taken(said)
        return CloseReason(ShellState.ENDED, f"signed in, {said}", retry=Retry.NO)

    def _failed(self, how: str) -> CloseReason:
        assert self._helper is not None
        said = f"The credential helper {name_of(self._helper)} {how}."
        if self._helper.advice:
            said = f"{said} {self._helper.advice}"
        return CloseReason(ShellState.FAILED, said)
