"""How a cluster is reached and as whom: what a kubeconfig says, resolved.

See upstream/pods: Cluster access.
"""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from urllib.parse import urlsplit

from services.lazy_dataclass import dataclass

IN_CLUSTER = "in-cluster"
"""What the context of the pod this panel runs in is called."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One API server."""

    server: str
    """A URL without a slash at its end."""
    authority: str = field(default="", repr=False)
    """PEM text of who signs its certificate; empty for the system's authorities."""
    unverified: bool = False
    """The kubeconfig says not to check the certificate."""
    tls_name: str = ""
    """The name the certificate bears where it is not the host's."""
    proxy: str = ""

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken, and so whether a credential may travel."""
        return urlsplit(self.server).scheme == "https"

    @property
    def address(self) -> str:
        """`host:port`, for people."""
        parts = urlsplit(self.server)
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        return f"{shown}:{parts.port or (443 if self.secure else 80)}"


@dataclass(frozen=True, slots=True)
class Helper:
    """A program that prints a credential (client.authentication.k8s.io)."""

    argv: tuple[str, ...]
    version: str
    environment: tuple[tuple[str, str], ...] = ()
    advice: str = ""
    """What its author says to somebody who has not installed it."""
    interactive: bool = False
    """It cannot run without a terminal."""
    may_ask: bool = False
    """It takes a terminal where there is one."""
    wants_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are; the first of token file, token, password, helper that is there counts."""

    name: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    """PEM text."""
    key: str = field(default="", repr=False)
    helper: Helper | None = None
    acts_as: tuple[tuple[str, str], ...] = ()
    """Headers that ask the server to take the request for somebody else's."""


@dataclass(frozen=True, slots=True)
class Access:
    """One context."""

    context: str
    cluster: Cluster
    identity: Identity
    namespace: str = "default"
    files: tuple[Path, ...] = field(default=(), compare=False)
    """What it was read from; a change of one makes it outdated."""

    def is_same_place(self, other: Access) -> bool:
        """Whether it is the same server, reached in the same way, and the same name of a user."""
        mine, others = (replace(one.cluster, authority="") for one in (self, other))
        named = (self.context, self.namespace, self.identity.name)
        return mine == others and named == (other.context, other.namespace, other.identity.name)
