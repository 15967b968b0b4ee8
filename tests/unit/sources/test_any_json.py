"""Whatever JSON a network or a command gives: a value or the reader's own refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import WakedeckError
from services.files.bounded import LIMITS, UnfitError, json_reader, parse_json
from services.net import failures
from services.queues.preview import preview
from services.sources.nanoclaw import docker_cli, frames, host_log
from services.sources.openshell import gateway_judge, lists
from services.sources.openshell.cli import CliResult
from services.sources.openshell.cli_version import Toolset
from services.sources.pods import (
    argo_api,
    centml_api,
    centml_token,
    evidence,
    judge,
    kube_observer,
    pod,
    sign_in,
)
from services.sources.vellum import credential, http_probe
from services.terminal.transport import json_frames, k8s_channels

NOW = 1_800_000_000.0
DEEP = "[" * 30_000
HOSTILE = (
    DEEP,
    '{"a":' * 30_000,
    "9" * 30_000,
    "-" + "9" * 400,
    str(2**64),
    str(2**63 - 1),
    "1e400",
    "1e308",
    "-1e308",
    "NaN",
    "-Infinity",
    "true",
    "null",
    "{}",
    "[]",
    "[[]]",
    '""',
    '"\\ud800"',
    '"²"',
    '"9999-12-31T23:59:59-23:59"',
    '"0001-01-01T00:00:00"',
    '"' + "9" * 5000 + '"',
)
STATUS = {"status": "Failure", "reason": "NonZeroExitCode", "message": "no", "details": {}}
STATUS["details"] = {"causes": [{"reason": "ExitCode", "message": "3"}]}
STATE = {"terminated": {"exitCode": 1, "signal": 9, "finishedAt": "2026-01-01T00:00:00Z"}}
POD = {
    "metadata": {"name": "a", "namespace": "b", "annotations": {"k": "v"}, "uid": "u"},
    "spec": {"containers": [{"name": "main"}]},
    "status": {
        "phase": "Running",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01"}],
        "containerStatuses": [{"name": "main", "restartCount": 1, "state": STATE}],
    },
}
ROW = {"name": "a", "phase": "Ready", "exit_code": 1, "labels": {"a": "b"}, "conditions": [{}]}
FORWARD = {"sandbox": "a", "port": 1, "pid": 2, "alive": True, "bind_address": "x"}
GRANTED = {"token": "t", "expirationTimestamp": "2026-01-01T00:00:00Z"}
GRANT = {"apiVersion": "v1", "kind": "ExecCredential", "status": GRANTED}
TOKENS = {"accessToken": "a", "accessTokenExpiresAt": 1, "refreshTokenExpiresAt": "2026-01-01"}


def _read_pod(text: str) -> object:
    found = pod.read_pod(text)
    return judge.judge(found, NOW), evidence.evidence(found)


def _token(text: str) -> object:
    import base64

    data = base64.urlsafe_b64encode(text.encode()).decode()
    return centml_token.expires_at(f"a.{data}.c")


READERS: dict[str, tuple[Callable[[str], object], object]] = {
    "pod": (_read_pod, POD),
    "list of pods": (pod.read_list, {"metadata": {"resourceVersion": "1"}, "items": [POD]}),
    "watch": (pod.read_event, {"type": "ADDED", "object": POD}),
    "version": (lambda text: kube_observer._version(text.encode()), {"gitVersion": "v1"}),
    "credential helper": (lambda text: sign_in.read(text.encode(), "aws", "v1"), GRANT),
    "token": (_token, {"exp": 1}),
    "deployments": (
        lambda text: centml_api.read_list(parse_json(text)),
        {"results": [{"id": 1, "name": "a"}]},
    ),
    "deployment": (
        lambda text: centml_api.evidence(centml_api.read_status(1, "a", parse_json(text))),
        {"status": "x", "revision_pod_details_list": [{"pod_details_list": [{"name": "p"}]}]},
    ),
    "applications": (
        lambda text: argo_api.read_applications(parse_json(text)),
        {"items": [{"metadata": {"name": "a"}, "spec": {"project": "p"}}]},
    ),
    "tree": (
        lambda text: argo_api.read_tree(argo_api.Application("a", "b", "c"), parse_json(text)),
        {"nodes": [{"kind": "Pod", "name": "a", "namespace": "b", "info": [{"name": "n"}]}]},
    ),
    "manifest": (lambda text: argo_api.read_manifest({"manifest": text}), POD),
    "log entry": (lambda text: argo_api.read_log(text.encode()), {"result": {"content": "x"}}),
    "exec status": (lambda text: k8s_channels.parse_status(text.encode()), STATUS),
    "frame": (json_frames.decode, {"data": "x", "error": "y", "Code": 1}),
    "refusal": (lambda text: failures.message_of(text.encode()), {"message": "x"}),
    "containers": (
        lambda text: docker_cli.parse_rows(text.encode()),
        {"ID": "a", "Names": ["b"], "State": "running", "Status": "Up"},
    ),
    "inspected": (
        lambda text: docker_cli.parse_inspected(text.encode()),
        ["id", {"a": "b"}, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", [{"Source": "/x"}]],
    ),
    "host's frame": (
        lambda text: frames.decode(text.encode(), "1"),
        {"id": "1", "ok": True, "data": [{"id": 1}]},
    ),
    "last words": (lambda text: host_log._last_words(f"stderrTail={text}"), ["a", "b"]),
    "gateways": (lambda text: lists.registrations(text, as_json=True), [{"name": "a"}]),
    "sandboxes": (lambda text: lists.sandboxes(text, as_json=True), {"sandboxes": [ROW]}),
    "forwards": (lists.forwards, [FORWARD]),
    "gateway": (
        lambda text: gateway_judge.judge("a", "b", CliResult(0, text, ""), Toolset(), 1.0),
        {"status": "connected", "error": "", "version": "0.0.1", "auth": {"x": 1}},
    ),
    "assistant's answer": (lambda text: http_probe._object(text.encode()), {"status": "ok"}),
    "tokens": (lambda text: credential.judge(parse_json(text), NOW), TOKENS),
    "message": (lambda text: preview(text, len(text)), {"text": "x", "files": [{"name": "f"}]}),
}
MARK = "put it here"


def _places(value: Any) -> Iterator[Any]:
    """The value with a mark in each of its places, one at a time."""
    yield MARK
    if isinstance(value, dict):
        for key, one in value.items():
            yield from ({**value, key: new} for new in _places(one))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from ([*value[:at], new, *value[at + 1 :]] for new in _places(one))


def _read(reader: Callable[[str], object], text: str) -> None:
    try:
        reader(text)
    except (UnfitError, WakedeckError) as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("what", READERS)
def test_a_hostile_value_in_any_place_is_read_or_refused(what: str) -> None:
    reader, sound = READERS[what]
    reader(json.dumps(sound))
    for place in _places(sound):
        for value in HOSTILE:
            _read(reader, json.dumps(place).replace(json.dumps(MARK), value))


@given(st.sampled_from(sorted(READERS)), st.text('[]{}":,\\0e-tfnu19 ²é\x00\ud800', max_size=40))
def test_any_text_is_read_or_refused(what: str, text: str) -> None:
    _read(READERS[what][0], text.encode("utf-8", "replace").decode())


@pytest.mark.parametrize("data", [b"\xff", b'{"metadata":{"annotations":{"\xff":"a"}}}'])
def test_what_is_not_utf8_is_read_or_refused(data: bytes) -> None:
    for read in (pod.read_pod, pod.read_list, pod.read_event, parse_json):
        try:
            read(data)
        except UnfitError as error:
            assert "\n" not in str(error)
        else:
            assert read is not parse_json, "text that is not UTF-8 was read as text"


def test_it_is_bounded_before_it_is_decoded() -> None:
    large = " " * (LIMITS.size + 1)
    for read in (parse_json, json_reader(dict)):
        with pytest.raises(UnfitError, match="larger than"):
            read(large)
