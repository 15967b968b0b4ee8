"""What is not known is not none: each failing call in `status`, `sandboxes` and `reconnect NAME`.

With the real command where a gateway of ours can be made to fail so, and with the script elsewhere.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sources.openshell.test_commands import run
from tests.support.openshell_kit import kit
from tests.support.openshell_live import NAME, LiveGateway, live_gateway
from tests.support.openshell_script import Script, script

REFUSED_LOGIN = "code: 'The request does not have valid authentication credentials', message: \"x\""
FORBIDDEN = "code: 'The caller does not have permission to execute the specified operation'"
LISTS = {
    "server error": ([1, "", "Error:   × code: 'Internal error', message: \"locked\"\n"], "locked"),
    "full": ([1, "", "Error:   × code: 'Some resource has been exhausted'\n"], "exhausted"),
    "usage": (
        [2, "", "error: unexpected argument '--limit' found\n\nUsage: x\n"],
        "not know `--lim",
    ),
    "unreadable": ([0, "half of a {", ""], "cannot be understood"),
    "not allowed": ([1, "", f'Error:   × {FORBIDDEN}, message: "no"\n'], "no"),
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    played = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"lab": "connected"},
        sandboxes={"lab": {"alpha": "Ready"}},
    )
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "wakedeck.toml").write_text('[sources.os]\nkind = "openshell"\n')
    return played


def told(folder: Path) -> tuple[dict[str, object], str, int]:
    """`status --json`, what `sandboxes` prints, and that its exit code is the status's."""
    status = run(folder, "status", "--json")
    listed = run(folder, "sandboxes")
    assert status.returncode == listed.returncode, listed.stderr
    found: dict[str, object] = json.loads(status.stdout)
    return found, listed.stdout + listed.stderr, listed.returncode


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_fails_is_not_an_empty_one_and_the_name_is_asked_for(
    made: Script, tmp_path: Path, name: str
) -> None:
    fault, words = LISTS[name]
    made.set(say={"sandbox list": fault})
    status, listed, code = told(tmp_path)
    assert code == 1 and status["attention"] is True
    assert words in listed and "no sandboxes" not in listed.lower()
    for never in ("Usage:", "docs.rs", "MetadataMap", "code: '"):
        assert never not in listed
    done = run(tmp_path, "reconnect", "os/lab/alpha")
    assert done.returncode == 0, done.stderr
    assert any("sandbox get alpha" in call for call in made.calls())
    assert [call for call in made.acts() if "exec" not in call] == []


def test_a_refused_login_asks_for_a_sign_in_and_starts_nothing(
    made: Script, tmp_path: Path
) -> None:
    made.set(say={"sandbox list": [1, "", f"Error:   × {REFUSED_LOGIN}\n"]})
    status, listed, code = told(tmp_path)
    assert code == 1 and "ot accept this login" in listed and status["attention"] is True
    made.set(
        say={
            one: [1, "", f"Error:   × {REFUSED_LOGIN}\n"] for one in ("sandbox list", "sandbox get")
        }
    )
    done = run(tmp_path, "reconnect", "os/lab/alpha")
    assert done.returncode == 1 and "gateway login" in done.stdout + done.stderr
    assert made.acts() == []


def test_registrations_that_cannot_be_listed_are_not_none(made: Script, tmp_path: Path) -> None:
    made.set(say={"gateway list": [1, "", "Error:   × the folder is locked\n"]})
    _, listed, code = told(tmp_path)
    assert code == 1 and "no sandboxes" not in listed.lower()
    assert "Which gateways are registered is not known: the folder is locked" in listed
    done = run(tmp_path, "reconnect", "os/lab/alpha")
    assert done.returncode == 1 and made.acts() == []


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveGateway]:
    found = kit()
    with live_gateway(found.stubs(), tmp_path, monkeypatch, "alpha") as one:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        (tmp_path / "wakedeck.toml").write_text(
            f'[sources.os]\nkind = "openshell"\nbinary = "{found.cli()}"\nregistry = ""\n'
            f'[sources.os.start]\n{NAME} = ["touch", "{tmp_path}/started"]\n'
        )
        yield one


def named_within(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    began = time.monotonic()
    done = run(folder, "status")
    took = time.monotonic() - began
    assert words in done.stdout + done.stderr and done.returncode == 1, done
    assert took < 45, "the look itself has five seconds; the rest is a loaded machine's"
    return done


@pytest.mark.kit("openshell")
def test_a_stopped_gateway_is_hung_and_nothing_is_started_for_it(
    gateway: LiveGateway, tmp_path: Path
) -> None:
    assert gateway._process is not None
    os.kill(gateway._process.pid, signal.SIGSTOP)
    named_within(tmp_path, "hung")
    done = run(tmp_path, "reconnect", f"os/{NAME}/alpha")
    assert done.returncode == 1 and not (tmp_path / "started").exists()
    os.kill(gateway._process.pid, signal.SIGCONT)


@pytest.mark.kit("openshell")
def test_a_killed_gateway_is_down_and_only_a_verb_starts_it(
    gateway: LiveGateway, tmp_path: Path
) -> None:
    gateway.kill()
    named_within(tmp_path, "refused")
    assert not (tmp_path / "started").exists(), "looking starts nothing"


@pytest.mark.kit("openshell")
@pytest.mark.parametrize(
    ("fault", "words"),
    [("unauthenticated", "ot accept this login"), ("denied", "not allowed")],
)
def test_a_login_without_a_right_is_named_by_the_real_command_too(
    gateway: LiveGateway, tmp_path: Path, fault: str, words: str
) -> None:
    gateway.order(fault=fault)
    named_within(tmp_path, words)
    done = run(tmp_path, "reconnect", f"os/{NAME}/alpha")
    assert done.returncode == 1 and not (tmp_path / "started").exists()
