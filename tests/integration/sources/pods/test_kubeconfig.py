"""The kubeconfig loader: kubectl is its oracle, and what is wrong with a file is said."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.errors import NotFoundError, UnavailableError, WakedeckError
from services.sources.pods import kubeconfig
from services.sources.pods.access import Access
from tests.support import kits
from tests.support.kubectl import kubectl
from tests.support.tls import Authority

pytestmark = pytest.mark.kit("yaml")

FIRST = """
apiVersion: v1
kind: Config
current-context: prod
preferences: {}
clusters:
- name: prod
  cluster:
    server: https://prod.example:6443/
    certificate-authority: certs/ca.pem
    tls-server-name: api.internal
    proxy-url: http://proxy.example:3128
- name: lab
  cluster:
    server: http://lab.example:8080
users:
- name: robot
  user:
    tokenFile: tokens/robot
- name: person
  user:
    client-certificate: certs/me.pem
    client-key: certs/me.key
contexts:
- name: prod
  context: {cluster: prod, user: robot, namespace: agents}
- name: lab
  context: {cluster: lab, user: person}
"""
SECOND = """
apiVersion: v1
kind: Config
current-context: ignored
clusters:
- name: prod
  cluster: {server: "https://ignored.example"}
- name: cloud
  cluster:
    server: https://cloud.example
    insecure-skip-tls-verify: true
users:
- name: cloud
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: ./bin/get-token
      args: [--cluster, cloud]
      env: [{name: REGION, value: here}]
      provideClusterInfo: true
      interactiveMode: Never
- name: plain
  user: {token: plain-token}
- name: basic
  user: {username: me, password: sesame}
contexts:
- name: cloud
  context: {cluster: cloud, user: cloud, namespace: agents}
- name: token
  context: {cluster: cloud, user: plain}
- name: basic
  context: {cluster: cloud, user: basic}
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Two merged files in folders of their own, and what they name."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "config").write_text(FIRST)
    (two / "config").write_text(SECOND)
    authority = Authority(one / "certs")
    certificate, key = authority.issue("me", use="clientAuth")
    assert certificate.name == "me.pem" and key.name == "me.key"
    (one / "tokens").mkdir()
    (one / "tokens" / "robot").write_text("robots-token")
    missing = tmp_path / "missing"
    joined = os.pathsep.join(map(str, (one / "config", missing, two / "config")))
    return {"KUBECONFIG": joined, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}


