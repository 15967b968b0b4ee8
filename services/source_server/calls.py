"""The calls of the near side: each a task here, its answer a row of items."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from services.errors import (
    NotFoundError,
    UnavailableError,
    WakedeckError,
    unforeseen,
)
from services.models import Direction, SandboxId
from services.repair.limits import Limits
from services.source_server.streams import ServedCommand
from services.source_server.verbs import Uninterrupted, Verbs
from services.sources.protocol.actor import SignsIn
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import Verdict
from services.terminal.exec.requests import ExecRequest, ShellChoice
from services.text.sanitize import sanitize
from services.wire import outgoing
from services.wire.credit import Credit
from services.wire.failures import failed
from services.wire.frames import WireError
from services.wire.messages import Call, Done, Item, Message, convert, encoded_size
from services.wire.proposals import proposal_as_made, proposal_value

TEXT_PIECE = 32 << 10
"""Characters of a content in one item."""
MOST_WINDOW = 4000
ELSEWHERE = "on another machine"
"""Ends what is recorded here of a near side's acts: it has its own record of them."""
Send = Callable[[Message], Awaitable[None]]


class _Args(msgspec.Struct, frozen=True):
    """The arguments of all methods; each takes those it needs."""

    source: str = ""
    sandbox: str = ""
    window: int = 500
    direction: str = "in"
    message: str = ""
    stream: str = ""
    since: float | None = None
    verb: str = ""
    words: str = ""
    proposal: dict[str, Any] = {}
    argv: list[str] = []
    choice: dict[str, Any] = {}
    timeout_s: float | None = None
    stdin: bool = False
    full: bool = False


class _Choice(msgspec.Struct, frozen=True):
    pod: str | None = None
    first_pod: bool = False
    shell: str | None = None
    container: str | None = None


def choice_of(value: object) -> ShellChoice:
    """How a shell or a command is wished to run.

    Raises:
        WireError: it is no choice.
    """
    said = convert(value, _Choice, "a choice")
    return ShellChoice(said.pod, said.first_pod, said.shell, said.container)


