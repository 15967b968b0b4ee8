"""Every way to a cluster that kubectl has, as one table: what it reaches, we reach, with as much.

A row is a kubeconfig and an environment. The server is the tests' own, over TLS; proxies are real.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import WakedeckError
from services.models import SandboxId
from services.sources.pods.source import open_kubernetes
from services.terminal.exec.requests import ExecRequest, collect_output
from tests.support import kits
from tests.support.http_peer import Request
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod
from tests.support.kubectl import PINS, USUAL, kubectl
from tests.support.ports import free_port
from tests.support.proxies import USER, RunningProxy, proxy
from tests.support.tls import Authority

pytestmark = [pytest.mark.kit("kubectl", "pproxy", "yaml"), pytest.mark.timeout(240)]

ANYWHERE = "0.0.0.0"
BOX = SandboxId("prod", "default/box")
KUBECTL_KITS = {28: "kubectl-old", USUAL: "kubectl", 37: "kubectl-new"}
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Way:
    """One row: texts may name what `World.names` has."""

    name: str
    server: str = "https://localhost:{port}"
    cluster: Mapping[str, object] = field(default_factory=lambda: {"certificate-authority": "{ca}"})
    user: Mapping[str, object] = field(default_factory=lambda: {"token": TOKEN})
    env: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    proxy: str = ""
    """Its kind, as `tests.support.proxies`; it must have been used, or not at all."""
    used: bool = True
    words: str = ""
    """What is said where nobody gets there; empty where everybody does."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the server is sent, beside the credential."""
    only_ours: bool = False
    """kubectl does not know this one."""
    days: int = 2
    tls: bool = True


