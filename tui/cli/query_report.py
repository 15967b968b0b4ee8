"""Queries without a screen: every source is probed once, then the answer is printed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from services.board.board import Board
from services.board.lag import LagMeter
from services.board.lookup import find_or_ask, refuse_unsure
from services.board.poller import ProbeFailure
from services.clock import SystemClock
from services.config.settings import Settings
from services.errors import (
    AmbiguousError,
    NotFoundError,
    RefusedError,
    SignedOutError,
    UnavailableError,
    WakedeckError,
    unforeseen,
)
from services.models import (
    Observation,
    Sandbox,
    ShellState,
)
from services.sources.protocol.actor import SIGN_IN_S, SignsIn, SignsInOnTerminal
from services.sources.protocol.observer import AsksToSignIn, LongLists, NameFinder
from services.sources.protocol.source import OpenSource
from services.sources.registry import open_sources
from services.text.format import clock_time, counts
from services.text.sanitize import end_sentence
from tui.cli import tables
from tui.cli.event_loop import run_command

if TYPE_CHECKING:
    from services.terminal.transport.base import Transport

PROBE_S = 10.0
PROBE_LIMIT_S = 2.0
"""What the shortest wait within a probe is given."""
TELL_S = 5.0
"""Between two words on how far a long list is."""
VOID_PROBES = 3
"""So often a probe is made that this process itself holds up; the last one counts as a failure."""


def _print_line(text: str) -> None:
    click.echo(text)


def _print_stderr(text: str) -> None:
    click.echo(text, err=True)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


async def _ask_on_terminal(asking: Transport) -> str:
    """Let a sign-in ask on this terminal; stdout stays a command's own."""
    from tui.cli.relay import relay

    ending = await relay(asking, sys.stderr.fileno())
    if ending.state is not ShellState.ENDED:
        raise UnavailableError(end_sentence(ending.reason))
    return ending.reason


