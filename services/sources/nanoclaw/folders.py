"""The session folders of an install and when their files last changed: `stat` alone."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Set
from pathlib import Path

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.queues.file_marks import changed_at, file_mark
from services.queues.reader import HEARTBEAT
from services.queues.session import INBOUND, OUTBOUND
from services.sources.nanoclaw.containers import SessionKey
from services.sources.nanoclaw.install import Install
from services.text.sanitize import sanitize

NOT_SESSIONS = frozenset((".claude-shared", ".context", "agent-runner-src"))
Mark = int | None
"""As of `file_marks`; None for an absent file."""
_TURNS = 8
A_ROUND = 2500
"""Of the sessions at rest so many are looked at in one round."""
LONGEST_REST_S = 5.0
"""So long a session at rest may go without being looked at (upstream/nanoclaw: Reading safely)."""
_LONGEST_CONTEXT = 64 * 1024
DENIED: Mark = -1


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the two files of a session look like from outside."""

    inbound: Mark
    outbound: Mark

    @property
    def newest(self) -> float:
        """When either last changed, seconds since the epoch; 0 for never."""
        return max(0.0, changed_at(self.inbound or 0), changed_at(self.outbound or 0))


NOTHING = Stamp(None, None)


class Folders:
    """Walks the groups again where they changed, and looks at every session each time."""

    def __init__(self, install: Install) -> None:
        self._root = str(install.sessions)
        self._groups: dict[str, tuple[int, tuple[SessionKey, ...]]] = {}
        self._stamps: dict[SessionKey, Stamp] = {}
        self._turn = 0
        self._swept_at: float | None = None
        self.denied: tuple[str, ...] = ()
        """Groups whose folder could not be listed the last time."""
        self.present = True
        """Whether the folder of all groups was there the last time."""

    def sweep(
        self,
        now: float,
        rows: Iterable[SessionKey],
        steady: Set[SessionKey] = frozenset(),
        moved: Container[SessionKey] = (),
    ) -> dict[SessionKey, Stamp]:
        """Every session folder, and every given home with a folder; blocking, for a thread.

        A folder is a session where it holds `inbound.db` (upstream/nanoclaw: Files of an install).
        Of the homes that are `steady` and have not `moved`, `A_ROUND` or more are looked at, the
        others in their turn. Nobody writes `outbound.db` of these: one in eight looks is for it
        too. `now` is monotonic.
        """
        found: dict[SessionKey, Stamp] = {}
        root, before = self._root, self._stamps
        rounds = self._rounds(len(steady), now)
        self._turn += 1
        turn = self._turn
        for group in self._list_groups():
            for session_key in self._groups[group][1]:
                turn += 1
                name = session_key[1]
                last = before.get(session_key)
                calm = last is not None and session_key in steady and session_key not in moved
                if calm and last is not None and turn % rounds:
                    found[session_key] = last
                    continue
                inbound = mark(f"{root}/{group}/{name}/{INBOUND}")
                if inbound is None:
                    continue
                if calm and last is not None and turn % (_TURNS * rounds):
                    found[session_key] = (
                        last if last.inbound == inbound else Stamp(inbound, last.outbound)
                    )
                    continue
                outbound = mark(f"{root}/{group}/{name}/{OUTBOUND}")
                same = last is not None and (last.inbound, last.outbound) == (inbound, outbound)
                found[session_key] = last if last is not None and same else Stamp(inbound, outbound)
        self._stamps = found
        for session_key in rows:
            if session_key not in found and self._has_folder(session_key):
                found[session_key] = NOTHING
        return found

    def _rounds(self, steady: int, now: float) -> int:
        """Over how many rounds the sessions at rest are spread."""
        before, self._swept_at = self._swept_at, now
        wanted = max(1, -(-steady // A_ROUND))
        if wanted == 1 or before is None:
            return wanted
        return max(1, min(wanted, int(LONGEST_REST_S / max(now - before, 0.1))))

    def _has_folder(self, session_key: SessionKey) -> bool:
        known = self._groups.get(session_key[0])
        return known is not None and session_key in known[1]

    def _list_groups(self) -> list[str]:
        denied: list[str] = []
        try:
            with os.scandir(self._root) as entries:
                names = [one.name for one in entries if one.is_dir(follow_symlinks=False)]
            self.present = True
        except OSError as error:
            self.present = not isinstance(error, FileNotFoundError)
            self._groups.clear()
            self.denied = (self._root,) if self.present else ()
            return []
        for name in [one for one in self._groups if one not in names]:
            del self._groups[name]
        for name in names:
            try:
                changed = os.stat(f"{self._root}/{name}").st_mtime_ns  # noqa: PTH116
                known = self._groups.get(name)
                if known is None or known[0] != changed:
                    self._groups[name] = (changed, self._list(name))
            except OSError:
                denied.append(name)
                self._groups.pop(name, None)
        self.denied = tuple(denied)
        return list(self._groups)

    def share(self, keys: Iterable[SessionKey]) -> None:
        """Keep these very keys where they are equal: each is kept in several places."""
        same = {key: key for key in keys}
        for group, (changed, names) in self._groups.items():
            self._groups[group] = changed, tuple(same.get(key, key) for key in names)

    def _list(self, group: str) -> tuple[SessionKey, ...]:
        with os.scandir(f"{self._root}/{group}") as entries:
            return tuple(
                (group, one.name)
                for one in entries
                if one.name not in NOT_SESSIONS and one.is_dir(follow_symlinks=False)
            )

    def mailbox(self, session_key: SessionKey) -> str:
        """The kind of mailbox a session without queue files has; empty for these files.

        See upstream/nanoclaw: Other mailboxes.
        """
        group, session = session_key
        path = Path(self._root, group, ".context", f"{session}.json")
        try:
            told = parse_json(read_bounded(path, _LONGEST_CONTEXT))
        except (OSError, UnfitError):
            return ""
        kind = told.get("mailbox") if isinstance(told, dict) else None
        if isinstance(kind, dict):
            kind = kind.get("kind") or kind.get("type") or "unnamed"
        return "" if kind is None else sanitize(str(kind), 40)

    def heartbeat(self, session_key: SessionKey) -> float | None:
        """When the runner last gave a sign of life; None where there is no such file."""
        try:
            return os.stat(f"{self._root}/{session_key[0]}/{session_key[1]}/{HEARTBEAT}").st_mtime  # noqa: PTH116
        except OSError:
            return None


def mark(path: str) -> Mark:
    """What a file looks like from outside."""
    try:
        return file_mark(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return DENIED
