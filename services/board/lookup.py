"""What an operator types to mean a sandbox: its name, or `source/name` where two share it."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from services.errors import AmbiguousError, NotFoundError, RefusedError, UnavailableError
from services.lazy_dataclass import dataclass
from services.models import Sandbox
from services.text.sanitize import printable


def find(sandboxes: Iterable[Sandbox], typed: str) -> Sandbox:
    """The one sandbox meant.

    Raises:
        NotFoundError: none; names the nearest.
        AmbiguousError: several; lists them.
    """
    every = list(sandboxes)
    exact = [one for one in every if _means(typed, str(one.id), f"{one.id.source}/{one.name}")]
    if not exact:
        # As `source/name`, too, a sandbox may be called by what belongs to it.
        source, _, rest = typed.partition("/")
        exact = [one for one in every if one.id.source == source and _means(rest, *one.aliases)]
    found = exact or [
        one for one in every if _means(typed, one.name, one.id.native_id, *one.aliases)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(sorted(str(one.id) for one in found))
        raise AmbiguousError(f"{typed!r} names several sandboxes: {names}.")
    known = sorted({one.name for one in every})
    near = difflib.get_close_matches(typed, known, n=1)
    if near:
        raise NotFoundError(f"No sandbox {typed!r}; did you mean {near[0]!r}?")
    raise NotFoundError(f"No sandbox {typed!r}. There are: {', '.join(known[:20]) or 'none'}.")


def _means(typed: str, *names: str) -> bool:
    """Whether it is one of the names, as they are or as they are printed."""
    return typed in names or typed in map(printable, names)


Ask = Callable[[str, str], Awaitable[Sandbox | None]]
"""(source, name) → what the source itself answers; raises UnavailableError where it cannot."""


@dataclass(frozen=True, slots=True)
class Found:
    """The sandbox meant, and the sources that could not say whether they have one of that name."""

    sandbox: Sandbox
    unsure: tuple[str, ...] = ()


async def find_or_ask(
    sandboxes: Iterable[Sandbox],
    typed: str,
    unknown: Mapping[str, str],
    ask: Ask,
    sources: Collection[str] = (),
) -> Found:
    """The one sandbox meant, where the lists of some sources are not known.

    `unknown` says why, by source. Those sources are asked for the name itself; `sources` are all
    there are.

    Raises:
        NotFoundError: none, and everything is known.
        AmbiguousError: several; lists them.
        UnavailableError: none is known, and a source could not say.
    """
    every = list(sandboxes)
    source, _, rest = typed.partition("/")
    named = source if rest and source in {*sources, *unknown} else ""
    asked = {key: why for key, why in unknown.items() if named in ("", key)}
    missing: NotFoundError | None = None
    candidates: dict[str, Sandbox] = {}
    try:
        listed = find(every, typed)
        candidates[str(listed.id)] = listed
        if named:
            return Found(listed)
    except NotFoundError as error:
        missing = error
    unsure: dict[str, str] = {}
    for key, why in asked.items():
        try:
            row = await ask(key, rest if named else typed)
        except UnavailableError as error:
            unsure[key] = error.sentence or why
            continue
        if row is not None:
            candidates.setdefault(str(row.id), row)
    if len(candidates) > 1:
        names = ", ".join(sorted(candidates))
        raise AmbiguousError(f"{typed!r} names several sandboxes: {names}.")
    if candidates:
        return Found(next(iter(candidates.values())), tuple(unsure))
    if unsure:
        reasons = "; ".join(f"{key}: {why}" for key, why in unsure.items())
        raise UnavailableError(f"Whether there is a sandbox {typed!r} is not known. {reasons}")
    raise missing or NotFoundError(f"No sandbox {typed!r}.")


def refuse_unsure(found: Found, typed: str) -> None:
    """Nothing is done to a bare name that another source may have, too.

    Raises:
        RefusedError: lists the full names.
    """
    if not found.unsure:
        return
    names = ", ".join((str(found.sandbox.id), *(f"{key}/{typed}" for key in found.unsure)))
    raise RefusedError(
        f"{typed!r} may be in {' and '.join(found.unsure)} as well, which cannot be known now.",
        advice=f"Say which: {names}.",
    )
