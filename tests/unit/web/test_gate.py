"""Who may ask: names, origins and secrets; and which places are served at all."""

from __future__ import annotations

import pytest

from services.errors import ConfigError
from services.web.gate import Gate, Place, place

LOOPBACK = Place(port=9647)
PROXIED = place("127.0.0.1", 9647, "https://Panel.example/")


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (["127.0.0.1:9647"], True),
        (["localhost:9647"], True),
        (["LOCALHOST:9647"], True),
        (["127.0.0.1"], False),
        (["127.0.0.1:80"], False),
        (["evil.example:9647"], False),
        (["localhost.evil.example:9647"], False),
        (["127.0.0.1:9647", "evil.example"], False),
        ([""], False),
        ([], False),
    ],
)
def test_only_names_of_its_own_are_answered(said: list[str], known: bool) -> None:
    assert Gate(LOOPBACK).knows_host(said) is known


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (["http://127.0.0.1:9647"], True),
        (["http://localhost:9647"], True),
        (["https://127.0.0.1:9647"], False),
        (["http://127.0.0.1:9648"], False),
        (["null"], False),
        (["http://127.0.0.1:9647", "http://127.0.0.1:9647"], False),
    ],
)
def test_an_origin_is_its_own_or_refused(said: list[str], known: bool) -> None:
    assert Gate(LOOPBACK).knows_origin(said, needed=True) is known
    assert Gate(LOOPBACK).knows_origin(said, needed=False) is known


def test_only_the_socket_needs_an_origin() -> None:
    assert Gate(LOOPBACK).knows_origin([], needed=False)
    assert not Gate(LOOPBACK).knows_origin([], needed=True)


def test_behind_a_proxy_its_name_alone_is_known() -> None:
    gate = Gate(PROXIED)
    assert gate.place.base == "https://panel.example:443"
    assert gate.knows_host(["panel.example"]) and gate.knows_host(["panel.example:443"])
    assert not gate.knows_host(["127.0.0.1:9647"]) and not gate.knows_host(["panel.example:9647"])
    assert gate.knows_origin(["https://panel.example"], needed=True)
    assert not gate.knows_origin(["http://panel.example"], needed=True)
    assert gate.cookie_name == "__Host-wakedeck-9647"


def test_secrets_are_of_one_launch_and_in_no_representation() -> None:
    one, other = Gate(LOOPBACK), Gate(LOOPBACK)
    assert one.takes_token(one.token) and one.takes_cookie(one.cookie)
    assert one.token != one.cookie and not one.takes_cookie(one.token)
    assert not one.takes_token(other.token) and not one.takes_token("")
    assert not one.takes_token(one.token + "é") and not one.takes_token("\ud800" * 9)
    assert one.token not in repr(one) and one.cookie not in repr(one)
    assert one.address == f"http://127.0.0.1:9647/?token={one.token}"


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("0.0.0.0", ""),
        ("192.0.2.7", "http://panel.example"),
        ("::", ""),
        ("panel.example", ""),
        ("127.0.0.1", "panel.example"),
        ("127.0.0.1", "ftp://panel.example"),
        ("127.0.0.1", "https://panel.example/below"),
        ("127.0.0.1", "https://user@panel.example"),
        ("127.0.0.1", "https://panel.example:99999"),
        ("127.0.0.1", "https://panel.example; script-src *"),
        ("127.0.0.1", "https://[::1"),
    ],
)
def test_other_places_are_refused_with_a_sentence(host: str, public: str) -> None:
    with pytest.raises(ConfigError):
        place(host, 9647, public)


def test_places_that_are_served() -> None:
    assert place("localhost", 0, "").host == "127.0.0.1"
    assert place("::1", 9647, "").base == "http://[::1]:9647"
    assert "[::1]:9647" in place("::1", 9647, "").authorities
    assert place("0.0.0.0", 9647, "https://panel.example").secure
