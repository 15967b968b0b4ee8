"""How long each state of an attempt may take, and the sentence where it takes longer."""

from __future__ import annotations

from services.clock import Clock
from services.lazy_dataclass import dataclass
from services.models import Attempt, AttemptState

MAX_CONNECTS = 4
"""How often the link is tried in one attempt."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds (upstream/repair: Limits)."""

    probe_s: float = 8.0
    critical_s: float = 40.0
    """How long a step that must not be interrupted is let finish."""
    connect_s: float = 55.0
    wake_s: float = 365.0
    grace_s: float = 5.0
    """How long what was asked to end may take before its step says so."""
    reap_s: float = 10.0
    """How long it is waited for after that."""
    verify_s: float = 60.0
    settling_s: float = 300.0
    """In all, where it is settling; `verify_s` counts anew from the last look that said so."""
    attempt_s: float = 950.0
    """Without the time spent waiting for the lock."""
    action_s: float = 525.0
    """What the operator confirmed beforehand, in place of a wake: at the longest a restart."""
    confirmed_s: float = 1110.0
    """In place of `attempt_s` where something was confirmed beforehand."""
    lock_s: float = 555.0
    """How long another repair of the same gateway is waited for."""

    @property
    def drain_s(self) -> float:
        """How long what was asked to end is waited for in all."""
        return self.grace_s + self.reap_s

    def check(self) -> None:
        """Hold every outer limit against the sum of its inner ones.

        Raises:
            ValueError: naming the first that does not exceed it.
        """
        rest = self.probe_s + self.drain_s + self.settling_s + MAX_CONNECTS * self.connect_s
        for name, outer, inner in (
            ("connect_s", self.connect_s, self.critical_s),
            ("settling_s", self.settling_s, self.verify_s),
            ("attempt_s", self.attempt_s, rest + self.wake_s),
            ("confirmed_s", self.confirmed_s, rest + self.action_s),
            ("action_s", self.action_s, self.wake_s),
            ("lock_s", self.lock_s, self.action_s + self.drain_s),
        ):
            if outer <= inner:
                raise ValueError(f"{name} is {outer:g} s and must exceed {inner:g} s")


class Deadlines:
    """Follows one attempt; instants are those of the clock's `monotonic`."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._began = self._since = clock.monotonic()
        self._verified_s = 0.0
        self._settled_at: float | None = None
        self._waited_s = 0.0

    def extend(self, seconds: float) -> None:
        """This process itself was held up for so long: that is nobody's delay."""
        self._began += seconds
        self._since += seconds

    def moved(self, before: Attempt, after: Attempt) -> None:
        """Take note of a transition."""
        if after.state is AttemptState.VERIFY and after.settling:
            self._settled_at = self._clock.monotonic()
        if _stage(before) == _stage(after):
            return
        now = self._clock.monotonic()
        if before.state is AttemptState.VERIFY:
            if before.waiting:
                self._waited_s += now - self._since
            else:
                self._verified_s += now - self._since
        self._since = now

    def at(self, attempt: Attempt) -> float:
        """The instant at which the state of now is over its limit."""
        limits = self._limits
        confirmed = attempt.confirmed is not None
        longest = limits.confirmed_s if confirmed else limits.attempt_s
        whole = self._began + self._waited_s + longest
        match attempt.state:
            case AttemptState.PROBE:
                return min(whole, self._since + limits.probe_s)
            case AttemptState.CONNECT:
                return min(whole, self._since + limits.connect_s)
            case AttemptState.WAKE:
                return min(whole, self._since + (limits.action_s if confirmed else limits.wake_s))
            case AttemptState.VERIFY if attempt.waiting:
                return self._since + limits.lock_s
            case AttemptState.VERIFY:
                return min(whole, self._since + self.verify_s(attempt) - self._verified_s)
            case AttemptState.DRAIN if attempt.critical:
                return self._since + self._finishing_s(attempt)
            case AttemptState.DRAIN:
                return self._since + (limits.reap_s if attempt.overdue else limits.grace_s)
        return whole

    def verify_s(self, attempt: Attempt) -> float:
        """How long the attempt may verify in all, as its latest look has it."""
        limits = self._limits
        if attempt.settling:
            return limits.settling_s
        if self._settled_at is None or self._settled_at < self._since:
            return limits.verify_s
        verified = self._verified_s + self._settled_at - self._since
        return min(limits.settling_s, verified + limits.verify_s)

    def _finishing_s(self, attempt: Attempt) -> float:
        """How long a critical step is let finish."""
        of_act = attempt.confirmed is not None and not attempt.done_text and not attempt.connects
        return self._limits.action_s if of_act else self._limits.critical_s

    def reason(self, attempt: Attempt) -> str:
        """The sentence for the deadline of now; empty where the last verdict says it best."""
        limits = self._limits
        match attempt.state:
            case AttemptState.PROBE:
                return f"It did not answer the first probe within {limits.probe_s:g} s."
            case AttemptState.CONNECT:
                return f"The link was not up within {limits.connect_s:g} s."
            case AttemptState.VERIFY if attempt.waiting:
                return f"Another repair of its gateway did not end within {limits.lock_s:g} s."
            case AttemptState.DRAIN if attempt.critical:
                return (
                    f"A step that must not be interrupted did not end within"
                    f" {self._finishing_s(attempt):g} s; its outcome is unknown."
                )
            case AttemptState.DRAIN if attempt.overdue:
                return "What the wake had started did not end."
        return ""


def _stage(attempt: Attempt) -> tuple[AttemptState, bool, bool]:
    return attempt.state, attempt.waiting, attempt.overdue
