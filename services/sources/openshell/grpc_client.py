"""Conditions, exit codes and health over gRPC: what no text of the 0.0 CLI tells.

See upstream/openshell: Phases; upstream/openshell: Calls over gRPC.

The only module that imports `grpc` and the published stubs, and only when it first asks; without
them, or where they are of another generation than the gateway, the CLI alone is asked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.files.bounded import UnfitError, read_bounded
from services.lazy_dataclass import dataclass
from services.sources.openshell import lists
from services.sources.openshell.cli import config_folder
from services.sources.openshell.cli_version import Version, skewed, version_of
from services.sources.openshell.lifecycle import NO_LIFE, SandboxLife, lifecycle
from services.sources.openshell.records import (
    DEFAULT_WORKSPACE,
    Registration,
    SandboxCondition,
    SandboxRow,
)
from services.text.sanitize import sanitize

CALL_S = 2.0
"""Seconds for everything asked of one gateway in one look."""
LEAST_S = 0.4
"""Seconds below which asking is not begun."""
MOST_PAGES = 50
_PAGE = 100
_MOST_BYTES = 16 << 20
_MOST_CONDITIONS = 20
_DEGRADED = 2
_UNHEALTHY = 3
_AUTH = ("", "mtls", "plaintext")
"""Logins that need no token file: the only ones this module speaks.

See upstream/openshell: Sign-in.
"""
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", _MOST_BYTES),
)


@dataclass(frozen=True, slots=True)
class GrpcSandbox:
    """What gRPC adds to one sandbox."""

    conditions: tuple[SandboxCondition, ...] = ()
    exit_code: int | None = None
    life: SandboxLife = NO_LIFE


@dataclass(frozen=True, slots=True)
class GrpcFacts:
    """What gRPC adds to the CLI's list; `problem` says why it adds nothing."""

    sandboxes: Mapping[tuple[str, str], GrpcSandbox] = field(default_factory=dict)
    """By workspace and name."""
    health: str = ""
    """`degraded` or `unhealthy`; empty where it is well or does not say."""
    problem: str = ""

    def completed(self, row: SandboxRow) -> SandboxRow:
        """A row as the CLI listed it, with what there is beyond; its own words count first."""
        told = self.sandboxes.get((row.workspace or DEFAULT_WORKSPACE, row.name), GrpcSandbox())
        return replace(
            row,
            conditions=row.conditions or told.conditions,
            exit_code=told.exit_code if row.exit_code is None else row.exit_code,
            life=row.life if told.life == NO_LIFE or row.life.restarts is not None else told.life,
        )


@cache
def stubs() -> Version | None:
    """The version of the installed stubs; None where they or grpcio are missing."""
    if find_spec("grpc") is None:
        return None
    try:
        return version_of(metadata.version("openshell"))
    except metadata.PackageNotFoundError:
        return None


def refusal(known: Registration, gateway: Version | None) -> str | None:
    """Why this gateway is not asked over gRPC; None where it can be, empty where nobody asked."""
    mine = stubs()
    if mine is None:
        return ""
    if known.auth not in _AUTH or not urlsplit(known.endpoint).hostname:
        return f"gRPC is not used with the login {known.auth}" if known.auth else ""
    if gateway is None or skewed(mine, gateway):
        return f"the installed openshell package {'.'.join(map(str, mine))} is not of its version"
    return None


async def ask(known: Registration, version: str, limit_s: float = CALL_S) -> GrpcFacts:
    """Everything of one gateway of that version; its thread ends by itself after `CALL_S`."""
    refused = refusal(known, version_of(version))
    if refused is not None:
        return GrpcFacts(problem=refused)
    folder = config_folder() / "gateways" / known.name
    try:
        async with asyncio.timeout(min(limit_s, CALL_S + 0.5)):
            return await asyncio.to_thread(_ask, known, folder)
    except TimeoutError:
        return GrpcFacts(problem="no answer in time")


