"""Asks a host whether it is there, with a question that changes nothing."""

from __future__ import annotations

from services.clock import Clock
from services.sources.nanoclaw import host_judge
from services.sources.nanoclaw.client import NoAnswer, NoAnswerError
from services.sources.nanoclaw.frames import FrameError, HostQuery, ask
from services.sources.nanoclaw.host_judge import HostEvidence
from services.sources.nanoclaw.install import Install


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
