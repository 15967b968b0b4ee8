"""Prompt marks and the working folder: kept with their cells, gone with them, bounded."""

from __future__ import annotations

import random

import pytest

from services.terminal.cells import PromptMark, PromptPart
from services.terminal.emulator import Emulator
from widgets.terminal.prompts import last_output, next_prompt, previous_prompt

A, B, C, D = (f"\x1b]133;{letter}\x07" for letter in "ABCD")


def command(words: str, output: str) -> str:
    """A prompt, what is typed at it, its output and its end, as bash sends them."""
    return f"{A}$ {B}{words}\r\n{C}{output}{D}"


def shell(*sent: str, columns: int = 20, lines: int = 5, history: int = 1000) -> Emulator:
    emulator = Emulator(columns, lines, history=history)
    emulator.feed("".join(sent).encode())
    return emulator


def parts(emulator: Emulator) -> str:
    return "".join(mark.part.value for mark in emulator.prompt_marks)


def text_at(emulator: Emulator, mark: PromptMark) -> str:
    """What stands from a mark to the end of its row."""
    top = emulator.history_base + emulator.history_size
    at = mark.line - top
    row = emulator.rows[at] if at >= 0 else emulator.history_row(mark.line)
    return row.text[mark.column :]


def test_marks_stand_where_they_were_sent() -> None:
    emulator = shell(command("ls", "one\r\n"), f"{A}$ {B}")
    marks = [(mark.line, mark.column, mark.part.value) for mark in emulator.prompt_marks]
    assert marks == [(0, 0, "A"), (0, 2, "B"), (1, 0, "C"), (2, 0, "D"), (2, 0, "A"), (2, 2, "B")]


@pytest.mark.parametrize("lines", [["x"] * 30, [f"{n} {'word ' * 9}" for n in range(30)]])
def test_marks_scroll_and_reflow_with_their_text(lines: list[str]) -> None:
    sent = "".join(command(f"run{n}", line + "\r\n") for n, line in enumerate(lines))
    emulator = shell(sent, A, "$ ", B)
    chance = random.Random(5)
    for _ in range(12):
        typed = [mark for mark in emulator.prompt_marks if mark.part is PromptPart.INPUT]
        printed = [mark for mark in emulator.prompt_marks if mark.part is PromptPart.OUTPUT]
        assert [text_at(emulator, mark)[:3] for mark in typed] == ["run"] * 30 + [""]
        assert [text_at(emulator, mark)[:1] for mark in printed] == [line[0] for line in lines]
        assert last_output(emulator).text == lines[-1].rstrip()
        emulator.resize(chance.randrange(8, 60), chance.randrange(2, 12))


def test_a_long_output_in_one_piece_keeps_its_beginning() -> None:
    output = "".join(f"line {number}\r\n" for number in range(200))
    emulator = shell(command("true", ""), A, "$ ", B, "seq\r\n", C, output, D, A, "$ ", B)
    assert last_output(emulator).text == output.replace("\r\n", "\n").rstrip("\n")


def test_the_output_of_a_command_that_still_runs_ends_where_the_screen_does() -> None:
    assert last_output(shell(A, "$ ", B, "make\r\n", C, "one\r\ntwo")).text == "one\ntwo"


def test_an_output_without_a_last_newline_ends_before_the_prompt() -> None:
    assert last_output(shell(command("echo -n", "abc"), A, "$ ", B)).text == "abc"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ("$ ls\r\nfile\r\n$ ", "does not mark"),
        (command("true", "") + f"{A}$ {B}", "printed nothing"),
        (f"{A}$ {B}x\r\n{C}" + "y\r\n" * 90 + D, "no longer kept"),
    ],
)
def test_what_cannot_be_copied_is_told(sent: str, problem: str) -> None:
    output = last_output(shell(sent, history=20))
    assert not output.text
    assert problem in output.problem


def test_a_cleared_screen_keeps_no_mark_and_dropped_lines_take_theirs_along() -> None:
    assert parts(shell(command("ls", "x\r\n"), "\x1b[H\x1b[2J", A)) == "A"
    assert parts(shell(command("ls", "x\r\n"), "\x1b[H\x1b[2J\x1bc")) == ""
    emulator = shell(command("ls", "x\r\n"), "y\r\n" * 10, A, "\x1b[3J")
    assert parts(emulator) == "A"
    emulator = shell(*(command("ls", "x\r\n") for _ in range(500)), history=10)
    assert len(emulator.prompt_marks) < 60
    assert all(mark.line >= emulator.history_base for mark in emulator.prompt_marks)
    assert len(emulator._screen.history._marks) < 60


def test_a_prompt_that_is_drawn_anew_is_marked_once() -> None:
    assert parts(shell(f"{A}$ {B}", f"\r\x1b[J{A}$ {B}" * 400)) == "AB"


def test_programs_on_the_alternate_screen_mark_nothing() -> None:
    emulator = shell(A, "$ ", B, "\x1b[?1049h", C, "hello", D)
    assert parts(emulator) == "AB"
    emulator.feed(b"\x1b[?1049l")
    assert parts(emulator) == "AB"


@pytest.mark.parametrize("sent", ["133;", "133", "133;Z", "133;AA", "133;L", "134;A", "633;E;ls"])
def test_other_letters_mark_nothing(sent: str) -> None:
    assert parts(shell(f"\x1b]{sent}\x07")) == ""


@pytest.mark.parametrize("sent", ["133;A;cl=m;aid=1", "133;D;127", "633;C"])
def test_more_parameters_and_the_other_number_do(sent: str) -> None:
    assert parts(shell(f"\x1b]{sent}\x1b\\")) == sent.partition(";")[2][0]


def test_the_prompts_around_a_line() -> None:
    emulator = shell(*(command("ls", "x\r\ny\r\n") for _ in range(4)), A, "$ ", B)
    assert [previous_prompt(emulator, line) for line in (0, 1, 3, 4)] == [None, 0, 0, 3]
    assert [next_prompt(emulator, line) for line in (0, 3, 11, 12)] == [3, 6, 12, None]


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("file://host/home/me/src", "/home/me/src"),
        ("file:///srv/a%20b%2Fc", "/srv/a b/c"),
        ("file://host/", "/"),
        ("file://host", ""),
        ("", ""),
        ("/plain/path", ""),
        ("http://host/x", ""),
        ("file://h/%1b%5b31mred", "/red"),
        ("file://h/%ff", "/\ufffd"),
    ],
)
def test_a_working_folder_is_a_path_of_a_file_url_and_harmless(address: str, folder: str) -> None:
    emulator = shell("\x1b]7;file://h/before\x07", f"\x1b]7;{address}\x07")
    assert emulator.folder == folder


def test_a_working_folder_is_bounded() -> None:
    assert len(shell("\x1b]7;file://h/" + "x" * 2000 + "\x07").folder) <= 1024
    assert shell("\x1b]7;file://h/" + "x" * 3000 + "\x07").folder == ""
