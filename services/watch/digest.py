"""What happened since the last notice, folded into one: what is wrong, what was, what is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from services.config.notify import NotifyTable
from services.lazy_dataclass import dataclass
from services.models import Event, Severity
from services.text.format import clock_time
from services.text.sanitize import sanitize

MAX_NAMED = 10
"""How many are named in one notice; the rest is counted."""
About = tuple[str, str, str]
"""Source, kind and subject of what an event is about."""
KINDS = ("sandbox", "gateway", "source", "needs")
_SERVES = ("ready", "connected", "nothing", "")
"""What states after which nothing is wrong with the subject: the last one is that it is gone."""
_SETTLES = "settling"


def is_over(event: Event) -> bool:
    """Whether nothing is wrong any more with what the event is about."""
    return event.after in _SERVES or (event.after == "asleep" and event.severity is Severity.BETTER)


def about(event: Event) -> About:
    """What an event is about."""
    return (event.source, event.kind, event.subject)


@dataclass(slots=True)
class Digest:
    """Told of one rule: what turned bad, what of it is over already, what else is over."""

    worse: dict[About, Event] = field(default_factory=dict)
    over: dict[About, Event] = field(default_factory=dict)
    """What is well again, of what was told before or turned bad meanwhile."""

    def take(self, event: Event, table: NotifyTable, open_troubles: set[About]) -> None:
        """Fold one event in, oldest first; `open_troubles` is what was told and is not over."""
        if event.kind not in KINDS or (table.sources and event.source not in table.sources):
            return
        key = about(event)
        if event.kind == "sandbox" and not event.after:
            # What is gone waits for nobody.
            needs = (event.source, "needs", event.subject)
            if needs in self.worse or needs in open_troubles:
                self.over[needs] = event
        wanted = "needs-me" if event.kind == "needs" else "worse"
        if event.severity is Severity.WORSE and event.after != _SETTLES:
            if wanted in table.when:
                self.worse[key] = event
                self.over.pop(key, None)
        elif is_over(event) and (
            key in self.worse or key in open_troubles or "recovered" in table.when
        ):
            self.over[key] = event

    def still_wrong(self, open_troubles: set[About]) -> set[About]:
        """What is told and not over, after this."""
        gone = {key for key, event in self.worse.items() if is_over(event)}
        return (open_troubles | self.worse.keys()) - self.over.keys() - gone

    def was_wrong(self, open_troubles: set[About]) -> bool:
        """Whether there was trouble that can be over."""
        return bool(open_troubles) or not all(map(is_over, self.worse.values()))

    def is_worth_telling(self, table: NotifyTable, open_troubles: set[About]) -> bool:
        """Whether there is something to send."""
        if self.worse or (self.over and "recovered" in table.when):
            return True
        return bool(open_troubles) and not self.still_wrong(open_troubles)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is sent, in plain text."""

    title: str
    body: str


def compose(
    digest: Digest,
    open_troubles: set[About],
    advice: Callable[[About], str] = lambda _: "",
    label: str = "",
) -> Notice:
    """The notice of a digest. `advice` says what one key would do; `label` names the panel."""
    bad = {key: one for key, one in digest.worse.items() if key not in digest.over}
    lines = _bounded([(key, _line(one), advice) for key, one in bad.items()])
    over = digest.over.items()
    lines += _bounded([(key, _over_line(digest.worse.get(key), one), None) for key, one in over])
    quiet = digest.was_wrong(open_troubles) and not digest.still_wrong(open_troubles)
    if quiet:
        lines.append("All quiet again.")
    title = _title(bad, digest.over, quiet)
    where = sanitize(label, 40)
    return Notice(f"{where}: {title}" if where else title, "\n".join(lines))


def _title(bad: Mapping[About, Event], over: Mapping[About, Event], quiet: bool) -> str:
    if len(bad) == 1 and not over:
        return sanitize(next(iter(bad.values())).text.partition(":")[0], 120)
    needs = sum(key[1] == "needs" for key in bad)
    counts = [
        f"{number} {word}"
        for number, word in (
            (len(bad) - needs, "worse"),
            (needs, "waiting for you"),
            (len(over), "well again"),
        )
        if number
    ]
    return f"all quiet again ({counts[-1]})" if quiet and not bad else ", ".join(counts)


def _bounded(
    found: list[tuple[About, str, Callable[[About], str] | None]],
) -> list[str]:
    """The first lines, each with what advice there is; the rest is counted."""
    lines = [
        f"{line} {advice(key)}".rstrip() if advice is not None else line
        for key, line, advice in found[:MAX_NAMED]
    ]
    rest = found[MAX_NAMED:]
    if rest:
        sources = sorted({key[0] for key, _, _ in rest})
        more = f" and {len(sources) - 3} more sources" if len(sources) > 3 else ""
        lines.append(f"And {len(rest)} more of {', '.join(sources[:3])}{more}.")
    return lines


def _line(event: Event) -> str:
    where = f"{event.source}/{event.subject}".strip("/")
    said = sanitize(event.text, 200).rstrip(".")
    return f"{where}: {said}, since {clock_time(event.at)}."


def _over_line(worse: Event | None, over: Event) -> str:
    where = f"{over.source}/{over.subject}".strip("/")
    said = sanitize(over.text, 200).rstrip(".")
    if worse is None or worse is over:
        return f"{where}: {said}, since {clock_time(over.at)}."
    was = sanitize(worse.text, 200).rstrip(".")
    return f"{where}: {said}, since {clock_time(over.at)}; from {clock_time(worse.at)}: {was}."


def fold(events: Iterable[Event], table: NotifyTable, open_troubles: set[About]) -> Digest:
    """The digest of events, oldest first."""
    digest = Digest()
    for event in events:
        digest.take(event, table, open_troubles)
    return digest
