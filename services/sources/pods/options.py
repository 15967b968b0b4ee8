"""What an operator configures of each kind of pod source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """`kind = "kubernetes"`."""

    kubeconfig: str = ""
    """One file; empty for KUBECONFIG, the usual file, or the pod this panel runs in."""
    context: str = ""
    namespace: str = ""
    """Empty for the context's."""
    all_namespaces: bool = False
    selector: str = ""
    """A label selector."""
    container: str = ""
    """Preferred where a pod has it."""
    background_sign_in: bool = False
    """Looking may run the kubeconfig's credential helper, unasked."""
    auto_reconnect: bool = False
    resumable: bool = False
    """Shells run inside tmux or screen where the container has one."""


@dataclass(frozen=True, slots=True)
class CentmlOptions:
    """`kind = "centml"`."""

    url: str = ""
    """Empty for CENTML_PLATFORM_API_URL or the public platform."""
    deployments: tuple[int, ...] = ()
    """Empty for all of the account."""
    background_sign_in: bool = False
    auto_reconnect: bool = False
    allow_plain: bool = False
    """Send the token over http to another machine."""


@dataclass(frozen=True, slots=True)
class ArgoOptions:
    """`kind = "argocd"`."""

    url: str = ""
    applications: tuple[str, ...] = ()
    """`name` or `namespace/name`; empty for all that can be seen."""
    token_file: str = ""
    """Empty for the variable ARGOCD_AUTH_TOKEN."""
    authority: str = ""
    """PEM file of who signed the server's certificate; empty for the system's authorities."""
    container: str = ""
    auto_reconnect: bool = False
    allow_plain: bool = False
