"""Dates and kinds of the certificate files of a gateway, read from disk and from no network.

See upstream/openshell: Certificates. Keys are looked at for their first line alone.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from services.files.bounded import UnfitError, read_bounded
from services.lazy_dataclass import dataclass
from services.sources.openshell.start_plan import is_packaged
from services.text.format import span

SOON_S = 7 * 86_400.0
"""A certificate that ends within so many seconds is named beforehand."""
_LARGEST = 256 * 1024
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEYS: tuple[bytes, ...] = (b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN RSA PRIVATE KEY-----")
_KEYS += (b"-----BEGIN EC PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
_SHORT_KEY = 64
"""Bytes below which nothing can stand between the lines of a key."""
_Mark: TypeAlias = tuple[int, int, int]
_UNDATED = "its dates are not known: install the extra `openshell`"


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """One file of a bundle; `problem` is empty where it is what it should be."""

    owner: str
    """`client`, `CA`, `key` or `server`."""
    path: Path
    problem: str = ""
    begins: float | None = None
    """Epoch seconds, of the first certificate in it; None where that is not known."""
    ends: float | None = None

    @property
    def missing(self) -> bool:
        """Whether there is no such file."""
        return self.problem == "missing"

    def left(self, now: float) -> str:
        """Its dates in words; empty for a file without."""
        if self.problem:
            return f"{self.path.name} is {self.problem}"
        if self.owner == "key":
            return ""
        if self.ends is None or self.begins is None:
            return _UNDATED
        if now < self.begins:
            return f"valid from {day(self.begins)}"
        if now >= self.ends:
            return f"expired on {day(self.ends)}"
        return f"valid until {day(self.ends)}, {span(self.ends - now)} left"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files one registration speaks TLS with."""

    files: tuple[CertificateFile, ...] = ()
    rotated: bool = False
    """The packaged gateway of this machine has another CA than the registered one."""

    def of(self, owner: str) -> CertificateFile | None:
        """The file of `client`, `CA`, `key` or `server`."""
        return next((one for one in self.files if one.owner == owner), None)

    def soon(self, now: float) -> str:
        """The first certificate that is about to end, or has ended; empty where none is."""
        ending = [one for one in self.files if one.ends is not None and one.ends - now < SOON_S]
        if not ending:
            return ""
        first = min(ending, key=lambda one: one.ends or 0.0)
        ends = first.ends or 0.0
        whose = {"client": "your certificate", "server": "its certificate"}.get(
            first.owner, "the certificate of its CA"
        )
        if ends <= now:
            return f"{whose} expired on {day(ends)}"
        return f"{whose} expires in {span(ends - now)}, on {day(ends)}"


NO_BUNDLE = Bundle()
"""Of a gateway without files of its own."""


def day(instant: float) -> str:
    """The date of an instant in epoch seconds, UTC; far ones are cut to what a date can hold."""
    try:
        return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return "a day far off"


class CertificateFiles:
    """Reads bundles; a file is read again only once it has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_Mark, CertificateFile]] = {}
        self._compared: dict[Path, tuple[tuple[_Mark | None, _Mark | None], bool]] = {}

    def bundle(self, folder: Path, name: str, endpoint: str, auth: str) -> Bundle:
        """The files of a registered gateway; none for one that is spoken to in plain text."""
        if not endpoint.startswith("https:") or auth not in ("", "mtls"):
            return NO_BUNDLE
        place = folder / "gateways" / name / "mtls"
        files = [
            self._file("client", place / "tls.crt"),
            self._file("CA", place / "ca.crt"),
            self._file("key", place / "tls.key"),
        ]
        own = _packaged_folder() if is_packaged(endpoint) else None
        if own is None:
            return Bundle(tuple(files))
        server = self._file("server", own / "server" / "tls.crt")
        if not server.problem:
            files.append(server)
        return Bundle(tuple(files), self._rotated(place / "ca.crt", own / "ca.crt"))

    def _rotated(self, mine: Path, theirs: Path) -> bool:
        """Whether both can be read and are not the same; read again once either has changed."""
        marks = (_mark(mine), _mark(theirs))
        known = self._compared.get(mine)
        if known is None or known[0] != marks:
            known = self._compared[mine] = (marks, _differ(mine, theirs))
        return known[1]

    def _file(self, owner: str, path: Path) -> CertificateFile:
        mark = _mark(path)
        if mark is None:
            return CertificateFile(owner, path, "missing")
        known = self._known.get(path)
        if known is None or known[0] != mark:
            known = self._known[path] = (mark, _read(owner, path))
        return known[1]


def _mark(path: Path) -> _Mark | None:
    """The same as long as the file is; None where it is not there."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return (0, 0, 0)
    return state.st_mtime_ns, state.st_size, state.st_ino


def _read(owner: str, path: Path) -> CertificateFile:
    try:
        data = read_bounded(path, _LARGEST)
    except (OSError, UnfitError):
        return CertificateFile(owner, path, "unreadable")
    if owner == "key":
        good = len(data) >= _SHORT_KEY and any(header in data for header in _KEYS)
        return CertificateFile(owner, path, "" if good else "no private key")
    if _CERTIFICATE not in data:
        return CertificateFile(owner, path, "no certificate")
    try:
        from cryptography import x509
    except ImportError:
        return CertificateFile(owner, path)
    try:
        first = x509.load_pem_x509_certificates(data)[0]
        begins, ends = first.not_valid_before_utc, first.not_valid_after_utc
    except Exception:  # what a parser does with a file that is no certificate is its own affair
        return CertificateFile(owner, path, "no certificate")
    return CertificateFile(owner, path, "", begins.timestamp(), ends.timestamp())


def _packaged_folder() -> Path:
    """Where the packaged gateway of this machine keeps its own certificates."""
    told = os.environ.get("OPENSHELL_LOCAL_TLS_DIR", "")
    if told:
        return Path(told)
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state else Path.home() / ".local" / "state"
    return base / "openshell" / "tls"


def _differ(mine: Path, theirs: Path) -> bool:
    """Whether both can be read and are not the same."""
    try:
        return read_bounded(mine, _LARGEST).split() != read_bounded(theirs, _LARGEST).split()
    except (OSError, UnfitError):
        return False
