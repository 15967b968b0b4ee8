"""The stored credential as far as it may be told: whether it is there and until when."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from services.files.bounded import MalformedError, UnfitError, parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.sources.vellum.limits import SKEW_S

_LARGEST = 1 << 20
_LONGEST_DATE = 64


class CredentialState(Enum):
    """What can be done with a stored credential."""

    ABSENT = "absent"
    UNREADABLE = "unreadable"
    """There is a file that may not be read."""
    BROKEN = "broken"
    """There is a file that holds no credential."""
    VALID = "valid"
    UNDATED = "its expiry is not known"
    """There is one; only the gateway can say whether it is still good."""
    EXPIRED = "expired"
    """The access part; the refresh part is good."""
    SPENT = "expired for good"


@dataclass(frozen=True, slots=True)
class Credential:
    """Instants are seconds since the epoch; the token itself is not here."""

    state: CredentialState = CredentialState.ABSENT
    access_until: float | None = None
    refresh_until: float | None = None
    written_at: float | None = None
    """When its file was written; None without a file."""
    renewable: bool = False
    """Whether a renewal may be tried: its refresh part is not known to be spent."""
    problem: str = ""
    """Why there is none in its file; nothing of its content."""


def instant(value: object) -> float | None:
    """An expiry, given as ISO text or as milliseconds since the epoch."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        # A number of any size: an integer may be too large to be divided.
        return value / 1000 if 0 < value < 1e14 else None
    if not isinstance(value, str) or len(value) > _LONGEST_DATE:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def judge(raw: object, now: float) -> Credential:
    """What a decoded token file is good for at `now`."""
    if not isinstance(raw, dict):
        kind = "a list" if isinstance(raw, list) else "a single value"
        return Credential(CredentialState.BROKEN, problem=f"it holds {kind}")
    if not _token(raw, "accessToken"):
        return Credential(CredentialState.BROKEN, problem="it has no usable accessToken")
    access = instant(raw.get("accessTokenExpiresAt"))
    refresh = instant(raw.get("refreshTokenExpiresAt"))
    good = bool(_token(raw, "refreshToken")) and (refresh is None or refresh > now)
    if access is None:
        state = CredentialState.UNDATED
    elif access - SKEW_S > now:
        state = CredentialState.VALID
    else:
        state = CredentialState.EXPIRED if good else CredentialState.SPENT
    return Credential(state, access, refresh, renewable=good)


def read(path: Path, now: float) -> Credential:
    """Look at a token file; no network."""
    try:
        data = read_bounded(path, _LARGEST)
        written = path.stat().st_mtime
    except FileNotFoundError:
        return Credential()
    except OSError as error:
        why = error.strerror or "it cannot be read"
        return Credential(CredentialState.UNREADABLE, problem=f"{why}{_mode(path)}")
    except UnfitError as error:
        state = CredentialState.BROKEN if path.is_file() else CredentialState.UNREADABLE
        return Credential(state, problem=f"{error}{_mode(path)}")
    try:
        return replace(judge(_parse(data), now), written_at=written)
    except MalformedError:
        return Credential(CredentialState.BROKEN, written_at=written, problem=_begins(data))
    except UnfitError as error:
        return Credential(CredentialState.BROKEN, written_at=written, problem=str(error))


def _parse(data: bytes) -> object:
    """An expiry of any size is no reason to refuse the credential beside it."""
    return parse_json(data, unfit_numbers=True)


def _begins(data: bytes) -> str:
    """What a file that is not JSON looks like, without any of its words."""
    text = data.lstrip()[:1]
    if not text:
        return "it is empty"
    if text == b"<":
        return "it begins like HTML"
    return "it begins like JSON and breaks off or goes wrong" if text in b"{[" else "it is not JSON"


def _mode(path: Path) -> str:
    try:
        return f", mode {stat.S_IMODE(path.stat().st_mode):04o}"
    except OSError:
        return ""


def access_token(path: Path) -> str:
    """The access token for one request; empty where there is none. Never to be shown or kept."""
    try:
        raw = _parse(read_bounded(path, _LARGEST))
    except (OSError, UnfitError):
        return ""
    return _token(raw, "accessToken") if isinstance(raw, dict) else ""


def _token(raw: dict[str, object], key: str) -> str:
    value = raw.get(key)
    usable = isinstance(value, str) and value.isascii() and value.isprintable()
    return str(value) if usable else ""