class ProbedSources:
    """The configured sources, probed once."""

    def __init__(self, settings: Settings) -> None:
        self.clock = SystemClock()
        self.sources = {one.info.key: one for one in open_sources(settings, self.clock)}
        self.board = Board(self.clock)
        self._meter = LagMeter()
        self._signed_out: set[str] = set()

    async def probe_all(self, *, whole: bool = False) -> None:
        """Probe every source concurrently; one that fails leaves its reason on stderr.

        `whole` waits for lists that take longer than a probe, as long as they come.
        """
        await self._probe(*self.sources.values(), whole=whole)

    async def _probe(self, *sources: OpenSource, whole: bool) -> None:
        ask = self._ask_whole if whole else self._ask
        for result in await asyncio.gather(*(ask(one) for one in sources)):
            if isinstance(result, ProbeFailure):
                _print_stderr(f"wakedeck: {result.source}: {result.reason}")
            try:
                self.board.merge(result)
            except Exception as error:
                said = unforeseen(result.source, error).sentence
                _print_stderr(f"wakedeck: {said}")
                self.board.merge(ProbeFailure(result.source, self.clock.now(), said))

    async def _ask(self, source: OpenSource) -> Observation | ProbeFailure:
        held_up_s = 0.0
        for _ in range(VOID_PROBES):
            with self._meter.start() as lateness:
                result = await self._ask_once(source)
                if not lateness.is_void(PROBE_LIMIT_S):
                    return result
                held_up_s = lateness.held_up_s
        reason = f"this command itself was held up for {held_up_s:.0f} s, so nothing is known"
        return ProbeFailure(source.info.key, self.clock.now(), reason)

    async def _ask_whole(self, source: OpenSource) -> Observation | ProbeFailure:
        """The same, once the list is whole or broke off twice at one place."""
        result = await self._ask(source)
        observer, told_at, came = source.observer, self.clock.monotonic(), ""
        while isinstance(result, Observation) and result.unknown:
            if not isinstance(observer, LongLists):
                break
            before = came
            try:
                while progress := await observer.more():
                    came = progress
                    if self.clock.monotonic() - told_at > TELL_S:
                        told_at = self.clock.monotonic()
                        _print_stderr(f"wakedeck: {source.info.key}: {progress}")
            except WakedeckError as error:
                return ProbeFailure(source.info.key, self.clock.now(), error.sentence)
            result = await self._ask(source)
            if came == before:
                break
        return result

    async def _ask_once(self, source: OpenSource) -> Observation | ProbeFailure:
        try:
            async with asyncio.timeout(PROBE_S):
                seen = await source.observer.observe()
        except TimeoutError:
            reason = f"no answer within {PROBE_S:.0f} s"
        except WakedeckError as error:
            reason = error.sentence
            if isinstance(error, SignedOutError):
                self._signed_out.add(source.info.key)
        else:
            if isinstance(source.observer, AsksToSignIn) and source.observer.signed_out:
                self._signed_out.add(source.info.key)
            return seen
        return ProbeFailure(source.info.key, self.clock.now(), reason)

    async def sandbox(self, typed: str, *, acting: bool = False) -> Sandbox:
        """The one meant; a source whose list is not known is asked for the name itself.

        Raises:
            NotFoundError, AmbiguousError, UnavailableError: as `find_or_ask`.
            RefusedError: `acting`, and another source may have one of that name.
        """
        if acting:
            await self._sign_in_for(typed)
        rows = self.board.sandboxes.values()
        unknown = self._unknown()
        found = await find_or_ask(rows, typed, unknown, self._ask_for, self.sources.keys())
        if acting:
            refuse_unsure(found, typed)
        for key in found.unsure:
            _print_stderr(f"wakedeck: whether {key} has a {typed!r} too is not known")
        return found.sandbox

    async def _sign_in_for(self, typed: str) -> None:
        """Sign in to the source a full name begins with, and list it; a bare name names none."""
        key, slash, _ = typed.partition("/")
        if slash and key in self._signed_out:
            await self.sign_in(key)

    async def sign_in(self, key: str) -> None:
        """Sign in to one source, visibly, and probe it again.

        Raises:
            UnavailableError, ProcessError, ShellError: the source's own reason.
            RefusedError: this panel is read-only.
        """
        actor = self.sources[key].actor
        if not isinstance(actor, SignsIn):
            raise UnavailableError(
                f"{key}: signing in is not possible from here.", advice=self._unknown().get(key, "")
            )
        _print_stderr(f"{key}: signing in")
        asking = None
        if isinstance(actor, SignsInOnTerminal) and sys.stdin.isatty() and sys.stderr.isatty():
            asking = actor.terminal_sign_in()
        if asking is not None:
            said = await _ask_on_terminal(asking)
        else:
            said = await self._sign_in_alone(key, actor)
        _print_stderr(f"{key}: {said}")
        self._signed_out.discard(key)
        await self._probe(self.sources[key], whole=True)

    async def _sign_in_alone(self, key: str, actor: SignsIn) -> str:
        try:
            async with asyncio.timeout(SIGN_IN_S):
                return f"signed in, {await actor.sign_in()}"
        except TimeoutError:
            raise UnavailableError(f"{key}: signing in took over {SIGN_IN_S:.0f} s.") from None

    async def reconnect_source(self, key: str) -> int:
        """Sign in to a source as a whole and list it; 1 where the list is not known then.

        Raises:
            NotFoundError: there is no such source.
            UnavailableError, ProcessError, RefusedError: as `sign_in`.
        """
        if key not in self.sources:
            known = ", ".join(self.sources) or "none"
            raise NotFoundError(f"No source {key!r}. There are: {known}.")
        await self.sign_in(key)
        if key in self._unknown():
            return 1
        rows = [one for one in self.board.sandboxes if one.source == key]
        _print_line(f"{key}: {len(rows)} of its sandboxes are known")
        return 0

    def _unknown(self) -> dict[str, str]:
        return {source: why for source, _, why in reversed(self.board.unknown_lists)}

    async def _ask_for(self, source: str, name: str) -> Sandbox | None:
        observer = self.sources[source].observer
        if not isinstance(observer, NameFinder):
            raise UnavailableError(self._unknown()[source])
        try:
            async with asyncio.timeout(PROBE_S):
                return await observer.find(name)
        except TimeoutError:
            raise UnavailableError(f"no answer within {PROBE_S:.0f} s") from None

    async def default_sandbox(self) -> Sandbox:
        """The one meant where none is named: a source's default, or the only one there is.

        Raises:
            AmbiguousError: nobody says which; lists them.
            RefusedError: nobody says which, and not everything there is is known.
        """
        asked = [
            one.default_sandbox for one in self.sources.values() if one.default_sandbox is not None
        ]
        named = [await one.default() for one in asked]
        chosen = [row for row in self.board.sandboxes.values() if row.id in named]
        if len(chosen) == 1:
            _print_stderr(f"the default sandbox: {chosen[0].id}")
            return chosen[0]
        unlisted = [one for one in named if one is not None and one.source in self._unknown()]
        if not chosen and len(unlisted) == 1:
            _print_stderr(f"the default sandbox: {unlisted[0]}")
            return await self.sandbox(str(unlisted[0]), acting=True)
        if not chosen and self._unknown():
            reasons = "; ".join(f"{key}: {why}" for key, why in self._unknown().items())
            raise RefusedError(
                f"Which sandboxes there are is not known. {reasons}",
                advice="Say which: SOURCE/NAME.",
            )
        every = sorted(str(one.id) for one in chosen) or sorted(map(str, self.board.sandboxes))
        if len(every) != 1:
            raise AmbiguousError(f"Say which sandbox. There are: {', '.join(every) or 'none'}.")
        return await self.sandbox(every[0], acting=True)

    async def close(self) -> None:
        """Let go of every source."""
        for one in self.sources.values():
            await one.actor.close()
            await one.observer.close()


