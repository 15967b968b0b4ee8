"""What Argo CD tells of applications and their pods (upstream/pods: Argo CD address)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import quote, urlencode

from services.errors import NotFoundError, UnavailableError
from services.files.bounded import UnfitError, parse_json
from services.lazy_dataclass import dataclass
from services.models import Facts, SandboxId, SandboxState
from services.sources.pods.judgement import PodJudgement, words_for
from services.sources.pods.pod import Pod, read_pod
from services.text.redact import redact_line
from services.text.sanitize import sanitize

COOKIE = "argocd.token"
LONGEST_ENTRY = 64 * 1024
"""Bytes of one entry of a log, JSON and all."""
_COOKIE_BYTES = 3800
"""Longest value of one cookie; a longer token travels in several.

See upstream/pods: Argo CD address.
"""


@dataclass(frozen=True, slots=True)
class Application:
    """One application."""

    name: str
    namespace: str = ""
    """Where the application object is; empty for Argo CD's own."""
    project: str = "default"


@dataclass(frozen=True, slots=True)
class AppPod:
    """One pod in an application's tree."""

    application: Application
    namespace: str
    name: str
    health: str = ""
    info: Mapping[str, str] = field(default_factory=dict)

    @property
    def native_id(self) -> str:
        """`application/namespace/pod`."""
        return f"{self.application.name}/{self.namespace}/{self.name}"

    @property
    def status(self) -> str:
        """The word Argo CD shows for what the pod does."""
        return self.info.get("Status Reason") or self.health or "Unknown"


def read_applications(value: Any) -> tuple[Application, ...]:
    """Applications of a list answer.

    Raises:
        UnavailableError: that is none.
    """
    items = value.get("items", "missing") if isinstance(value, dict) else "missing"
    if items is not None and not isinstance(items, list):
        raise UnavailableError("Argo CD answered with something else than applications.")
    return tuple(map(read_application, items or ()))


def read_application(value: Any) -> Application:
    """One application.

    Raises:
        UnavailableError: that is none.
    """
    try:
        about, spec = value["metadata"], value.get("spec") or {}
        name, namespace = about["name"], about.get("namespace") or ""
        project = spec.get("project") or "default"
    except (KeyError, TypeError, AttributeError) as error:
        raise UnavailableError("Argo CD answered with something else than an application.") from (
            error
        )
    if not all(isinstance(one, str) for one in (name, namespace, project)):
        raise UnavailableError("Argo CD answered with something else than an application.")
    return Application(name, namespace, project)


def read_tree(application: Application, value: Any) -> tuple[AppPod, ...]:
    """Pods of a resource tree.

    Raises:
        UnavailableError: that is none.
    """
    nodes = value.get("nodes") if isinstance(value, dict) else None
    if nodes is None:
        nodes = []
    if not isinstance(nodes, list):
        raise UnavailableError("Argo CD answered with something else than a tree of resources.")
    found = []
    for one in nodes:
        if not isinstance(one, dict) or one.get("kind") != "Pod":
            continue
        name, namespace = one.get("name"), one.get("namespace")
        if isinstance(name, str) and isinstance(namespace, str):
            health = one.get("health")
            status = health.get("status") if isinstance(health, dict) else ""
            found.append(
                AppPod(application, namespace, name, sanitize(str(status or ""), 60), _info(one))
            )
    return tuple(found)


def _info(node: dict[str, Any]) -> dict[str, str]:
    rows = node.get("info")
    return {
        sanitize(str(one.get("name")), 60): sanitize(str(one.get("value")), 120)
        for one in (rows if isinstance(rows, list) else [])
        if isinstance(one, dict)
    }


def read_manifest(value: Any) -> Pod:
    """The pod of a resource answer, whose manifest is JSON in text.

    Raises:
        UnavailableError: that is none.
    """
    try:
        return read_pod(value["manifest"])
    except (KeyError, TypeError, UnfitError) as error:
        raise UnavailableError("Argo CD answered with something else than a pod.") from error