def _ask(known: Registration, folder: Path) -> GrpcFacts:
    # The library must neither write to the operator's terminal nor mind our children.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        import grpc
        from openshell._proto import openshell_pb2, openshell_pb2_grpc
    except Exception as error:  # whatever a foreign package does while it is loaded
        return GrpcFacts(problem=f"its stubs cannot be loaded: {sanitize(str(error), 80)}")
    try:
        channel = _channel(grpc, known, folder)
    except OSError as error:
        return GrpcFacts(problem=f"its certificates cannot be read: {error.strerror}")
    except UnfitError as error:
        return GrpcFacts(problem=f"its certificates cannot be read: {error}")
    try:
        client = openshell_pb2_grpc.OpenShellStub(channel)
        until = time.monotonic() + CALL_S
        health = client.Health(openshell_pb2.HealthRequest(), timeout=CALL_S).status
        rows = _rows(client, openshell_pb2, until)
    except grpc.RpcError as error:
        code = error.code() if hasattr(error, "code") else None
        return GrpcFacts(problem=sanitize(getattr(code, "name", "no answer").lower(), 40))
    finally:
        channel.close()
    words = {_DEGRADED: "degraded", _UNHEALTHY: "unhealthy"}
    return GrpcFacts(dict(map(_grpc_sandbox, rows)), words.get(health, ""))


def _channel(grpc: Any, known: Registration, folder: Path) -> Any:
    """A channel as the CLI would open one: plain text, or with the client's own certificate."""
    split = urlsplit(known.endpoint)
    secure = split.scheme == "https"
    host = f"[{split.hostname}]" if ":" in (split.hostname or "") else split.hostname
    place = f"{host}:{split.port or (443 if secure else 80)}"
    if not secure:
        return grpc.insecure_channel(place, options=_OPTIONS)
    ca, key, chain = (
        read_bounded(folder / "mtls" / name) for name in ("ca.crt", "tls.key", "tls.crt")
    )
    return grpc.secure_channel(
        place, grpc.ssl_channel_credentials(ca, key, chain), options=_OPTIONS
    )


def _rows(client: Any, pb: Any, until: float) -> list[Any]:
    """Every sandbox; the two generations page and scope in their own ways."""
    scoped = "workspace_scope" in pb.ListSandboxesRequest.DESCRIPTOR.fields_by_name
    rows: list[Any] = []
    token = ""
    for _ in range(MOST_PAGES):
        if scoped:
            asked = pb.ListSandboxesRequest(page_size=_PAGE, page_token=token)
            asked.workspace_scope.all_workspaces.SetInParent()
        else:
            asked = pb.ListSandboxesRequest(limit=_PAGE, offset=len(rows), all_workspaces=True)
        page = client.ListSandboxes(asked, timeout=max(0.05, until - time.monotonic()))
        rows += page.sandboxes
        token = page.next_page_token if scoped else ""
        if not (token if scoped else len(page.sandboxes) >= _PAGE):
            break
    return rows


def _grpc_sandbox(one: Any) -> tuple[tuple[str, str], GrpcSandbox]:
    key = (
        sanitize(one.metadata.workspace, 200) or DEFAULT_WORKSPACE,
        sanitize(one.metadata.name, 200),
    )
    status = _plain(one.status)
    status["host_key_fingerprint"] = getattr(one, "host_key_fingerprint", "")
    spec = {"restart_policy": getattr(one.spec, "restart_policy", None)}
    code = status.get("exit_code")
    return key, GrpcSandbox(
        lists.conditions(status.get("conditions")),
        code if isinstance(code, int) else None,
        lifecycle(status, spec),
    )


def _plain(message: Any) -> dict[str, object]:
    """The fields that are set, as JSON would have them; enums by number, bytes left out."""

    def value(one: Any) -> object:
        return _plain(one) if hasattr(one, "ListFields") else one

    found: dict[str, object] = {}
    for field_, said in message.ListFields():
        if isinstance(said, str | int | float | bool) or hasattr(said, "ListFields"):
            found[field_.name] = value(said)
        elif not isinstance(said, bytes) and not hasattr(said, "items"):
            found[field_.name] = [value(each) for each in list(said)[:_MOST_CONDITIONS]]
    return found