CA = {"certificate-authority": "{ca}"}
VIA = "http://127.0.0.1:{proxy}"
REACHED = [
    Way("a token"),
    Way("authority as data", cluster={"certificate-authority-data": "{ca64}"}),
    Way("authority as data, wrapped", cluster={"certificate-authority-data": "{ca64_wrapped}"}),
    Way("authority with comments in Latin-1", cluster={"certificate-authority": "{ca_comments}"}),
    Way("authority as data, with comments", cluster={"certificate-authority-data": "{comments64}"}),
    Way("two authorities", cluster={"certificate-authority": "{ca_two}"}),
    Way("the certificate itself", cluster={"certificate-authority": "{leaf}"}),
    Way("not verified", cluster={"insecure-skip-tls-verify": True}),
    Way("a name of its own", server="https://127.0.0.2:{port}", host="127.0.0.2",
        cluster={**CA, "tls-server-name": "localhost"}),
    Way("IPv6", server="https://[::1]:{port}", host="::1"),
    Way("no scheme: no TLS, no credential", server="localhost:{port}", tls=False,
        headers={"authorization": ""}),
    Way("impersonation without TLS", server="http://localhost:{port}", tls=False,
        user={"token": TOKEN, "as": "jo"}, headers={"impersonate-user": "jo"}),
    Way("HTTP proxy, a name of its own", server="https://127.0.0.2:{port}", host="127.0.0.2",
        cluster={**CA, "tls-server-name": "localhost", "proxy-url": VIA}, proxy="http"),
    Way("SOCKS proxy, a name of its own", server="https://127.0.0.2:{port}", host="127.0.0.2",
        cluster={**CA, "tls-server-name": "localhost", "proxy-url": "socks5://127.0.0.1:{proxy}"},
        proxy="socks5"),
    Way("HTTPS proxy", cluster={**CA, "proxy-url": "https://localhost:{proxy}"}, proxy="http+tls",
        env={"SSL_CERT_FILE": "{ca}"}),
    Way("a slash behind it", server="https://localhost:{port}/"),
    Way("client certificate", user={"client-certificate": "{me}", "client-key": "{me_key}"}),
    Way("client certificate as data",
        user={"client-certificate-data": "{me64_wrapped}", "client-key-data": "{key64_wrapped}"}),
    Way("token file", user={"tokenFile": "{token}"}),
    Way("token file before token", user={"tokenFile": "{token}", "token": "old"}),
    Way("impersonation", user={"token": TOKEN, "as": "jo", "as-groups": ["a", "b"], "as-uid": "7"},
        headers={"impersonate-user": "jo", "impersonate-group": "a, b", "impersonate-uid": "7"}),
    Way("impersonation, extra",
        user={"token": TOKEN, "as": "jo", "as-user-extra": {"Scopes/x": ["one", "two"]}},
        headers={"impersonate-user": "jo", "impersonate-extra-scopes%2fx": "one, two"}),
    Way("HTTP proxy", cluster={**CA, "proxy-url": VIA}, proxy="http"),
    Way("HTTP proxy with a user", cluster={**CA, "proxy-url": f"http://{USER}@127.0.0.1:{{proxy}}"},
        proxy="http+user"),
    Way("SOCKS proxy", cluster={**CA, "proxy-url": "socks5://127.0.0.1:{proxy}"}, proxy="socks5"),
    Way("SOCKS proxy with a user",
        cluster={**CA, "proxy-url": f"socks5://{USER}@127.0.0.1:{{proxy}}"}, proxy="socks5+user"),
    Way("HTTPS_PROXY", server="https://0.0.0.0:{port}", host=ANYWHERE, proxy="http",
        env={"HTTPS_PROXY": VIA}),
    Way("https_proxy without a scheme", server="https://0.0.0.0:{port}", host=ANYWHERE,
        proxy="http", env={"https_proxy": "127.0.0.1:{proxy}"}),
    Way("HTTPS_PROXY by SOCKS", server="https://0.0.0.0:{port}", host=ANYWHERE, proxy="socks5",
        env={"HTTPS_PROXY": "socks5://127.0.0.1:{proxy}"}),
    Way("ALL_PROXY", server="https://0.0.0.0:{port}", host=ANYWHERE, proxy="socks5",
        env={"ALL_PROXY": "socks5h://127.0.0.1:{proxy}"}, only_ours=True),
    Way("HTTPS_PROXY and NO_PROXY", server="https://0.0.0.0:{port}", host=ANYWHERE, proxy="http",
        used=False, env={"HTTPS_PROXY": VIA, "NO_PROXY": "x.example,0.0.0.0/8"}),
    Way("HTTPS_PROXY and this machine", proxy="http", used=False, env={"HTTPS_PROXY": VIA}),
    Way("proxy-url before NO_PROXY", proxy="http", cluster={**CA, "proxy-url": VIA},
        env={"NO_PROXY": "*"}),
]  # fmt: skip
REFUSED = [
    Way("a port there is none of", server="https://localhost:99999", words="Port out of range"),
    Way("an open bracket", server="https://[::1:6443", words="is not an address"),
    Way("another scheme", server="ftp://localhost:{port}", words="no http or https address"),
    Way("nobody listens", server="https://localhost:{closed}",
        words="localhost:{closed} refused the connection"),
    Way("nobody listens on IPv6", server="https://[::1]:{closed}",
        words=r"\[::1\]:{closed} refused the connection"),
    Way("no such name", server="https://nothing.invalid:{port}",
        words="cannot resolve nothing.invalid"),
    Way("authority of others", cluster={"certificate-authority": "{other_ca}"},
        words="certificate of localhost was not accepted"),
    Way("authority that is none", cluster={"certificate-authority": "{token}"},
        words="certificate-authority .* is not PEM text"),
    Way("data that is none", cluster={"certificate-authority-data": "&&&"}, words="not base64"),
    Way("expired certificate", days=-1, words="certificate .* expired"),
    Way("another name", server="https://127.0.0.2:{port}", host="127.0.0.2",
        words="the name on the certificate is not 127.0.0.2"),
    Way("a proxy scheme nobody knows", cluster={**CA, "proxy-url": "ftp://127.0.0.1:{closed}"},
        words="proxy-url of the kubeconfig is not a proxy: its scheme is ftp"),
    Way("a proxy that is not there", cluster={**CA, "proxy-url": "http://127.0.0.1:{closed}"},
        words="proxy on the way to localhost:{port}: 127.0.0.1:{closed} refused the connection"),
    Way("a SOCKS proxy that is not there",
        cluster={**CA, "proxy-url": "socks5://127.0.0.1:{closed}"},
        words="proxy on the way to localhost:{port}: 127.0.0.1:{closed} refused the connection"),
    Way("a proxy that wants a password", cluster={**CA, "proxy-url": VIA}, proxy="http+user",
        used=False, words="proxy 127.0.0.1:{proxy} did not connect to localhost:{port}: 407"),
    Way("a SOCKS proxy that wants a password",
        cluster={**CA, "proxy-url": "socks5://127.0.0.1:{proxy}"}, proxy="socks5+user", used=False,
        words="proxy 127.0.0.1:{proxy} did not connect to localhost:{port}"),
    Way("acts as a group of nobody", user={"token": TOKEN, "as-groups": ["a"]},
        words="acts as a group or uid of nobody"),
]  # fmt: skip


