"""Certificates with any dates, made in memory: for files a gateway's registration would have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pem:
    """A certificate and its key, as files hold them."""

    certificate: bytes
    key: bytes


def pem(name: str, begins: float, ends: float) -> Pem:
    """One signed by itself, valid between two instants in epoch seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(begins, UTC))
        .not_valid_after(datetime.fromtimestamp(ends, UTC))
        .sign(key, hashes.SHA256())
    )
    return Pem(
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def bundle(folder: Path, client: Pem, ca: Pem) -> Path:
    """The folder `mtls` of a registration, filled."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tls.crt").write_bytes(client.certificate)
    (folder / "tls.key").write_bytes(client.key)
    (folder / "ca.crt").write_bytes(ca.certificate)
    return folder
