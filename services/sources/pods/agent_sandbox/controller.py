"""The agent-sandbox controller as a gateway: without it, nothing wakes.

See upstream/agent-sandbox: Controller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import msgspec

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError, json_reader
from services.lazy_dataclass import dataclass
from services.models import Facts, Gateway, GatewayId, GatewayState
from services.net.http import ApiError, Http
from services.sources.pods.judge import instant
from services.sources.pods.pod import Int64
from services.text.format import clock_time
from services.text.sanitize import sanitize

NAME = "agent-sandbox-controller"
LEASE = "a3317529.agent-sandbox.x-k8s.io"
ASKED_AGAIN_S = 60.0
_LEASE_S = 15
T = TypeVar("T")


class _LeaseSpec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: Int64 | None = None
    renew_time: str | None = None


class ControllerLease(msgspec.Struct, frozen=True):
    """Who leads, and when that was last confirmed."""

    spec: _LeaseSpec = _LeaseSpec()


class _DeploymentSpec(msgspec.Struct, frozen=True):
    replicas: Int64 | None = None


class _DeploymentStatus(msgspec.Struct, frozen=True, rename="camel"):
    available_replicas: Int64 | None = None


class ControllerDeployment(msgspec.Struct, frozen=True):
    """How many of it are wanted, and how many serve."""

    spec: _DeploymentSpec = _DeploymentSpec()
    status: _DeploymentStatus = _DeploymentStatus()


_read_lease = json_reader(ControllerLease)
_read_deployment = json_reader(ControllerDeployment)


@dataclass(frozen=True, slots=True)
class ControllerEvidence:
    """What could be read of it; None where that is not there or may not be read."""

    deployment: ControllerDeployment | None = None
    lease: ControllerLease | None = None
    unread: str = ""
    """Why something could not be read."""
    renewed_s: float | None = None
    """For how long we have seen the lease without a renewal, by our own clock."""


def judge_controller(
    seen: ControllerEvidence, namespace: str, now: float
) -> tuple[GatewayState, str]:
    """State and reason; a lease counts by its renewals as seen here, since clocks differ."""
    deployment, lease = seen.deployment, seen.lease
    if deployment is not None:
        wanted = 1 if deployment.spec.replicas is None else deployment.spec.replicas
        available = deployment.status.available_replicas or 0
        if wanted == 0:
            return GatewayState.DOWN, "It is scaled to no replica: nothing will wake."
        if available == 0:
            return GatewayState.DOWN, f"None of its {wanted} replicas serves: nothing will wake."
    if lease is not None:
        spec = lease.spec
        limit = spec.lease_duration_seconds or _LEASE_S
        renewed = instant(spec.renew_time)
        old = renewed is None or now - renewed > limit
        if not spec.holder_identity:
            return GatewayState.SETTLING, "Nobody holds its lease: a new leader is being found."
        if old and seen.renewed_s is not None and seen.renewed_s > limit:
            at = "ever" if renewed is None else clock_time(renewed, with_date=True)
            return GatewayState.DOWN, f"Its lease was not renewed since {at}: nothing will wake."
        if old and deployment is None:
            return GatewayState.SETTLING, "Its lease looks old; the next renewal is waited for."
        return GatewayState.READY, ""
    if deployment is not None:
        return GatewayState.READY, ""
    if seen.unread:
        return GatewayState.UNKNOWN, seen.unread
    return (
        GatewayState.UNKNOWN,
        f"There is no {NAME} in {sanitize(namespace, 80)}: `controller_namespace` says where.",
    )


class Controller:
    """Reads it with each look, two small requests; where it may not be read, once a minute."""

    def __init__(self, http: Http, namespace: str, clock: Clock) -> None:
        self._http = http
        self._namespace = namespace
        self._clock = clock
        self._renewed: tuple[str | None, float] | None = None
        self._refused: dict[str, tuple[float, str]] = {}

    async def look(self) -> ControllerEvidence:
        """What can be read of it now.

        Raises:
            UnavailableError: the server gave no answer.
        """
        place = quote(self._namespace, safe="")
        lease_path = f"/apis/coordination.k8s.io/v1/namespaces/{place}/leases/{LEASE}"
        deployment_path = f"/apis/apps/v1/namespaces/{place}/deployments/{NAME}"
        (lease, why_no_lease), (deployment, why_no_deployment) = await asyncio.gather(
            self._read(lease_path, _read_lease), self._read(deployment_path, _read_deployment)
        )
        return ControllerEvidence(
            deployment, lease, why_no_deployment or why_no_lease, self._unrenewed(lease)
        )

    def row(self, seen: ControllerEvidence, id: GatewayId, now: float, facts: Facts) -> Gateway:
        """The row, with more `facts` of what it keeps up."""
        state, reason = judge_controller(seen, self._namespace, now)
        rows: Facts = (("namespace", sanitize(self._namespace, 80)), *facts)
        if seen.lease is not None:
            rows = (*rows, ("leader", sanitize(seen.lease.spec.holder_identity or "none", 120)))
        if seen.unread:
            rows = (*rows, ("not read", seen.unread))
        return Gateway(id, NAME, state, reason, now, evidence=rows)

    def unread(self, error: UnavailableError, id: GatewayId, now: float, facts: Facts) -> Gateway:
        """The row where the server gave no answer to the question."""
        return self.row(ControllerEvidence(unread=error.sentence), id, now, facts)

    async def _read(self, path: str, decode: Callable[[bytes], T]) -> tuple[T | None, str]:
        """What is there, or nothing and why it may not be read."""
        refused = self._refused.get(path)
        if refused is not None and self._clock.monotonic() - refused[0] < ASKED_AGAIN_S:
            return None, refused[1]
        try:
            return decode(await self._http.get(path)), ""
        except ApiError as error:
            if error.status == 404:
                return None, ""
            why = f"It may not be read: {error.sentence}"
            if error.status == 403:
                what = path.rsplit("/", 2)[1]
                why = f"The user may not get {what} in {sanitize(self._namespace, 80)} (403)."
                self._refused[path] = (self._clock.monotonic(), why)
            return None, why
        except UnfitError:
            return None, "It is described in no known way."

    def _unrenewed(self, lease: ControllerLease | None) -> float | None:
        if lease is None:
            self._renewed = None
            return None
        now = self._clock.monotonic()
        stamp = lease.spec.renew_time
        if self._renewed is None or self._renewed[0] != stamp:
            self._renewed = (stamp, now)
        return now - self._renewed[1]
