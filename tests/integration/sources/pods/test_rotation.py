"""What is rotated on disk while the panel runs: tokens, certificates and authorities."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.clock import SystemClock
from services.config.sources import KubernetesTable
from services.errors import UnavailableError
from services.models import Observation
from services.sources.pods.source import open_kubernetes
from services.sources.protocol.source import OpenSource
from tests.support.kube_api import TOKEN, KubeApi, kube_api, pod
from tests.support.kubectl import kubeconfig
from tests.support.tls import Authority
from tests.support.waiting import eventually


class Rotating:
    """A cluster, its source, and the files that are written anew."""

    def __init__(self, api: KubeApi, source: OpenSource, config: Path, ca: Path) -> None:
        self.api = api
        self.source = source
        self.config = config
        self.ca = ca

    def user(self, **user: Any) -> None:
        """Give the kubeconfig another user."""
        config = json.loads(self.config.read_text())
        config["users"][0]["user"] = user
        replaced = self.config.with_suffix(".new")
        replaced.write_text(json.dumps(config))
        replaced.rename(self.config)

    async def seen(self) -> Observation:
        return await self.source.observer.observe()

    async def names(self) -> list[str]:
        return [one.name for one in (await self.seen()).sandboxes]

    async def eventually(self, names: list[str]) -> None:
        async def had() -> bool:
            with contextlib.suppress(UnavailableError):
                return await self.names() == names
            return False

        await eventually(had)


@asynccontextmanager
async def rotating(folder: Path, tls: ssl.SSLContext, authority: Path) -> AsyncIterator[Rotating]:
    async with kube_api(folder / "pod", tls) as api:
        await api.put(pod("box"))
        ca = folder / "ca-in-use.pem"
        ca.write_bytes(authority.read_bytes())
        config = kubeconfig(folder, f"https://localhost:{api.peer.port}", TOKEN, ca)
        table = KubernetesTable(kubeconfig=str(config))
        source = open_kubernetes("prod", table, SystemClock())
        try:
            yield Rotating(api, source, config, ca)
        finally:
            await source.actor.close()
            await source.observer.close()


def pages(one: Rotating) -> int:
    return sum(x.path.endswith("/pods") and not x.one("watch") for x in one.api.peer.requests)


async def test_a_token_in_the_kubeconfig(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    async with rotating(tmp_path, authority.server("localhost"), authority.certificate) as one:
        assert await one.names() == ["box"]
        one.api.tokens = {"the-next-token"}
        seen = await one.seen()
        assert not seen.sandboxes and "does not accept" in seen.gateways[0].reason
        one.user(token="the-next-token")
        assert await one.names() == ["box"]
        assert pages(one) == 1, "what was listed is kept"


async def test_a_token_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    async with rotating(tmp_path, authority.server("localhost"), authority.certificate) as one:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        one.user(tokenFile=str(file))
        assert await one.names() == ["box"]
        one.api.tokens = {"the-next-token"}
        file.write_text("the-next-token")
        assert await one.names() == ["box"]


async def test_an_authority(tmp_path: Path) -> None:
    before, after = Authority(tmp_path / "before"), Authority(tmp_path / "after")
    async with rotating(tmp_path, after.server("localhost"), before.certificate) as one:
        with pytest.raises(UnavailableError, match="certificate of localhost was not accepted"):
            await one.seen()
        one.ca.write_bytes(after.certificate.read_bytes())
        assert await one.names() == ["box"]


async def test_a_client_certificate(tmp_path: Path) -> None:
    authority, others = Authority(tmp_path / "ca"), Authority(tmp_path / "others")
    tls = authority.server("localhost", clients=True)
    async with rotating(tmp_path, tls, authority.certificate) as one:
        files = {"client-certificate": tmp_path / "me.pem", "client-key": tmp_path / "me.key"}

        def issue(by: Authority) -> None:
            for path, made in zip(files.values(), by.issue("me", use="clientAuth"), strict=True):
                path.write_bytes(made.read_bytes())

        issue(others)
        one.user(**{key: str(path) for key, path in files.items()})
        with pytest.raises(UnavailableError):
            await one.seen()
        issue(authority)
        await one.eventually(["box"])
        request = one.api.peer.requests[-1]
        assert request.certificate and "authorization" not in request.headers


async def test_another_server_is_listed_anew(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    async with rotating(tmp_path, authority.server("localhost"), authority.certificate) as one:
        assert await one.names() == ["box"]
        async with kube_api(tmp_path / "next", authority.server("localhost")) as other:
            await other.put(pod("elsewhere"))
            text = one.config.read_text()
            one.config.write_text(text.replace(str(one.api.peer.port), str(other.peer.port)))
            assert await one.names() == ["elsewhere"]
            await one.source.observer.close()
