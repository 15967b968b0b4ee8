"""Certificates: what their files say, what words of TLS mean, and that neither starts anything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sources.openshell.certificates import NO_BUNDLE, Bundle, CertificateFiles, day
from services.sources.openshell.cli import CliResult
from services.sources.openshell.cli_text import error_kind
from services.sources.openshell.cli_version import Generation, Toolset
from services.sources.openshell.gateway_judge import judge
from services.sources.openshell.gateway_status import GatewayJudgement, GatewayStatus
from tests.support.certificates import Pem, bundle, pem

NOW = 1_800_000_000.0
DAY = 86_400.0
B = Toolset((0, 0, 111), Generation.B)
URL = "https://127.0.0.1:17670"
GOOD = pem("good", NOW - DAY, NOW + 100 * DAY)
OTHER = pem("other", NOW - DAY, NOW + 100 * DAY)
OVER = pem("over", NOW - 9 * DAY, NOW - 2 * DAY)
EARLY = pem("early", NOW + 3 * DAY, NOW + 9 * DAY)
SOON = pem("soon", NOW - 9 * DAY, NOW + 3 * DAY)
CLOSED = """Error:   \u00d7 client error (SendRequest)
  \u251c\u2500\u25b6 connection error
  \u2570\u2500\u25b6 peer closed connection without sending TLS close_notify

"""
REFUSED = """Error:   \u00d7 client error (Connect)
  \u251c\u2500\u25b6 tcp connect error
  \u2570\u2500\u25b6 Connection refused (os error 111)

