"""Another user of this machine: a forked process without our rights that talks to sockets."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

UID = 65_533
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def as_stranger(does: Callable[[], object]) -> object:
    """What a function gives when another user runs it; its errors fail the test."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        said: object = "it did not get to its end"
        try:
            os.setgroups([])
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)
            said = does()
        finally:
            os.write(writer, json.dumps(said).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as end:
        told = end.read()
    os.waitpid(pid, 0)
    return json.loads(told)


def knock(address: str | tuple[str, int], request: bytes) -> str:
    """The first line of an answer, or the error instead of one."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(10)
        try:
            one.connect(address)
            one.sendall(request)
            return one.recv(65536).split(b"\r\n")[0].decode("latin-1")
        except OSError as error:
            return type(error).__name__


@contextmanager
def listening(address: str | tuple[str, int], uid: int = UID) -> Iterator[Callable[[], bytes]]:
    """A process of another user that listens there; gives what it has heard so far."""
    ready, started = os.pipe()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(uid, uid, uid)
            _listen(address, started, writer)
        finally:
            os._exit(1)
    os.close(started)
    os.close(writer)
    os.set_blocking(reader, False)
    heard = bytearray()

    def so_far() -> bytes:
        with suppress(BlockingIOError):
            while piece := os.read(reader, 65536):
                heard.extend(piece)
        return bytes(heard)

    try:
        assert os.read(ready, 1) == b"!", "it could not listen there"
        yield so_far
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(reader)


def _listen(address: str | tuple[str, int], started: int, heard: int) -> None:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    server.listen(50)
    os.write(started, b"!")
    while True:
        one, _ = server.accept()
        with one:
            one.settimeout(2)
            with suppress(OSError):
                os.write(heard, one.recv(65536))
                one.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


assert sys.platform != "win32"
