"""Prompts and outputs by the marks of the shell (upstream/terminal: Prompt marks)."""

from __future__ import annotations

from services.lazy_dataclass import dataclass
from services.terminal.cells import PromptPart, TerminalScreen
from widgets.terminal.rows import CellPosition
from widgets.terminal.selection import Selection, selected_text
from widgets.terminal.viewport import end_of

NO_MARKS = "This shell does not mark its prompts (OSC 133)."


@dataclass(frozen=True, slots=True)
class LastOutput:
    """What the last command printed, or why that is not known."""

    text: str = ""
    problem: str = ""


def previous_prompt(screen: TerminalScreen, line: int) -> int | None:
    """The line of the last prompt above a line."""
    lines = [
        mark.line
        for mark in screen.prompt_marks
        if mark.part is PromptPart.PROMPT and mark.line < line
    ]
    return lines[-1] if lines else None


def next_prompt(screen: TerminalScreen, line: int) -> int | None:
    """The line of the first prompt below a line."""
    return next(
        (
            mark.line
            for mark in screen.prompt_marks
            if mark.part is PromptPart.PROMPT and mark.line > line
        ),
        None,
    )


def last_output(screen: TerminalScreen) -> LastOutput:
    """The output of the last command, of one that still runs as far as it is; soft wraps joined."""
    marks = screen.prompt_marks
    starts = [at for at, mark in enumerate(marks) if mark.part is PromptPart.OUTPUT]
    ends = [at for at, mark in enumerate(marks) if mark.part is PromptPart.END]
    if not starts:
        if ends:
            return LastOutput(problem="The beginning of the last output is no longer kept.")
        return LastOutput(problem="This shell does not mark where an output begins (OSC 133 C).")
    first = marks[starts[-1]]
    after = (PromptPart.END, PromptPart.PROMPT)
    end = next((mark for mark in marks[starts[-1] + 1 :] if mark.part in after), None)
    start = CellPosition(first.line, first.column)
    stop = CellPosition(end.line, end.column) if end else CellPosition(end_of(screen), 0)
    text = ""
    if start < stop:
        last = CellPosition(stop.line, stop.column - 1)
        text = selected_text(screen, Selection(start, last)).rstrip("\n")
    return LastOutput(text) if text else LastOutput(problem="The last command printed nothing.")
