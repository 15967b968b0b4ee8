"""What the entries of a kubeconfig mean, as kubectl takes them, and what is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from services.errors import UnavailableError
from services.sources.pods.kubeconfig import cluster_of, identity_of, inside

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
OTHER = PEM.replace("AAAA", "BBBB")


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def table(folder: Path = Path("/etc/kube"), /, **more: Any) -> dict[str, Any]:
    return {"": folder, **{key.replace("_", "-"): value for key, value in more.items()}}


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("https://a:6443", "https://a:6443"),
        ("https://a/", "https://a"),
        ("a:8080", "http://a:8080"),
        ("http://a", "http://a"),
    ],
)
def test_the_server_of_a_cluster(server: str, address: str) -> None:
    found = cluster_of(table(server=server))
    assert (found.server, found.authority) == (address, "")


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("", "has no server"),
        (7, "has no server"),
        ("ftp://a", "'ftp://a' is not an address: it is no http or https address"),
        ("https://", "is not an address"),
        ("https://a:0", "is not an address"),
        ("https://a:x", "is not an address: Port could not"),
        ("ftp://user:secret@a", "'a' is not an address"),
    ],
)
def test_a_server_that_is_no_address(server: object, why: str) -> None:
    with pytest.raises(UnavailableError) as told:
        cluster_of(table(server=server))
    assert why in told.value.sentence
    assert "secret" not in told.value.sentence


@pytest.mark.parametrize(("said", "skipped"), [(True, True), (False, False), ("true", False)])
def test_tls_is_unchecked_only_where_that_is_said(said: object, skipped: bool) -> None:
    found = cluster_of(table(server="https://a", insecure_skip_tls_verify=said))
    assert found.unverified is skipped


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (PEM, PEM),
        (f"Subject: x\n{PEM}\nnoise {OTHER} more", f"{PEM}\n{OTHER}"),
        (f"-----BEGIN X-----\nno end\n{PEM}", PEM),
        (f"{PEM}\n-----BEGIN X", PEM),
        (f"{PEM}\n-----BEGIN X-----\nä\n-----END X-----", PEM),
    ],
)
def test_pem_blocks_whatever_stands_around_them(tmp_path: Path, text: str, kept: str) -> None:
    (tmp_path / "ca.crt").write_text(text, "utf-8")
    for more in (
        {"certificate_authority": "ca.crt"},
        {"certificate_authority_data": coded(text)},
        {"certificate_authority": "missing", "certificate_authority_data": coded(text)},
    ):
        found = cluster_of(table(tmp_path, server="https://a", **more))
        assert found.authority == f"{kept}\n"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"certificate_authority": "missing"}, "ca/missing cannot be read: No such file"),
        ({"certificate_authority": "empty"}, "ca/empty is not PEM text"),
        ({"certificate_authority_data": "%%"}, "certificate-authority-data is not base64"),
        ({"certificate_authority_data": coded("x")}, "certificate-authority-data is not PEM"),
    ],
)
def test_an_authority_that_cannot_be_had(tmp_path: Path, more: dict[str, str], why: str) -> None:
    folder = tmp_path / "ca"
    folder.mkdir()
    (folder / "empty").touch()
    with pytest.raises(UnavailableError) as told:
        cluster_of(table(folder, server="https://a", **more))
    assert why in told.value.sentence


def test_whom_a_user_acts_as() -> None:
    extra = {"Scopes/x": ["a", "b"], "none": 7}
    found = identity_of(
        "me", table(**{"as": "you"}, as_uid="7", as_groups=["g", ""], as_user_extra=extra)
    )
    assert found.acts_as == (
        ("Impersonate-User", "you"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "g"),
        ("Impersonate-Extra-scopes%2Fx", "a"),
        ("Impersonate-Extra-scopes%2Fx", "b"),
    )
    assert identity_of("me", table(token="t")).acts_as == ()
    with pytest.raises(UnavailableError, match="acts as a group or uid of nobody"):
        identity_of("me", table(as_uid="7"))
    for bad in ("ä", "a\nb"):
        with pytest.raises(UnavailableError, match="no header can hold"):
            identity_of("me", table(**{"as": bad}))


@pytest.mark.parametrize(
    ("command", "first"),
    [("aws", "aws"), ("bin/aws", "/etc/kube/bin/aws"), ("/opt/aws", "/opt/aws")],
)
def test_a_helper_is_found_from_where_its_file_stands(command: str, first: str) -> None:
    helper = {"apiVersion": "client.authentication.k8s.io/v1", "command": command}
    more = {"args": ["token", 7], "env": [{"name": "A", "value": "b"}, 3]}
    found = identity_of("me", table(exec={**helper, **more})).helper
    assert found is not None
    assert found.argv == (first, "token", "")
    assert found.environment == (("A", "b"),)


@pytest.mark.parametrize(
    ("mode", "always", "may"),
    [
        (None, False, True),
        ("IfAvailable", False, True),
        ("Always", True, True),
        ("Never", False, False),
        ("Sometimes", False, False),
    ],
)
def test_whether_a_helper_may_ask(mode: str | None, always: bool, may: bool) -> None:
    version = "client.authentication.k8s.io/v1beta1"
    helper = {"apiVersion": version, "command": "x", "interactiveMode": mode}
    found = identity_of("me", table(exec={**helper, "provideClusterInfo": "yes"})).helper
    assert found is not None
    assert (found.interactive, found.may_ask, found.wants_cluster) == (always, may, False)
    told = identity_of("me", table(exec={**helper, "provideClusterInfo": True})).helper
    assert told is not None and told.wants_cluster


@pytest.mark.parametrize(
    ("helper", "why"),
    [
        ({"apiVersion": "v0", "command": "x"}, "speaks 'v0'; known are"),
        ({"command": "x"}, "speaks ''"),
        ({"apiVersion": "client.authentication.k8s.io/v1"}, "has no command"),
    ],
)
def test_a_helper_that_cannot_be_run(helper: dict[str, str], why: str) -> None:
    with pytest.raises(UnavailableError) as told:
        identity_of("me", table(exec=helper))
    assert why in told.value.sentence


def test_a_provider_that_is_no_more_matters_only_where_it_is_all_there_is() -> None:
    provider = {"auth-provider": {"name": "gcp"}}
    with pytest.raises(UnavailableError, match="auth-provider 'gcp', which Kubernetes no longer"):
        identity_of("me", {**table(), **provider})
    assert identity_of("me", {**table(token="t"), **provider}).token == "t"
    assert identity_of("me", table()).name == "me"


def test_the_account_of_the_pod_a_panel_runs_in(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM, "utf-8")
    (tmp_path / "namespace").write_text("own\n", "utf-8")
    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    access = inside(env, "", tmp_path)
    assert (access.cluster.server, access.namespace) == ("https://10.0.0.1:443", "own")
    six = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    access = inside(six, "other", tmp_path)
    assert (access.cluster.server, access.namespace) == ("https://[fd00::1]:6443", "other")
    (tmp_path / "namespace").write_text("", "utf-8")
    assert inside(env, "", tmp_path).namespace == "default"
    (tmp_path / "namespace").unlink()
    with pytest.raises(UnavailableError, match="its service account cannot be read: No such file"):
        inside(env, "", tmp_path)
