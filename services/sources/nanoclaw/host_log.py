"""Lines of the host's log: parsed, dated, and searched for why wakes fail.

See upstream/nanoclaw: Host log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from services.files.bounded import UnfitError, open_regular, parse_json
from services.lazy_dataclass import dataclass
from services.text.redact import redact_line

TAIL = 256 * 1024
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}m")
_LINE = re.compile(r"\[(\d\d):(\d\d):(\d\d)\.(\d{3})\] ([A-Z]{3,8}) (.*)", re.DOTALL)
_SESSION = re.compile(r'sessionId="([^"\s]{1,200})"')
_MESSAGE = re.compile(r'(?:message: |"message": ?|\berr=)"((?:[^"\\]|\\.){1,400})')
_CODE = re.compile(r"\bcode=(-?\d{1,6}|null)\b")
WAKE_FAILED = "wakeContainer failed"
EXITED = "Container exited"


@dataclass(frozen=True, slots=True)
class HostLogLine:
    """One line of a host log; `text` is not harmless yet."""

    clock_s: float
    """Seconds since local midnight: the log has no date."""
    level: str
    text: str

    @property
    def session(self) -> str:
        """The session it is about; empty where it names none."""
        match = _SESSION.search(self.text)
        return match[1] if match else ""


def parse(raw: str) -> HostLogLine | None:
    """A line with its time and level; None for the rest of a stack."""
    match = _LINE.match(_COLOUR.sub("", raw))
    if match is None:
        return None
    hour, minute, second, milli = (int(part) for part in match.groups()[:4])
    return HostLogLine(hour * 3600 + minute * 60 + second + milli / 1000, match[5], match[6])


def dated(lines: Iterable[HostLogLine], modified_at: float) -> list[tuple[float, HostLogLine]]:
    """Each line with its instant: the last was written when the file was, the others before it.

    A clock that goes back between two lines is midnight; what stands before it is a day older.
    """
    found = list(lines)
    if not found:
        return []
    last = datetime.fromtimestamp(modified_at)
    midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
    if found[-1].clock_s > (last - midnight).total_seconds() + 60:
        midnight -= timedelta(days=1)
    out: list[tuple[float, HostLogLine]] = []
    later = found[-1].clock_s
    for line in reversed(found):
        if line.clock_s > later + 60:
            midnight -= timedelta(days=1)
        later = line.clock_s
        out.append(((midnight + timedelta(seconds=line.clock_s)).timestamp(), line))
    out.reverse()
    return out


@dataclass(frozen=True, slots=True)
class StartFailure:
    """The last thing the log says about a session's starts."""

    at: float
    why: str
    """Harmless, secrets masked."""
    times: tuple[float, ...] = ()
    """When each of the last ones was, oldest first."""

    def since(self, at: float | None) -> int:
        """How many there were after an instant."""
        times = self.times or (self.at,)
        return sum(1 for one in times if at is None or one > at)


_MOST_TIMES = 20
_KIND = re.compile(r'\bkind="([^"]{1,60})"')
_TAIL_LINES = re.compile(r'stderrTail=(\[(?:"(?:[^"\\]|\\.)*"|[\s,])*\])')
_CONTAINER = re.compile(r'containerName="([^"\s]{1,200})"')
_KILLING = "Killing container"
_FAILED = "Session failed"
_RUNNER = re.compile(r"^\[agent-runner\]\s*(?:Fatal error:\s*)?")
_DOCKER_FAILED = 125
"""The exit status of a `docker run` that failed itself."""


