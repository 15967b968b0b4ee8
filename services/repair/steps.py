"""The steps of one attempt as they are shown: merged by name, in order, slow ones announced."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.models import Step, StepState
from services.text.redact import redact
from services.text.sanitize import plain

ANNOUNCED_S = (10.0, 60.0, 150.0)
"""When a running step says what it waits for."""
_FOR = {
    "check": "an answer to the first probe",
    "select": "the gateway to be selected",
    "start": "it to start",
    "wait": "it to serve",
    "sandbox": "the sandbox to be found",
    "forward": "the forwarded port",
    "credential": "a new credential",
    "connect": "the connection",
    "re-issue": "a new credential",
    "sleep": "it to go to sleep",
}
_OVER = (StepState.OK, StepState.SKIPPED, StepState.FAILED)


@dataclass(slots=True)
class _Line:
    step: Step
    of_link: bool = False
    announced: str = ""
    remark: str = ""


class Ledger:
    """Instants given to it are seconds since the epoch."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """As to be shown now."""
        return tuple(_shown(line) for line in self._lines.values())

    def note(self, step: Step, now: float, *, of_link: bool = False) -> None:
        """Take in a step as its actor tells it; text is made harmless and masked."""
        name = plain(step.name, 40)
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line(Step(name, StepState.PENDING), of_link)
        old = line.step
        restarted = old.state in _OVER and step.state is StepState.RUNNING
        began = step.started_at
        if began is None and step.state not in (StepState.PENDING, StepState.SKIPPED):
            began = now if restarted or old.started_at is None else old.started_at
        ended = step.ended_at
        if ended is None and step.state in _OVER:
            ended = now
        line.step = replace(
            step,
            name=name,
            limit_s=old.limit_s if step.limit_s is None else step.limit_s,
            detail=redact(plain(step.detail, 300)),
            started_at=began,
            ended_at=ended if step.state in _OVER else None,
        )
        if began is not None and (restarted or old.started_at is None):
            self._move(name)
        if restarted or step.state is not StepState.RUNNING:
            line.announced = line.remark = ""

    def forget_link(self, why: str) -> None:
        """The link steps will be done again."""
        for name, line in self._lines.items():
            if line.of_link:
                detail = f"again, after: {why}" if why else ""
                line.step = Step(name, StepState.PENDING, detail=plain(detail, 300))
                line.announced = line.remark = ""

    def forget(self, name: str) -> None:
        """A step of ours will be done again."""
        if name in self._lines:
            self._lines[name] = _Line(Step(name, StepState.PENDING))

    def close(self, state: StepState, detail: str, now: float) -> None:
        """End every running step the same way."""
        for name, line in self._lines.items():
            if line.step.state is StepState.RUNNING:
                kept = detail or line.step.detail
                self.note(replace(line.step, name=name, state=state, detail=kept), now)

    def finish(self, cut: str, now: float) -> None:
        """Nothing goes on: what runs was cut off, what was to come is skipped."""
        self.close(StepState.FAILED, cut, now)
        for line in self._lines.values():
            if line.step.state is StepState.PENDING:
                line.step = replace(line.step, state=StepState.SKIPPED)

    def remark(self, text: str) -> None:
        """Say something on every running step, until it has more to say itself."""
        for line in self._lines.values():
            if line.step.state is StepState.RUNNING:
                line.remark = text

    def announce(self, now: float) -> float | None:
        """Update what slow steps say; the seconds until the next one has something to say."""
        waits: list[float] = []
        for line in self._lines.values():
            began = line.step.started_at
            if line.step.state is not StepState.RUNNING or began is None:
                continue
            elapsed = now - began
            passed = [limit for limit in ANNOUNCED_S if elapsed >= limit]
            if passed:
                line.announced = _announcement(line.step, passed[-1])
            waits += [limit - elapsed for limit in ANNOUNCED_S if elapsed < limit]
        return min(waits, default=None)

    def _move(self, name: str) -> None:
        """Put a step that begins after all that have begun and before all that have not."""
        line = self._lines.pop(name)
        begun = {n: other for n, other in self._lines.items() if other.step.started_at is not None}
        ahead = {n: other for n, other in self._lines.items() if other.step.started_at is None}
        self._lines = {**begun, name: line, **ahead}


def _announcement(step: Step, elapsed: float) -> str:
    awaited = _FOR.get(step.name, "it to end")
    safe = (
        "it is never interrupted, so a cancel waits for it"
        if step.critical
        else "cancelling is safe"
    )
    took = f"{elapsed:.0f} s" if elapsed < 120 else f"{elapsed / 60:g} min"
    return f"over {took}, waiting for {awaited}; {safe}"


def _shown(line: _Line) -> Step:
    more = line.remark or line.announced
    if not more:
        return line.step
    detail = f"{line.step.detail} · {more}" if line.step.detail else more
    return replace(line.step, detail=detail)
