"""Certificates with any dates, made in memory: for files a gateway's registration would have."""

from __future__ import annotations

import ipaddress
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


def pem(name: str, begins: float, ends: float, issuer: Pem | None = None, address: str = "") -> Pem:
    """Valid between two instants in epoch seconds; without an issuer an authority of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, by = key, subject
    if issuer is not None:
        loaded = serialization.load_pem_private_key(issuer.key, None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        by = x509.load_pem_x509_certificate(issuer.certificate).subject
    building = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(begins, UTC))
        .not_valid_after(datetime.fromtimestamp(ends, UTC))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        building = building.add_extension(names, critical=False)
    made = building.sign(signer, hashes.SHA256())
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
