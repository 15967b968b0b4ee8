"""The table of sick pods, told by the real kubectl and by this panel: where they differ, and why.

The STATUS column of `kubectl get` is made by the API server; what kubectl concludes itself is in
`kubectl describe`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.models import SandboxState
from services.sources.pods import judge
from services.sources.pods.judgement import waiting_words
from services.sources.pods.pod import Pod
from tests.integration.sources.pods.test_kubectl import cluster, run
from tests.unit.sources.pods.test_judge import NOW, ROWS, VERDICTS

pytestmark = pytest.mark.kit("kubectl")

PODS: list[Pod] = [*(row[0] for row in ROWS), *(row[0] for row in VERDICTS)]
NOT_RUNNING = {
    "does not pass its readiness probe": "kubectl shows Ready: False beside Status: Running",
    "crashes again": "kubectl shows the phase, the reason only below its container",
    "its node does not answer": "kubectl shows the phase the node told last",
    "ended": "kubectl shows the phase, the end only below its container",
    "readiness gate is closed": "kubectl shows the gates apart",
    "its cluster says it is not ready": "kubectl shows the condition apart",
    "about to be evicted": "kubectl shows the condition apart",
    "does not say whether it is ready": "kubectl shows what conditions there are",
    "a word this panel does not know": "kubectl shows the word as it is",
}
"""Why a pod of Status Running is not ready here, by what this panel says of it."""
STATES = {
    "Pending": {SandboxState.SETTLING, SandboxState.STUCK, SandboxState.BROKEN},
    "Succeeded": {SandboxState.ASLEEP},
    "Failed": {SandboxState.BROKEN},
    "Terminating": {SandboxState.SETTLING, SandboxState.STUCK, SandboxState.UNKNOWN},
    "Unknown": {SandboxState.UNKNOWN},
    "Invented": {SandboxState.UNKNOWN},
}
"""What this panel may say of a pod by kubectl's own first word."""


def described(number: int) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(PODS[number])
    value |= {"apiVersion": "v1", "kind": "Pod"}
    value["metadata"] |= {"name": f"sick-{number:02d}", "uid": f"uid-{number}"}
    # kubectl 1.32 panics without it.
    value["metadata"] |= {"deletionGracePeriodSeconds": 30}
    return value


def field(name: str, text: str) -> str:
    found = re.search(rf"^{name}:\s+(\S.*)$", text, re.MULTILINE)
    return found[1] if found else ""


async def test_kubectl_and_this_panel_agree_but_where_it_is_known_why(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (api, config):
        await api.remove("box")
        for number in range(len(PODS)):
            await api.put(described(number))
        code, out, err = await run(config, "describe", "pods", "--show-events=false")
    assert code == 0, err
    told = out.decode().split("\n\n\n")
    assert len(told) == len(PODS)
    differs = set()
    for text, pod in zip(told, PODS, strict=True):
        ours = judge.judge(pod, NOW)
        status = field("Status", text).split(" ")[0]
        if status == "Running":
            why = next((one for one in NOT_RUNNING if one in ours.reason), "")
            assert bool(why) is (ours.state is not SandboxState.READY), (text, ours)
            differs.add(why)
        else:
            assert ours.state in STATES[status], (text, ours)
        reasons = re.findall(r"State:\s+Waiting\n\s+Reason:\s+(\S+)", text)
        reasons = [one for one in reasons if waiting_words(one)[0] is not SandboxState.SETTLING]
        assert not reasons or any(one in ours.reason for one in reasons), (text, ours)
        if reason := field("Reason", text):
            assert reason in ours.reason or ours.state is SandboxState.UNKNOWN, (text, ours)
    assert differs - {""} == NOT_RUNNING.keys(), "each difference has a pod that shows it"
