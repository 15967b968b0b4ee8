"""`wakedeck reconnect` and `wakedeck shell --agent` over OpenShell, as processes of their own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.errors import RefusedError
from tests.support.openshell_script import Script, register, script
from tui.cli import raw_shell

ROOT = Path(__file__).resolve().parents[4]
_PROGRAM = (sys.executable, "-c", "from tui.cli.main import main; main()")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    phases = {"alpha": "Ready", "beta": "Ready", "gamma": "Ready"}
    played = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw": "connected"},
        sandboxes={"nemoclaw": phases},
    )
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "wakedeck.toml").write_text('[sources.os]\nkind = "openshell"\n')
    return played


def command(folder: Path, *words: str) -> list[str]:
    return [*_PROGRAM, "--config", str(folder / "wakedeck.toml"), *words]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *words), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def reached(made: Script) -> list[str]:
    """The sandboxes a command was run in."""
    names = [call.split(" -n ")[1].split()[0] for call in made.calls() if "exec -n" in call]
    return list(dict.fromkeys(names))


def test_without_a_name_it_is_nemoclaws_default_and_a_name_counts_more(
    made: Script, tmp_path: Path, home: Path
) -> None:
    register(home, "alpha", "beta", default="beta")
    done = run(tmp_path, "reconnect")
    assert done.returncode == 0, done.stderr
    assert "the default sandbox: os/nemoclaw/beta" in done.stderr
    assert reached(made) == ["beta"]
    made.forget()
    assert run(tmp_path, "reconnect", "gamma").returncode == 0
    assert reached(made) == ["gamma"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("reconnect",), 2, "os/nemoclaw/alpha, os/nemoclaw/beta, os/nemoclaw/gamma"),
        (("reconnect", "nobody"), 4, "There are: alpha, beta, gamma"),
        (("reconnect", "gama"), 4, "did you mean 'gamma'?"),
        (("reconnect", "--", "--all"), 4, "There are: alpha, beta, gamma"),
        (("reconnect", "alpha", "beta"), 2, "[SANDBOX]"),
    ],
)
def test_a_name_that_is_not_meant_reaches_no_sandbox(
    made: Script, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert made.acts() == []


def test_a_default_that_the_register_does_not_hold_is_the_first_of_it(
    made: Script, tmp_path: Path, home: Path
) -> None:
    register(home, "gamma", "beta", default="gone")
    assert run(tmp_path, "reconnect").returncode == 0
    assert reached(made) == ["gamma"]


def on_a_terminal(folder: Path, *words: str, answers: list[tuple[str, bytes]]) -> tuple[int, str]:
    """Run it on a terminal; each answer is typed once its words are there."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        command(folder, *words), cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    heard, end = "", time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if answers and answers[0][0] in heard:
                os.write(ours, answers.pop(0)[1])
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    heard += os.read(ours, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        return child.wait(timeout=30), heard
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def test_attaching_from_the_command_line_asks_first(made: Script, tmp_path: Path) -> None:
    code, heard = on_a_terminal(
        tmp_path, "shell", "alpha", "--agent", answers=[("Attach? [y/N]", b"n\r")]
    )
    assert code == 3 and "puts the sandbox in Error" in heard
    assert not any("connect" in call for call in made.calls())
    code, heard = on_a_terminal(
        tmp_path,
        *("shell", "alpha", "--agent"),
        answers=[("Attach? [y/N]", b"y\r"), ("agent$", b"\x10\x11")],
    )
    assert code == 0 and "the agent is at work" in heard
    assert "left by keys" in made.calls()
    assert made.state()["sandboxes"]["nemoclaw"]["alpha"] == "Ready"


def test_where_there_is_no_agent_there_is_nothing_to_attach_to() -> None:
    with pytest.raises(RefusedError, match="no agent"):
        raw_shell.confirm_attach("")
