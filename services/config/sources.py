"""What can be said of each source in `[sources.NAME]`; `kind` names the table."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Interval = Annotated[float, msgspec.Meta(ge=0.5, le=300)]


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind"):
    """A table whose `kind` says which it is."""


class LocalTable(_Table, frozen=True, tag="local"):
    """`kind = "local"`: the embedded world."""

    label: str = "local"
    """What the panel calls it."""
    root: str = ""
    """Its folder; empty for the one in the state directory."""
    interval_s: Interval = 1.0
    """Seconds between polls, 0.5 to 300."""


class OpenShellTable(_Table, frozen=True, tag="openshell"):
    """`kind = "openshell"`: OpenShell gateways and NemoClaw, through the `openshell` command."""

    label: str = "openshell"
    """What the panel calls it."""
    interval_s: Interval = 3.0
    """Seconds between polls, 0.5 to 300."""
    binary: str = ""
    """Path of the command; empty: looked for."""
    gateways: tuple[str, ...] = ()
    """Which registered gateways to show; empty: all."""
    registry: str = "~/.nemoclaw/sandboxes.json"
    """NemoClaw's register; empty: none."""
    start: dict[str, tuple[str, ...]] = {}
    """Gateway name to the command, as a list of arguments, that starts its service."""
    forwards: bool = True
    """Whether a reconnect also repairs forwarded ports."""
    log_level: Literal["", "error", "warn", "info", "debug", "trace"] = ""
    """The least that its log shows; empty: as the command has it."""
    log_source: Literal["", "gateway", "sandbox", "all"] = ""
    """Whose log is shown; empty: as the command has it."""


class NanoClawTable(_Table, frozen=True, tag="nanoclaw"):
    """`kind = "nanoclaw"`: one NanoClaw v2 install."""

    label: str = "nanoclaw"
    """What the panel calls it."""
    root: str = ""
    """The folder its host is started in; empty for the only one in the usual places."""
    interval_s: Interval = 5.0
    """Seconds between polls, 0.5 to 300."""
    nudge_text: Annotated[str, msgspec.Meta(max_length=400)] = ""
    """What a nudge says; empty for the built-in words."""
    nudge_sender: str = "cli:local"
    """The user id a nudge comes from: chats that are not public admit only those they know."""


class KubernetesTable(_Table, frozen=True, tag="kubernetes"):
    """`kind = "kubernetes"`: the pods of one context."""

    label: str = ""
    """What the panel calls it; empty: the context."""
    interval_s: Interval = 3.0
    """Seconds between polls, 0.5 to 300."""
    kubeconfig: str = ""
    """The file; empty: what KUBECONFIG names, or ~/.kube/config."""
    context: str = ""
    """Empty: the current one."""
    namespace: str = ""
    """Empty: the context's own."""
    namespaces: tuple[str, ...] = ()
    """Several, instead of one."""
    all_namespaces: bool = False
    """Every namespace instead of one."""
    selector: str = ""
    """Only pods with these labels, such as "app=agent"."""
    container: str = ""
    """The one preferred where a pod has it."""
    background_sign_in: bool = False
    """Whether polling may run the kubeconfig's credential helper, unasked."""
    auto_reconnect: bool = False
    """Whether a lost shell is opened again by itself."""
    resumable: bool = False
    """Shells inside tmux or screen, where the container has one."""
    controller_namespace: str = "agent-sandbox-system"
    """Where the agent-sandbox controller runs, in clusters that have one."""


class CentmlTable(_Table, frozen=True, tag="centml"):
    """`kind = "centml"`: deployments of one account of the CentML platform."""

    label: str = ""
    """What the panel calls it; empty: CentML."""
    interval_s: Interval = 10.0
    """Seconds between polls, 0.5 to 300."""
    url: str = ""
    """The platform; empty: its usual address, or CENTML_PLATFORM_API_URL."""
    deployments: tuple[int, ...] = ()
    """Which deployments; empty: all of the account."""
    background_sign_in: bool = False
    """Whether polling may renew the sign-in, unasked."""
    auto_reconnect: bool = False
    """Whether a lost shell is opened again by itself."""
    allow_plain: bool = False
    """Whether a credential may travel unencrypted to another machine."""