def troubles(lines: Iterable[tuple[float, HostLogLine]]) -> dict[str, StartFailure]:
    """By session, or by container where a line names none: why its last start failed.

    What the host ended itself is no failure (upstream/nanoclaw: Host log).
    """
    found: dict[str, StartFailure] = {}
    killed: dict[str, float] = {}
    for at, line in lines:
        match = _CONTAINER.search(line.text)
        about = line.session or (match[1] if match else "")
        if not about:
            continue
        if line.text.startswith(_KILLING):
            killed[about] = at
            continue
        why = _why(line)
        if not why or (line.text.startswith(EXITED) and at - killed.get(about, -1e9) < _KILL_S):
            continue
        before = found.get(about)
        times = before.times if before is not None else ()
        # One failed start may be told twice: by its exit, and by the wake that waited for it.
        repeated = before is not None and at - before.at < _SAME_S
        if before is not None and repeated and line.text.startswith(WAKE_FAILED):
            why = before.why
        times = (*times[:-1], at) if repeated else (*times, at)
        found[about] = StartFailure(at, why, times[-_MOST_TIMES:])
    return found


_KILL_S = 30.0
_SAME_S = 2.0


def _why(line: HostLogLine) -> str:
    """Why a start failed, harmless; empty where the line is of something else."""
    text = line.text
    if text.startswith(WAKE_FAILED):
        match = _MESSAGE.search(text)
        return redact_line(match[1] if match else text, 200)
    if text.startswith(_FAILED):
        match = _KIND.search(text)
        return f"the runtime says {redact_line(match[1], 60)}" if match else "its start failed"
    if not text.startswith(EXITED):
        return ""
    match = _CODE.search(text)
    if match is None or match[1] in ("0", "null"):
        return ""
    code = int(match[1])
    what = f"its container exited with code {code}"
    if code == _DOCKER_FAILED:
        what = "docker itself could not start it (image, option or daemon)"
    said = _last_words(text)
    return f"{what}: {said}" if said else what


def _last_words(text: str) -> str:
    """The last line of the container's own error output, without the runner's prefix."""
    match = _TAIL_LINES.search(text)
    if match is None:
        return ""
    try:
        lines = parse_json(match[1])
    except UnfitError:
        return ""
    said = [one.strip() for one in lines if isinstance(one, str) and one.strip()]
    return redact_line(_RUNNER.sub("", said[-1]), 160) if said else ""


@dataclass(frozen=True, slots=True)
class LoggedError:
    """One error of the host; those that say the same are one."""

    at: float
    """When it was said last."""
    text: str
    """Harmless, secrets masked."""
    times: int = 1


_ERRORS = ("ERROR", "FATAL")
_ERRORS_KEPT = 3


def last_errors(lines: Iterable[tuple[float, HostLogLine]]) -> tuple[LoggedError, ...]:
    """The newest errors, newest first, at most three."""
    found: dict[str, tuple[float, str, int]] = {}
    for at, line in lines:
        if line.level in _ERRORS:
            about = _VALUES.split(line.text, maxsplit=1)[0]
            found[about] = (at, line.text, found.get(about, (0.0, "", 0))[2] + 1)
    newest = sorted(found.values(), reverse=True)[:_ERRORS_KEPT]
    return tuple(LoggedError(at, redact_line(said, 160), times) for at, said, times in newest)


_VALUES = re.compile(r"\s\w{1,40}=")


class HostLogReader:
    """The troubles of a log file, read again when it changed; only its last 256 KiB."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._troubles: dict[str, StartFailure] = {}
        self.errors: tuple[LoggedError, ...] = ()
        """The newest ones, as of the last reading."""

    def read(self) -> dict[str, StartFailure]:
        """By session; empty where the file cannot be read."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                with open_regular(self._path) as stream:
                    stream.seek(max(0, stat.st_size - TAIL))
                    text = stream.read(TAIL).decode("utf-8", "replace")
                parsed = [line for raw in text.split("\n") if (line := parse(raw)) is not None]
                lines = dated(parsed, stat.st_mtime)
                self._troubles, self.errors = troubles(lines), last_errors(lines)
                self._seen = seen
        except (OSError, OverflowError, ValueError):
            self._seen, self._troubles, self.errors = None, {}, ()
        return self._troubles
