"""One Argo CD server as both halves of the source reach it: token, reading, addresses."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from services.config.sources import ArgoTable
from services.errors import NotFoundError, SignedOutError, UnavailableError
from services.files.bounded import UnfitError, read_text
from services.net.http import ApiError, Http, context_of, platform_http
from services.sources.pods import argo_api
from services.sources.pods.argo_api import Application, AppPod
from services.sources.pods.errors import RefusalText
from services.sources.pods.missed import Missed
from services.sources.pods.pod import Pod
from services.text.sanitize import sanitize

WORDS = RefusalText(
    "Argo CD does not accept the token",
    "Issue a new one, for example with `argocd account generate-token`.",
    "Argo CD does not let this token see its applications",
    "The right needed is `applications, get`.",
)
_ADVICE = "Put a token in ARGOCD_AUTH_TOKEN or in the file `token_file` names."


class ArgoServer:
    """What the table says, read when it is needed."""

    def __init__(self, table: ArgoTable, environ: Mapping[str, str] | None = None) -> None:
        self.table = table
        self.base = table.url.rstrip("/")
        self._environ = os.environ if environ is None else environ

    def token(self) -> str:
        """The token as it stands.

        Raises:
            SignedOutError: there is none.
            UnavailableError: the file cannot be read.
        """
        token = self._environ.get("ARGOCD_AUTH_TOKEN", "")
        if self.table.token_file:
            path = Path(self.table.token_file).expanduser()
            try:
                token = read_text(path)
            except (OSError, UnfitError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                raise UnavailableError(f"The token file {path} cannot be read: {why}.") from error
        token = token.strip()
        if not token:
            raise SignedOutError("There is no token for Argo CD.", advice=_ADVICE)
        if not token.isascii() or not token.isprintable() or " " in token or ";" in token:
            raise UnavailableError("The token for Argo CD is none that can be sent.")
        return token

    def headers(self) -> dict[str, str]:
        """Bearer and cookie: which of them counts depends on its version.

        See upstream/pods: Argo CD address.
        """
        token = self.token()
        return {"Authorization": f"Bearer {token}", "Cookie": argo_api.cookies(token)}

    def tls(self) -> ssl.SSLContext | None:
        """How TLS is spoken; None for the system's authorities.

        Raises:
            UnavailableError: the configured authority is none.
        """
        if not self.table.authority:
            return None
        return context_of(self.table.authority)

    def http(self) -> Http:
        """GETs of it.

        Raises:
            UnavailableError: no address, or a token would travel without TLS.
        """
        parts = urlsplit(self.base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnavailableError(
                "The address of Argo CD is not a URL.", advice="Set `url` in the source's table."
            )
        allow_plain = self.table.allow_plain
        return platform_http(self.base, self.headers, allow_plain=allow_plain, context=self.tls)

    async def applications(self, http: Http, missed: Missed) -> tuple[Application, ...]:
        """Those configured, or all that can be seen; `missed` is told of those that are not."""
        if not self.table.applications:
            fields = "items.metadata.name,items.metadata.namespace,items.spec.project"
            return argo_api.read_applications(
                await http.json("/api/v1/applications", (("fields", fields),))
            )
        found = []
        for one in self.table.applications:
            namespace, _, name = one.rpartition("/")
            with missed.one_of_many():
                found.append(await self.application(http, name, namespace))
        return tuple(found)

    async def application(self, http: Http, name: str, namespace: str) -> Application:
        """One of them.

        Raises:
            NotFoundError: Argo CD does not know it.
        """
        query = (("appNamespace", namespace),) if namespace else ()
        try:
            value = await http.json(f"/api/v1/applications/{quote(name, safe='')}", query)
        except ApiError as error:
            if error.status in (403, 404):
                # It answers 403 for an unknown one, so as not to tell which there are.
                raise NotFoundError(
                    f"Argo CD shows no application {sanitize(name, 100)!r}.",
                    advice="It does not exist, or the token has no right to see it.",
                ) from error
            raise
        return argo_api.read_application(value)

    async def pods(self, http: Http, one: Application) -> tuple[AppPod, ...]:
        """Pods of an application."""
        query = (("appNamespace", one.namespace),) if one.namespace else ()
        path = f"/api/v1/applications/{quote(one.name, safe='')}/resource-tree"
        return argo_api.read_tree(one, await http.json(path, query))

    async def pod(self, http: Http, one: AppPod) -> Pod:
        """One pod with its containers."""
        app = one.application
        query = [
            ("name", app.name),
            ("namespace", one.namespace),
            ("resourceName", one.name),
            ("version", "v1"),
            ("group", ""),
            ("kind", "Pod"),
            ("project", app.project),
        ]
        query += [("appNamespace", app.namespace)] if app.namespace else []
        path = f"/api/v1/applications/{quote(app.name, safe='')}/resource"
        return argo_api.read_manifest(await http.json(path, tuple(query)))

    async def find(self, http: Http, application: str, namespace: str, name: str) -> AppPod:
        """A pod by its names.

        Raises:
            NotFoundError: it is not there any more.
        """
        missed, known = Missed(WORDS), False
        for app in await self.applications(http, missed):
            if app.name != application:
                continue
            known = True
            for one in await self.pods(http, app):
                if (one.namespace, one.name) == (namespace, name):
                    return one
        if not known:
            missed.raise_first()
        raise NotFoundError(
            f"There is no pod {sanitize(name, 100)}"
            f" in application {sanitize(application, 100)} any more."
        )
