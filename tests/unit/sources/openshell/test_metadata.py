"""What the files of OpenShell's command say of gateways and of what was last used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.sources.openshell.metadata import last_used, registrations
from services.sources.openshell.records import DEFAULT_WORKSPACE, Target


@pytest.mark.parametrize(
    ("told", "endpoint", "kind", "auth"),
    [
        ({"gateway_endpoint": "https://a:1", "is_remote": True}, "https://a:1", "remote", "mtls"),
        ({"is_remote": False, "auth_mode": "oidc"}, "", "local", "oidc"),
        ({"is_remote": "true", "auth_mode": ""}, "", "local", "mtls"),
    ],
)
def test_a_registration(
    tmp_path: Path, told: dict[str, object], endpoint: str, kind: str, auth: str
) -> None:
    folder = tmp_path / "gateways" / "lab"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(told), "utf-8")
    (one,) = registrations(tmp_path)
    assert (one.name, one.endpoint, one.kind, one.auth) == ("lab", endpoint, kind, auth)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("box\n", Target("lab", "box", DEFAULT_WORKSPACE)),
        ("work box", Target("lab", "box", "work")),
        ("", None),
        ("one two three", None),
        ("work -box", None),
        ("-work box", None),
    ],
)
def test_what_was_last_used(tmp_path: Path, text: str, target: Target | None) -> None:
    folder = tmp_path / "gateways" / "lab"
    folder.mkdir(parents=True)
    assert last_used(tmp_path, "lab") is None
    (folder / "last_sandbox").write_text(text, "utf-8")
    assert last_used(tmp_path, "lab") == target
