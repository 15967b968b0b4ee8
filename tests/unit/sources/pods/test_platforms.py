"""Answers and credentials of the platforms that keep pods: what is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.errors import SignedOutError, UnavailableError
from services.models import SandboxState
from services.sources.pods import argo_api
from services.sources.pods.argo_api import Application, AppPod, read_application
from services.sources.pods.centml_api import RUNNING, Deployment, PodInfo, judge_pod
from services.sources.pods.centml_token import PLATFORM, CentmlCredential, base_url
from tests.support.clock import FakeClock


def credential(folder: Path, token: Any) -> CentmlCredential:
    (folder / "credentials.json").write_text(json.dumps({"access_token": token}))
    return CentmlCredential(FakeClock(), {"CENTML_CONFIG_PATH": str(folder)}, folder)


@pytest.mark.parametrize("token", ["with space", "tab\there", "nul\0", "ünsent", "line\nend"])
def test_a_token_that_no_header_carries_is_never_sent(tmp_path: Path, token: str) -> None:
    with pytest.raises(UnavailableError) as refused:
        credential(tmp_path, token).token()
    assert not isinstance(refused.value, SignedOutError) and token not in str(refused.value)


def test_a_token_is_used_as_it_is(tmp_path: Path) -> None:
    assert credential(tmp_path, "abc.def-1").headers() == {"Authorization": "Bearer abc.def-1"}
    with pytest.raises(SignedOutError):
        credential(tmp_path, "").token()


def test_a_shell_can_be_had_in_the_pods_that_run() -> None:
    pods = (PodInfo("a", RUNNING), PodInfo("", RUNNING), PodInfo("b", "Pending"))
    assert Deployment(1, "x", "", pods=pods).running == ("a",)
    assert Deployment(1, "x", "").running == ()


@pytest.mark.parametrize(("status", "why"), [("Pending", "it is Pending"), ("", "it is unknown")])
def test_a_pod_without_a_shell_says_why(status: str, why: str) -> None:
    judged = judge_pod(PodInfo("a", status))
    assert judged.no_shell == why and judged.state is not SandboxState.READY
    assert judge_pod(PodInfo("a", RUNNING)).no_shell == ""


@pytest.mark.parametrize(
    ("spec", "project"),
    [({"project": "p"}, "p"), ({"project": ""}, "default"), ({}, "default"), (None, "default")],
)
def test_an_application_without_a_project_is_in_the_default_one(spec: Any, project: str) -> None:
    answer = {"metadata": {"name": "a", "namespace": "n"}, "spec": spec}
    assert read_application(answer) == Application("a", "n", project)


def test_the_platform_is_where_the_option_says_else_the_environment() -> None:
    environ = {"CENTML_PLATFORM_API_URL": "https://there/"}
    assert base_url("https://here/", environ) == "https://here"
    assert base_url("", environ) == "https://there"
    assert base_url("", {}) == PLATFORM.rstrip("/")


def test_argo_calls_only_a_pod_degraded_that_is_ready_otherwise() -> None:
    application = Application("a", "n", "default")

    def judged(health: str, status: str) -> SandboxState:
        return argo_api.judge(
            AppPod(application, "n", "p", health, {"Status Reason": status})
        ).state

    assert judged("Healthy", "Running") is SandboxState.READY
    assert judged("Degraded", "Running") is SandboxState.STUCK
    assert judged("Degraded", "CrashLoopBackOff") is SandboxState.BROKEN
