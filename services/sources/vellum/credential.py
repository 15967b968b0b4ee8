"""The stored credential as far as it may be told: whether it is there and until when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from services.files.bounded import parse_json, read_bounded
from services.sources.vellum.limits import SKEW_S

_LARGEST = 1 << 20


class CredentialState(Enum):
    """What can be done with a stored credential."""

    ABSENT = "absent"
    UNREADABLE = "unreadable"
    VALID = "valid"
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


def instant(value: object) -> float | None:
    """An expiry, given as ISO text or as milliseconds since the epoch."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        seconds = value / 1000
        return seconds if 0 < seconds < 1e11 else None
    if not isinstance(value, str):
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
    if not isinstance(raw, dict) or not _token(raw, "accessToken"):
        return Credential(CredentialState.UNREADABLE)
    access = instant(raw.get("accessTokenExpiresAt"))
    refresh = instant(raw.get("refreshTokenExpiresAt"))
    if access is not None and access - SKEW_S > now:
        return Credential(CredentialState.VALID, access, refresh)
    good = _token(raw, "refreshToken") and (refresh is None or refresh > now)
    return Credential(CredentialState.EXPIRED if good else CredentialState.SPENT, access, refresh)


def read(path: Path, now: float) -> Credential:
    """Look at a token file; no network."""
    raw = _load(path)
    if raw is None:
        return Credential()
    try:
        written = path.stat().st_mtime
    except OSError:
        written = None
    return replace(judge(raw, now), written_at=written)


def access_token(path: Path) -> str:
    """The access token for one request; empty where there is none. Never to be shown or kept."""
    raw = _load(path)
    return _token(raw, "accessToken") if isinstance(raw, dict) else ""


def _token(raw: dict[str, object], key: str) -> str:
    value = raw.get(key)
    usable = isinstance(value, str) and value.isascii() and value.isprintable()
    return str(value) if usable else ""


def _load(path: Path) -> object:
    """The decoded file; None where there is none, False where it cannot be decoded."""
    try:
        return parse_json(read_bounded(path, _LARGEST)) or False
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return False
