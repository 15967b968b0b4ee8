"""Runs the vellum command: the wake that may be ended, and the renewals that may not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from services.errors import DeadlineError, ProcessError, UnavailableError
from services.files.bounded import parse_json, read_bounded
from services.process.run import lines
from services.sources.vellum.commands import Command, Confirmation, argv
from services.sources.vellum.evidence import ActionKind, ActionResult
from services.sources.vellum.layout import EnvironmentPaths, Site
from services.sources.vellum.limits import REFRESH_S
from services.sources.vellum.tool import Tool
from services.sources.vellum.uninterruptible import CommandExit, UninterruptibleCommands
from services.text.redact import redact_line
from services.text.sanitize import sanitize

_REFRESH_ERROR = "VELLUM_REFRESH_ERROR="
_LAST_LINES = 4
_SECRET_NAMES = frozenset(
    (
        "accessToken",
        "bearerToken",
        "guardianBootstrapSecret",
        "refreshToken",
        "signingKey",
    )
)
_LARGEST = 8 << 20


class VellumRunner:
    """One environment's commands; every outcome of a command is a value."""

    def __init__(self, site: Site, tool: Tool) -> None:
        self._site = site
        self._tool = tool
        self._uninterruptible = UninterruptibleCommands()

    async def lines(
        self,
        command: Command,
        assistant: str,
        limit_s: float,
        confirmation: Confirmation | None = None,
    ) -> AsyncGenerator[str | ActionResult, None]:
        """Its lines as they come, then how it ended; closing this ends the child.

        Raises:
            RefusedError: the arguments are not safe, or not agreed to.
        """
        problem = self._tool.problem()
        words = argv(self._tool.program() or "vellum", command, assistant, confirmation)
        if problem:
            yield ActionResult(ActionKind.WAKE, problem=f"{problem}.")
            return
        last: deque[str] = deque(maxlen=_LAST_LINES)
        secrets = await asyncio.to_thread(_secrets, self._site.place, assistant)
        child = lines(
            words,
            timeout_s=limit_s,
            env=self._site.child_environ(),
            cwd=self._cwd(),
            secrets=secrets,
        )
        try:
            async for line in child:
                if line:
                    last.append(line)
                    yield line
        except DeadlineError:
            yield ActionResult(ActionKind.WAKE, said=_join_lines(last), timed_out=True)
        except ProcessError as error:
            if error.code is None:
                yield ActionResult(ActionKind.WAKE, problem=error.sentence)
            else:
                yield ActionResult(ActionKind.WAKE, code=error.code, said=_join_lines(last))
        else:
            yield ActionResult(ActionKind.WAKE, code=0, said=_join_lines(last))
        finally:
            await child.aclose()

    async def refresh(self, assistant: str) -> ActionResult:
        """Renew a credential: never interrupted, joined where it runs already.

        Raises:
            UnavailableError: it could not be started, or did not end in time.
        """
        ended = await self._run_uninterruptible(Command.REFRESH, assistant, REFRESH_S, None)
        if ended.code == 0:
            return ActionResult(ActionKind.REFRESH, code=0)
        if ended.code is None:
            raise UnavailableError(
                f"The renewal of the credential did not end within {REFRESH_S:g} s and was left "
                "running; whether it worked is unknown.",
                advice="Wait a minute, then reconnect.",
            )
        status, word = refresh_error(ended.stderr)
        return ActionResult(
            ActionKind.REFRESH, status=status, word=word, code=ended.code, said=word
        )

    async def reissue(
        self, assistant: str, limit_s: float, confirmation: Confirmation
    ) -> CommandExit:
        """Have a new credential issued: never interrupted."""
        return await self._run_uninterruptible(Command.REISSUE, assistant, limit_s, confirmation)

    def redacted(self, text: str, assistant: str) -> str:
        """The end of a command's output, without any of the assistant's secrets."""
        for secret in _secrets(self._site.place, assistant):
            text = text.replace(secret, "***")
        return _join_lines(deque((sanitize(line) for line in text.splitlines()), _LAST_LINES))

    async def close(self) -> None:
        """Stop following what must not be ended."""
        await self._uninterruptible.close()

    async def _run_uninterruptible(
        self, command: Command, assistant: str, limit_s: float, confirmation: Confirmation | None
    ) -> CommandExit:
        if problem := self._tool.problem():
            raise UnavailableError(f"Could not run vellum: {problem}.")
        try:
            return await self._uninterruptible.run(
                f"{command.name} {assistant}",
                argv(self._tool.program(), command, assistant, confirmation),
                environ=self._site.child_environ(),
                cwd=self._cwd(),
                limit_s=limit_s,
            )
        except ProcessError as error:
            raise UnavailableError(f"Could not run vellum: {error.sentence}") from error

    def _cwd(self) -> Path:
        """Not the panel's folder: the command's runtime would read settings lying there."""
        home = Path(self._site.environ.get("HOME") or Path.home())
        return home if home.is_dir() else Path("/")


def refresh_error(stderr: str) -> tuple[int, str]:
    """Status and name of a failed renewal; 0 and nothing where the command says neither."""
    for line in reversed(stderr.splitlines()):
        if line.startswith(_REFRESH_ERROR):
            try:
                told = parse_json(line[len(_REFRESH_ERROR) :])
            except (ValueError, RecursionError):
                break
            if not isinstance(told, dict):
                break
            status, word = told.get("status"), told.get("error")
            number = status if isinstance(status, int) and not isinstance(status, bool) else 0
            return number, redact_line(word, 120) if isinstance(word, str) else ""
    return 0, ""


def _join_lines(said: deque[str]) -> str:
    return redact_line(" / ".join(line for line in said if line), 280)


def _secrets(place: EnvironmentPaths, assistant: str) -> tuple[str, ...]:
    """Every secret value of the registry and of one assistant's token file."""
    files = (place.registry(), place.token(assistant))
    return tuple({value for path in files for value in _secret_values(_load(path))})


def _secret_values(node: object, depth: int = 0) -> Iterator[str]:
    if depth > 8:
        return
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _SECRET_NAMES and isinstance(value, str) and len(value) >= 4:
                yield value
            else:
                yield from _secret_values(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _secret_values(value, depth + 1)


def _load(path: Path) -> object:
    try:
        return parse_json(read_bounded(path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
