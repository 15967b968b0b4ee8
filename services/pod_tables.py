"""Tables of the configuration file for pods: Kubernetes, CentML and Argo CD."""

from __future__ import annotations

from typing import Annotated

import msgspec

Interval = Annotated[float, msgspec.Meta(ge=0.5, le=300)]


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