def oracle(files: dict[str, str], context: str) -> dict[str, Any]:
    """What kubectl makes of it."""
    kits.need("kubectl")
    words = ["config", "view", "--raw", "--minify", "--flatten", "-o", "json", "--context"]
    done = subprocess.run(
        [kubectl(), *words, context], env=files, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def decoded(table: dict[str, Any], key: str) -> str:
    return base64.b64decode(table.get(f"{key}-data", "")).decode()


@pytest.mark.parametrize("context", ["prod", "lab", "cloud", "token", "basic"])
def test_we_read_what_kubectl_reads(files: dict[str, str], context: str) -> None:
    seen = oracle(files, context)
    cluster = seen["clusters"][0]["cluster"]
    user = seen["users"][0]["user"]
    about = seen["contexts"][0]["context"]
    ours: Access = kubeconfig.load("", context, "", files)
    assert ours.namespace == about.get("namespace", "default")
    assert ours.cluster.server == cluster["server"].rstrip("/")
    assert ours.cluster.authority == decoded(cluster, "certificate-authority")
    assert ours.cluster.tls_name == cluster.get("tls-server-name", "")
    assert ours.cluster.proxy == cluster.get("proxy-url", "")
    assert ours.cluster.unverified == cluster.get("insecure-skip-tls-verify", False)
    assert ours.identity.name == about["user"]
    assert ours.identity.token == user.get("token", "")
    assert ours.identity.certificate == decoded(user, "client-certificate")
    assert ours.identity.key == decoded(user, "client-key")
    assert ours.identity.username == user.get("username", "")
    assert ours.identity.password == user.get("password", "")
    if "tokenFile" in user:
        # kubectl leaves this path as it stands in the file; both mean the same file.
        assert ours.identity.token_file is not None
        assert ours.identity.token_file.read_text() == "robots-token"
    if "exec" in user:
        helper = ours.identity.helper
        assert helper is not None
        assert Path(helper.argv[0]).name == "get-token" and helper.argv[1:] == (
            "--cluster",
            "cloud",
        )
        assert Path(helper.argv[0]).is_absolute()
        assert helper.version == user["exec"]["apiVersion"]
        assert helper.environment == (("REGION", "here"),)
        assert helper.wants_cluster


def test_the_current_context_is_the_first_files(files: dict[str, str]) -> None:
    assert kubeconfig.load("", "", "", files).context == "prod"
    assert kubeconfig.load("", "", "other", files).namespace == "other"
    assert kubeconfig.contexts("", files) == ("basic", "cloud", "lab", "prod", "token")


def test_nothing_secret_shows(files: dict[str, str]) -> None:
    said = repr([kubeconfig.load("", one, "", files) for one in ("prod", "lab", "token", "basic")])
    assert "plain-token" not in said and "sesame" not in said and "PRIVATE KEY" not in said


PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
BROKEN = [
    ("a: [", r"it is not YAML \(line 2\)"),
    ("just words", "not a mapping"),
    ("{}", "no current context"),
    ("current-context: gone", "no context 'gone'"),
    (FIRST.replace("{cluster: prod,", "{cluster: gone,"), "no cluster 'gone'"),
    (FIRST.replace("user: robot,", "user: gone,"), "no user 'gone'"),
    (
        FIRST.replace("server: https://prod.example:6443/", "x: y").replace(
            "certificate-authority:", "z:"
        ),
        "no server",
    ),
    (FIRST, "certificate-authority .* cannot be read"),
    (
        "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: {server: 'https://x', "
        "certificate-authority-data: '!!'}}]\nusers: [{name: u, user: {}}]",
        "not base64",
    ),
]


def one_user(user: str) -> str:
    return (
        "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: {server: 'https://x'}}]\n"
        f"users: [{{name: u, user: {user}}}]"
    )


USERS = [
    ("{as-groups: [admins], token: x}", "acts as a group or uid of nobody"),
    ('{as: "a\\nb", token: x}', "acts as a name no header can hold"),
    ("{auth-provider: {name: gcp}}", "auth-provider 'gcp'"),
    ("{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}", "v1alpha1"),
    ("{exec: {apiVersion: client.authentication.k8s.io/v1}}", "has no command"),
]


@pytest.mark.parametrize(
    ("text", "words"), BROKEN + [(one_user(user), words) for user, words in USERS]
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(WakedeckError, match=words):
        kubeconfig.load(str(path), "", "", {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="gone") as caught:
        kubeconfig.load(str(tmp_path / "gone"), "", "", {})
    assert "kubeconfig" in caught.value.advice
    with pytest.raises(UnavailableError, match="config"):
        kubeconfig.load("", "", "", {})


def test_what_is_not_yaml_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- token: hush-hush: [\n")
    with pytest.raises(UnavailableError) as caught:
        kubeconfig.load(str(path), "", "", {})
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "hush" not in str(chain)
        chain = chain.__cause__


def test_a_pod_uses_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("ca.crt", f"# ours\n{PEM}"), ("namespace", "agents\n"), ("token", "t")):
        (tmp_path / name).write_text(text)
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    ours = kubeconfig.inside(env, "", tmp_path)
    assert ours.cluster.server == "https://[fd00::1]:6443" and ours.cluster.authority == PEM
    assert ours.namespace == "agents" and ours.identity.token_file == tmp_path / "token"
    with pytest.raises(NotFoundError):
        kubeconfig.load("", "named", "", {**env, "KUBECONFIG": str(_empty(tmp_path))})


def _empty(folder: Path) -> Path:
    path = folder / "empty"
    path.write_text("{}")
    return path
