"""What a failure of TLS or of certificates means; none of it is mended by starting anything.

See upstream/openshell: TLS faults; upstream/openshell: Certificates.
"""

from __future__ import annotations

import re

from services.lazy_dataclass import dataclass
from services.sources.openshell.certificates import Bundle, CertificateFile, day
from services.sources.openshell.cli_text import ErrorKind
from services.sources.openshell.gateway_status import GatewayJudgement, GatewayStatus

_INSTANT = re.compile(r"not valid (?:after|before) (\d{1,12})\b")
_CLIENT_ADVICE = "Register the gateway again, or copy the new bundle to {folder}."
_RESTORE = "Put it back from the gateway's bundle. Starting anything does not help."
_RENEW = "Renew it on the gateway; your sandboxes are not affected."
_TLS_FILES = (
    ("private key", "tls.key"),
    ("keymismatch", "tls.key"),
    ("tls key", "tls.key"),
    ("tls ca", "ca.crt"),
    ("no certificates", "tls.crt"),
    ("tls cert", "tls.crt"),
)
"""Words of the CLI, and the file of this machine they blame."""


@dataclass(frozen=True, slots=True)
class TlsEvidence:
    """What is known of one gateway's TLS when its status failed."""

    name: str
    endpoint: str
    bundle: Bundle
    now: float
    """Epoch seconds."""


def by_disk(seen: TlsEvidence, kind: ErrorKind, *, refused: bool) -> GatewayJudgement | None:
    """What the files on disk alone prove; None where they are all in order.

    `kind` is that of the command's words; `refused`: nothing listens at its address either.
    """
    also = f", and the connection is refused at {seen.endpoint}" if refused else ""
    # Who came as far as the gateway has found its files: then they are not missing, and where it
    # was refused their dates alone can be at fault.
    for owner in () if refused else ("client", "CA", "key"):
        file = seen.bundle.of(owner)
        if file is not None and file.problem and (not file.missing or kind is ErrorKind.TLS_FILE):
            return _bad_file(seen, file)
    client, ca, server = map(seen.bundle.of, ("client", "CA", "server"))
    if client is not None and client.ends is not None and client.ends <= seen.now:
        return _client_expired(seen, client.ends, also)
    if client is not None and client.begins is not None and client.begins > seen.now:
        return _judged(
            GatewayStatus.AUTH_FAILED,
            f"Your certificate for {seen.name} is valid only from {day(client.begins)}{also}.",
            "Look at this machine's clock first; then copy the right bundle.",
        )
    if ca is not None and ca.ends is not None and ca.ends <= seen.now:
        return _judged(
            GatewayStatus.EXPIRED,
            f"The CA certificate of the gateway {seen.name} expired on {day(ca.ends)}{also}.",
            "Copy the new bundle from the gateway; your sandboxes are not affected.",
        )
    if ca is not None and ca.begins is not None and ca.begins > seen.now:
        return _early(seen, ca.begins, f"The CA certificate of the gateway {seen.name}", also)
    if server is not None and server.ends is not None and server.ends <= seen.now:
        return _server_expired(seen, server.ends, also)
    if server is not None and server.begins is not None and server.begins > seen.now:
        return _early(seen, server.begins, f"The certificate of the gateway {seen.name}", also)
    if seen.bundle.rotated:
        return _judged(
            GatewayStatus.IDENTITY_CHANGED,
            f"The gateway {seen.name} of this machine has a new CA, and this registration still"
            f" has the old one{also}.",
            f"Copy its new bundle to {_folder(seen)}; your sandboxes are not affected.",
        )
    return None


