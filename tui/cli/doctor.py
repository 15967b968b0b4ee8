"""`wakedeck doctor`: what was found, what it needs, where everything is, and what to configure."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from services.clock import SystemClock
from services.config import paths
from services.config.settings import Flags, Settings, load, read_file
from services.doctor.detectors import abbreviate_home
from services.doctor.examine import ConfiguredSource, ask_configured, examine, suggested_config
from services.doctor.findings import Finding, Requirement
from services.errors import ConfigError, WakedeckError, unforeseen
from services.journal.store import Journal
from services.models import Event, GatewayState, UnknownWord
from services.text.charset import charset_of
from services.text.signs import GATEWAYS
from tui.cli import tables
from tui.cli.event_loop import run_command
from tui.cli.exit import Exit

_KINDS = {
    "remote": "another machine",
    "external": "a program of yours",
    "local": "the embedded world",
}

_MOST_WORDS = 2000
_SAID = "this panel does not know it"
"""What the board says of each such word."""


def run(flags: Flags, as_json: bool, block_alone: bool = False) -> int:
    """Report: 1 where a configured source fails, 2 where the configuration stops the panel.

    Configured sources are asked as the panel asks them; what else is found is not.
    """
    from tui.panel import screen_config

    problem = ""
    try:
        settings = load(flags)
        screen_config.check(settings)
    except ConfigError as error:
        problem, settings = f"{error.sentence}\n{error.advice}".strip(), Settings("", ())
    config = flags.config or paths.config_file()
    answers = () if block_alone else run_command(ask_configured(settings, SystemClock()))
    findings = run_command(examine(os.environ))
    words: tuple[tuple[UnknownWord, int], ...] = ()
    unread = ""
    try:
        words = run_command(unknown_words(paths.journal_file()))
    except WakedeckError as error:
        unread = error.sentence
    except Exception as error:
        unread = unforeseen("the history", error).sentence
    block = "" if problem else suggested_config(findings, _configured(config))
    if block_alone:
        click.echo(block, nl=False)
    elif as_json:
        click.echo(
            json.dumps(
                _shape(settings, config, problem, answers, findings, block)
                | {"unknown_words": None if unread else words_to_json(words)},
                indent=2,
            )
        )
    else:
        for line in _lines(settings, config, problem, answers, findings, block):
            click.echo(line)
        for line in ["", f"✕ {unread}"] if unread else word_lines(words):
            click.echo(line)
    if problem:
        return Exit.USAGE
    return Exit.FAILED if unread or not all(one.works for one in answers) else Exit.DONE


def _configured(config: Path) -> Any:
    """Every source of the file, whichever profile is used."""
    from services.config.settings import SourceSettings

    return [
        SourceSettings(key, str(one.__struct_config__.tag), one)
        for key, one in read_file(config).sources.items()
    ]


def _files(config: Path) -> dict[str, Path]:
    return {
        "config": config,
        "log": paths.log_file(),
        "journal": paths.journal_file(),
        "locks": paths.locks_dir(),
        "screenshots": paths.screenshots_dir(),
        "embedded world": paths.local_world(),
    }


def terminal() -> Mapping[str, str]:
    """What is known of the terminal, and what it lacks for a good picture."""
    size = shutil.get_terminal_size()
    encoding = charset_of(os.environ)
    said = {
        "is one": "yes" if sys.stdout.isatty() else "no: stdout is not a terminal",
        "TERM": os.environ.get("TERM", "not set"),
        "size": f"{size.columns}×{size.lines}",
        "colours": _colours(os.environ),
        "text": encoding.upper(),
    }
    if encoding == "cp437":
        said["text"] += ", as the font of the Linux console: frames and signs are ASCII"
    elif encoding != "utf-8":
        said["text"] += ": frames and signs are ASCII; set LC_ALL to a UTF-8 locale for more"
    if size.columns < 80 or size.lines < 24:
        said["size"] += ": the panel is made for 80×24 and more"
    return said


def _colours(environ: Mapping[str, str]) -> str:
    term = environ.get("TERM", "").strip().lower()
    if environ.get("NO_COLOR"):
        return "none, as NO_COLOR asks"
    if term in ("dumb", "unknown"):
        return "none"
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return "24-bit colour"
    return "256 colours" if term.endswith(("-256color", "-kitty")) else "16 colours"


def _shape(
    settings: Settings,
    config: Path,
    problem: str,
    answers: tuple[ConfiguredSource, ...],
    findings: tuple[Finding, ...],
    block: str,
) -> dict[str, Any]:
    return {
        "schema": tables.SCHEMA,
        "wakedeck": version("wakedeck"),
        "python": platform.python_version(),
        "textual": version("textual"),
        "terminal": dict(terminal()),
        "config_problem": problem,
        "profile": settings.profile,
        "sources": {one.key: one.kind for one in settings.sources},
        "configured": [asdict(one) for one in answers],
        "files": {name: str(path) for name, path in _files(config).items()},
        "systems": [asdict(one) for one in findings],
        "block": block,
    }


def _lines(
    settings: Settings,
    config: Path,
    problem: str,
    answers: tuple[ConfiguredSource, ...],
    findings: tuple[Finding, ...],
    block: str,
) -> Iterator[str]:
    yield (
        f"wakedeck {version('wakedeck')}, Python {platform.python_version()}, "
        f"Textual {version('textual')}"
    )
    if problem:
        yield ""
        yield "✕ The configuration cannot be used:"
        yield from (f"  {line}" for line in problem.splitlines())
    yield ""
    yield "Terminal"
    yield from tables.table(("  " + name, value) for name, value in terminal().items())
    yield ""
    yield "Files"
    yield from tables.table(_file_rows(config))
    if not problem:
        yield ""
        yield f"Watched with profile {settings.profile}"
        for one in answers:
            yield from _answer_lines(one)
    yield ""
    yield "Also on this machine"
    watched = {one.kind for one in settings.sources}
    for finding in findings:
        if finding.found or finding.problem or finding.kind not in watched:
            yield from _finding_lines(finding)
    yield ""
    if block:
        yield f"To watch what was found, add this to {abbreviate_home(config)}"
        yield "(`wakedeck doctor --toml` prints it alone):"
        yield ""
        yield from block.splitlines()
        if all(one.kind == "local" for one in settings.sources):
            yield ""
            yield "Once a source is named, the embedded world is opened with --local alone."
    elif not problem:
        found = "All that was found is configured"
        if not any(one.found for one in findings):
            found = "Nothing else was found"
        unknown = any(one.problem for one in findings)
        yield f"{found}; not everything could be checked." if unknown else f"{found}."


def _answer_lines(answer: ConfiguredSource) -> Iterator[str]:
    """A line for each thing told, each with the name of the source."""
    glyph = GATEWAYS[GatewayState.READY if answer.works else GatewayState.DOWN].glyph
    kind = _KINDS.get(answer.kind, answer.kind)
    yield from (f"  {glyph} {answer.key} ({kind}): {told}" for told in answer.told)
    yield from (f"      {name}: {value}" for name, value in answer.facts)


def _file_rows(config: Path) -> Iterator[tuple[str, str, str]]:
    hint = "not there yet; `wakedeck config init` writes one"
    for name, path in _files(config).items():
        there = path.exists()
        yield (
            "  " + name,
            abbreviate_home(path),
            "" if there else hint if name == "config" else "not yet",
        )


def _finding_lines(finding: Finding) -> Iterator[str]:
    lacking = [need for need in finding.needs if need.required and not need.met]
    if not finding.found:
        needs = "; ".join(_need(need) for need in lacking)
        yield f"  ∅ {finding.system}: not found. Needs {needs}"
    else:
        yield f"  {'!' if lacking or finding.problem else '✓'} {finding.system}"
        yield from (f"      {line}" for line in finding.found)
        for need in finding.needs:
            if need.met and need.detail:
                yield f"      ✓ {_need(need)}"
            elif not need.met:
                yield f"      {'✕' if need.required else '–'} {_need(need)}"
    if finding.problem:
        yield f"      ✕ {finding.problem}"


def _need(need: Requirement) -> str:
    return f"{need.what}: {need.detail}" if need.detail else need.what


async def unknown_words(journal: Path) -> tuple[tuple[UnknownWord, int], ...]:
    """Each word with how many panels met it, the most frequent first."""
    if not journal.exists():
        return ()
    store = Journal(journal, SystemClock())
    try:
        await store.open()
        events = await store.recent(_MOST_WORDS, text=_SAID)
    finally:
        await store.close()
    counted = Counter(map(_word, (one for one in events if one.kind == "word")))
    return tuple(counted.most_common())


def words_to_json(words: tuple[tuple[UnknownWord, int], ...]) -> list[dict[str, Any]]:
    """For `doctor --json`."""
    return [
        {"source": one.source, "place": one.place, "word": one.word, "seen": number}
        for one, number in words
    ]


def word_lines(words: tuple[tuple[UnknownWord, int], ...]) -> list[str]:
    """For `doctor`; empty where there is none."""
    if not words:
        return []
    told = [f"  ? {one.source}: {one.place} {one.word!r} ({number}×)" for one, number in words]
    return ["", "Words of other systems that this panel does not know", *told]


def _word(event: Event) -> UnknownWord:
    return UnknownWord(event.source, event.before, event.after)
