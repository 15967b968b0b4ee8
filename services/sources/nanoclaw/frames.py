"""What may be asked of the host's admin socket, and what its answers mean; nothing here acts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum

from services.clock import Clock
from services.errors import UnavailableError
from services.files.bounded import UnfitError, parse_json
from services.sources.nanoclaw import host_judge
from services.sources.nanoclaw.client import NoAnswer, NoAnswerError, exchange
from services.sources.nanoclaw.host_judge import HostEvidence
from services.sources.nanoclaw.install import Install
from services.text.sanitize import sanitize

ANSWER_S = 2.0
MOST = 100_000


class HostQuery(Enum):
    """The commands that only look (upstream/nanoclaw: Admin socket); there are no others here."""

    HELP = "help"
    SESSIONS = "sessions-list"
    GROUPS = "groups-list"
    CHATS = "messaging-groups-list"
    WIRINGS = "wirings-list"
    APPROVALS = "approvals-list"
    CONFIG = "groups-config-get"
    TASKS = "tasks-list"
    TASK = "tasks-get"


class FrameError(UnavailableError):
    """The host answered, and the answer is a refusal; `code` is the host's own word."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def encode(identity: str, command: str, args: Mapping[str, object]) -> bytes:
    """One request line."""
    frame = {"id": identity, "command": command, "args": dict(args)}
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes, identity: str) -> object:
    """The data of an answer line.

    Raises:
        FrameError: the host says no.
        NoAnswerError: it is no answer to our request.
    """
    try:
        frame = parse_json(line)
    except UnfitError as error:
        raise NoAnswerError(
            NoAnswer.MALFORMED, "The admin socket answers with something else than a frame."
        ) from error
    if not isinstance(frame, dict) or not isinstance(frame.get("ok"), bool):
        raise NoAnswerError(
            NoAnswer.MALFORMED, "The admin socket answers with something else than a frame."
        )
    if frame["ok"]:
        if frame.get("id") != identity:
            raise NoAnswerError(
                NoAnswer.MALFORMED, "The admin socket answers a question nobody asked."
            )
        return frame.get("data")
    error_part = frame.get("error")
    told = error_part if isinstance(error_part, dict) else {}
    code = sanitize(str(told.get("code", "")), 40) or "unknown"
    message = sanitize(str(told.get("message", "")), 200) or "no reason given"
    raise FrameError(code, f"The host refused: {message} ({code}).")


async def ask(
    install: Install,
    question: HostQuery,
    args: Mapping[str, str | int] | None = None,
    *,
    timeout_s: float = ANSWER_S,
) -> object:
    """The host's answer to one question.

    Raises:
        NoAnswerError: nobody answered, or not us.
        FrameError: the host refused.
    """
    identity = f"wakedeck-{question.value}"
    line = encode(identity, question.value, args or {})
    return decode(await exchange(install.admin_socket, line, timeout_s), identity)


async def records(
    install: Install, question: HostQuery, *, timeout_s: float = ANSWER_S
) -> list[dict[str, object]]:
    """The rows of a list.

    Raises:
        NoAnswerError: nobody answered, or not with a list.
        FrameError: the host refused.
    """
    data = await ask(install, question, {"limit": MOST}, timeout_s=timeout_s)
    if not isinstance(data, list):
        raise NoAnswerError(
            NoAnswer.MALFORMED, f"The host's answer to {question.value} is no list."
        )
    return [row for row in data if isinstance(row, dict)]


async def probe(install: Install, clock: Clock) -> HostEvidence:
    """What its socket, its crash record and its log say; takes at most about two seconds."""
    began = clock.monotonic()
    no_answer: NoAnswer | None = None
    refused = ""
    try:
        await ask(install, HostQuery.HELP)
    except NoAnswerError as error:
        no_answer = error.no_answer
    except FrameError as error:
        refused = error.sentence
    return HostEvidence(
        no_answer=no_answer,
        refused=refused,
        latency_s=None if no_answer is not None else clock.monotonic() - began,
        breaker=host_judge.read_breaker(install.breaker),
        log_at=max(
            (
                at
                for at in map(host_judge.modified, (install.log, install.error_log))
                if at is not None
            ),
            default=None,
        ),
        service=install.service,
    )