def by_words(seen: TlsEvidence, kind: ErrorKind, said: str, whole: str) -> GatewayJudgement | None:
    """What the words of a failed `status` mean; None where they are not of TLS.

    `said` is for the operator; `whole` is everything that was said, normalised.
    """
    name = seen.name
    match kind:
        case ErrorKind.TLS_FILE:
            return _bad_file_by_words(seen, said, whole)
        case ErrorKind.CLIENT_EXPIRED:
            return _judged(
                GatewayStatus.AUTH_FAILED,
                f"The gateway {name} says that your certificate has expired.",
                _CLIENT_ADVICE.format(folder=_folder(seen)),
            )
        case ErrorKind.CLIENT_REFUSED:
            return _judged(
                GatewayStatus.AUTH_FAILED,
                f"The gateway {name} closed the TLS connection{_alert(whole)}.",
                "It may not take your certificate: compare it with the gateway's CA, and look at"
                " the gateway's log. Nothing is started for it.",
            )
        case ErrorKind.SERVER_EXPIRED:
            return _server_expired(seen, _instant(whole), "")
        case ErrorKind.SERVER_EARLY:
            return _early(seen, _instant(whole), f"The certificate of the gateway {name}", "")
        case ErrorKind.OTHER_ADDRESS:
            return _judged(
                GatewayStatus.IDENTITY_CHANGED,
                f"The certificate of the gateway {name} is made for another address than"
                f" {seen.endpoint}.",
                "Register it under the address its certificate names, or renew the certificate.",
            )
        case ErrorKind.PLAIN:
            return _judged(
                GatewayStatus.NOT_A_GATEWAY,
                f"{name} is registered as https, but what answers at {seen.endpoint} speaks plain"
                " text.",
                "Correct the gateway's registration, or turn TLS on at the gateway.",
            )
        case ErrorKind.IDENTITY:
            return _judged(
                GatewayStatus.IDENTITY_CHANGED,
                f"The gateway {name} shows another identity than the one this machine trusts.",
                "If it was rebuilt on purpose, fetch its new client certificates. For a sandbox"
                " made under the old identity: keep its host copy, then delete and create that one"
                " sandbox by hand, nothing else.",
            )
        case ErrorKind.TLS:
            return _judged(
                GatewayStatus.UNHEALTHY,
                f"TLS with the gateway {name} fails: {said}.",
                "Look at both certificates and at the gateway's log. Nothing is started for it.",
            )
    return None


def _judged(status: GatewayStatus, reason: str, advice: str) -> GatewayJudgement:
    return GatewayJudgement(status, reason, advice=advice)


def _folder(seen: TlsEvidence) -> str:
    client = seen.bundle.of("client")
    return str(client.path.parent) if client is not None else f"gateways/{seen.name}/mtls"


def _bad_file(seen: TlsEvidence, file: CertificateFile) -> GatewayJudgement:
    what = {
        "missing": "is missing",
        "unreadable": "cannot be read",
        "no certificate": "is no certificate",
        "no private key": "holds no private key",
    }[file.problem]
    return _judged(
        GatewayStatus.AUTH_FAILED,
        f"The file {file.path.name} for the gateway {seen.name} {what} on this machine.",
        f"It is {file.path}. {_RESTORE}",
    )


def _bad_file_by_words(seen: TlsEvidence, said: str, whole: str) -> GatewayJudgement:
    low = whole.lower()
    file = next((file for words, file in _TLS_FILES if words in low), "")
    name = f"The file {file}" if file else "A certificate file"
    mismatch = "does not belong to tls.crt" if "keymismatch" in low else "cannot be used"
    return _judged(
        GatewayStatus.AUTH_FAILED,
        f"{name} for the gateway {seen.name} {mismatch}: {said}.",
        f"It is in {_folder(seen)}. {_RESTORE}",
    )


def _client_expired(seen: TlsEvidence, ends: float, also: str) -> GatewayJudgement:
    return _judged(
        GatewayStatus.AUTH_FAILED,
        f"Your certificate for {seen.name} expired on {day(ends)}{also}.",
        _CLIENT_ADVICE.format(folder=_folder(seen)),
    )


def _server_expired(seen: TlsEvidence, ends: float | None, also: str) -> GatewayJudgement:
    when = "has expired" if ends is None else f"expired on {day(ends)}"
    return _judged(
        GatewayStatus.EXPIRED, f"The certificate of the gateway {seen.name} {when}{also}.", _RENEW
    )


def _early(seen: TlsEvidence, begins: float | None, whose: str, also: str) -> GatewayJudgement:
    since = "is not valid yet" if begins is None else f"is valid only from {day(begins)}"
    today = day(seen.now)
    return _judged(
        GatewayStatus.NOT_YET_VALID,
        f"{whose} {since}, and this machine's clock says {today}{also}.",
        "Look at the clocks of both machines; then at the certificate. Nothing else helps.",
    )


def _instant(whole: str) -> float | None:
    found = _INSTANT.search(whole)
    return None if found is None else float(found[1])


def _alert(whole: str) -> str:
    low = whole.lower()
    return ": it does not know the CA of your certificate" if "alert: unknownca" in low else ""
