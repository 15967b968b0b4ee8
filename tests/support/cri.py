"""The little of the container runtime interface that a test needs, encoded by hand over gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, TypeAlias

Message: TypeAlias = Sequence[tuple[int, Any]]
"""(number, value) pairs: a value is text, a number, a list of words or another message."""
_OWN, _NODE = 1, 2
_NAMESPACES: Message = [(1, _NODE), (2, _OWN)]
"""The machine's own network, so that no network plugin is needed; processes apart."""


def encode(message: Message) -> bytes:
    """Protocol buffers: fields by number; a list of words is a repeated one."""
    out = b""
    for number, value in message:
        if isinstance(value, list) and value and isinstance(value[0], str):
            for word in value:
                out += encode([(number, word)])
        elif isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            data = (
                value.encode()
                if isinstance(value, str)
                else value
                if isinstance(value, bytes)
                else encode(value)
            )
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return out


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def first_text(data: bytes) -> str:
    """Field 1 of an answer, where that is text."""
    assert data and data[0] == 0x0A, data
    length, at, shift = 0, 1, 0
    while True:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return data[at : at + length].decode()


class Runtime:
    """One CRI socket."""

    def __init__(self, socket: str) -> None:
        grpc: Any = import_module("grpc")
        self._channel = grpc.insecure_channel(f"unix://{socket}")
        self.failure: type[Exception] = grpc.RpcError

    def call(self, method: str, message: Message, seconds: float = 60) -> bytes:
        ask = self._channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")
        return bytes(ask(encode(message), timeout=seconds))

    def run_pod(self, name: str) -> tuple[str, Message]:
        """A pod on the machine's network; its id and configuration."""
        config: Message = [
            (1, [(1, name), (2, f"uid-{name}"), (3, "default")]),
            (8, [(2, [(1, _NAMESPACES)])]),
        ]
        return first_text(self.call("RunPodSandbox", [(1, config)])), config

    def run_container(
        self, pod: str, config: Message, image: str, argv: Sequence[str], env: dict[str, str]
    ) -> str:
        """A started container; its id."""
        variables: Message = [(6, [(1, key), (2, value)]) for key, value in env.items()]
        container: Message = [
            (1, [(1, "main")]),
            (2, [(1, image)]),
            (3, list(argv)),
            *variables,
            (15, [(2, [(3, _NAMESPACES)])]),
        ]
        message: Message = [(1, pod), (2, container), (3, config)]
        made = first_text(self.call("CreateContainer", message))
        self.call("StartContainer", [(1, made)])
        return made

    def exec_url(self, container: str, argv: Sequence[str], tty: bool, stdin: bool) -> str:
        """Where a prepared exec waits for one connection."""
        message: Message = [
            (1, container),
            (2, list(argv)),
            (3, int(tty)),
            (4, int(stdin)),
            (5, 1),
            (6, int(not tty)),
        ]
        return first_text(self.call("Exec", message))

    def stop(self, container: str) -> None:
        """Kill a container at once."""
        self.call("StopContainer", [(1, container), (2, 0)])

    def remove_pod(self, pod: str) -> None:
        """Stop it with all its containers, and forget it."""
        self.call("StopPodSandbox", [(1, pod)])
        self.call("RemovePodSandbox", [(1, pod)])

    def close(self) -> None:
        self._channel.close()