"""


def peer(words: str) -> str:
    """How the command wraps what the library says of the peer."""
    return f"Error:   \u00d7 client error (Connect)\n  \u2570\u2500\u25b6 {words}\n\n"


def judged(said: str, files: Bundle = NO_BUNDLE, url: str = URL) -> GatewayJudgement:
    return judge("lab", url, CliResult(1, "", said), B, 3.5, files, NOW)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bundle]:
    """Reads a bundle whose files are these; without any it is a good one."""
    monkeypatch.setenv("OPENSHELL_LOCAL_TLS_DIR", str(tmp_path / "own"))

    def made(client: Pem = GOOD, ca: Pem = GOOD, url: str = URL, **files: bytes | None) -> Bundle:
        place = bundle(tmp_path / "gateways" / "lab" / "mtls", client, ca)
        for name, data in files.items():
            path = place / name.replace("_", ".")
            path.unlink() if data is None else path.write_bytes(data)
        return CertificateFiles().bundle(tmp_path, "lab", url, "mtls")

    return made


WORDS = [
    (CLOSED, GatewayStatus.AUTH_FAILED, "closed the TLS connection"),
    (peer("received fatal alert: CertificateExpired"), GatewayStatus.AUTH_FAILED, "has expired"),
    (peer("received fatal alert: UnknownCA"), GatewayStatus.AUTH_FAILED, "does not know the CA"),
    (peer("received fatal alert: SomethingNew"), GatewayStatus.AUTH_FAILED, "closed the TLS"),
    (peer("no private key found in TLS key PEM"), GatewayStatus.AUTH_FAILED, "tls.key"),
    (peer("Error parsing TLS private key"), GatewayStatus.AUTH_FAILED, "tls.key"),
    (
        peer("keys may not be consistent: KeyMismatch"),
        GatewayStatus.AUTH_FAILED,
        "tls.key for the gateway lab does not belong to tls.crt",
    ),
    (peer("peer sent no certificates"), GatewayStatus.AUTH_FAILED, "tls.crt"),
    (
        peer("failed to read TLS CA from /x/ca.crt"),
        GatewayStatus.AUTH_FAILED,
        "ca.crt",
    ),
    (peer("failed to read TLS cert from /x"), GatewayStatus.AUTH_FAILED, "tls.crt"),
    (peer("failed to read TLS key from /x"), GatewayStatus.AUTH_FAILED, "tls.key"),
    (
        peer("invalid peer certificate: UnknownIssuer"),
        GatewayStatus.IDENTITY_CHANGED,
        "another identity",
    ),
    (
        peer("invalid peer certificate: BadSignature"),
        GatewayStatus.IDENTITY_CHANGED,
        "another identity",
    ),
    (
        peer(
            "invalid peer certificate: certificate expired: verification time 1800000000 (UNIX),"
            " but certificate is not valid after 1799827200 (172800 seconds ago)"
        ),
        GatewayStatus.EXPIRED,
        day(1799827200),
    ),
    (
        peer(
            "invalid peer certificate: certificate not valid yet: verification time 1800000000"
            " (UNIX), but certificate is not valid before 1800259200 (259200 seconds in future)"
        ),
        GatewayStatus.NOT_YET_VALID,
        day(1800259200),
    ),
    (
        peer('invalid peer certificate: certificate not valid for name "127.0.0.1"'),
        GatewayStatus.IDENTITY_CHANGED,
        "another address",
    ),
    (
        peer("received corrupt message of type InvalidContentType"),
        GatewayStatus.NOT_A_GATEWAY,
        "registered as https",
    ),
    (
        "Error:   \u00d7 connection closed before message completed\n",
        GatewayStatus.UNHEALTHY,
        "connection closed",
    ),
    (
        peer("Connection reset by peer (os error 104)"),
        GatewayStatus.UNHEALTHY,
        "Connection reset by peer",
    ),
    (peer("a handshake of a kind nobody knows"), GatewayStatus.UNHEALTHY, "TLS with"),
    (peer("tcp connect error"), GatewayStatus.UNHEALTHY, "does not answer as it should"),
    (REFUSED, GatewayStatus.UNREACHABLE, "connection refused"),
]


@pytest.mark.parametrize(("said", "status", "words"), WORDS)
def test_each_fault_of_tls_has_its_name_and_only_a_refusal_is_startable(
    said: str, status: GatewayStatus, words: str
) -> None:
    found = judged(said)
    assert found.status is status and words in found.reason, found
    assert found.status.startable is (said is REFUSED)
    assert "onboard" not in found.advice


def test_an_expired_gateway_certificate_blames_no_sandbox_and_no_identity() -> None:
    found = judged(
        peer("invalid peer certificate: certificate expired: not valid after 1799827200")
    )
    assert found.advice == "Renew it on the gateway; your sandboxes are not affected."
    assert not {"identity", "delete", "create"} & set(found.reason.split())


CLIENT_OVER = f"Your certificate for lab expired on {day(NOW - 2 * DAY)}"
FILES = [
    ({"client": OVER}, CLOSED, GatewayStatus.AUTH_FAILED, CLIENT_OVER),
    ({"client": OVER}, peer("stream closed"), GatewayStatus.AUTH_FAILED, CLIENT_OVER),
    ({"client": OVER}, REFUSED, GatewayStatus.AUTH_FAILED, CLIENT_OVER),
    ({"client": EARLY}, CLOSED, GatewayStatus.AUTH_FAILED, "valid only from"),
    ({"ca": OVER}, CLOSED, GatewayStatus.EXPIRED, "CA certificate of the gateway lab expired"),
    ({"ca": EARLY}, CLOSED, GatewayStatus.NOT_YET_VALID, "this machine's clock says"),
    (
        {"ca_crt": b"rubbish"},
        peer("invalid peer certificate: UnknownIssuer"),
        GatewayStatus.AUTH_FAILED,
        "ca.crt for the gateway lab is no certificate",
    ),
    ({"tls_crt": b"rubbish"}, CLOSED, GatewayStatus.AUTH_FAILED, "tls.crt for the gateway lab"),
    (
        {"tls_crt": None},
        peer("failed to read TLS cert from /x"),
        GatewayStatus.AUTH_FAILED,
        "tls.crt for the gateway lab is missing",
    ),
    (
        {"tls_crt": None, "ca_crt": None, "tls_key": None},
        CLOSED,
        GatewayStatus.AUTH_FAILED,
        "closed",
    ),
    (
        {"tls_crt": None, "ca_crt": None, "tls_key": None},
        peer("invalid peer certificate: certificate expired: not valid after 1799827200"),
        GatewayStatus.EXPIRED,
        "The certificate of the gateway lab expired on",
    ),
    ({"tls_key": b""}, CLOSED, GatewayStatus.AUTH_FAILED, "tls.key for the gateway lab holds no"),
    ({"tls_key": None}, REFUSED, GatewayStatus.UNREACHABLE, "connection refused"),
    ({}, REFUSED, GatewayStatus.UNREACHABLE, "connection refused"),
    ({}, CLOSED, GatewayStatus.AUTH_FAILED, "closed the TLS connection"),
]


@pytest.mark.parametrize(("files", "said", "status", "words"), FILES)
def test_files_on_disk_come_before_words(
    read: Callable[..., Bundle],
    files: dict[str, object],
    said: str,
    status: GatewayStatus,
    words: str,
) -> None:
    found = judged(said, read(**files))
    assert found.status is status and words in found.reason, found


@pytest.mark.parametrize(
    ("server", "ca", "status", "words"),
    [
        (OVER, GOOD, GatewayStatus.EXPIRED, "certificate of the gateway lab expired"),
        (EARLY, GOOD, GatewayStatus.NOT_YET_VALID, "valid only from"),
        (GOOD, OTHER, GatewayStatus.IDENTITY_CHANGED, "has a new CA"),
        (GOOD, GOOD, GatewayStatus.UNREACHABLE, "connection refused"),
    ],
)
def test_the_packaged_gateways_own_files_are_read_for_its_own_address_alone(
    read: Callable[..., Bundle],
    tmp_path: Path,
    server: Pem,
    ca: Pem,
    status: GatewayStatus,
    words: str,
) -> None:
    (tmp_path / "own" / "server").mkdir(parents=True)
    (tmp_path / "own" / "server" / "tls.crt").write_bytes(server.certificate)
    (tmp_path / "own" / "ca.crt").write_bytes(ca.certificate)
    found = judged(REFUSED, read())
    assert found.status is status and words in found.reason, found
    elsewhere = read(url="https://gateway.example.com:17670")
    assert elsewhere.of("server") is None and not elsewhere.rotated


def test_days_left_are_told_before_they_run_out(read: Callable[..., Bundle]) -> None:
    assert read().soon(NOW) == ""
    assert (
        read(client=SOON).soon(NOW)
        == f"your certificate expires in 3 days, on {day(NOW + 3 * DAY)}"
    )
    assert "CA expires in 3 days" in read(ca=SOON).soon(NOW)
    lines = {one.owner: one.left(NOW) for one in read(client=SOON, ca=OVER).files}
    assert lines["client"].endswith("3 days left") and lines["CA"].startswith("expired on")
    assert lines["key"] == ""


def test_a_file_is_read_again_only_once_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bundle(tmp_path / "gateways" / "lab" / "mtls", GOOD, GOOD)
    opened: list[Path] = []
    real = sys.modules["services.sources.openshell.certificates"].read_bounded

    def counted(path: Path, largest: int) -> bytes:
        opened.append(path)
        return bytes(real(path, largest))

    monkeypatch.setattr("services.sources.openshell.certificates.read_bounded", counted)
    files = CertificateFiles()
    for _ in range(3):
        files.bundle(tmp_path, "lab", "https://h:1", "mtls")
    assert len(opened) == 3
    (place / "tls.crt").write_bytes(OVER.certificate)
    again = files.bundle(tmp_path, "lab", "https://h:1", "mtls")
    client = again.of("client")
    assert len(opened) == 4 and client is not None and client.ends == NOW - 2 * DAY


def test_without_the_library_the_dates_are_not_known_and_nothing_is_made_up(
    read: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    found = read(client=OVER)
    client = found.of("client")
    assert client is not None and (client.begins, client.ends) == (None, None)
    assert "not known" in client.left(NOW) and found.soon(NOW) == ""
    assert judged(CLOSED, found).reason == "The gateway lab closed the TLS connection."


def test_plain_text_and_tokens_need_no_bundle(tmp_path: Path) -> None:
    files = CertificateFiles()
    assert files.bundle(tmp_path, "lab", "http://127.0.0.1:1", "mtls") == Bundle()
    assert files.bundle(tmp_path, "lab", "https://127.0.0.1:1", "oidc") == Bundle()


@given(st.text(max_size=300))
def test_no_words_but_a_refused_connection_are_ever_startable(words: str) -> None:
    found = judged(f"Error:   \u00d7 {words}")
    low = words.lower()
    known = ("connection refused", "no active gateway", "no gateway configured", "unknown gateway")
    if not any(one in low for one in (*known, "no gateway metadata")):
        assert not found.status.startable, found


@given(
    st.sampled_from(["certificate", "tls", "TLS", "handshake", "fatal alert", "alert"]),
    st.text(alphabet="abc xyz(),", max_size=60),
)
def test_new_words_of_tls_are_tls_whatever_else_is_said(word: str, more: str) -> None:
    said = f"client error (Connect) {more} {word} {more} tcp connect error"
    assert error_kind(said).of_tls
    assert not judged(f"Error:   \u00d7 {said}").status.startable
