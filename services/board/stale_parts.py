"""Which sources and ways in are stale, and sandboxes as that has them shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from services.models import Gateway, GatewayId, Sandbox, SandboxId, Staleness


class StaleParts:
    """Kept as they change; each change says what it turned over."""

    def __init__(self) -> None:
        self.now = Staleness()

    def shown(self, row: Sandbox) -> Sandbox:
        """A sandbox as it is shown now."""
        return self.now.shown(row)

    def set_source(self, key: str, stale: bool) -> frozenset[str | GatewayId]:
        """Nothing current is known of the sandboxes of a source, or again."""
        if (key in self.now.sources) is stale:
            return frozenset()
        self.now = Staleness(self.now.sources ^ {key}, self.now.ways)
        return frozenset({key})

    def set_ways(
        self, rows: Iterable[Gateway], removed: Iterable[GatewayId] = ()
    ) -> frozenset[str | GatewayId]:
        """Ways in are as these rows say."""
        ways = self.now.ways
        stale = {row.id: row.stale for row in rows} | dict.fromkeys(removed, False)
        turned = frozenset(key for key, now in stale.items() if (key in ways) is not now)
        if turned:
            self.now = Staleness(self.now.sources, ways ^ turned)
        return turned


class ShownSandboxes(Mapping[SandboxId, Sandbox]):
    """Sandboxes by id, stale where what they belong to is."""

    def __init__(self, rows: Mapping[SandboxId, Sandbox], staleness: Staleness) -> None:
        self._rows, self._staleness = rows, staleness

    def __getitem__(self, key: SandboxId) -> Sandbox:
        return self._staleness.shown(self._rows[key])

    def __iter__(self) -> Iterator[SandboxId]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