class World:
    """The server, what is known of it by name, and the kubeconfig of one row."""

    def __init__(self, folder: Path, way: Way) -> None:
        self.folder = folder
        self.way = way
        self.authority = Authority(folder / "ca")
        self.api: KubeApi
        self.proxy: RunningProxy | None = None
        self.names: dict[str, str] = {}
        self.config = folder / "kubeconfig"

    def write(self) -> None:
        """The kubeconfig of the row, once everything runs."""
        files = self.folder / "files"
        files.mkdir()
        ca = self.authority.certificate.read_text()
        me, key = self.authority.issue("me", use="clientAuth")
        other = Authority(self.folder / "other")
        comments = files / "comments.pem"
        comments.write_bytes(
            "# Schlüssel für Köln\n".encode("latin-1") + ca.encode() + b"# end\xff"
        )
        two = files / "two.pem"
        two.write_text(f"{other.certificate.read_text()}\n{ca}")
        token = files / "token"
        token.write_text(f"{TOKEN}\n")
        self.names = {
            "port": str(self.api.peer.port),
            "closed": str(free_port()),
            "proxy": "" if self.proxy is None else str(self.proxy.port),
            "ca": str(self.authority.certificate),
            "ca64": _base64(ca.encode()),
            "ca64_wrapped": _wrapped(ca.encode()),
            "comments64": _base64(comments.read_bytes()),
            "ca_comments": str(comments),
            "ca_two": str(two),
            "other_ca": str(other.certificate),
            "leaf": str(self.authority.folder / "server.pem"),
            "me": str(me),
            "me_key": str(key),
            "me64_wrapped": _wrapped(me.read_bytes()),
            "key64_wrapped": _wrapped(key.read_bytes()),
            "token": str(token),
        }
        way = self.way
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": way.server, **way.cluster}}],
            "users": [{"name": "u", "user": dict(way.user)}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
        }
        self.config.write_text(json.dumps(self.filled(config)))

    def filled(self, value: Any) -> Any:
        """The same with the names in its texts replaced."""
        if isinstance(value, Mapping):
            return {key: self.filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return value.format_map(self.names) if isinstance(value, str) else value

    async def kubectl(self, minor: int, *words: str) -> tuple[int | None, str]:
        """One command of a kubectl; its exit code and all it said."""
        home = self.folder / f"home-{minor}"
        home.mkdir(exist_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(self.config)}
        child = await asyncio.create_subprocess_exec(
            *(kubectl(minor), "--request-timeout=20s", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=env | self.filled(self.way.env),
        )
        async with asyncio.timeout(60):
            out, _ = await child.communicate()
        return child.returncode, out.decode("utf-8", "replace")

    async def ours(self) -> tuple[list[str], bytes]:
        """The names of the pods we list, and what a command in one says."""
        table = KubernetesTable(kubeconfig=str(self.config))
        source = open_kubernetes("prod", table, SystemClock())
        try:
            seen = await source.observer.observe()
            request = ExecRequest(("sh", "-c", "echo in the pod"), timeout_s=20)
            done = await collect_output(source.actor.exec(BOX, request))
            assert done.code == 0, done
            return [one.name for one in seen.sandboxes], done.stdout
        finally:
            await source.actor.close()
            await source.observer.close()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _wrapped(data: bytes) -> str:
    return "\n".join(textwrap.wrap(_base64(data), 64))


@asynccontextmanager
async def world(folder: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    one = World(folder, way)
    names = ("localhost", "127.0.0.1", "::1", ANYWHERE)
    tls = one.authority.server(*names, days=way.days, clients="client-certificate" in str(way.user))
    async with AsyncExitStack() as stack:
        server = kube_api(folder / "pod", tls if way.tls else None, way.host)
        one.api = await stack.enter_async_context(server)
        one.api.tokens = {TOKEN} if way.tls else set()
        await one.api.put(pod("box"))
        if way.proxy:
            files = tuple(one.authority.folder / f"server.{end}" for end in ("pem", "key"))
            served = proxy(folder / "proxy", way.proxy, files)
            one.proxy = await stack.enter_async_context(served)
        one.write()
        for name in PROXY_VARIABLES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in one.filled(way.env).items():
            monkeypatch.setenv(name, value)
        yield one


def said(request: Request) -> dict[str, str]:
    """What a server may go by."""
    who = {k: v for k, v in request.headers.items() if k.startswith("impersonate-")}
    return who | {"authorization": request.headers.get("authorization", "")}


@pytest.mark.parametrize("way", REACHED, ids=lambda way: way.name)
async def test_what_kubectl_reaches_is_reached(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, way, monkeypatch) as one:
        names, output = await one.ours()
        assert names == ["box"] and output == b"in the pod\n"
        if one.proxy is not None:
            assert one.proxy.used is way.used, one.proxy.log.read_text()
        listed, executed = one.api.peer.requests[0], one.api.peer.requests[-1]
        assert executed.path.endswith("/exec")
        assert said(listed) == said(executed)
        for name, value in way.headers.items():
            assert listed.headers.get(name, "") == value
        if way.only_ours:
            return
        for minor in PINS:
            if not kits.there(KUBECTL_KITS[minor]):
                continue
            one.api.peer.requests.clear()
            code, text = await one.kubectl(minor, "get", "pods", "-o", "name")
            assert (code, text.strip().splitlines()[-1]) == (0, "pod/box"), text
            theirs = next(x for x in one.api.peer.requests if x.path.endswith("/pods"))
            assert said(theirs) == said(listed)


@pytest.mark.parametrize("way", REFUSED, ids=lambda way: way.name)
async def test_what_kubectl_does_not_reach_is_a_sentence(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, way, monkeypatch) as one:
        code, text = await one.kubectl(USUAL, "get", "pods", "-o", "name")
        assert code, text
        with pytest.raises(WakedeckError) as caught:
            await one.ours()
        assert re.search(one.filled(way.words), caught.value.sentence), caught.value.sentence
        for secret in (TOKEN, "sesame"):
            assert secret not in f"{caught.value} {caught.value.advice}"
