"""Which sessions' files are read in a round, and reading them within its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from services.clock import Clock
from services.queues.due import DUE_PREFETCH, QueueRules
from services.queues.file_marks import SETTLED_S
from services.queues.reader import QueueReader, SurveyRequest
from services.sources.nanoclaw.containers import SessionKey
from services.sources.nanoclaw.folders import NOTHING
from services.sources.nanoclaw.install import Install
from services.sources.nanoclaw.joins import is_alive
from services.sources.nanoclaw.tracked import PollContext, TrackedSession

BATCH = 32
"""So many sessions are read in one go, where they are short."""
BUDGET_S = 3.0
"""How long one round reads session files; the rest waits for the next."""
LONGEST_REST_S = 5.0
"""A session that matters is read again after this long though its files look unchanged."""
WHOLE_EVERY_S = 30.0
"""A session whose messages keep coming has its other file read at least this often."""
ROTATION = 4
"""How many of the others are read again in a round."""


def queue_rules(context: PollContext, session_key: SessionKey) -> QueueRules:
    """How the code of this install treats the queue files of a session."""
    prefetch = context.seen.central.prefetch.get(session_key[0], DUE_PREFETCH)
    return QueueRules(prefetch, context.generation.oldest_first, context.generation.dated)


class SessionSurveyor:
    """Reads the files of what changed, the most urgent first, and of the rest in turn."""

    def __init__(self, install: Install, reader: QueueReader, clock: Clock) -> None:
        self._install = install
        self._reader = reader
        self._clock = clock
        self._rotation: deque[SessionKey] = deque()

    def track(self, session_keys: Iterable[SessionKey]) -> None:
        """These are the sessions there are."""
        self._rotation = deque(session_keys)

    def due(
        self, context: PollContext, sessions: Mapping[SessionKey, TrackedSession]
    ) -> list[TrackedSession]:
        """Whose files to read in this round, the most urgent first."""
        now = self._clock.monotonic()
        changed: list[tuple[bool, float, TrackedSession]] = []
        listed = context.listing.by_session
        silent = False if context.listing.known else None
        for session_key, stamp in context.stamps.items():
            one = sessions[session_key]
            if one.row_is_current and stamp is one.stamp and one.alive is silent is False:
                continue
            active = session_key in listed or (one.judged is not None and not one.judged.steady)
            next_at = one.survey.facts.next_at
            lapsed = next_at is not None and next_at <= self._clock.now()
            old = lapsed or (active and now - one.surveyed_at >= LONGEST_REST_S)
            moved = stamp != one.stamp or is_alive(context, one) != one.alive
            if stamp is not NOTHING and (moved or old):
                changed.append((not active, -stamp.newest, one))
        changed.sort(key=lambda entry: entry[:2])
        chosen = [one for _, _, one in changed]
        for _ in range(min(ROTATION, len(self._rotation))):
            session_key = self._rotation[0]
            self._rotation.rotate(-1)
            one = sessions[session_key]
            rested = now - one.surveyed_at >= LONGEST_REST_S
            if rested and context.stamps.get(session_key, NOTHING) is not NOTHING:
                chosen.append(one)
        return list({one.session_key: one for one in chosen}.values())

    async def read(self, context: PollContext, some: Sequence[TrackedSession]) -> None:
        """Read these in their order, as far as one round has time for it."""
        queue, until = deque(some), self._clock.monotonic() + BUDGET_S
        while queue and self._clock.monotonic() < until:
            await self._read(context, queue)

    async def _read(self, context: PollContext, queue: deque[TrackedSession]) -> None:
        """Read some of the queue, and leave the rest in it."""
        some = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
        some = [one for one in some if context.stamps.get(one.session_key, NOTHING) is not NOTHING]
        if not some:
            return
        now, root = self._clock.monotonic(), self._install.sessions
        wanted = [
            SurveyRequest(
                f"{root}/{one.session_key[0]}/{one.session_key[1]}",
                is_alive(context, one),
                queue_rules(context, one.session_key),
                context.stamps[one.session_key] == one.stamp or now - one.whole_at >= WHOLE_EVERY_S,
            )
            for one in some
        ]
        surveys = await self._reader.surveys(wanted)
        queue.extendleft(reversed(some[len(surveys) :]))
        for one, asked, survey in zip(some, wanted, surveys, strict=False):
            stamp = context.stamps[one.session_key]
            one.whole_at = now if asked.whole else one.whole_at
            if survey != one.survey:
                one.survey, one.row_is_current = survey, False
            one.surveyed_at, one.alive = self._clock.monotonic(), asked.alive
            settled = self._clock.now() - stamp.newest > SETTLED_S
            one.stamp = stamp if settled and not survey.facts.problem else None
