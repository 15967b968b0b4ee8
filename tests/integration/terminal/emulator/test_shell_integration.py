"""The lines of our page in a real bash: prompts, outputs and the folder are marked."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from services.terminal.emulator import Emulator
from tests.support.waiting import eventually_sync
from widgets.terminal.prompts import last_output, previous_prompt

PAGE = Path(__file__).resolve().parents[4] / "docs" / "terminal.md"


def lines_for_bash() -> str:
    """What the page tells to put into bash's own file."""
    found = re.search(r"(?m)((?:^    (?:PS0|PS1|PROMPT_COMMAND)=.*\n)+)", PAGE.read_text())
    assert found
    return "\n".join(line.strip() for line in found[1].splitlines()) + "\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
def test_bash_with_the_lines_of_the_page_marks_its_prompts(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (tmp_path / "rc").write_text("PS1='at> '\n" + lines_for_bash())
    emulator = Emulator(60, 8)
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "HOME": str(tmp_path)}
    bash = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )

    def shows(wanted: str) -> bool:
        if select.select([ours], [], [], 0)[0]:
            emulator.feed(os.read(ours, 65536))
        return emulator.prompt_marks[-1:] != [] and last_output(emulator).text == wanted

    try:
        os.write(ours, b"seq 1 30\n")
        eventually_sync(lambda: shows("\n".join(map(str, range(1, 31)))))
        os.write(ours, b"printf 'no newline'\n")
        eventually_sync(lambda: shows("no newline"))
        assert emulator.folder == str(folder)
        assert previous_prompt(emulator, 10) is not None
    finally:
        bash.kill()
        bash.wait()
        os.close(ours)
        os.close(theirs)