class ArgoTable(_Table, frozen=True, tag="argocd"):
    """`kind = "argocd"`: pods of the applications of one Argo CD."""

    label: str = ""
    """What the panel calls it; empty: Argo CD."""
    interval_s: Interval = 10.0
    """Seconds between polls, 0.5 to 300."""
    url: str = ""
    """The server, such as https://argo.example.com."""
    applications: tuple[str, ...] = ()
    """Which applications; empty: all."""
    token_file: str = ""
    """Holds the token; empty: the variable ARGOCD_AUTH_TOKEN."""
    authority: str = ""
    """Who signed the server's certificate, if this system does not know; a PEM file."""
    container: str = ""
    """The one preferred where a pod has it."""
    auto_reconnect: bool = False
    """Whether a lost shell is opened again by itself."""
    allow_plain: bool = False
    """Whether a credential may travel unencrypted to another machine."""


class VellumTable(_Table, frozen=True, tag="vellum"):
    """`kind = "vellum"`: the assistants of one Vellum environment on this machine."""

    label: str = "vellum"
    """What the panel calls it."""
    interval_s: Interval = 5.0
    """Seconds between polls, 0.5 to 300."""
    environment: Literal["", "production", "staging", "test", "dev", "local"] = ""
    """Empty for the one Vellum itself would use."""
    command: str = "vellum"
    """Its name on the PATH, or a path."""


class OpenClawTable(_Table, frozen=True, tag="openclaw"):
    """`kind = "openclaw"`: the OpenClaw gateways of this user, or one by its address."""

    label: str = "openclaw"
    """What the panel calls it."""
    interval_s: Interval = 5.0
    """Seconds between polls, 0.5 to 300."""
    state_dir: str = ""
    """One state directory; empty: ~/.openclaw and every ~/.openclaw-PROFILE."""
    url: str = ""
    """Instead: one gateway by its address, wss, or ws on this machine such as a tunnel."""
    tls_fingerprint: str = ""
    """SHA-256 of the certificate behind a wss `url`: that one is trusted, and no other."""
    credential: Literal["", "config"] = ""
    """Whether it is read over its WebSocket with the token or password of its configuration."""
    token_file: str = ""
    """Instead: a file that holds its token."""
    token_env: str = ""
    """Instead: the variable that holds its token."""
    command: str = "openclaw"
    """Its name on the PATH, or a path; run for a wake and a restart alone."""


class TerminalTable(_Table, frozen=True, tag="terminal"):
    """`kind = "terminal"`: one WebSocket terminal server."""

    label: str = ""
    """What the panel calls it; empty: the name of its table."""
    interval_s: Interval = 5.0
    """Seconds between polls, 0.5 to 300."""
    url: str = ""
    """The server (http, https), or its terminal itself (ws, wss)."""
    family: Literal["terminado", "ttyd", "json"] = "terminado"
    """What it speaks; Jupyter speaks terminado."""
    token_file: str = ""
    """Holds its token or USER:PASSWORD; empty: what the address says, if anything."""
    authority: str = ""
    """Who signed the server's certificate, if this system does not know; a PEM file."""
    exec: bool = False
    """Whether each connection is a new POSIX shell, so that commands may be typed into it."""
    auto_reconnect: bool = False
    """Whether a lost shell is opened again by itself."""
    allow_plain: bool = False
    """Whether a credential may travel unencrypted to another machine."""


class RemoteTable(_Table, frozen=True, tag="remote"):
    """`kind = "remote"`: what the Wakedeck on another machine sees, through ssh."""

    label: str = ""
    """What the panel calls it; empty: its name here."""
    interval_s: Interval = 5.0
    """Seconds after which ages are renewed; changes are told at once. 0.5 to 300."""
    host: str = ""
    """The host as ssh knows it."""
    command: tuple[str, ...] = ()
    """Instead of `host`: a command, as a list of arguments, that ends in `source --stdio`."""
    profile: str = ""
    """The profile of the configuration there; empty: its own default."""
    only: tuple[str, ...] = ()
    """Which of its sources; empty: all."""


class ExternalTable(_Table, frozen=True, tag="external"):
    """`kind = "external"`: a program of yours that speaks the source protocol."""

    label: str = ""
    """What the panel calls it; empty: its name here."""
    interval_s: Interval = 5.0
    """Seconds after which ages are renewed; changes are told at once. 0.5 to 300."""
    command: tuple[str, ...] = ()
    """The program, as a list of arguments."""
    only: tuple[str, ...] = ()
    """Which of its sources; empty: all."""


SourceTable: TypeAlias = (
    LocalTable
    | OpenShellTable
    | NanoClawTable
    | VellumTable
    | OpenClawTable
    | KubernetesTable
    | CentmlTable
    | ArgoTable
    | TerminalTable
    | RemoteTable
    | ExternalTable
)
"""Any table below `[sources]`; its `kind` says which."""
