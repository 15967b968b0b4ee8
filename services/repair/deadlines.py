"""Deadlines of the states of an attempt, and the sentence for each."""

from __future__ import annotations

from services.clock import Clock
from services.models import AttemptState
from services.repair.events import Progress
from services.repair.limits import Limits


class Deadlines:
    """Follows one attempt; instants are those of the clock's `monotonic`."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._began = self._since = clock.monotonic()
        self._verified_s = 0.0
        self._waited_s = 0.0

    def moved(self, before: Progress, after: Progress) -> None:
        """Take note of a transition."""
        if _stage(before) == _stage(after):
            return
        now = self._clock.monotonic()
        if before.phase is AttemptState.VERIFY:
            if before.waiting:
                self._waited_s += now - self._since
            else:
                self._verified_s += now - self._since
        self._since = now

    def at(self, state: Progress) -> float:
        """The instant at which the state of now is over its limit."""
        limits = self._limits
        confirmed = state.confirmed is not None
        longest = limits.confirmed_s if confirmed else limits.attempt_s
        whole = self._began + self._waited_s + longest
        match state.phase:
            case AttemptState.PROBE:
                return min(whole, self._since + limits.probe_s)
            case AttemptState.CONNECT:
                return min(whole, self._since + limits.connect_s)
            case AttemptState.WAKE:
                return min(whole, self._since + (limits.action_s if confirmed else limits.wake_s))
            case AttemptState.VERIFY if state.waiting:
                return self._since + limits.lock_s
            case AttemptState.VERIFY:
                return min(whole, self._since + self.verify_s(state) - self._verified_s)
            case AttemptState.DRAIN if state.critical:
                return self._since + self._finishing_s(state)
            case AttemptState.DRAIN:
                return self._since + (limits.reap_s if state.killed else limits.kill_s)
        return whole

    def verify_s(self, state: Progress) -> float:
        """How long the attempt may verify in all."""
        return self._limits.settling_s if state.settling else self._limits.verify_s

    def _finishing_s(self, state: Progress) -> float:
        """How long a critical step is let finish."""
        of_act = state.confirmed is not None and not state.done_text and not state.connects
        return self._limits.action_s if of_act else self._limits.refresh_s

    def reason(self, state: Progress) -> str:
        """The sentence for the deadline of now; empty where the last verdict says it best."""
        limits = self._limits
        match state.phase:
            case AttemptState.PROBE:
                return f"It did not answer the first probe within {limits.probe_s:g} s."
            case AttemptState.CONNECT:
                return f"The link was not up within {limits.connect_s:g} s."
            case AttemptState.VERIFY if state.waiting:
                return f"Another repair of its gateway did not end within {limits.lock_s:g} s."
            case AttemptState.DRAIN if state.critical:
                return (
                    f"A step that must not be interrupted did not end within"
                    f" {self._finishing_s(state):g} s; its outcome is unknown."
                )
            case AttemptState.DRAIN if state.killed:
                return "What the wake had started did not end."
        return ""


def _stage(state: Progress) -> tuple[AttemptState, bool, bool]:
    return state.phase, state.waiting, state.killed