@asynccontextmanager
async def probed_sources(
    settings: Settings, *, whole: bool = False
) -> AsyncIterator[ProbedSources]:
    """The sources, probed once and closed at the end; `whole` as `probe_all`."""
    probed = ProbedSources(settings)
    try:
        await probed.probe_all(whole=whole)
        yield probed
    finally:
        await probed.close()


def status(settings: Settings, as_json: bool) -> int:
    """One line per gateway and totals; 1 where something needs attention."""

    async def run() -> int:
        async with probed_sources(settings, whole=True) as probed:
            now = probed.clock.now()
            board = probed.board
            gateways = list(board.gateways.values())
            totals = board.totals()
            attention = bool(totals.attention or totals.lost or totals.unknown_lists)
            if as_json:
                _print_json(
                    {
                        "schema": tables.SCHEMA,
                        "observed_at": now,
                        "attention": attention,
                        "gateways": [tables.gateway_json(one, now) for one in gateways],
                        "totals": tables.status_totals(totals),
                        "needs_me": totals.needs_me,
                        **tables.unknown_json(board.unknown_lists),
                    }
                )
            else:
                for line in tables.table(tables.gateway_row(one, now) for one in gateways):
                    _print_line(line)
                _print_line(f"sandboxes: {tables.totals_text(totals)}")
                _print_unknown(board)
            return int(attention or not gateways)

    return run_command(run())


def _print_unknown(board: Board) -> None:
    """Lists that are not known; why a whole source is not was told already."""
    for source, gateway, why in board.unknown_lists:
        if gateway is not None or not board.links[source].failures:
            place = source if gateway is None else str(gateway)
            _print_stderr(f"wakedeck: the sandboxes of {place} are not known: {why}")


def sandboxes(settings: Settings, as_json: bool) -> int:
    """Every sandbox; 1 where a list is not known."""

    async def run() -> int:
        async with probed_sources(settings, whole=True) as probed:
            now = probed.clock.now()
            rows = sorted(probed.board.sandboxes.values(), key=lambda one: one.id)
            unknown = probed.board.unknown_lists
            if as_json:
                shapes = [tables.sandbox_json(one, now) for one in rows]
                shape = {"schema": tables.SCHEMA, "observed_at": now, "sandboxes": shapes}
                _print_json(shape | tables.unknown_json(unknown))
            else:
                rows = [one for one in rows if not one.stock]
                for line in tables.table(tables.sandbox_row(one, now) for one in rows):
                    _print_line(line)
                _print_unknown(probed.board)
                if not rows and not unknown:
                    _print_stderr("no sandboxes; `wakedeck local up` starts the embedded world")
            return int(bool(unknown))

    return run_command(run())


def queues(settings: Settings, typed: str, limit: int, as_json: bool) -> int:
    """The newest messages of one sandbox; 1 where they are not those of now."""

    async def run() -> int:
        async with probed_sources(settings) as probed:
            sandbox = await probed.sandbox(typed)
            source = probed.sources[sandbox.id.source]
            snapshot = await source.observer.queue(sandbox.id, limit)
            now = probed.clock.now()
            if as_json:
                _print_json(tables.queue_json(snapshot, now))
                return int(bool(snapshot.problem))
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
            return int(bool(snapshot.problem))

    return run_command(run())
