"""What one notice says: what turned bad, what is over, and when there is nothing to say."""

from __future__ import annotations

import pytest

from services.config.notify import NotifyTable
from services.models import Event, Severity
from services.text.format import clock_time
from services.watch.digest import MAX_NAMED, About, Notice, compose, fold

WORSE, BETTER, OTHER = Severity.WORSE, Severity.BETTER, Severity.INFO
PLAIN = NotifyTable()
TELLS_ALL = NotifyTable(when=("worse", "needs-me", "recovered"))
A, B = ("pods", "sandbox", "a"), ("pods", "sandbox", "b")
NEEDS_A = ("pods", "needs", "a")


def event(
    after: str,
    severity: Severity = WORSE,
    about: About = A,
    at: float = 60.0,
    text: str = "",
) -> Event:
    source, kind, subject = about
    said = text or f"{subject} is {after}: why"
    return Event(at, severity, source, subject, kind, said, before="", after=after)


DOWN, READY = event("down"), event("ready", BETTER, at=120.0)
ASLEEP = event("asleep", BETTER)


def told(
    *events: Event, table: NotifyTable = PLAIN, before: frozenset[About] = frozenset()
) -> tuple[set[About], set[About], set[About], bool, bool]:
    """What is worse, over and still wrong; whether it is told, and whether all was well before."""
    troubles = set(before)
    digest = fold(events, table, troubles)
    return (
        set(digest.worse),
        set(digest.over),
        digest.still_wrong(troubles),
        digest.is_worth_telling(table, troubles),
        digest.was_wrong(troubles),
    )


NONE: set[About] = set()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (told(), (NONE, NONE, NONE, False, False)),
        (told(DOWN), ({A}, NONE, {A}, True, True)),
        (told(DOWN, READY), ({A}, {A}, NONE, True, True)),
        (told(DOWN, READY, DOWN), ({A}, NONE, {A}, True, True)),
        # On its way is no trouble, and neither is what is only said.
        (told(event("settling")), (NONE, NONE, NONE, False, False)),
        (told(event("down", OTHER)), (NONE, NONE, NONE, False, False)),
        (told(event("broken", BETTER)), (NONE, NONE, NONE, False, False)),
        # Well again is told of what was told before, and of all only where that is wished.
        (told(READY), (NONE, NONE, NONE, False, False)),
        (told(READY, table=TELLS_ALL), (NONE, {A}, NONE, True, False)),
        (told(READY, before=frozenset({A})), (NONE, {A}, NONE, True, True)),
        (told(READY, before=frozenset({A, B})), (NONE, {A}, {B}, False, True)),
        (told(before=frozenset({B})), (NONE, NONE, {B}, False, True)),
        # Asleep is well where that is better than before, and only there.
        (told(ASLEEP, before=frozenset({A})), (NONE, {A}, NONE, True, True)),
        (told(event("asleep", OTHER), before=frozenset({A})), (NONE, NONE, {A}, False, True)),
        (told(event("asleep")), ({A}, NONE, {A}, True, True)),
        # What is gone is wrong no more, and waits for nobody.
        (told(event("")), ({A}, NONE, NONE, True, False)),
        (
            told(event("x", about=NEEDS_A), event("", BETTER)),
            ({NEEDS_A}, {NEEDS_A}, NONE, True, True),
        ),
        (told(event("", BETTER), before=frozenset({NEEDS_A})), (NONE, {NEEDS_A}, NONE, True, True)),
        (
            told(event("", BETTER, ("pods", "gateway", "a")), before=frozenset({NEEDS_A})),
            (NONE, NONE, {NEEDS_A}, False, True),
        ),
        # Kinds and sources nobody asked for.
        (told(event("down", about=("pods", "repair", "a"))), (NONE, NONE, NONE, False, False)),
        (told(DOWN, table=NotifyTable(sources=("vellum",))), (NONE, NONE, NONE, False, False)),
        (told(DOWN, table=NotifyTable(sources=("pods",))), ({A}, NONE, {A}, True, True)),
        (told(DOWN, table=NotifyTable(when=("needs-me",))), (NONE, NONE, NONE, False, False)),
        (
            told(event("x", about=NEEDS_A), table=NotifyTable(when=("worse",))),
            (NONE, NONE, NONE, False, False),
        ),
    ],
)
def test_what_is_folded(found: object, expected: object) -> None:
    assert found == expected


def notice(*events: Event, before: frozenset[About] = frozenset(), **more: object) -> Notice:
    troubles = set(before)
    return compose(fold(events, TELLS_ALL, troubles), troubles, **more)  # type: ignore[arg-type]


ONE, TWO = clock_time(60.0), clock_time(120.0)


@pytest.mark.parametrize(
    ("said", "title", "body"),
    [
        (notice(DOWN), "a is down", f"pods/a: a is down: why, since {ONE}."),
        (
            notice(DOWN, READY),
            "all quiet again (1 well again)",
            f"pods/a: a is ready: why, since {TWO}; from {ONE}: a is down: why.\nAll quiet again.",
        ),
        (
            notice(READY, before=frozenset({A})),
            "all quiet again (1 well again)",
            f"pods/a: a is ready: why, since {TWO}.\nAll quiet again.",
        ),
        (notice(READY), "1 well again", f"pods/a: a is ready: why, since {TWO}."),
        (
            notice(READY, before=frozenset({A, B})),
            "1 well again",
            f"pods/a: a is ready: why, since {TWO}.",
        ),
        (
            notice(DOWN, event("ready", BETTER, B)),
            "1 worse, 1 well again",
            f"pods/a: a is down: why, since {ONE}.\npods/b: b is ready: why, since {ONE}.",
        ),
        (
            notice(DOWN, event("asks", about=NEEDS_A)),
            "1 worse, 1 waiting for you",
            f"pods/a: a is down: why, since {ONE}.\npods/a: a is asks: why, since {ONE}.",
        ),
        (
            notice(event("down", about=("pods", "source", ""), text="No answer.")),
            "No answer.",
            f"pods: No answer, since {ONE}.",
        ),
        (
            notice(DOWN, advice=lambda key: f"Press w for {key[2]}.", label="night"),
            "night: a is down",
            f"pods/a: a is down: why, since {ONE}. Press w for a.",
        ),
    ],
)
def test_what_a_notice_says(said: Notice, title: str, body: str) -> None:
    assert (said.title, said.body) == (title, body)


@pytest.mark.parametrize(
    ("more", "sources", "last"),
    [
        (0, 1, ""),
        (1, 1, "And 1 more of s0."),
        (3, 3, "And 3 more of s0, s1, s2."),
        (4, 4, "And 4 more of s0, s1, s2 and 1 more sources."),
    ],
)
def test_only_so_many_are_named(more: int, sources: int, last: str) -> None:
    many = [
        event("down", about=(f"s{n % sources}", "sandbox", f"{n:02}"))
        for n in range(MAX_NAMED + more)
    ]
    ordered = many[:MAX_NAMED] + sorted(many[MAX_NAMED:], key=lambda one: one.source)
    lines = notice(*ordered).body.splitlines()
    assert len(lines) == MAX_NAMED + bool(more)
    assert lines[MAX_NAMED:] == ([last] if last else [])
