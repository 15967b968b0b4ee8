"""Queries without a screen: every source is probed once, then the answer is printed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from services.board.board import Board
from services.board.deltas import needs_attention
from services.board.lookup import find
from services.board.poller import ProbeFailure
from services.clock import SystemClock
from services.config.settings import Settings
from services.errors import AmbiguousError, WakedeckError, unforeseen
from services.models import (
    Observation,
    Sandbox,
)
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_sources
from services.text.format import clock_time, counts
from tui.cli import tables

PROBE_S = 10.0


def _print_line(text: str) -> None:
    click.echo(text)


def _print_stderr(text: str) -> None:
    click.echo(text, err=True)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


class ProbedSources:
    """The configured sources, probed once."""

    def __init__(self, settings: Settings) -> None:
        self.clock = SystemClock()
        self.sources = {one.info.key: one for one in open_sources(settings, self.clock)}
        self.board = Board(self.clock)

    async def probe_all(self) -> None:
        """Probe every source concurrently; one that fails leaves its reason on stderr."""
        results = await asyncio.gather(*(self._ask(one) for one in self.sources.values()))
        for result in results:
            if isinstance(result, ProbeFailure):
                _print_stderr(f"wakedeck: {result.source}: {result.reason}")
            try:
                self.board.merge(result)
            except Exception as error:
                said = unforeseen(result.source, error).sentence
                _print_stderr(f"wakedeck: {said}")
                self.board.merge(ProbeFailure(result.source, self.clock.now(), said))

    async def _ask(self, source: OpenSource) -> Observation | ProbeFailure:
        try:
            async with asyncio.timeout(PROBE_S):
                return await source.observer.observe()
        except TimeoutError:
            reason = f"no answer within {PROBE_S:.0f} s"
        except WakedeckError as error:
            reason = error.sentence
        return ProbeFailure(source.info.key, self.clock.now(), reason)

    def sandbox(self, typed: str) -> Sandbox:
        """The one meant.

        Raises:
            NotFoundError, AmbiguousError: as `services.board.lookup.find`.
        """
        return find(self.board.sandboxes.values(), typed)

    async def default_sandbox(self) -> Sandbox:
        """The one meant where none is named: a source's default, or the only one there is.

        Raises:
            AmbiguousError: nobody says which; lists them.
        """
        asked = [
            one.default_sandbox for one in self.sources.values() if one.default_sandbox is not None
        ]
        named = [await one.default() for one in asked]
        chosen = [row for row in self.board.sandboxes.values() if row.id in named]
        if len(chosen) == 1:
            _print_stderr(f"the default sandbox: {chosen[0].id}")
            return chosen[0]
        every = sorted(str(one.id) for one in chosen) or sorted(map(str, self.board.sandboxes))
        if len(every) != 1:
            raise AmbiguousError(f"Say which sandbox. There are: {', '.join(every) or 'none'}.")
        return self.sandbox(every[0])

    async def close(self) -> None:
        """Let go of every source."""
        for one in self.sources.values():
            await one.actor.close()
            await one.observer.close()


@asynccontextmanager
async def probed_sources(settings: Settings) -> AsyncIterator[ProbedSources]:
    """The sources, probed once and closed at the end."""
    probed = ProbedSources(settings)
    try:
        await probed.probe_all()
        yield probed
    finally:
        await probed.close()


def status(settings: Settings, as_json: bool) -> int:
    """One line per gateway and totals; 1 where something needs attention."""

    async def run() -> int:
        async with probed_sources(settings) as probed:
            now = probed.clock.now()
            gateways = list(probed.board.gateways.values())
            sandboxes = list(probed.board.sandboxes.values())
            missing = [one for one in probed.board.links.values() if not one.connected]
            totals = Counter(one.state.value for one in sandboxes)
            attention = bool(missing) or (
                any(map(needs_attention, gateways)) or any(map(needs_attention, sandboxes))
            )
            if as_json:
                _print_json(
                    {
                        "schema": tables.SCHEMA,
                        "observed_at": now,
                        "attention": attention,
                        "gateways": [tables.gateway_json(one, now) for one in gateways],
                        "totals": dict(sorted(totals.items())),
                    }
                )
            else:
                for line in tables.table(tables.gateway_row(one, now) for one in gateways):
                    _print_line(line)
                shown = ", ".join(f"{count} {state}" for state, count in sorted(totals.items()))
                _print_line(f"sandboxes: {shown or 'none'}")
            return int(attention or not gateways)

    return asyncio.run(run())


def sandboxes(settings: Settings, as_json: bool) -> int:
    """Every sandbox."""

    async def run() -> int:
        async with probed_sources(settings) as probed:
            now = probed.clock.now()
            rows = sorted(probed.board.sandboxes.values(), key=lambda one: one.id)
            if as_json:
                shapes = [tables.sandbox_json(one, now) for one in rows]
                _print_json({"schema": tables.SCHEMA, "observed_at": now, "sandboxes": shapes})
            else:
                for line in tables.table(tables.sandbox_row(one, now) for one in rows):
                    _print_line(line)
                if not rows:
                    _print_stderr("no sandboxes; `wakedeck local up` starts the embedded world")
            return 0

    return asyncio.run(run())


def queues(settings: Settings, typed: str, limit: int, as_json: bool) -> int:
    """The newest messages of one sandbox."""

    async def run() -> int:
        async with probed_sources(settings) as probed:
            sandbox = probed.sandbox(typed)
            source = probed.sources[sandbox.id.source]
            snapshot = await source.observer.queue(sandbox.id, limit)
            now = probed.clock.now()
            if as_json:
                _print_json(tables.queue_json(snapshot, now))
                return 0
            if snapshot.problem:
                _print_stderr(f"wakedeck: {snapshot.problem}")
            rows = [
                (
                    "-" if one.at is None else clock_time(one.at, with_date=True),
                    one.direction.value,
                    one.label.value,
                    one.kind,
                    one.text,
                )
                for one in snapshot.messages
            ]
            for line in tables.table(rows):
                _print_line(line)
            _print_stderr(f"in: {counts(snapshot.inbound, 20)}")
            _print_stderr(f"out: {counts(snapshot.outbound, 20)}")
            return 0

    return asyncio.run(run())
