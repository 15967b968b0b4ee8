"""The records of a table by key: which are visible, and in what order."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from widgets.table.filter import Matcher, matcher, narrows

K = TypeVar("K")
R = TypeVar("R")


class Change(NamedTuple, Generic[K, R]):
    """What a reconciliation did."""

    added: tuple[K, ...]
    updated: tuple[tuple[K, R, R], ...]
    """Key, record before, record now; only where they differ."""
    removed: tuple[K, ...]
    moved: bool
    """Whether the visible order is another than before."""

    @property
    def keys(self) -> set[K]:
        """Of every record it is about."""
        return {*self.added, *(key for key, _, _ in self.updated), *self.removed}


class Aside(NamedTuple, Generic[R]):
    """Records that are shown only where the filter has a word."""

    word: str
    """In lower case."""
    kept: Callable[[R], bool]
    """Whether a record is one of them."""


class Overlay(NamedTuple, Generic[R]):
    """What is shown of records beside what they say themselves, such as that all are late."""

    shown: Callable[[R], R]
    """A record with it."""
    word: Callable[[R], str]
    """What a filter finds because of it, in lower case; empty for nothing."""


class RecordModel(Generic[K, R]):
    """Records by key, with a filter over their search text and an order.

    The natural order is `order` where given, else that of arrival. A sort keeps it among equals.
    A held row stays visible whatever an update says of it: one that is removed is kept as a
    ghost, one that no longer matches the filter stays until it is released.
    """

    def __init__(
        self,
        key: Callable[[R], K],
        search: Callable[[R], str],
        order: Callable[[R], Any] | None = None,
        aside: Aside[R] | None = None,
    ) -> None:
        self.key = key
        self._aside = aside
        self._search = search
        self._order = order
        self._records: dict[K, R] = {}
        self._natural: list[K] = []
        self._unordered = False
        self._place: dict[K, int] | None = None
        self._search_texts: dict[K, str] = {}
        self._unread: dict[K, None] = {}
        self._filter = ""
        self._predicate: Matcher | None = None
        self._set_aside: set[K] = set()
        self._sort_of: Callable[[R], Any] | None = None
        self._reverse = False
        self._visible: list[K] = []
        self._row: dict[K, int] = {}
        self._ghosts: set[K] = set()
        self._held: frozenset[K] = frozenset()
        self._overlay: Overlay[R] | None = None
        self._overlaid: dict[K, tuple[R, R]] = {}
        """Records with the overlay, as long as they are the same: what is drawn is kept by them."""

    def __len__(self) -> int:
        return len(self._visible)

    def __contains__(self, key: K) -> bool:
        return key in self._records

    @property
    def total(self) -> int:
        """How many records there are, visible or not; ghosts are none."""
        return len(self._records) - len(self._ghosts)

    @property
    def visible(self) -> Sequence[K]:
        """The keys in the order shown."""
        return self._visible

    @property
    def filter(self) -> str:
        """The active filter, as typed."""
        return self._filter

    def record(self, key: K) -> R | None:
        """The record of a key as it is shown, or None."""
        record = self._records.get(key)
        if self._overlay is None or record is None or key in self._ghosts:
            return record
        kept = self._overlaid.get(key)
        if kept is None or kept[0] is not record:
            kept = self._overlaid[key] = record, self._overlay.shown(record)
        return kept[1]

    def set_overlay(self, overlay: Overlay[R] | None) -> bool:
        """Show this beside what the records say; whether the visible rows changed."""
        self._overlay = overlay
        self._overlaid.clear()
        return self._predicate is not None and self._arrange()

    def records(self) -> Iterable[R]:
        """Every record, visible or not; ghosts are none."""
        if not self._ghosts:
            return self._records.values()
        return [one for key, one in self._records.items() if key not in self._ghosts]

    @property
    def ghosts(self) -> Collection[K]:
        """Keys of rows that were removed while they were held."""
        return self._ghosts

    def row(self, key: K | None) -> int | None:
        """The visible row of a key, or None."""
        return None if key is None else self._row.get(key)

    def renew(self, records: Mapping[K, R]) -> None:
        """Replace records by ones that are found, shown and ordered alike, such as later looks."""
        held = self._records
        if self._ghosts or not records.keys() <= held.keys():
            known = held.keys() - self._ghosts
            records = {key: one for key, one in records.items() if key in known}
        held.update(records)

    def prepare(self, most: int) -> bool:
        """Read up to `most` records for a filter to come; whether there are more to read."""
        while self._unread and most > 0:
            key, _ = self._unread.popitem()
            most -= self._read(key)
        return bool(self._unread)

    def reconcile(
        self,
        upserted: Iterable[R],
        removed: Iterable[K] = (),
        *,
        held: Iterable[K] = (),
        to_ghost: Callable[[R], R] | None = None,
    ) -> Change[K, R]:
        """Apply a delta; the rest of the records is not looked at.

        `held` are the keys whose visible rows stay. Where there is a `to_ghost`, it makes what is
        shown of one that is removed; it counts as removed, and as added if it comes back.
        """
        self._held = frozenset(key for key in held if key in self._row)
        added: list[K] = []
        updated: list[tuple[K, R, R]] = []
        displaced: dict[K, None] = {}
        gone = self._remove(removed, to_ghost)
        restructure = bool(gone)
        for record in upserted:
            key = self.key(record)
            before = self._records.get(key)
            back = key in self._ghosts
            if before is not None and before == record and not back:
                continue
            if back or (before is None and self._is_before_last(record)):
                self._unordered = True
            self._records[key] = record
            self._search_texts.pop(key, None)
            self._unread[key] = None
            if self._aside is not None:
                (self._set_aside.add if self._aside.kept(record) else self._set_aside.discard)(key)
            if before is None or back:
                added.append(key)
                self._ghosts.discard(key)
                if not back:
                    self._natural.append(key)
                restructure = True
            else:
                updated.append((key, before, record))
                if self._displaced(key, before, record):
                    displaced[key] = None
        moved = False
        if restructure or self._unordered:
            moved = self._arrange()
        elif displaced:
            moved = self._move_rows(displaced)
        return Change(tuple(added), tuple(updated), tuple(gone), moved)

    def set_filter(self, text: str) -> bool:
        """Show what matches `text`; whether the visible rows changed."""
        fewer = self._predicate is not None and narrows(self._filter, text) and not self._held
        fewer = fewer and self._shows_aside(self._filter) is self._shows_aside(text)
        self._held = frozenset()
        self._filter = text
        self._predicate = matcher(text)
        if fewer and self._predicate is not None and not self._unordered:
            return self._show(self._matching(self._visible))
        return self._arrange()

    def set_sort(self, key: Callable[[R], Any] | None, *, reverse: bool = False) -> bool:
        """Sort by `key`, or naturally where None; whether the visible rows changed."""
        self._sort_of, self._reverse = key, reverse
        return self._arrange()

    def clear(self) -> None:
        """Forget every record; filter and sort stay."""
        self._records.clear()
        self._natural.clear()
        self._search_texts.clear()
        self._unread.clear()
        self._set_aside.clear()
        self._ghosts.clear()
        self._held = frozenset()
        self._arrange()

    def release(self, held: Collection[K]) -> bool:
        """Hold these alone: other ghosts are forgotten; whether the visible rows changed."""
        left = {key for key in self._ghosts if key not in held}
        kept = frozenset(key for key in self._held if key in held)
        let_go, self._held = self._held - kept, kept
        if not left and all(self._stays(key) for key in let_go):
            return False
        for key in left:
            self._forget(key)
        self._ghosts -= left
        self._natural = [key for key in self._natural if key in self._records]
        return self._arrange()

    def _stays(self, key: K) -> bool:
        """Whether a key that nothing holds is rightly visible or hidden."""
        return key not in self._records or self._matches(key) == (key in self._row)

    def _remove(self, keys: Iterable[K], to_ghost: Callable[[R], R] | None) -> list[K]:
        gone: list[K] = []
        for key in keys:
            before = self._records.get(key)
            if before is None or key in self._ghosts:
                continue
            gone.append(key)
            if to_ghost is not None and key in self._held:
                self._ghosts.add(key)
                self._records[key] = to_ghost(before)
            else:
                self._forget(key)
        if gone:
            self._natural = [key for key in self._natural if key in self._records]
        return gone

    def _forget(self, key: K) -> None:
        del self._records[key]
        self._search_texts.pop(key, None)
        self._unread.pop(key, None)
        self._set_aside.discard(key)
        self._overlaid.pop(key, None)

    def nearest_visible(self, before: Sequence[K], at: int) -> K | None:
        """The visible key nearest to row `at` of those shown `before`: below first, then above."""
        for key in before[at:]:
            if key in self._row:
                return key
        for key in reversed(before[:at]):
            if key in self._row:
                return key
        return None

    def _displaced(self, key: K, before: R, record: R) -> bool:
        """Whether the new record may stand elsewhere than the old one."""
        if self._order is not None and self._order(before) != self._order(record):
            self._unordered = True
            return True
        if self._narrowed and self._matches(key) != (key in self._row):
            return True
        return self._sort_of is not None and self._sort_of(before) != self._sort_of(record)

    @property
    def _narrowed(self) -> bool:
        """Whether some records may not be visible."""
        return self._predicate is not None or self._aside is not None

    def _shows_aside(self, text: str) -> bool:
        return self._aside is None or self._aside.word in text.casefold()

    def _matches(self, key: K) -> bool:
        if key in self._held:
            return True
        if key in self._set_aside and not self._shows_aside(self._filter):
            return False
        return self._predicate is None or self._predicate(self._text(key))

    def _matching(self, keys: Sequence[K]) -> list[K]:
        """Those that match, in their order."""
        if self._set_aside and not self._shows_aside(self._filter):
            shown = [key for key in keys if key not in self._set_aside or key in self._held]
        else:
            shown = list(keys)
        if self._predicate is None:
            return shown
        while self.prepare(len(self._unread)):
            pass
        text_of = self._search_texts.__getitem__ if self._overlay is None else self._text
        found = self._predicate.among(shown, text_of)
        if self._held:
            every = self._held.union(found)
            found = [key for key in shown if key in every]
        return found

    def _text(self, key: K) -> str:
        """What a filter looks for words in."""
        if key not in self._search_texts:
            self._read(key)
        word = "" if self._overlay is None else self._overlay.word(self._records[key])
        return f"{self._search_texts[key]}\n{word}" if word else self._search_texts[key]

    def _is_before_last(self, record: R) -> bool:
        """Whether a new record does not simply follow all others."""
        if self._order is None or not self._natural:
            return False
        return bool(self._order(record) < self._order(self._records[self._natural[-1]]))

    def _read(self, key: K) -> bool:
        """Have a record's search text; whether that was work."""
        if key in self._search_texts:
            return False
        self._search_texts[key] = self._search(self._records[key]).casefold()
        return True

    def rearrange(self) -> bool:
        """Order anew, as after a renewal that the sort depends on; whether anything moved."""
        return self._arrange()

    def _move_rows(self, keys: Iterable[K]) -> bool:
        """Give these keys the places their records have now; all others keep their order."""
        moving = set(keys)
        if self._reverse or len(moving) > len(self._visible) // 8:
            return self._arrange()
        shown = [key for key in self._visible if key not in moving]
        if self._place is None:
            self._place = {key: at for at, key in enumerate(self._natural)}
        place, by, records = self._place, self._sort_of, self._records
        for key in moving:
            if self._matches(key):
                if by is None:
                    insort(shown, key, key=place.__getitem__)
                else:
                    insort(shown, key, key=lambda k: (by(records[k]), place[k]))
        return self._show(shown)

    def _arrange(self) -> bool:
        self._place = None
        records = self._records
        if self._order is not None and self._unordered:
            natural = self._order
            self._natural.sort(key=lambda key: natural(records[key]))
        self._unordered = False
        shown = self._natural
        shown = self._matching(shown)
        if self._sort_of is not None:
            by = self._sort_of
            shown.sort(key=lambda key: by(records[key]), reverse=self._reverse)
        elif self._reverse:
            shown.reverse()
        return self._show(shown)

    def _show(self, shown: list[K]) -> bool:
        if shown == self._visible:
            return False
        self._visible = shown
        self._row = dict(zip(shown, range(len(shown)), strict=True))
        return True
