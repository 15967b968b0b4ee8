"""The code between two markers: never invented, found at every split."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import RefusedError
from services.terminal.exec import sentinel
from services.terminal.exec.sentinel import (
    BASE64,
    MAX_COMMAND_BYTES,
    OCTAL,
    InputCoding,
    SentinelParser,
    sentinel_script,
)
from tests.support.shells import undecoded


@pytest.fixture(scope="module", autouse=True)
def _no_lingering() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentinel, "LINGER_S", 0)
        yield


BEGIN, END = "WAKEDECK_begin00000000000000", "WAKEDECK_end0000000000000000"
TAKEN = "WAKEDECK_taken00000000000000"
NOISE = f"bash-5.2$ stty -echo\r\n$ printf '{BEGIN[:4]}''{BEGIN[4:]}'\r\n".encode()


def session(output: bytes, code: int) -> bytes:
    return NOISE + f"\r\n{BEGIN}\r\n".encode() + output + f"{END}:{code}\r\n".encode()


@given(st.lists(st.integers(1, 40), max_size=20), st.sampled_from([b"", b"hi\r\n", b"no newline"]))
def test_output_and_code_are_found_at_every_split(cuts: list[int], output: bytes) -> None:
    cut = SentinelParser(BEGIN, END)
    stream, got = session(output, 42), b""
    for size in [*cuts, len(stream)]:
        got += cut.feed(stream[:size])
        stream = stream[size:]
    assert got == output.replace(b"\r\n", b"\n")
    assert cut.code == 42


@given(st.integers(1, 60))
def test_nothing_but_a_possible_marker_is_held_back(size: int) -> None:
    cut = SentinelParser(BEGIN, END)
    cut.feed(session(b"", 0)[: len(NOISE) + len(BEGIN) + 4])
    assert cut.feed(b"a line\r\n") == b"a line\n"
    told = f"{END}:0\r\n".encode()[:size]
    assert cut.feed(told[:size]) == b""
    assert cut.code == (0 if size >= len(END) + 4 else None)


def test_what_only_began_like_the_marker_is_output() -> None:
    cut = SentinelParser(BEGIN, END)
    cut.feed(session(b"", 0)[: len(NOISE) + len(BEGIN) + 4])
    odd = END.encode() + b":x" + END[:9].encode() + b"y\r"
    assert cut.feed(odd) + cut.flush() == odd


def test_an_end_that_never_came_leaves_the_code_unknown() -> None:
    cut = SentinelParser(BEGIN, END)
    got = cut.feed(session(b"partial\r\n", 0)[:-12])
    assert cut.code is None
    assert (got + cut.flush()).startswith(b"partial\n")


def test_a_marker_without_a_number_is_no_status() -> None:
    cut = SentinelParser(BEGIN, END)
    cut.feed(session(b"x\r\n", 0).replace(b":0\r\n", b":zero\r\n"))
    assert cut.code is None


ARGUMENTS = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40
)


@pytest.mark.slow
@given(st.lists(ARGUMENTS, min_size=1, max_size=4))
def test_every_argument_reaches_the_command_as_it_is(words: list[str]) -> None:
    argv = ["printf", "%s|", *words]
    typed = sentinel_script(argv, BEGIN, END)
    assert all(len(line) < 1000 for line in typed.splitlines())
    done = subprocess.run(["sh"], input=typed.encode(), capture_output=True, check=False)
    cut = SentinelParser(BEGIN, END)
    out = cut.feed(done.stdout)
    want = "".join(f"{word}|" for word in words).encode().replace(b"\r\n", b"\n")
    assert (out, cut.code) == (want, 0), shlex.join(argv)


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 5", 5), ("exit 300", 44), ("true # comment", 0), ("cat", 0), ("nosuchcommand", 127)],
)
def test_the_code_is_the_commands_own(command: str, code: int) -> None:
    typed = sentinel_script(["sh", "-c", command], BEGIN, END)
    done = subprocess.run(["sh"], input=typed.encode(), capture_output=True, check=False)
    cut = SentinelParser(BEGIN, END)
    cut.feed(done.stdout)
    assert cut.code == code


@given(st.lists(st.integers(1, 40), max_size=20))
def test_what_tells_of_input_is_counted_and_never_shown(cuts: list[int]) -> None:
    cut = SentinelParser(BEGIN, END, TAKEN)
    stream = session(f"{TAKEN}a{TAKEN}{TAKEN}b{TAKEN[:12]}\r\n{TAKEN}".encode(), 3)
    got = b""
    for size in [*cuts, len(stream)]:
        got += cut.feed(stream[:size])
        stream = stream[size:]
    assert (got, cut.taken, cut.code) == (f"ab{TAKEN[:12]}\n".encode(), 4, 3)


@pytest.mark.parametrize("ignored", [True, False], ids=["pipes-ignored", "pipes-heard"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("command", "code", "out"), [("cat", 0, b"\x00%s\\\n"), ("exit 6", 6, b"")]
)
def test_input_is_taken_as_it_is_or_not_at_all(
    command: str, code: int, out: bytes, shell: str, ignored: bool, tmp_path: Path
) -> None:
    # Without a terminal nothing ends what a decoder reads.
    undecoded(tmp_path)
    path = f"{tmp_path}:{os.environ['PATH']}"
    typed = sentinel_script(["sh", "-c", command], BEGIN, END, taken=TAKEN)
    # More than any pipe holds, so that a command that reads nothing is noticed.
    given = out or bytes(200_000)
    starts = range(0, len(given), OCTAL.piece)
    lines = [OCTAL.encode(given[at : at + OCTAL.piece]) for at in starts]
    lines.append(END.encode() + b"\n")
    done = subprocess.run(
        [shell, "-c", typed],
        input=b"".join(lines),
        capture_output=True,
        check=False,
        restore_signals=not ignored,
        env={"PATH": path},
    )
    cut = SentinelParser(BEGIN, END, TAKEN)
    assert (cut.feed(done.stdout), cut.code, cut.coding) == (out, code, OCTAL)
    assert cut.taken == 1 if out else cut.taken < len(lines) - 1
    assert b"roken pipe" not in done.stderr


@pytest.mark.parametrize("told", ["", "+"])
def test_the_shell_tells_how_it_wants_its_input(told: str) -> None:
    cut = SentinelParser(BEGIN, END, TAKEN)
    assert cut.feed(f"\r\n{BEGIN}{told}\r\nout\r\n".encode()) == b"out\n"
    assert cut.coding is (BASE64 if told else OCTAL)


@pytest.mark.parametrize("coding", [BASE64, OCTAL], ids=["base64", "octal"])
@pytest.mark.parametrize("byte", [b"x", b"\x00", b"\xff"])
def test_what_is_typed_ahead_fits_a_terminal_that_nobody_reads(
    coding: InputCoding, byte: bytes
) -> None:
    typed = coding.encode(byte * coding.piece)
    assert coding.ahead * len(typed) < 8192 + 4095 - 1024
    assert max(len(line) for line in typed.split(b"\n")) < 4095


def test_a_command_too_long_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(RefusedError, match="bytes long"):
        sentinel_script(["echo", "x" * MAX_COMMAND_BYTES], BEGIN, END)
