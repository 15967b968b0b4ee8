"""Runs the vellum command: the wake that may be ended, and the renewals that may not.

Interrupting a renewal half-way would cost a credential: its child is never ended by us, and its
stdout goes nowhere, because a token is printed there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path

from services.errors import DeadlineError, ProcessError, UnavailableError
from services.files.bounded import parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.process.run import lines
from services.process.signals import catch_ignored
from services.sources.vellum.commands import Command, Confirmation, argv
from services.sources.vellum.evidence import ActionKind, ActionResult
from services.sources.vellum.layout import EnvironmentPaths, Site
from services.sources.vellum.limits import REFRESH_S
from services.sources.vellum.tool import Tool
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

_TAIL = 16 * 1024
_POLL_S = 0.05


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


@dataclass(frozen=True, slots=True)
class CommandExit:
    """How it ended; `code` is None where it was still running when waiting ended."""

    code: int | None
    stderr: str = ""
    """The last 16 KiB, as they came."""


class UninterruptibleCommands:
    """Runs such children, one at a time per key; a second caller joins the first."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[CommandExit]] = {}

    async def run(
        self,
        key: str,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        limit_s: float,
    ) -> CommandExit:
        """Wait for it at most `limit_s` seconds; cancelling the waiting leaves the child alone.

        Raises:
            ProcessError: it could not be started.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(_follow(_start(argv, environ, cwd)))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        done, _ = await asyncio.wait((task,), timeout=limit_s)
        return task.result() if done else CommandExit(None)

    async def close(self) -> None:
        """Stop following what runs; it goes on."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _start(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    name = sanitize(Path(argv[0]).name, 60)
    catch_ignored()
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(environ),
            cwd=cwd,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its arguments cannot be passed on"
        raise ProcessError(
            f"{name} cannot start: {sanitize(why or type(error).__name__)}."
        ) from error
    assert child.stderr is not None
    os.set_blocking(child.stderr.fileno(), False)
    return child


async def _follow(child: subprocess.Popen[bytes]) -> CommandExit:
    """Read what it says until it ends."""
    assert child.stderr is not None
    tail = bytearray()
    try:
        while child.poll() is None:
            if not _drain(child, tail):
                await asyncio.sleep(_POLL_S)
        while _drain(child, tail):
            pass
        return CommandExit(child.returncode, tail.decode("utf-8", "replace"))
    finally:
        child.stderr.close()
        if child.returncode is None:
            # Nobody will ask how it ended; if the panel outlives it, it is collected all the same.
            threading.Thread(target=child.wait, name=f"collect-{child.pid}", daemon=True).start()


def _drain(child: subprocess.Popen[bytes], tail: bytearray) -> bool:
    """Take what is there now; whether there was anything."""
    assert child.stderr is not None
    with contextlib.suppress(BlockingIOError):
        data = os.read(child.stderr.fileno(), 65536)
        tail += data
        del tail[:-_TAIL]
        return bool(data)
    return False