_HEALTH = {
    "Degraded": (SandboxState.STUCK, "Argo CD calls it degraded"),
    "Progressing": (SandboxState.SETTLING, "Argo CD says that it is not ready yet"),
    "Missing": (SandboxState.UNKNOWN, "Argo CD says that it is missing"),
    "Unknown": (SandboxState.UNKNOWN, "Argo CD does not know whether it is healthy"),
    "Suspended": (SandboxState.STUCK, "Argo CD calls it suspended"),
}


def judge(pod: AppPod) -> PodJudgement:
    """What a pod is, why, and whether a shell can be had in it."""
    state, said = words_for(pod.status)
    if state is SandboxState.READY and pod.health not in ("", "Healthy"):
        state, said = _HEALTH.get(
            pod.health,
            (SandboxState.UNKNOWN, f"Argo CD calls it {pod.health!r}, which is not known here"),
        )
    running = pod.status == "Running"
    return PodJudgement(state, said, "" if running else f"it is {pod.status}")


def evidence(pod: AppPod) -> Facts:
    """What the judgement rests on."""
    return (
        ("application", sanitize(pod.application.name, 100)),
        ("project", sanitize(pod.application.project, 100)),
        ("namespace", sanitize(pod.namespace, 100)),
        ("health", pod.health or "unknown"),
        *pod.info.items(),
    )


def split_id(sandbox: SandboxId) -> tuple[str, str, str]:
    """Application, namespace and pod.

    Raises:
        NotFoundError: that is no name of ours.
    """
    parts = sandbox.native_id.split("/")
    if len(parts) != 3 or not all(parts):
        raise NotFoundError(f"There is no pod {sanitize(sandbox.native_id, 100)!r}.")
    return parts[0], parts[1], parts[2]


def cookies(token: str) -> str:
    """The Cookie header of a token; a long one is split, the first part led by the count."""
    parts = [token[at : at + _COOKIE_BYTES] for at in range(0, len(token), _COOKIE_BYTES)]
    if len(parts) < 2:
        return f"{COOKIE}={token}"
    rows = [f"{COOKIE}={len(parts)}:{parts[0]}"]
    rows += [f"{COOKIE}-{number}={part}" for number, part in enumerate(parts[1:], 1)]
    return "; ".join(rows)


def terminal_url(base: str, pod: AppPod, container: str, shell: str) -> str:
    """Where a terminal is (upstream/pods: Argo CD address)."""
    scheme, _, rest = base.rstrip("/").partition("://")
    query = {
        "pod": pod.name,
        "container": container,
        "appName": pod.application.name,
        "projectName": pod.application.project,
        "namespace": pod.namespace,
    }
    if pod.application.namespace:
        query["appNamespace"] = pod.application.namespace
    query["shell"] = shell
    secure = "wss" if scheme == "https" else "ws"
    return f"{secure}://{rest}/terminal?{urlencode(query, quote_via=quote, safe='')}"


def logs_of(pod: AppPod) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Where the logs of a pod are read: path and query."""
    app = pod.application
    names = (quote(app.name, safe=""), quote(pod.name, safe=""))
    query = [("namespace", pod.namespace), ("project", app.project)]
    query += [("appNamespace", app.namespace)] if app.namespace else []
    return f"/api/v1/applications/{names[0]}/pods/{names[1]}/logs", tuple(query)


def read_log(line: bytes) -> bytes:
    """What one entry of a log says; entries are JSON objects, one a line.

    Raises:
        UnavailableError: the server says what went wrong instead.
    """
    try:
        entry = parse_json(line) if line.strip() else {}
    except UnfitError:
        return b""
    if not isinstance(entry, dict):
        return b""
    error, told = entry.get("error"), entry.get("result")
    if isinstance(error, dict):
        said = redact_line(str(error.get("message", "")), 200) or "it did not say why"
        raise UnavailableError(f"Argo CD gave up the log: {said.rstrip('.')}.")
    content = told.get("content") if isinstance(told, dict) else None
    return content.encode("utf-8", "replace") if isinstance(content, str) else b""
