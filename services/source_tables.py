"""What can be said of each source in `[sources.NAME]`; `kind` names the table."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Interval = Annotated[float, msgspec.Meta(ge=0.5, le=300)]


class LocalTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="local", tag_field="kind"
):
    """`kind = "local"`: the embedded world."""

    label: str = "local"
    root: str = ""
    """Its folder; empty for the one in the state directory."""
    interval_s: Interval = 1.0


class OpenShellTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="openshell", tag_field="kind"
):
    """`kind = "openshell"`: OpenShell gateways and NemoClaw, through the `openshell` command."""

    label: str = "openshell"
    interval_s: Interval = 3.0
    binary: str = ""
    """Path of the command; empty: looked for."""
    gateways: list[str] = []
    """Which registered gateways to show; empty: all."""
    registry: str = "~/.nemoclaw/sandboxes.json"
    """NemoClaw's register; empty: none."""
    start: dict[str, list[str]] = {}
    """Gateway name to the command, as a list of arguments, that starts its service."""
    forwards: bool = True
    """Whether a reconnect also repairs forwarded ports."""
    log_level: Literal["", "error", "warn", "info", "debug", "trace"] = ""
    log_source: Literal["", "gateway", "sandbox", "all"] = ""


class NanoClawTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="nanoclaw", tag_field="kind"
):
    """`kind = "nanoclaw"`: one NanoClaw v2 install."""

    label: str = "nanoclaw"
    root: str = ""
    """The folder its host is started in; empty for the only one in the usual places."""
    interval_s: Interval = 5.0
    nudge_text: Annotated[str, msgspec.Meta(max_length=400)] = ""
    """What a nudge says; empty for the built-in words."""
    nudge_sender: str = "cli:local"
    """The user id a nudge comes from: chats that are not public admit only those they know."""


class KubernetesTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="kubernetes", tag_field="kind"
):
    """`kind = "kubernetes"`: the pods of one context."""

    label: str = ""
    interval_s: Interval = 3.0
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    all_namespaces: bool = False
    selector: str = ""
    container: str = ""
    background_sign_in: bool = False
    auto_reconnect: bool = False
    resumable: bool = False


class CentmlTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="centml", tag_field="kind"
):
    """`kind = "centml"`: deployments of one account of the CentML platform."""

    label: str = ""
    interval_s: Interval = 10.0
    url: str = ""
    deployments: tuple[int, ...] = ()
    background_sign_in: bool = False
    auto_reconnect: bool = False
    allow_plain: bool = False


class ArgoTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="argocd", tag_field="kind"
):
    """`kind = "argocd"`: pods of the applications of one Argo CD."""

    label: str = ""
    interval_s: Interval = 10.0
    url: str = ""
    applications: tuple[str, ...] = ()
    token_file: str = ""
    authority: str = ""
    container: str = ""
    auto_reconnect: bool = False
    allow_plain: bool = False


class VellumTable(
    msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag="vellum", tag_field="kind"
):
    """`kind = "vellum"`: the assistants of one Vellum environment on this machine."""

    label: str = "vellum"
    interval_s: Interval = 5.0
    environment: Literal["", "production", "staging", "test", "dev", "local"] = ""
    """Empty for the one Vellum itself would use."""
    command: str = "vellum"
    """Its name on the PATH, or a path."""


SourceTable: TypeAlias = (
    LocalTable
    | OpenShellTable
    | NanoClawTable
    | VellumTable
    | KubernetesTable
    | CentmlTable
    | ArgoTable
)
"""Any table below `[sources]`; its `kind` says which."""
