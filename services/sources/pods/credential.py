"""The credential of a cluster as it stands; reading it starts nothing and renews nothing.

Renewing is `sign_in.py`, which only an operator's action reaches.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import field
from pathlib import Path

from services.clock import Clock
from services.errors import SignedOutError, UnavailableError
from services.files.bounded import UnfitError, read_text
from services.lazy_dataclass import dataclass
from services.sources.pods.access import Access, Cluster
from services.text.sanitize import sanitize

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Minted:
    """What a helper gave."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires_at: float | None = None


class KubeCredential:
    """What is sent with each request and shown in each handshake."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self.access = access
        self.generation = 0
        """Changes when the TLS context does."""
        self._clock = clock
        self._minted: Minted | None = None
        self._context: ssl.SSLContext | None = None

    @property
    def renewable(self) -> bool:
        """Whether signing in again gives another credential: a helper or a file."""
        who = self.access.identity
        return who.helper is not None or who.token_file is not None

    @property
    def needs_helper(self) -> bool:
        """Whether a helper must run before anything can be asked."""
        who = self.access.identity
        direct = who.token_file or who.token or who.username
        if not self.access.cluster.secure or direct or who.helper is None:
            return False
        return self._minted is None or self.is_expired(self._minted)

    def is_expired(self, minted: Minted) -> bool:
        """Whether what a helper gave is over by its own word."""
        return minted.expires_at is not None and minted.expires_at <= self._clock.now()

    def take(self, minted: Minted) -> None:
        """Use what a helper gave from now on."""
        if (minted.certificate, minted.key) != self._client_certificate():
            self._context = None
            self.generation += 1
        self._minted = minted

    def update(self, access: Access) -> None:
        """Go on with what the kubeconfig says now; a helper that is another one has to run."""
        before, self.access = self.access, access
        if before.identity.helper != access.identity.helper:
            self._minted = None
        if before.cluster != access.cluster or _pair(before) != _pair(access):
            self._context = None
            self.generation += 1

    def headers(self) -> Headers:
        """Who asks, and for whom; what authenticates goes to no server without TLS.

        See upstream/pods: Cluster access.

        Raises:
            SignedOutError: a helper must run first.
            UnavailableError: the token file cannot be read.
        """
        said = self._authorization()
        acts_as = self.access.identity.acts_as
        return ((("Authorization", said), *acts_as)) if said else acts_as

    def _authorization(self) -> str:
        who = self.access.identity
        if not self.access.cluster.secure:
            return ""
        if who.token_file is not None:
            try:
                return f"Bearer {_token_of(who.token_file)}"
            except UnavailableError:
                if not who.token:
                    raise
        if who.token:
            return f"Bearer {who.token}"
        if who.username:
            pair = base64.b64encode(f"{who.username}:{who.password}".encode()).decode("ascii")
            return f"Basic {pair}"
        if self.needs_helper:
            assert who.helper is not None
            name = sanitize(Path(who.helper.argv[0]).name, 60)
            expired = "has expired" if self._minted is not None else f"comes from {name}"
            raise SignedOutError(
                f"The credential of {sanitize(self.access.context, 100)} {expired}:"
                f" reconnect (r) runs {name}.",
                advice="Reconnect to sign in.",
            )
        if self._minted is not None and self._minted.token:
            return f"Bearer {self._minted.token}"
        return ""

    def context(self) -> ssl.SSLContext | None:
        """How TLS is spoken; None without TLS.

        Raises:
            UnavailableError: a certificate or key that is none.
        """
        if self._context is None:
            self._context = context_for(self.access.cluster, *self._client_certificate())
        return self._context

    def _client_certificate(self) -> tuple[str, str]:
        if self._minted is not None and self._minted.certificate:
            return self._minted.certificate, self._minted.key
        return _pair(self.access)


def _pair(access: Access) -> tuple[str, str]:
    return access.identity.certificate, access.identity.key


def _token_of(path: Path) -> str:
    try:
        token = read_text(path).strip()
    except (OSError, UnfitError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UnavailableError(f"The token file {path} cannot be read: {why}.") from error
    if not token or not token.isascii() or not token.isprintable():
        raise UnavailableError(f"The token file {path} holds no token.")
    return token


def context_for(cluster: Cluster, certificate: str, key: str) -> ssl.SSLContext | None:
    """A client's context, None for a server without TLS; the PEM texts may be empty.

    Raises:
        UnavailableError: a certificate or key that is none.
    """
    if not cluster.secure:
        return None
    try:
        context = ssl.create_default_context(cadata=cluster.authority or None)
    except (ssl.SSLError, ValueError) as error:
        raise UnavailableError(
            "The kubeconfig's certificate authority is not a certificate."
        ) from error
    # As kubectl has it: what is named as an authority is one, also where it is an intermediate or
    # lacks an extension. Newer versions of the library are stricter.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cluster.unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate and key:
        _load_client_certificate(context, certificate, key)
    return context


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a chain from memory: the library takes files alone, so they live for a moment."""
    with tempfile.TemporaryDirectory(prefix="wakedeck-") as folder:
        paths = Path(folder) / "cert", Path(folder) / "key"
        for path, text in zip(paths, (certificate, key), strict=True):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(text)
        try:
            # A key with a passphrase would be asked for on the operator's terminal.
            context.load_cert_chain(*paths, password=_no_passphrase)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise UnavailableError(
                "The client certificate and key do not belong together or cannot be read."
            ) from error


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")
