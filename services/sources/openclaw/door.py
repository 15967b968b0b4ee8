"""The way to one gateway's WebSocket, and the credential that is shown there.

The shared credential of a gateway gives every right: it is read when it is needed, kept in memory
alone, and shown only to a listener that is proven to be the gateway.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from services.agents.openclaw.connection import ChannelLostError
from services.agents.openclaw.device import DeviceIdentity
from services.agents.openclaw.wire import GatewayCredential
from services.config.sources import OpenClawTable
from services.errors import ShellError, UnavailableError
from services.files.bounded import UnfitError, read_bounded, read_text
from services.files.json5 import parse_json5
from services.lazy_dataclass import dataclass
from services.models import ShellState
from services.sources.openclaw.carrier import GatewayAddress
from services.terminal.transport.base import CloseReason
from services.terminal.transport.framing import FrameEvent, Output
from services.terminal.transport.websocket import WebSocketTransport
from services.text.format import sentence
from services.text.redact import redact_line

_LONGEST = 4096
Prove = Callable[[], Awaitable[str]]
"""Why the listener is not proven to be the gateway; empty where it is. Raises nothing."""


class WholeFrames:
    """The framing of a connection whose frames are taken as they are."""

    subprotocols: Sequence[str] = ()
    repeats_size = False
    silent_end = False

    def on_subprotocol(self, subprotocol: str | None) -> None:
        """None is offered."""

    def encode_resize(self, columns: int, lines: int) -> str:
        return ""

    def encode_input(self, data: bytes) -> Sequence[str | bytes]:
        return (data.decode("utf-8"),)

    def decode(self, frame: str | bytes) -> Sequence[FrameEvent]:
        return (Output(frame.encode("utf-8") if isinstance(frame, str) else frame),)


class _SocketChannel:
    """A channel over one WebSocket."""

    def __init__(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    async def send(self, text: str) -> None:
        await self._transport.send((text,))

    async def receive(self) -> bytes:
        got = await self._transport.receive()
        if isinstance(got, CloseReason):
            ended = got.state is ShellState.ENDED
            why = "the gateway closed it" if ended else got.reason
            raise ChannelLostError(sentence(f"its connection ended: {why}"))
        return b"".join(one.data for one in got if isinstance(one, Output))

    async def close(self) -> None:
        await self._transport.close()


class GatewayDoor:
    """Opens the WebSocket of one gateway; `prove` is asked once it is open."""

    def __init__(
        self,
        address: Callable[[], GatewayAddress],
        credential: Callable[[], GatewayCredential | None],
        prove: Prove,
        device: Callable[[], Awaitable[DeviceIdentity | None]],
    ) -> None:
        """`credential` reads files and raises UnavailableError; it is called in a thread."""
        self._address = address
        self._credential = credential
        self._prove = prove
        self._device = device

    async def open(self) -> _SocketChannel:
        address = self._address()
        transport = WebSocketTransport(
            address.socket_url, {}, framing=WholeFrames(), tls=address.tls()
        )
        try:
            await transport.open(80, 24)
        except ShellError as error:
            raise UnavailableError(sentence(error.sentence), advice=error.advice) from error
        return _SocketChannel(transport)

    async def credential(self) -> GatewayCredential | None:
        problem = await self._prove()
        if problem:
            raise UnavailableError(f"It is shown no credential: {problem}.")
        return await asyncio.to_thread(self._credential)

    async def device(self) -> DeviceIdentity | None:
        return await self._device()

    async def fingerprint(self) -> str:
        try:
            found = await asyncio.to_thread(self._credential)
        except UnavailableError as error:
            return error.sentence
        if found is None:
            return ""
        return hashlib.sha256(f"{found.kind}\0{found.secret}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CredentialPlace:
    """Where the credential comes from, as the table says."""

    from_config: bool = False
    file: str = ""
    variable: str = ""

    @classmethod
    def of(cls, table: OpenClawTable) -> CredentialPlace:
        """What a table says.

        Raises:
            UnavailableError: it names several places, or one that cannot be.
        """
        found = cls(table.credential == "config", table.token_file, table.token_env)
        if sum((found.from_config, bool(found.file), bool(found.variable))) > 1:
            raise UnavailableError(
                "This source names several credentials.",
                advice="One of `credential`, `token_file` and `token_env`.",
            )
        if found.from_config and table.url:
            raise UnavailableError(
                "A gateway that is named by `url` has no configuration here.",
                advice="Name its token with `token_file` or `token_env`.",
            )
        if (found.file or found.variable) and not (table.url or table.state_dir):
            raise UnavailableError(
                "One token would be shown to several gateways.",
                advice='Name it with `state_dir` or `url`, or say `credential = "config"`.',
            )
        return found

    @property
    def named(self) -> bool:
        """Whether there is one to show."""
        return self.from_config or bool(self.file or self.variable)

    def read(self, config: Path | None, environ: Mapping[str, str]) -> GatewayCredential | None:
        """The credential itself, read anew; `config` is the gateway's own configuration.

        Raises:
            UnavailableError: it cannot be read.
        """
        if self.variable:
            secret = environ.get(self.variable, "").strip()
            return _shown("token", secret, f"the variable {redact_line(self.variable, 60)}")
        if self.file:
            path = Path(self.file).expanduser()
            name = f"the file {redact_line(str(path), 120)}"
            try:
                return _shown("token", read_text(path, _LONGEST).strip(), name)
            except (OSError, UnfitError) as error:
                raise UnavailableError(f"{name[:1].upper()}{name[1:]} cannot be read.") from error
        return None if config is None else _of_config(config)


def _of_config(path: Path) -> GatewayCredential:
    try:
        value = parse_json5(read_bounded(path))
    except (OSError, UnfitError) as error:
        raise UnavailableError("Its configuration cannot be read for its credential.") from error
    gateway = value.get("gateway") if isinstance(value, dict) else None
    auth = gateway.get("auth") if isinstance(gateway, dict) else None
    fields = auth if isinstance(auth, dict) else {}
    kinds = ("password", "token") if fields.get("mode") == "password" else ("token", "password")
    for kind in kinds:
        if isinstance(fields.get(kind), str) and "${" not in fields[kind]:
            return _shown(kind, fields[kind], "its configuration")
        if fields.get(kind) is not None:
            raise UnavailableError(
                f"The {kind} in its configuration is a reference, which is not followed here.",
                advice="Name it with `token_file` or `token_env`.",
            )
    raise UnavailableError(
        "Its configuration holds no credential.",
        advice="Name one with `token_file` or `token_env`.",
    )


def _shown(kind: str, secret: str, origin: str) -> GatewayCredential:
    if not secret or not secret.isprintable() or len(secret) > _LONGEST:
        raise UnavailableError(sentence(f"{origin} holds no credential"))
    return GatewayCredential(kind, secret, origin)