class ServedCall:
    """One call; `run` once."""

    def __init__(
        self,
        call: Call,
        sources: Mapping[str, OpenSource],
        verbs: Verbs,
        send: Send,
        refresh: Callable[[str, bool], bool],
        note: Callable[[SandboxId, str], None],
    ) -> None:
        """`note` is told what was asked for that changes something."""
        self._call = call
        self._sources = sources
        self._verbs = verbs
        self._send = send
        self._refresh = refresh
        self._note = note
        self.credit = Credit()
        self.command = ServedCommand(call.id, send) if call.method == "exec" else None
        self._steps: Uninterrupted | None = None

    async def leave(self) -> None:
        """Wait until it may be cancelled: no step runs that must not be interrupted."""
        self.credit.close()
        if self._steps is not None:
            await self._steps.leave(Limits().critical_s)

    async def run(self) -> None:
        """Answer it; no failure escapes."""
        call = self._call
        try:
            args = convert(call.args, _Args, f"the arguments of {sanitize(call.method, 40)}")
            if call.method in _WITHOUT_ITEMS:
                await _WITHOUT_ITEMS[call.method](self, args)
            elif call.method in _METHODS:
                async for value in _METHODS[call.method](self, args):
                    if await self.credit.spend(encoded_size(value)):
                        await self._send(Item(call.id, value))
            else:
                name = sanitize(call.method, 40)
                raise UnavailableError(f"This Wakedeck knows no {name!r}.")
            await self._send(Done(call.id))
        except WireError as error:
            await self._send(failed(call.id, UnavailableError(f"{error}.")))
        except WakedeckError as error:
            await self._send(failed(call.id, error))
        except Exception as error:
            await self._send(failed(call.id, unforeseen(call.method, error)))

    def _found(self, args: _Args) -> tuple[OpenSource, SandboxId]:
        source = self._sources.get(args.source)
        if source is None:
            raise NotFoundError(f"There is no source {sanitize(args.source, 60)!r} here.")
        return source, SandboxId(args.source, args.sandbox)

    async def _queue(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        window = max(1, min(args.window, MOST_WINDOW))
        for value in outgoing.queue_values(await source.observer.queue(sandbox, window)):
            yield value

    async def _content(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        direction = Direction.OUT if args.direction == Direction.OUT.value else Direction.IN
        text = await source.observer.content(sandbox, direction, args.message)
        for place in range(0, len(text), TEXT_PIECE):
            yield text[place : place + TEXT_PIECE]

    async def _probe(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        yield outgoing.verdict_value(await source.observer.probe(sandbox))

    async def _log_streams(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        yield outgoing.streams_value(await source.observer.log_streams(sandbox))

    async def _logs(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        async for record in source.observer.logs(sandbox, args.stream, args.since):
            yield outgoing.record_value(record)

    async def _wake(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        self._note(sandbox, f"a wake was asked for {ELSEWHERE}")
        async for value in self._stepped(Uninterrupted(self._verbs.wake(source, sandbox))):
            yield value

    async def _connect(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        async for value in self._stepped(Uninterrupted(source.actor.connect(sandbox))):
            yield value

    async def _propose(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        if source.proposer is None:
            raise NotFoundError("Nothing of the kind is offered there.")
        proposal = await source.proposer.propose(sandbox, args.verb, args.words)
        yield proposal_value(proposal)

    async def _carry_out(self, args: _Args) -> AsyncGenerator[object]:
        source, sandbox = self._found(args)
        if source.proposer is None:
            raise NotFoundError("Nothing of the kind is offered there.")
        proposal = proposal_as_made(sandbox, args.proposal)
        act = sanitize(proposal.act or proposal.verb, 80)
        self._note(sandbox, f"agreed to {act} {ELSEWHERE}")
        steps = self._verbs.carry_out(source, source.proposer, proposal)
        async for value in self._stepped(Uninterrupted(steps)):
            yield value

    async def _stepped(self, steps: Uninterrupted) -> AsyncGenerator[object]:
        self._steps = steps
        async for step in steps.items():
            if isinstance(step, Verdict):
                yield outgoing.verdict_value(step)
            else:
                yield outgoing.step_value(step)

    async def _exec(self, args: _Args) -> None:
        source, sandbox = self._found(args)
        assert self.command is not None
        timeout_s = None if args.timeout_s is None else max(0.1, min(args.timeout_s, 604_800.0))
        plain = ExecRequest(tuple(args.argv), choice_of(args.choice), timeout_s)
        request = self.command.request(plain, args.stdin)
        await self.command.run(lambda: source.actor.exec(sandbox, request))

    async def _refreshed(self, args: _Args) -> None:
        if not self._refresh(args.source, args.full):
            self._found(args)

    async def _sign_in(self, args: _Args) -> AsyncGenerator[object]:
        source, _ = self._found(args)
        if not isinstance(source.actor, SignsIn):
            raise UnavailableError(f"{args.source} has no sign-in.")
        yield await source.actor.sign_in()


_METHODS: Mapping[str, Callable[[ServedCall, _Args], AsyncGenerator[object]]] = {
    "queue": ServedCall._queue,
    "content": ServedCall._content,
    "probe": ServedCall._probe,
    "log_streams": ServedCall._log_streams,
    "logs": ServedCall._logs,
    "wake": ServedCall._wake,
    "connect": ServedCall._connect,
    "propose": ServedCall._propose,
    "carry_out": ServedCall._carry_out,
    "sign_in": ServedCall._sign_in,
}
_WITHOUT_ITEMS: Mapping[str, Callable[[ServedCall, _Args], Awaitable[None]]] = {
    "exec": ServedCall._exec,
    "refresh": ServedCall._refreshed,
}
