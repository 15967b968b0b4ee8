"""Ports for servers that have to be told theirs: none is handed out twice by a process."""

from __future__ import annotations

import os
import socket
from itertools import count
from pathlib import Path

_LOWEST, _EPHEMERAL = 10_240, 32_768
_APART = 1_009
"""Between the beginnings of two workers, whose numbers follow each other."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_calls = count()


def free_port() -> int:
    """One nobody listens on, and that the system gives to nobody who asks for any port.

    A port the system chose and got back is soon another's: its client's end, or its server.
    """
    for _ in range(end := _ephemeral() - _LOWEST):
        port = _LOWEST + (os.getpid() * _APART + next(_calls)) % end
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no port between {_LOWEST} and {_ephemeral()} is free")


def _ephemeral() -> int:
    """Where the ports begin that the system hands out itself."""
    try:
        first = int(_RANGE.read_text("ascii").split()[0])
    except OSError:
        first = _EPHEMERAL
    return first if first > _LOWEST + _APART else _EPHEMERAL
