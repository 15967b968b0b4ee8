"""A server that is known by the fingerprint of its certificate, whoever signed that."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from typing import Any

_HEX = re.compile(r"[0-9a-f]{64}")


def read_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as it is written anywhere, as 64 digits; empty where it is none."""
    bare = text.strip().lower().removeprefix("sha256").lstrip(":=")
    digits = bare.replace(":", "").replace(" ", "")
    return digits if _HEX.fullmatch(digits) else ""


def pinned_context(fingerprint: str) -> ssl.SSLContext:
    """A context that goes on after the handshake only with the certificate of this fingerprint."""

    class PinnedConnection(ssl.SSLObject):
        """One end of TLS: nothing is read or written before its peer is the pinned one."""

        def do_handshake(self) -> None:
            super().do_handshake()
            _require(self.getpeercert(binary_form=True), fingerprint)

    class PinnedSocket(ssl.SSLSocket):
        """The same over a socket."""

        def do_handshake(self, *args: Any, **named: Any) -> None:
            super().do_handshake(*args, **named)
            _require(self.getpeercert(binary_form=True), fingerprint)

    context = unproven_context()
    context.sslobject_class = PinnedConnection
    context.sslsocket_class = PinnedSocket
    return context


def unproven_context() -> ssl.SSLContext:
    """A context that takes any certificate: for a port of this machine whose owner is proven."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _require(certificate: bytes | None, fingerprint: str) -> None:
    found = hashlib.sha256(certificate or b"").hexdigest()
    if not hmac.compare_digest(found, fingerprint):
        error = ssl.SSLCertVerificationError(1, "another certificate than the pinned one")
        error.verify_message = f"it is another one than the pinned one (sha256 {found[:16]}…)"
        raise error
