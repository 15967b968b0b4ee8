"""A resource that breaks the shape of its kind is one row of its own; the others stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.files.bounded import UnfitError
from services.models import SandboxState
from services.sources.pods import judge
from services.sources.pods.agent_sandbox.records import claim_kind, sandbox_kind
from services.sources.pods.pod import UNREADABLE, read_list, read_pod

NAMED = {"name": "box", "namespace": "default", "uid": "u-1", "resourceVersion": "7"}
WELL = {
    "metadata": {"name": "well", "namespace": "default"},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "main", "ready": True, "state": {"running": {}}}],
    },
}
SICK: list[dict[str, Any]] = [
    {"metadata": NAMED, "status": None},
    {"metadata": NAMED, "spec": None},
    {"metadata": NAMED, "status": {"conditions": [{"type": "Ready", "status": True}]}},
    {"metadata": NAMED, "status": {"containerStatuses": ["main", 3, None]}},
    {"metadata": NAMED, "status": {"containerStatuses": [{"restartCount": "7"}]}},
    {"metadata": {**NAMED, "annotations": {"a": 1}}, "status": {"phase": "Running"}},
]


@pytest.mark.parametrize("sick", SICK, ids=range(len(SICK)))
def test_one_sick_pod_is_unknown_and_the_others_stay(sick: dict[str, Any]) -> None:
    told = {"resourceVersion": "9", "continue": "t"}
    body = json.dumps({"metadata": told, "items": [sick, WELL]})
    listed = read_list(body)
    assert (listed.metadata.resource_version, listed.metadata.continue_) == ("9", "t")
    first, second = (judge.judge(one, 0.0) for one in listed.items)
    assert listed.items[0].native_id == "default/box"
    assert (first.state, first.reason) == (SandboxState.UNKNOWN, UNREADABLE)
    assert first.no_shell
    assert second.state is SandboxState.READY


def test_a_changed_pod_that_is_sick_keeps_its_version() -> None:
    assert read_pod(json.dumps(SICK[0])).metadata.resource_version == "7"


def test_a_list_whose_items_are_null_is_empty() -> None:
    assert read_list('{"metadata":{"resourceVersion":"9"},"items":null}').items == []


@pytest.mark.parametrize(
    "body",
    [
        *("[]", '{"items":["x"]}', '{"items":[', "null", "{}", '{"metadata":{}}'),
        *('{"kind":"Status","status":"Failure","code":500}', '{"kind":"Table","items":[]}'),
    ],
)
def test_what_is_something_else_is_no_empty_list(body: str) -> None:
    with pytest.raises(UnfitError):
        read_list(body)


def test_a_sick_sandbox_and_a_sick_claim_are_known_by_name() -> None:
    sick = {"metadata": NAMED, "status": {"conditions": "none"}}
    [one] = sandbox_kind("v1beta1").read_list(json.dumps({"items": [sick]}).encode()).items
    ready = one.condition("Ready")
    assert ready is not None
    assert (one.key, ready.status, ready.message) == ("default/box", "Unknown", UNREADABLE)
    told = {"metadata": NAMED, "status": {"sandbox": "box"}}
    [claim] = claim_kind("v1beta1").read_list(json.dumps({"items": [told]}).encode()).items
    assert (claim.metadata.name, claim.status.sandbox) == ("box", None)
