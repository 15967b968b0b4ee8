"""Signs in to the CentML platform for the operator; nothing that ticks may.

See upstream/pods: CentML sign-in.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from services.errors import SignedOutError, UnavailableError
from services.files.bounded import UnfitError, parse_json
from services.net.failures import is_loopback
from services.net.http import ApiError
from services.sources.pods.centml_token import (
    CentmlCredential,
    ServiceAccount,
    Stored,
    credential_file,
    service_account,
    stored,
)
from services.sources.pods.writes import WritingHttp
from services.text.redact import MASK, redact_line
from services.text.sanitize import sanitize

AUTHENTICATE = "https://auth.centml.com/user_management/authenticate"
CLIENT_ID = "client_01JP5TWW2997MF8AYQXHJEGYR0"
"""The platform's public OAuth client, unless CENTML_WORKOS_CLIENT_ID names another."""
LIMIT_S = 10.0
_LARGEST = 1 << 18
_LOGIN = "Sign in with `centml login`."


async def sign_in(credential: CentmlCredential, *, renew: bool = False) -> str:
    """Have a good token afterwards; what was done, in a few words.

    `renew` asks for another one although the one there looks good. The client's file is rewritten
    with what a refresh gives, as the client does; it is never deleted.

    Raises:
        UnavailableError: the platform refused or did not answer.
    """
    if not renew:
        try:
            credential.token()
        except SignedOutError:
            pass
        else:
            return "still good"
    account = service_account(credential.environ)
    if account is not None:
        credential.take(await _mint(account))
        return "issued to the service account"
    path = credential_file(credential.environ)
    fresh = await _refresh(stored(path), credential.environ)
    _write(path, fresh)
    return "refreshed"


async def _mint(account: ServiceAccount) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": account.id,
        "client_secret": account.secret,
    }
    answer = await _post(account.url, form=form)
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        why = _why(answer, account.secret)
        raise UnavailableError(f"The service account was refused: {why}.")
    return token


async def _refresh(held: Stored, environ: Mapping[str, str]) -> Stored:
    if not held.refresh:
        raise SignedOutError("The CentML credential cannot be refreshed.", advice=_LOGIN)
    body = {
        "client_id": environ.get("CENTML_WORKOS_CLIENT_ID") or CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_token": held.refresh,
    }
    answer = await _post(AUTHENTICATE, body=body)
    access, refresh = answer.get("access_token"), answer.get("refresh_token")
    if "error" in answer or not isinstance(access, str) or not access:
        why = _why(answer, held.refresh)
        raise SignedOutError(f"CentML refused to renew the token: {why}.", advice=_LOGIN)
    return Stored(access, refresh if isinstance(refresh, str) and refresh else held.refresh)


async def _post(
    url: str, *, form: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        raise UnavailableError("The address that issues tokens is no address.") from None
    if parts.scheme != "https" and not is_loopback(host):
        raise UnavailableError(f"A secret would travel to {sanitize(host, 100)} without TLS.")
    if form is not None:
        kind, content = "application/x-www-form-urlencoded", urlencode(form).encode()
    else:
        kind, content = "application/json", json.dumps(body).encode()
    http = WritingHttp(f"{parts.scheme}://{parts.netloc}", sanitize(host, 100), dict)
    path = parts._replace(scheme="", netloc="").geturl()
    try:
        value = parse_json(await http.write("POST", path, kind, content, LIMIT_S, _LARGEST))
    except ApiError as refused:
        value = _refusal(refused, host)
    except UnfitError:
        raise UnavailableError(
            f"{sanitize(host, 100)} answered with something else than JSON."
        ) from None
    finally:
        await http.close()
    if not isinstance(value, dict):
        raise UnavailableError(f"{sanitize(host, 100)} answered with something else than a token.")
    return value


def _refusal(refused: ApiError, host: str) -> Any:
    """What a refusal says in JSON.

    Raises:
        UnavailableError: it says something else, which may hold the secret: only its status is
            told, and that is not the platform's.
    """
    try:
        return parse_json(refused.body)
    except UnfitError:
        raise UnavailableError(
            f"{sanitize(host, 100)} answered {refused.status}.", advice=refused.advice
        ) from None


def _why(answer: Mapping[str, Any], secret: str) -> str:
    for key in ("error_description", "message", "error"):
        if isinstance(answer.get(key), str):
            said = str(answer[key])
            for form in (secret, quote_plus(secret)):
                said = said.replace(form, MASK)
            return redact_line(said, 200)
    return "no reason was given"


def _write(path: Path, fresh: Stored) -> None:
    """Replace the client's file whole: a half-written one would sign the operator out."""
    text = json.dumps({"access_token": fresh.access, "refresh_token": fresh.refresh})
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".wakedeck-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).replace(path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise UnavailableError(
            f"The renewed credential could not be written to {path}: {error.strerror}."
        ) from error
