"""The commands as a script sees them: real processes, exit codes, stdout for data alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.waiting import eventually_sync
from tui.cli.exit import Exit
from tui.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


@dataclass
class Machine:
    """A home of its own, and the command in it."""

    home: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from tui.cli.main import main; main()", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            env={
                "HOME": str(self.home),
                "PATH": os.environ["PATH"],
                "LC_ALL": "C.UTF-8",
                **variables,
            },
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def until(self, holds: Callable[[], bool]) -> None:
        eventually_sync(holds, limit=PATIENCE_S, what=lambda: self.run("status").stdout)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """An embedded world that is up and ready, for the tests of this file."""
    made = Machine(tmp_path_factory.mktemp("machine"))
    assert made.run("local", "up").returncode == Exit.DONE
    try:
        made.until(lambda: made.run("status").returncode == Exit.DONE)
        yield made
    finally:
        assert made.run("local", "down").returncode == Exit.DONE


@pytest.fixture
def bare(home: Path) -> Machine:
    """A machine on which nothing was ever done."""
    return Machine(home)


def test_status_says_what_needs_attention(machine: Machine, bare: Machine) -> None:
    done = machine.run("status")
    assert done.returncode == Exit.DONE
    assert "◉ ready" in done.stdout
    assert machine.json("status")["attention"] is False
    down = bare.run("status")
    assert down.returncode == Exit.FAILED
    assert "∅ absent" in down.stdout


def test_listings_are_data_on_stdout_and_versioned(machine: Machine) -> None:
    listed = machine.json("sandboxes")
    assert listed["schema"] == 1
    names = [one["name"] for one in listed["sandboxes"]]
    assert "data-pull" in names
    queue = machine.json("queues", "data-pull")
    assert queue["schema"] == 1
    assert queue["sandbox"] == "local/data-pull"
    world = machine.json("local", "status")
    assert {one["state"] for one in world["processes"]} == {"running"}
    assert machine.run("sandboxes").stderr == ""


def test_exec_gives_the_code_of_the_command(machine: Machine) -> None:
    done = machine.run("exec", "data-pull", "--", "sh", "-c", "echo said; exit 7")
    assert (done.returncode, done.stdout) == (7, "said\n")
    lost = machine.run("exec", "data-pull", "--timeout", "0.3", "--", "sleep", "60")
    assert lost.returncode == Exit.LOST
    assert "outcome unknown" in lost.stderr
    assert lost.stdout == ""


@pytest.mark.parametrize("command", ["queues", "wake", "reconnect"])
def test_an_unknown_sandbox_is_4_and_names_the_nearest(machine: Machine, command: str) -> None:
    done = machine.run(command, "data-pul")
    assert done.returncode == Exit.UNKNOWN_SANDBOX
    assert "did you mean 'data-pull'?" in done.stderr
    assert done.stdout == ""


def test_read_only_refuses_with_3(machine: Machine) -> None:
    for arguments in (["wake", "data-pull"], ["exec", "data-pull", "--", "true"]):
        done = machine.run("--read-only", *arguments)
        assert done.returncode == Exit.REFUSED, done.stderr
        assert "read-only" in done.stderr
    by_variable = machine.run("wake", "data-pull", WAKEDECK_READ_ONLY="1")
    assert by_variable.returncode == Exit.REFUSED


def test_a_shell_needs_a_terminal(machine: Machine) -> None:
    done = machine.run("shell", "data-pull")
    assert done.returncode == Exit.REFUSED
    assert "needs a terminal" in done.stderr


def test_a_reconnect_that_could_mean_several_is_2(machine: Machine) -> None:
    done = machine.run("reconnect")
    assert done.returncode == Exit.USAGE
    assert "Say which sandbox" in done.stderr


def test_break_repair_and_the_journal_of_it(machine: Machine) -> None:
    assert machine.run("local", "fault", "night-watch", "agent-kill").returncode == Exit.DONE
    machine.until(lambda: machine.run("status").returncode == Exit.FAILED)
    woken = machine.run("wake", "night-watch", "--json")
    assert woken.returncode == Exit.DONE, woken.stderr
    assert json.loads(woken.stdout)["state"] == "done"
    assert machine.run("reconnect", "night-watch").returncode == Exit.DONE

    told = machine.run("events", "--sandbox", "night-watch", "--json").stdout.splitlines()
    lines = [json.loads(line) for line in told]
    assert [one["kind"] for one in lines] == ["attempt", "attempt"]
    assert all(one["schema"] == 1 for one in lines)
    assert lines[0]["at"] <= lines[1]["at"]
    by_source = machine.run("events", "--sandbox", "local/night-watch", "--json").stdout
    assert by_source.splitlines() == told
    assert machine.run("events", "--search", "WAKE:", "--json").stdout.splitlines() == told[:1]
    assert machine.run("events", "--since", "1h", "--all", "--json").stdout.splitlines() == told
    future = machine.run("events", "--since", "2999-01-01")
    assert (future.returncode, future.stdout) == (Exit.DONE, "")
    assert "nothing has been recorded that fits" in future.stderr
    unknown = machine.run("events", "--sandbox", "night-wotch")
    assert unknown.returncode == Exit.UNKNOWN_SANDBOX
    # A sandbox without events is known to its source all the same.
    assert machine.run("events", "--sandbox", "release-notes").returncode == Exit.DONE


def test_a_fault_that_is_none_lists_those_there_are(machine: Machine) -> None:
    done = machine.run("local", "fault", "data-pull", "moonquake")
    assert done.returncode == Exit.USAGE
    assert "gateway-kill" in done.stderr
    assert machine.run("local", "fault", "nobody", "agent-kill").returncode == (
        Exit.UNKNOWN_SANDBOX
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "/nonexistent/file.toml", "status"],
        ["--profile", "nobody", "status"],
        ["events", "--since", "yesterday"],
        ["--no-such-option"],
        ["completions", "tcsh"],
        [],
    ],
    ids=" ".join,
)
def test_what_is_typed_wrongly_is_2(bare: Machine, arguments: list[str]) -> None:
    done = bare.run(*arguments)
    assert done.returncode == Exit.USAGE
    assert done.stdout == ""
    assert done.stderr


def test_a_source_that_cannot_be_reached_is_told_and_is_1(bare: Machine) -> None:
    folder = bare.home / ".config/wakedeck"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        '[sources.home]\nkind = "nanoclaw"\nroot = "~/none"\n', "utf-8"
    )
    done = bare.run("status")
    assert done.returncode == Exit.FAILED
    assert "home: " in done.stderr and "is not there" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_to_begin_with_is_written_once_and_private(bare: Machine) -> None:
    done = bare.run("config", "init")
    assert done.returncode == Exit.DONE
    path = Path(done.stdout.strip())
    assert path == Path(bare.run("config", "path").stdout.strip())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text("utf-8") == bare.run("config", "default").stdout
    path.write_text("read_only = true\n", "utf-8")
    assert bare.run("config", "init").returncode == Exit.REFUSED
    assert path.read_text("utf-8") == "read_only = true\n"
    shown = bare.json("config", "show")
    origins = {one["name"]: one["origin"] for one in shown["values"]}
    assert origins["read_only"] == str(path)


def test_the_version_is_told(bare: Machine) -> None:
    done = bare.run("--version")
    assert done.returncode == Exit.DONE
    assert done.stdout.split() == ["wakedeck,", "version", version("wakedeck")]


def test_the_reader_going_away_is_no_error(machine: Machine) -> None:
    code = "from tui.cli.main import main; main()"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{code}' config default | head -1; echo $PIPESTATUS"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"HOME": str(machine.home), "PATH": os.environ["PATH"]},
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in done.stderr


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


NO_LISTING = {
    "logs",
    "shell",
    "exec",
    "replay",
    "completions",
    "config default",
    "config init",
    "config path",
    "local up",
    "local down",
    "local fault",
    "notify test",
    "serve",
}


def test_every_listing_can_be_json() -> None:
    without = {
        name
        for name, command in commands(main)
        if not any("--json" in one.opts for one in command.params)
    }
    assert without == NO_LISTING


def test_every_command_and_every_exit_code_is_in_the_page() -> None:
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    for name, command in commands(main):
        assert f"`wakedeck {name}" in page, name
        assert command.help, name
        for one in command.params:
            if isinstance(one, click.Option) and one.opts[0] != "--json":
                assert f"`{one.opts[0]}" in page, f"{name} {one.opts[0]}"
    for one in main.params:
        assert f"`{one.opts[0]}" in page or one.opts[0] in ("--help", "--version")
    for code in Exit:
        assert f"| {int(code)} |" in page, code


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["config default", "doctor", "--help", "bogus"])
def test_streams_that_are_closed_are_no_place_for_files(
    tmp_path: Path, words: str, closed: str
) -> None:
    """What cannot be said is a failure, without a traceback; nothing else is opened there."""
    script = f'exec "$0" -c "from tui.start import main; main()" {words} {closed}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    unsaid = Exit.FAILED if " >&-" in f" {closed}" else Exit.DONE
    assert done.returncode == (Exit.USAGE if words == "bogus" else unsaid)
    assert "unforeseen" not in done.stderr
    assert "Exception" not in done.stderr
    assert "No handlers" not in done.stderr


def test_a_full_output_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from tui.start import main; main()", "config", "default"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
    assert done.returncode == Exit.FAILED
    assert done.stderr == "wakedeck: No space left on device.\n"
