"""The token of the CentML platform as it stands on this machine; read, never renewed here.

Where its own client keeps it (upstream/pods: CentML sign-in). Renewing is `centml_sign_in.py`.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path

from services.clock import Clock
from services.errors import SignedOutError, UnavailableError
from services.files.bounded import UnfitError, parse_json, read_bounded, read_text
from services.lazy_dataclass import dataclass

EARLY_S = 100.0
"""A token this close to its end counts as expired."""
PLATFORM = "https://api.centml.com"
_DOTENV = ".env"
_FROM_FILE = frozenset(
    (
        "CENTML_CRED_FILE_PATH",
        "CENTML_PLATFORM_API_URL",
        "CENTML_SERVICE_ACCOUNT_ID",
        "CENTML_SERVICE_ACCOUNT_SECRET",
        "CENTML_SERVICE_ACCOUNT_TOKEN_URL",
        "CENTML_WORKOS_CLIENT_ID",
    )
)
"""What its client takes from that file as well."""
_ADVICE = "Reconnect to sign in, or use `centml login`."


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Signs in without a person."""

    id: str
    secret: str = field(repr=False)
    url: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What the client's file holds."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


def settings(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Its client's settings: the environment, then `.env` in the working folder.

    Where the credential is, `.env` says only as a whole path (upstream/pods: CentML sign-in).
    A file that cannot be read says nothing.
    """
    from dotenv import dotenv_values

    try:
        text = read_text(folder / _DOTENV)
    except (OSError, UnfitError):
        return dict(environ)
    told = dotenv_values(stream=io.StringIO(text), interpolate=False)
    taken = {
        name.upper(): value
        for name, value in told.items()
        if value is not None and name.upper() in _FROM_FILE
    }
    return {**taken, **environ}


def base_url(option: str, environ: Mapping[str, str]) -> str:
    """Where the platform is; without a slash at its end."""
    return (option or environ.get("CENTML_PLATFORM_API_URL") or PLATFORM).rstrip("/")


def service_account(environ: Mapping[str, str]) -> ServiceAccount | None:
    """The one the environment names."""
    id, secret = (
        environ.get("CENTML_SERVICE_ACCOUNT_ID"),
        environ.get("CENTML_SERVICE_ACCOUNT_SECRET"),
    )
    if not id or not secret:
        return None
    url = (
        environ.get("CENTML_SERVICE_ACCOUNT_TOKEN_URL") or "https://signin.centml.com/oauth2/token"
    )
    return ServiceAccount(id, secret, url)


def credential_file(environ: Mapping[str, str]) -> Path:
    """Where the client keeps a person's credential."""
    if path := environ.get("CENTML_CRED_FILE_PATH"):
        return Path(path).expanduser()
    folder = Path(environ.get("CENTML_CONFIG_PATH") or "~/.centml").expanduser()
    return folder / (environ.get("CENTML_CRED_FILE") or "credentials.json")


def stored(path: Path) -> Stored:
    """What the file holds.

    Raises:
        SignedOutError: there is none, or nothing of use in it.
    """
    try:
        value = parse_json(read_bounded(path))
        access, refresh = value.get("access_token"), value.get("refresh_token")
    except FileNotFoundError as error:
        raise SignedOutError("Nobody is signed in to CentML here.", advice=_ADVICE) from error
    except (OSError, ValueError, AttributeError, RecursionError):
        # The cause would quote the file.
        raise SignedOutError(f"{path} holds no credential of CentML.", advice=_ADVICE) from None
    known = [one if isinstance(one, str) else "" for one in (access, refresh)]
    if not any(known):
        raise SignedOutError(f"{path} holds no credential of CentML.", advice=_ADVICE)
    return Stored(*known)


def expires_at(token: str) -> float | None:
    """When a JWT says it ends, unverified; None where it does not say."""
    try:
        payload = token.split(".")[1]
        claims = parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        return None


class CentmlCredential:
    """The token in use: a minted one of a service account, else the one in the client's file."""

    def __init__(
        self, clock: Clock, environ: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        """`folder` is the working one where nothing is said."""
        self._given = environ
        self._folder = folder
        self._clock = clock
        self._minted = ""

    @cached_property
    def environ(self) -> Mapping[str, str]:
        """Its client's settings, as they are when they are first needed."""
        given = os.environ if self._given is None else self._given
        return settings(given, self._folder or Path.cwd())

    def take(self, token: str) -> None:
        """Use a minted token from now on."""
        self._minted = token

    def token(self) -> str:
        """A token that is still good.

        Raises:
            SignedOutError: signing in is needed first, which is the operator's to ask for.
        """
        account = service_account(self.environ)
        held = self._minted if account is not None else stored(credential_file(self.environ)).access
        if not held:
            whose = "service account" if account is not None else "user"
            raise SignedOutError(f"The CentML {whose} is not signed in.", advice=_ADVICE)
        end = expires_at(held)
        if end is not None and self._clock.now() >= end - EARLY_S:
            raise SignedOutError("The CentML token has expired.", advice=_ADVICE)
        if not held.isascii() or not held.isprintable() or " " in held:
            raise UnavailableError("The CentML token is none that can be sent.")
        return held

    def headers(self) -> dict[str, str]:
        """What authenticates a request; raises as `token`."""
        return {"Authorization": f"Bearer {self.token()}"}
