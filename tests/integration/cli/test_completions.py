"""Shell completions come from the real parser; bash runs them here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.clock import SystemClock
from services.journal.store import Journal
from services.models import Event, Severity

ROOT = Path(__file__).resolve().parents[3]
ASK = """\
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_wakedeck_completion wakedeck
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def program(home: Path) -> Path:
    """`wakedeck` as a command on the PATH, from this tree."""
    folder = home / "bin"
    folder.mkdir()
    place = folder / "wakedeck"
    place.write_text(
        f"#!{sys.executable}\n"
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tui.cli.main import main\nmain()\n",
        "utf-8",
    )
    place.chmod(0o755)
    return place


def run(home: Path, *argv: str) -> str:
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=home,
        env={"HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"},
    )
    return done.stdout


def offered(home: Path, program: Path, *words: str) -> list[str]:
    script = home / "completion.bash"
    script.write_text(run(home, str(program), "completions", "bash"), "utf-8")
    said = run(home, "bash", "--norc", "-c", ASK, "bash", str(script), "wakedeck", *words)
    return said.split()


@pytest.mark.kit("bash")
def test_bash_completes_commands_and_options(home: Path, program: Path) -> None:
    assert offered(home, program, "co") == ["completions", "config"]
    assert "--since" in offered(home, program, "events", "--s")
    assert offered(home, program, "completions", "z") == ["zsh"]
    assert set(offered(home, program, "config", "")) == {"default", "init", "path", "show"}


@pytest.mark.kit("bash")
def test_bash_completes_profiles_faults_and_shells(home: Path, program: Path) -> None:
    folder = home / ".config" / "wakedeck"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("[profiles.night]\n[profiles.day]\n", "utf-8")
    assert offered(home, program, "--profile", "") == ["day", "night"]
    other = home / "other.toml"
    other.write_text("[profiles.alone]\n", "utf-8")
    assert offered(home, program, "--config", str(other), "--profile", "") == ["alone"]
    assert "gateway-kill" in offered(home, program, "local", "fault", "x", "gateway")
    assert offered(home, program, "shell", "x", "--shell", "b") == ["bash"]


@pytest.mark.kit("bash")
async def test_bash_completes_sandboxes_the_journal_knows(home: Path, program: Path) -> None:
    state = home / ".local/state/wakedeck"
    state.mkdir(parents=True)
    journal = Journal(state / "journal.db", SystemClock())
    await journal.open()
    for name in ("data-pull", "night-watch"):
        journal.record(Event(time.time(), Severity.INFO, "local", name, "sandbox", "is ready"))
    await journal.close()
    assert offered(home, program, "wake", "ni") == ["night-watch"]
    assert offered(home, program, "wake", "local/d") == ["local/data-pull"]


@pytest.mark.kit("bash")
def test_what_is_unusable_is_silence(home: Path, program: Path) -> None:
    folder = home / ".config" / "wakedeck"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("= broken", "utf-8")
    assert offered(home, program, "--profile", "") == []
    assert offered(home, program, "wake", "") == []


@pytest.mark.parametrize(
    ("shell", "said"), [("zsh", "#compdef wakedeck"), ("fish", "complete --no-files")]
)
def test_the_other_shells_have_theirs(home: Path, program: Path, shell: str, said: str) -> None:
    script = run(home, str(program), "completions", shell)
    assert said in script
    assert "_WAKEDECK_COMPLETE" in script
