"""What is run to get a shell, and what it says of itself, cut at every place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sources.pods.shell_commands import session_name, shell_commands
from services.terminal.exec.remote_pid import PidPreamble, RemoteProcess, kill_command

SAID = b"\x1b]7733;4711;123456;bash\x07"
REST = b"pod$ \x1b[?2004h"


def all_of(pieces: list[bytes]) -> tuple[bytes, RemoteProcess | None]:
    one = PidPreamble()
    out = b"".join(one.feed(piece) for piece in pieces)
    return out + one.flush(), one.remote


@pytest.mark.parametrize("cut", range(len(SAID + REST) + 1))
def test_the_first_words_are_taken_out_wherever_they_are_cut(cut: int) -> None:
    whole = SAID + REST
    assert all_of([whole[:cut], whole[cut:]]) == (REST, RemoteProcess(4711, 123456, "bash"))


@pytest.mark.parametrize("cut", range(len(b"typed\r\n" + SAID) + 1))
def test_what_was_typed_ahead_comes_first(cut: int) -> None:
    whole = b"typed\r\n" + SAID + REST
    out, remote = all_of([whole[:cut], whole[cut:]])
    assert (out, remote) == (b"typed\r\n" + REST, RemoteProcess(4711, 123456, "bash"))


def test_they_may_come_byte_by_byte() -> None:
    pieces = [bytes((one,)) for one in SAID + REST]
    assert all_of(pieces) == (REST, RemoteProcess(4711, 123456, "bash"))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=8))
def test_other_output_passes_unchanged(pieces: list[bytes]) -> None:
    out, remote = all_of(pieces)
    if remote is None:
        assert out == b"".join(pieces)


@pytest.mark.parametrize(
    "odd",
    [b"\x1b]7733;x\x07", b"\x1b]7733;1;1;BASH\x07", b"\x1b]7733;" + b"9" * 100, b"\x1b]0;t\x07"],
)
def test_what_only_looks_like_it_is_output(odd: bytes) -> None:
    assert all_of([odd, REST]) == (odd + REST, None)


def run(
    argv: tuple[str, ...], folder: Path, stdin: str, **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        input=stdin.encode(),
        capture_output=True,
        check=False,
        timeout=30,
        env={"PATH": str(folder), "TERM": "xterm", **env},
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with sh alone."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    return tmp_path


@pytest.mark.parametrize(
    ("there", "shell", "session", "became"),
    [
        ((), None, "", "sh"),
        (("bash",), None, "", "bash"),
        (("bash",), "sh", "", "bash"),
        ((), "zsh", "", "sh"),
        (("bash", "zsh"), "zsh", "", "zsh"),
        (("bash",), None, "s", "bash"),
        (("bash", "screen"), None, "s", "screen"),
        (("bash", "screen", "tmux"), None, "s", "tmux"),
    ],
)
def test_the_best_shell_there_is_says_who_it_is(
    bare: Path, there: tuple[str, ...], shell: str | None, session: str, became: str
) -> None:
    for name in there:
        program = bare / name
        program.write_text('#!/bin/sh\necho "$0 $$ $@"\n')
        program.chmod(0o700)
    if shell == "sh":
        became = "sh"
    first = shell_commands(shell, session)[0]
    done = run(first.argv, bare, "")
    out, remote = all_of([done.stdout])
    assert remote is not None and remote.program == became, done
    if became != "sh":
        name, pid, *words = out.decode().split()
        assert Path(name).name == became and int(pid) == remote.pid
        if became == "tmux":
            assert words == ["new-session", "-A", "-D", "-s", "s"]


def test_tmux_is_not_begun_where_its_socket_has_no_place(bare: Path) -> None:
    for name in ("bash", "tmux"):
        (bare / name).write_text("#!/bin/sh\n")
        (bare / name).chmod(0o700)
    first = shell_commands(None, "s")[0]
    for place, became in ((bare, "tmux"), (bare / "none", "bash")):
        out, remote = all_of([run(first.argv, bare, "", TMUX_TMPDIR=str(place)).stdout])
        assert remote is not None and remote.program == became, out


def test_the_start_tick_is_the_kernels(bare: Path) -> None:
    first = shell_commands("sh", "")[0]
    done = run(first.argv, bare, 'read -r line </proc/$$/stat; echo "$line"')
    out, remote = all_of([done.stdout])
    assert remote is not None
    fields = out.decode().rpartition(") ")[2].split()
    assert int(fields[19]) == remote.start_ticks


def test_direct_ways_follow_where_there_is_no_sh() -> None:
    assert [one.argv[0] for one in shell_commands(None, "")] == [
        "sh",
        "/bin/sh",
        "bash",
        "/bin/bash",
    ]
    assert [one.argv[0] for one in shell_commands("zsh", "")] == [
        "sh", "/bin/sh", "zsh", "/bin/zsh", "bash", "/bin/bash",
    ]  # fmt: skip


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_hang_up_ends_that_process_and_no_other(stubborn: bool) -> None:
    trap = "trap '' HUP; " if stubborn else ""
    child = subprocess.Popen(
        ["/bin/sh", "-c", f"{trap}echo up; while :; do sleep 0.05; done"], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"up\n"
        tick = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].split()[19])
        stranger = kill_command(RemoteProcess(child.pid, tick + 1, "bash"))
        assert run(stranger, Path("/bin"), "").returncode == 0
        assert child.poll() is None
        done = run(kill_command(RemoteProcess(child.pid, tick, "bash")), Path("/bin"), "")
        child.wait(timeout=20)
        assert done.returncode == 0, done
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def test_a_hang_up_of_nobody_is_done() -> None:
    gone = RemoteProcess(2**22 - 7, 1, "bash")
    assert run(kill_command(gone), Path("/bin"), "").returncode == 0


def test_session_names_are_what_multiplexers_take() -> None:
    assert session_name("wakedeck-o'brien x.y:1") == "wakedeck-o-brien-x-y-1"
    assert os.path.sep not in session_name("a/b")
