"""Runs a kubeconfig's credential helper, for the operator alone (upstream/pods: Cluster access)."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from datetime import datetime
from pathlib import Path

from services.errors import DeadlineError, ProcessError, UnavailableError
from services.files.bounded import parse_json
from services.process import run
from services.sources.pods.access import Access, Helper
from services.sources.pods.credential import KubeCredential, Minted
from services.text.redact import redact_line
from services.text.sanitize import sanitize

HELPER_LIMIT_S = 30.0
LARGEST = 1 << 20


async def sign_in(credential: KubeCredential) -> str:
    """Get a fresh credential where a helper gives one; what was done, in a few words.

    Raises:
        UnavailableError: the helper failed, asks questions, or gave no credential.
        ProcessError: it cannot be run.
    """
    access = credential.access
    helper = access.identity.helper
    if helper is None or not access.cluster.secure:
        credential.headers()
        return "as the kubeconfig says"
    return take(credential, helper, await mint(access, helper))


def take(credential: KubeCredential, helper: Helper, minted: Minted) -> str:
    """Use what a helper gave; whose it is, in a few words.

    Raises:
        UnavailableError: it is over already.
    """
    name = name_of(helper)
    if credential.is_expired(minted):
        raise UnavailableError(
            f"The credential helper {name} gave a credential that has expired already.",
            advice=f"Sign in with {name} in a terminal; is the clock of this machine right?",
        )
    credential.take(minted)
    return f"from {name}"


def name_of(helper: Helper) -> str:
    """What a helper is called on the screen; its arguments may hold secrets."""
    return sanitize(Path(helper.argv[0]).name, 60)


def environment(access: Access, helper: Helper, *, interactive: bool = False) -> dict[str, str]:
    """What a helper is started with; `interactive`: a person sits at its terminal."""
    info = _info(access, helper, interactive)
    return {**os.environ, **dict(helper.environment), "KUBERNETES_EXEC_INFO": info}


async def mint(access: Access, helper: Helper) -> Minted:
    """Run it once, without a terminal; raises as `sign_in`."""
    name = name_of(helper)
    if helper.interactive:
        raise UnavailableError(
            f"The credential helper {name} asks questions and needs a terminal for them.",
            advice="Reconnect (r) on its gateway opens a tab for it;"
            " a command that names the source runs it in the terminal it was typed in.",
        )
    try:
        done = await run.run(
            helper.argv,
            timeout_s=HELPER_LIMIT_S,
            env=environment(access, helper),
            max_output=LARGEST,
        )
    except ProcessError as error:
        raise UnavailableError(
            f"The credential helper {name} cannot be run: {error.sentence}",
            advice=helper.advice or error.advice,
        ) from error
    if done.timed_out:
        raise DeadlineError(f"The credential helper {name} did not answer in {HELPER_LIMIT_S:g} s.")
    if done.code != 0:
        lines = [one for one in done.stderr.decode("utf-8", "replace").splitlines() if one.strip()]
        said = f": {redact_line(lines[0], 200)}" if lines else ""
        how = "was ended" if done.code is None else f"failed (exit code {done.code})"
        raise UnavailableError(f"The credential helper {name} {how}{said}.", advice=helper.advice)
    return read(done.stdout, name, helper.version)


def read(output: bytes, name: str, version: str) -> Minted:
    """What a helper printed.

    Raises:
        UnavailableError: that is no credential of the version asked for.
    """
    try:
        answer = parse_json(output)
        status = answer["status"]
        given = answer["apiVersion"], answer["kind"]
        token = status.get("token") or ""
        certificate = status.get("clientCertificateData") or ""
        key = status.get("clientKeyData") or ""
        until = status.get("expirationTimestamp")
        expires = None if until is None else datetime.fromisoformat(until).timestamp()
        if not all(isinstance(one, str) for one in (token, certificate, key)):
            raise TypeError("a field is not text")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        # The cause would quote the credential.
        raise UnavailableError(f"The credential helper {name} printed no credential.") from None
    if given != (version, "ExecCredential"):
        raise UnavailableError(f"The credential helper {name} answered in another version.")
    if not token and not (certificate and key):
        raise UnavailableError(f"The credential helper {name} gave neither token nor certificate.")
    return Minted(token, certificate, key, expires)


def _info(access: Access, helper: Helper, interactive: bool) -> str:
    spec: dict[str, object] = {"interactive": interactive}
    if helper.wants_cluster:
        spec["cluster"] = {
            "server": access.cluster.server,
            "tls-server-name": access.cluster.tls_name,
            "insecure-skip-tls-verify": access.cluster.unverified,
            "certificate-authority-data": b64encode(access.cluster.authority.encode()).decode(),
        }
    return json.dumps({"apiVersion": helper.version, "kind": "ExecCredential", "spec": spec})


async def sign_in_in_background(credential: KubeCredential) -> None:
    """The same for a look, where the operator's configuration allows it; raises as `sign_in`."""
    await sign_in(credential)
