"""The gateway's WebSocket connection: a pong is sent once earlier input was handled."""

from __future__ import annotations

import socket
from collections import deque
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from services.sources.local.admission import Admission

LARGEST_MESSAGE = 1 << 20
SEND_BUFFER = 64 * 1024
"""What a flood may run ahead of its reader in the kernel (upstream/terminal: Kernel buffers)."""


class _DeferredPongs(ServerProtocol):
    """Leaves pings to the connection; the protocol alone would answer before the input is taken."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            self.events.append(frame)
        else:
            super().recv_frame(frame)


class TerminalConnection(ServerConnection):
    """Answers a ping once `acknowledge` has counted every message that came before it."""

    def __init__(
        self, admission: Admission, protocol: ServerProtocol, server: Server, **limits: Any
    ) -> None:
        super().__init__(
            _DeferredPongs(max_size=LARGEST_MESSAGE, logger=protocol.logger), server, **limits
        )
        self._admission = admission
        self._refused = False
        self._arrived = 0
        self._acknowledged = 0
        self._pings: deque[tuple[int, bytes]] = deque()

    def connection_made(self, transport: Any) -> None:
        refusal = self._admission.refusal(self, transport)
        if refusal is not None:
            # Nothing else is made of it: not a task, not a buffer, not a line in the log.
            self._refused = True
            transport.write(refusal)
            transport.close()
            return
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> None:
        if not self._refused:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._refused:
            self._admission.closed(self)
            super().connection_lost(exc)

    def process_event(self, event: Request | Frame) -> None:  # type: ignore[override]
        super().process_event(event)
        if not isinstance(event, Frame):
            return
        if event.opcode in DATA_OPCODES and event.fin:
            self._arrived += 1
        elif event.opcode is Opcode.PING:
            self._pings.append((self._arrived, bytes(event.data)))
            self._answer()

    def acknowledge(self, messages: int) -> None:
        """Count `messages` of this connection as handled by the shell."""
        self._acknowledged = messages
        self._answer()

    def _answer(self) -> None:
        while self._pings and self._pings[0][0] <= self._acknowledged:
            _, data = self._pings.popleft()
            if self.protocol.state is State.OPEN:
                self.protocol.send_pong(data)
                self.send_data()
