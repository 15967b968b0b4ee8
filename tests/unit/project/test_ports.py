"""Ports of tests: none twice, none that is taken, none the system hands out itself."""

from __future__ import annotations

import os
import socket

import pytest

from tests.support import ports


def test_none_is_handed_out_twice() -> None:
    given = [ports.free_port() for _ in range(100)]
    assert len(set(given)) == 100
    assert all(10_240 <= one < ports._ephemeral() for one in given)


def test_one_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ports.free_port()
    with socket.create_server(("127.0.0.1", taken)):
        number = (taken - 10_240 - os.getpid() * ports._APART) % (ports._ephemeral() - 10_240)
        monkeypatch.setattr(ports, "_calls", iter((number, number + 1, number + 2, number + 3)))
        assert taken < ports.free_port() <= taken + 3
