"""Which proxy stands on the way to a server, as kubectl has it."""

from __future__ import annotations

import pytest

from services.errors import UnavailableError
from services.net.proxies import proxy_for

FAR = "https://far.example:6443"


@pytest.mark.parametrize(
    ("server", "environ", "expected"),
    [
        (FAR, {}, None),
        (FAR, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (FAR, {"HTTP_PROXY": "http://p:1"}, None),
        (FAR, {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        (FAR, {"https_proxy": "http://p:1"}, "http://p:1"),
        (FAR, {"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "http://a:1"),
        (FAR, {"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:1"}, "http://a:1"),
        (FAR, {"HTTPS_PROXY": "", "https_proxy": " http://b:1 "}, "http://b:1"),
        ("wss://far.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("ws://far.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("ws://far.example", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://far.example", {"HTTP_PROXY": "p:1"}, "http://p:1"),
        ("https://localhost:1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://127.0.0.9:1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://[::1]:1", {"HTTPS_PROXY": "http://p:1"}, None),
        # Without a port each scheme has its own; socks resolves names at the proxy.
        (FAR, {"HTTPS_PROXY": "p"}, "http://p:80"),
        (FAR, {"HTTPS_PROXY": "https://p"}, "https://p:443"),
        (FAR, {"HTTPS_PROXY": "socks5://p"}, "socks5h://p:1080"),
        (FAR, {"HTTPS_PROXY": "socks5h://p:9"}, "socks5h://p:9"),
        (FAR, {"HTTPS_PROXY": "http://[fd00::1]:3"}, "http://[fd00::1]:3"),
        (FAR, {"HTTPS_PROXY": "http://u@p:1"}, "http://u:@p:1"),
        (FAR, {"HTTPS_PROXY": "http://u%40x:p%2Fw@p:1"}, "http://u%40x:p%2Fw@p:1"),
    ],
)
def test_the_environments_proxy(server: str, environ: dict[str, str], expected: str | None) -> None:
    found = proxy_for(server, "", environ)
    assert (None if found is None else found.url) == expected
    if found is not None:
        assert found.secure is found.url.startswith("https:")
        assert "@" not in found.address
        assert found.url not in repr(found)


BYPASSED = [
    ("*", True),
    ("other.example", False),
    ("far.example", True),
    ("FAR.example", True),
    ("far.example.", True),
    ("example", True),
    (".example", True),
    ("*.example", True),
    ("ar.example", False),
    ("a, ,far.example", True),
    ("far.example:6443", True),
    ("far.example:443", False),
    ("far.example:x", False),
    ("", False),
    ("10.0.0.0/8", False),
]


@pytest.mark.parametrize(("words", "bypassed"), BYPASSED)
def test_what_no_proxy_leaves_out(words: str, bypassed: bool) -> None:
    found = proxy_for(FAR, "", {"HTTPS_PROXY": "p:1", "NO_PROXY": words})
    assert (found is None) is bypassed
    # What a configuration names for this server holds for every server.
    assert proxy_for(FAR, "http://q:2", {"NO_PROXY": words}) is not None


@pytest.mark.parametrize(
    ("server", "words", "bypassed"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.9.9.9/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.0.0/x, 10.1.2.3", True),
        ("https://10.1.2.3", "10.1.2.3:443", True),
        ("https://10.1.2.3", "10.1.2.3:80", False),
        ("http://10.1.2.3", "10.1.2.3:80", True),
        ("https://[fd00::1]", "fd00::1", True),
        ("https://[fd00::1]", "[fd00::1]:443", True),
        ("https://[fd00::1]", "[fd00::1]:80", False),
        ("https://[fd00::1]", "fd00::/16", True),
        ("https://far.example.", "far.example", True),
    ],
)
def test_addresses_and_networks_that_are_left_out(server: str, words: str, bypassed: bool) -> None:
    environ = {"HTTPS_PROXY": "p:1", "HTTP_PROXY": "p:1", "no_proxy": words}
    assert (proxy_for(server, "", environ) is None) is bypassed


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("http://p:x", "its host or port is not valid"),
        ("http://p:70000", "its host or port is not valid"),
        ("ftp://p", "its scheme is ftp"),
        ("p:8080", "its scheme is p"),
        ("//p:8080", "its scheme is none"),
        ("http://", "it names no host"),
        ("http://user:secret@:80", "it names no host"),
    ],
)
def test_what_is_no_proxy_is_said_without_its_password(named: str, why: str) -> None:
    with pytest.raises(UnavailableError) as told:
        proxy_for(FAR, named, {})
    assert told.value.sentence.startswith(f"The proxy-url of the kubeconfig is not a proxy: {why}")
    assert "secret" not in str(told.value)
    with pytest.raises(UnavailableError, match="The variable all_proxy is not a proxy"):
        proxy_for(FAR, "", {"all_proxy": "ftp://p"})
