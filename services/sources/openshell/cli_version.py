"""Which generation of the CLI this is and what it can do: asked, not guessed.

See upstream/openshell: Detecting a generation.
"""

from __future__ import annotations

import asyncio
import re
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.sources.openshell.cli import MISSING, MISSING_ADVICE, PROBE_S, Cli, CliResult
from services.sources.openshell.cli_text import ErrorKind, strip_colours
from services.sources.openshell.gather import gather

_GAP = re.compile(r"\s{2,}")
_FLAG = re.compile(r"(?<!\S)--?[A-Za-z][A-Za-z0-9-]*")
_VERSION = re.compile(r"(?<![\d.])(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?!\d)")
Version: TypeAlias = tuple[int, int, int]


NEWEST_LINE = (0, 1)


class Generation(Enum):
    """The three there are (upstream/openshell: Generations)."""

    A = "A"
    """The gateway is a cluster in a container, started by the CLI; up to 0.0.36."""
    B = "B"
    """The gateway is a daemon of its own; 0.0.37 to the last 0.0."""
    C = "C"
    """From 0.1.0."""


@dataclass(frozen=True, slots=True)
class Toolset:
    """What one binary can do."""

    version: Version | None = None
    generation: Generation = Generation.B
    gateway_list: bool = False
    gateway_json: bool = False
    status_json: bool = False
    list_json: bool = False
    get_json: bool = False
    workspaces: bool = False
    page_tokens: bool = False
    page_size: bool = False
    offsets: bool = True
    """Pages by `--limit` and `--offset`."""
    exec: bool = False
    sandbox_start: bool = False
    sandbox_stop: bool = False
    sandbox_resume: bool = False
    forwards_json: bool = False
    no_login_shell: bool = False
    """Whether `sandbox exec` can be told to run a command without a login shell."""
    rule_history: bool = False
    upgrade_check: bool = False
    """Whether a gateway tells what stands against 0.2 (upstream/openshell: The next line)."""

    @property
    def starts_failed(self) -> bool:
        """Whether `sandbox start` also takes failed and completed ones.

        See upstream/openshell: Phases.
        """
        return self.sandbox_start and self.generation is Generation.C and not self.unknown_line

    @property
    def unknown_line(self) -> bool:
        """Whether it is of a line newer than this panel knows."""
        return self.version is not None and self.version[:2] > NEWEST_LINE

    @property
    def version_text(self) -> str:
        """As `--version` says it; empty where it did not."""
        return "" if self.version is None else ".".join(map(str, self.version))


def version_of(text: str) -> Version | None:
    """The first `X.Y.Z` in it."""
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def skewed(cli: Version | None, gateway: Version | None) -> bool:
    """Whether the two are of lines that must not be mixed: 0.0, 0.1, 0.2 and so on.

    See upstream/openshell: Detecting a generation.
    """
    if cli is None or gateway is None:
        return False
    return cli[:2] != gateway[:2]


QUESTIONS: dict[str, tuple[str, ...]] = {
    "version": ("--version",),
    "start": ("gateway", "start", "--help"),
    "gateways": ("gateway", "list", "-o", "json"),
    "status": ("status", "--help"),
    "list": ("sandbox", "list", "--help"),
    "get": ("sandbox", "get", "--help"),
    "exec": ("sandbox", "exec", "--help"),
    "wake": ("sandbox", "start", "--help"),
    "stop": ("sandbox", "stop", "--help"),
    "forwards": ("forward", "list", "--help"),
    "resume": ("sandbox", "resume", "--help"),
    "history": ("rule", "history", "--help"),
    "upgrade": ("gateway", "upgrade-check", "--help"),
}
"""What is asked, all of it answered without a network."""


def toolset_from_answers(answers: dict[str, CliResult]) -> Toolset:
    """What the answers to `QUESTIONS` say."""
    version = version_of(answers["version"].stdout)
    generation = Generation.B
    if answers["start"].code == 0:
        generation = Generation.A
    elif version is not None and version[:2] > (0, 0):
        generation = Generation.C
    listing, gateways = answers["list"], answers["gateways"]
    return Toolset(
        version=version,
        generation=generation,
        gateway_list=gateways.code == 0 or "unrecognized subcommand" not in gateways.text,
        # What fails in another way than an unknown flag does is there, and failed.
        gateway_json=gateways.code == 0 or gateways.error_kind is not ErrorKind.USAGE,
        status_json=_offers(answers["status"], "--output"),
        list_json=_offers(listing, "--output"),
        get_json=_offers(answers["get"], "--output"),
        workspaces=_offers(listing, "--all-workspaces"),
        page_tokens=_offers(listing, "--page-token"),
        page_size=_offers(listing, "--page-size"),
        offsets=_offers(listing, "--limit") and _offers(listing, "--offset"),
        exec=answers["exec"].code == 0,
        sandbox_start=answers["wake"].code == 0,
        sandbox_stop=answers["stop"].code == 0,
        sandbox_resume=answers["resume"].code == 0,
        forwards_json=_offers(answers["forwards"], "--output"),
        no_login_shell=_offers(answers["exec"], "--no-login-shell"),
        rule_history=answers["history"].code == 0,
        upgrade_check=_offers(answers["upgrade"], "--to"),
    )


def _offers(help_text: CliResult, flag: str) -> bool:
    """Whether a line of options names it; a sentence that mentions it offers nothing."""
    if help_text.code != 0:
        return False
    lines = [line.strip() for line in strip_colours(help_text.stdout).splitlines()]
    named = (_GAP.split(line)[0] for line in lines if line.startswith("-"))
    return any(flag in _FLAG.findall(words) for words in named)


class ToolsetDetector:
    """Asks once for each binary; a replaced one is asked again."""

    def __init__(self, cli: Cli) -> None:
        self._cli = cli
        self._known: dict[tuple[str, int, int, int], Toolset] = {}
        self._turn = asyncio.Lock()

    async def toolset(self) -> Toolset:
        """What the CLI that is there now can do.

        Raises:
            UnavailableError: there is none, or it cannot be run.
        """
        async with self._turn:
            mark = _mark(self._cli.path())
            known = self._known.get(mark)
            if known is None:
                given = await gather(
                    *(self._cli.run(*asked, limit_s=PROBE_S) for asked in QUESTIONS.values())
                )
                if given[0].timed_out:
                    raise UnavailableError(
                        f"openshell itself does not answer: --version took over {PROBE_S:g} s.",
                        advice="Look at the machine's load, and run `openshell --version`.",
                    )
                known = toolset_from_answers(dict(zip(QUESTIONS, given, strict=True)))
                if not any(one.timed_out for one in given):
                    self._known = {mark: known}
            return known


def _mark(path: Path) -> tuple[str, int, int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise UnavailableError(MISSING, advice=MISSING_ADVICE) from error
    return str(path), state.st_mtime_ns, state.st_size, state.st_ino
