"""A certificate authority for tests, made with openssl: no library to install, nothing trusted."""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
from pathlib import Path


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


class Authority:
    """One authority in a folder of its own, and what it signed."""

    def __init__(self, folder: Path, name: str = "Wakedeck test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            *[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ],
            *("-keyout", str(self._key), "-out", str(self.certificate)),
            *("-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def issue(
        self, name: str, *names: str, days: int = 2, use: str = "serverAuth"
    ) -> tuple[Path, Path]:
        """Certificate and key; `days` below 1 for one that has expired."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        signed, extra = self.folder / f"{name}.pem", self.folder / f"{name}.ext"
        _openssl(
            *["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            *("-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}"),
        )
        lines = [f"extendedKeyUsage={use}"]
        if names:
            lines.append("subjectAltName=" + ",".join(_alternative(one) for one in names))
        extra.write_text("\n".join(lines))
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", str(days), "-out", str(signed)),
            *("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"),
            *("-extfile", str(extra)),
        )
        return signed, key

    def server(self, *names: str, days: int = 2, clients: bool = False) -> ssl.SSLContext:
        """A server's context for those names; `clients` asks for certificates of this authority."""
        signed, key = self.issue("server", *names, days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed, key)
        if clients:
            context.load_verify_locations(self.certificate)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


def _alternative(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
