"""`make green` over a small project: every way is what it says, and the log is gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import green

MAKEFILE = (
    f"""\
kits:
\t@mkdir -p .venv/bin && printf '#!/bin/sh\\nexec {sys.executable} "$$@"\\n' > .venv/bin/python
\t@chmod +x .venv/bin/python
"""
    + """\
test:
\t@$(or $(PYTHON),python3) tell.py $(ARGS)
"""
)
TELL = """\
import json, os, signal, sys, time
from pathlib import Path
told = {
    "home": os.environ["HOME"], "tmp": os.environ.get("TMPDIR", ""), "user": os.geteuid(),
    "deaf": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    "more": [name for name in os.environ if name.startswith("WAKEDECK_")],
}
print("told", json.dumps(told))
failed = Path("red").exists()
case = "<testcase classname='a.b' name='one'>" + "<failure/>" * failed + "</testcase>"
Path(sys.argv[1].partition("=")[2]).write_text(
    f"<testsuites><testsuite tests='2' failures='{int(failed)}' errors='0' skipped='1'>"
    f"{case}<testcase classname='a.b' name='two'><skipped/></testcase></testsuite></testsuites>"
)
sys.exit(int(failed))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "Makefile").write_text(MAKEFILE)
    (root / "tell.py").write_text(TELL)
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "a test"),
        ("config", "user.email", "test@localhost"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    commit(root)
    monkeypatch.setattr(green, "ROOT", root)
    return root


def commit(root: Path) -> None:
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", "commit", "--quiet", "--message=a state"], cwd=root, check=True)


def run(monkeypatch: pytest.MonkeyPatch, log: Path, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["green", "--log", str(log), *words])
    return green.main()


def told(log: Path, way: str) -> dict[str, object]:
    """What the tests of a way saw around them."""
    (output,) = (log.parent / "green").glob(f"*-{way}.txt")
    line = next(one for one in output.read_text().splitlines() if one.startswith("told "))
    found: dict[str, object] = json.loads(line.removeprefix("told "))
    return found


def test_each_way_is_what_it_says(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WAKEDECK_KITS", "whatever")
    log = tmp_path / "log.jsonl"
    root = os.geteuid() == 0
    ways = [way for way in green.WAYS if root or way != "other-user"]
    assert run(monkeypatch, log, "--only", *ways, "--files") == 0, capsys.readouterr().out
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["scenario"] for line in lines] == ways
    for line in lines:
        assert line["counts"] == {"passed": 1, "failures": 0, "errors": 0, "skipped": 1}, line
    assert told(log, "no-sigint")["deaf"] and not told(log, "quiet-1")["deaf"]
    odd = told(log, "odd-places")
    assert str(odd["home"]).endswith("/a home") and str(odd["tmp"]).endswith("/tmp")
    assert Path(str(odd["tmp"])).parent == Path(str(odd["home"])).parent
    assert told(log, "quiet-1")["more"] == []
    if root:
        assert told(log, "other-user")["user"] != 0
    assert not list(Path(os.environ["TMPDIR"]).glob("green-*"))


def test_what_is_known_is_not_run_again_and_red_is_said(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "log.jsonl"
    assert run(monkeypatch, log, "--only", "quiet-1", "--files") == 0
    with log.open("a") as file:
        file.write('{"commit": "cut sho')
        file.write("\n")
    assert run(monkeypatch, log, "--only", "quiet-1", "quiet-2", "--files") == 0
    assert len(log.read_text().splitlines()) == 3
    (project / "red").touch()
    commit(project)
    capsys.readouterr()
    assert run(monkeypatch, log, "--only", "quiet-1", "--files") == 1
    said = capsys.readouterr().out
    assert "RED (2)" in said and "quiet-1: a.b::one" in said
    assert json.loads(log.read_text().splitlines()[-1])["tail"]
    # Not run is not green.
    assert run(monkeypatch, log, "--only", "quiet-3", "--files", "--summary") == 1


def test_files_are_run_many_times_and_one_red_run_is_red(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (project / "tests").mkdir()
    (project / "tests" / "test_well.py").write_text("def test_well(): pass\n")
    (project / "tests" / "test_once.py").write_text(
        "def test_once():\n    open('begun', 'x')\n\ndef test_more(): pass\n"
    )
    commit(project)
    log = tmp_path / "log.jsonl"
    files = "tests/test_well.py", "tests/test_once.py"
    words = "--only", "3x", "--times", "3", "--beside", "2", "--files", *files, files[0]
    assert run(monkeypatch, log, *words) == 1
    found = {one["scenario"]: one for one in map(json.loads, log.read_text().splitlines())}
    well, once = found["3x tests/test_well.py"], found["3x tests/test_once.py"]
    assert (well["counts"]["runs"], well["counts"]["passed"], well["code"]) == (3, 3, 0)
    assert (once["counts"]["red runs"], once["counts"]["failures"], once["code"]) == (2, 2, 1)
    assert once["failures"] == ["tests.test_once::test_once"] * 2
    assert any("FileExistsError" in line for line in once["tail"])
    kept = {one.name for one in (log.parent / "green").iterdir()}
    assert len(kept) == 2, "what green runs print is not kept"
    capsys.readouterr()
    assert run(monkeypatch, log, *words) == 1
    assert "…" not in capsys.readouterr().out, "what is in the log is not run again"


def test_a_report_that_is_cut_short_counts_nothing_and_stops_nothing(tmp_path: Path) -> None:
    report, result = tmp_path / "report.xml", green.Result("c", "s", 0, 0.0)
    green._count(report, result)
    report.write_text("<testsuites><testsuite tests='2'")
    green._count(report, result)
    assert result.counts == {}
    report.write_text("<testsuites><testsuite tests='1' failures='1' errors='1'/></testsuites>")
    green._count(report, result)
    assert result.counts["passed"] == 0, "it failed, and what came after it too"
