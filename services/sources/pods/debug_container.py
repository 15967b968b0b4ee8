"""A debug container for a pod without a shell: asked for, added, and waited for.

See upstream/pods: Debug containers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from services.clock import Clock
from services.config.sources import KubernetesTable
from services.errors import NotFoundError, RefusedError, UnavailableError
from services.files.bounded import UnfitError, json_reader
from services.models import SandboxId, SandboxState, Step
from services.net.http import ApiError
from services.sources.pods.access import IN_CLUSTER
from services.sources.pods.judge import ending
from services.sources.pods.judgement import waiting_words
from services.sources.pods.kube_access import KubeAccess
from services.sources.pods.kube_client import pod_path, read_one, split_id
from services.sources.pods.pod import ContainerStatus, Pod, container_of
from services.sources.pods.shell_commands import DEBUG_IMAGE, debug_command
from services.sources.pods.writes import WritingHttp
from services.sources.protocol.proposer import Proposal
from services.sources.protocol.steps import StepBuilder
from services.text.sanitize import sanitize

DEBUG = "debug"
_START_S = 120.0
_ASK_S = 0.5
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:@/-]{0,300}")


class ReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class AccessReview(msgspec.Struct, frozen=True):
    """What a server answers when it is asked for a permission."""

    status: ReviewStatus = ReviewStatus()


_read_review = json_reader(AccessReview)


class ReachesPods(Protocol):
    """The cluster as the operator reaches it, signed in."""

    async def pod_of(self, sandbox: SandboxId) -> SandboxId:
        """The pod behind a row."""

    async def writing(self) -> WritingHttp:
        """A connection that can patch."""

    async def access(self) -> KubeAccess:
        """How it is reached."""


class DebugProposer:
    """Adds one container with a shell to a running pod, after a question."""

    verbs = ((DEBUG, "Add a debug container to"),)

    def __init__(
        self, source: str, cluster: ReachesPods, table: KubernetesTable, clock: Clock
    ) -> None:
        self._source = source
        self._cluster = cluster
        self._table = table
        self._clock = clock

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """Whether it may be done now, and what it means; `words` are the image."""
        if sandbox.source != self._source or verb != DEBUG:
            raise NotFoundError(f"{sanitize(verb, 40)} cannot be done to {sanitize(str(sandbox))}.")
        pod_id = await self._cluster.pod_of(sandbox)
        namespace, name = split_id(pod_id)
        http = await self._cluster.writing()
        pod = await read_one(http, namespace, name)
        target, added, image = (
            container_of(pod, self._table.container),
            _free_name(pod),
            words or DEBUG_IMAGE,
        )
        context = (await self._cluster.access()).credential.access.context
        where = ("" if context == IN_CLUSTER else context), namespace, name, target
        by_hand = sanitize(debug_command(*where, image), 500)
        refusal = _refusal(pod)
        if not refusal and not await _may_add(http, namespace, name):
            refusal = (
                "the user may not patch pods/ephemeralcontainers there;"
                f" whoever may does it with: {by_hand}"
            )
        wrong_image = not _IMAGE.fullmatch(image)
        return Proposal(
            sandbox,
            verb,
            "Add a debug container to this pod?",
            sanitize(pod_id.native_id, 253),
            f"Image {sanitize(image, 200)}, beside container {sanitize(target, 60)}, whose"
            " processes it sees.\n"
            f"It is called {added}, stays as long as the pod, and cannot be taken away; its"
            " shell opens here.\n"
            f"The same by hand: {by_hand}",
            "Add",
            refusal=refusal or ("that is no image's name" if wrong_image else ""),
            token="\n".join((pod_id.native_id, pod.metadata.uid, target, added, image)),
            act=f"adding a debug container to {sanitize(name, 100)}",
            words="" if refusal else image,
            container=added,
        )

    async def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Add it, if the pod is still the one that was shown, and wait until it runs."""
        if proposal.refusal:
            raise RefusedError("It cannot be done: nothing was added.")
        native, uid, target, added, image = proposal.token.split("\n")
        namespace, name = split_id(SandboxId(self._source, native))
        http = await self._cluster.writing()
        adding = StepBuilder("add", self._clock, _START_S)
        yield adding.running(f"container {added}, image {sanitize(image, 200)}")
        pod = await read_one(http, namespace, name)
        if pod.metadata.uid != uid or pod.container(added) is not None:
            raise RefusedError("It is no longer the pod you were shown: nothing was added.")
        container = {
            "name": added,
            "image": image,
            "targetContainerName": target,
            "stdin": True,
            "tty": True,
        }
        changes = {"metadata": {"uid": uid}, "spec": {"ephemeralContainers": [container]}}
        try:
            await http.strategic_patch(f"{pod_path(namespace, name)}/ephemeralcontainers", changes)
        except ApiError as error:
            said = f": {error.said}" if error.said else ""
            yield adding.failed(f"The cluster refused it ({error.status}){said}.")
            return
        yield adding.ok()
        starting = StepBuilder("start", self._clock, _START_S)
        yield starting.running("its image is pulled")
        until = self._clock.monotonic() + _START_S
        while (failed := _state(await read_one(http, namespace, name), added)) is None:
            if self._clock.monotonic() > until:
                failed = f"it does not run after {_START_S:g} s"
                break
            await self._clock.sleep(_ASK_S)
        if failed:
            yield starting.failed(f"The debug container {added} was added: {failed}.")
        else:
            yield starting.ok(f"The debug container {added} runs in {sanitize(name, 100)}.")


def _free_name(pod: Pod) -> str:
    taken = {one.name for one in pod.containers}
    return next(name for number in range(1, 10_000) if (name := f"debug-{number}") not in taken)


def _refusal(pod: Pod) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "the pod is being deleted"
    if pod.status.phase in ("Succeeded", "Failed"):
        return "a finished pod takes no more containers"
    return "" if pod.spec.node_name else "the pod has no node yet"


async def _may_add(http: WritingHttp, namespace: str, name: str) -> bool:
    """Whether the cluster says so; where it cannot be asked, the patch itself tells."""
    asked = {
        "namespace": namespace,
        "name": name,
        "verb": "patch",
        "resource": "pods",
        "subresource": "ephemeralcontainers",
    }
    question = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    try:
        return _read_review(await http.review(_REVIEWS, question)).status.allowed
    except ApiError as error:
        if error.status in (403, 404):
            return True
        raise
    except UnfitError as error:
        raise UnavailableError(f"{http.address} did not say what the user may do.") from error


def _state(pod: Pod, name: str) -> str | None:
    """Why it will not run; empty where it does, None while that is open."""
    status = next((one for one in pod.statuses if one.name == name), ContainerStatus())
    state = status.state
    if state is None:
        return None
    if state.running is not None:
        return ""
    if state.terminated is not None:
        return ending(status, state.terminated)
    reason = "" if state.waiting is None else state.waiting.reason or ""
    if not reason or waiting_words(reason)[0] is SandboxState.SETTLING:
        return None
    said = sanitize((state.waiting.message if state.waiting is not None else "") or "", 160)
    return f"{waiting_words(reason)[1]}{f'; {said}' if said else ''}"
