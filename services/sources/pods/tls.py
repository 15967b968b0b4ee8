"""TLS of a cluster: whom to trust, and the certificate we show."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from services.errors import UnavailableError
from services.sources.pods.access import Cluster


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
