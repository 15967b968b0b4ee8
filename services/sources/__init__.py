"""The protocol a source implements, and opening the configured sources.

It comes in two halves. A background feed is given the `Observer` alone, so nothing that ticks can
reach a verb; the `Actor` is handed to the operator's intents.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from msgspec.structs import asdict

from services.clock import Clock
from services.config import paths
from services.config.settings import Settings
from services.config.sources import (
    ArgoTable,
    CentmlTable,
    KubernetesTable,
    LocalTable,
    NanoClawTable,
    OpenShellTable,
    VellumTable,
)
from services.logs.reader import LogRecord
from services.models import (
    Direction,
    LogStream,
    Observation,
    QueueSnapshot,
    SandboxId,
    Source,
    Step,
    Verb,
    Verdict,
)
from services.terminal.exec.requests import ExecEvent, ExecRequest, ShellChoice
from services.terminal.transport.base import Transport


class Observer(Protocol):
    """Reads the state of a source; read-only, bounded and cancellable."""

    @property
    def info(self) -> Source:
        """Who this is and what it can do."""

    async def observe(self) -> Observation:
        """Gateways and sandboxes now.

        Raises:
            UnavailableError: nothing could be learned; the sentence says why.
        """

    async def queue(self, sandbox: SandboxId, window: int) -> QueueSnapshot:
        """Counts by label and the newest `window` messages of each direction.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: this source has no queues.
        """

    async def content(self, sandbox: SandboxId, direction: Direction, message: str) -> str:
        """One message's whole content, harmless, bounded at 1 MiB, secrets masked.

        Raises:
            NotFoundError: no such message.
        """

    async def probe(self, sandbox: SandboxId) -> Verdict:
        """Judge one sandbox now; a failure to look is an unknown verdict, not an exception."""

    async def log_streams(self, sandbox: SandboxId) -> tuple[LogStream, ...]:
        """What its log can be read from, the usual one first; empty where there is but one.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: nothing can be said just now.
        """

    def logs(
        self, sandbox: SandboxId, stream: str = "", since: float | None = None
    ) -> AsyncIterator[LogRecord]:
        """Bounded records, oldest first, then as they come. No `stream`: the usual one.

        `since` is the instant of the last record told before, where one had an instant: what was
        written then may come again.

        Raises:
            LogEndedError: that was all, and no more can come.
            NotFoundError: no such sandbox or stream here.
            UnavailableError: there is no log, or it was lost; asking again may help.
        """

    async def close(self) -> None:
        """Release connections and caches; idempotent."""


class Actor(Protocol):
    """Starts and connects sandboxes, opens shells, runs commands; on operator request only."""

    def wake(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """Start what is stopped, in place. Yields each step as it changes; a failed step ends it.

        Closing the iterator ends every child it started.
        """

    def connect(self, sandbox: SandboxId) -> AsyncIterator[Step]:
        """The ordered link steps after serving; same rules as `wake`."""

    def wake_key(self, sandbox: SandboxId) -> str:
        """Who may not be woken at the same time: the gateway's identity."""

    def shell(self, sandbox: SandboxId, choice: ShellChoice) -> Transport:
        """A transport that is not open yet.

        Raises:
            NotFoundError: no such sandbox here.
            UnavailableError: no shell there, or none as chosen, with the reason.
        """

    def exec(self, sandbox: SandboxId, request: ExecRequest) -> AsyncIterator[ExecEvent]:
        """Run one command: its output as it comes and, last, an `ExecResult`.

        Closing the iterator stops the command.

        Raises:
            ReadOnlyError, RefusedError: this panel will not run it.
            NotFoundError: no such sandbox here.
            UnavailableError: no commands there, or none as chosen, with the reason.
            ShellError: it could not be started.
        """

    async def close(self) -> None:
        """End what this actor started for the panel; idempotent."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A confirmable action with its question and consequence, frozen as it was shown."""

    sandbox: SandboxId
    verb: str
    """The source's own word for it, as in `Verdict.confirmable`."""
    title: str
    """The question."""
    target: str
    """What it is done to."""
    consequence: str = ""
    """What will happen, in sentences; may have several lines."""
    button: str = "Confirm"
    refusal: str = ""
    """Why it cannot be done now; there is then nothing to agree to."""
    token: str = ""
    """What the source needs to do exactly this and nothing else; not for showing."""
    act: str = ""
    """What it is called in a sentence, such as “re-issuing the credential”."""
    goal: Verb | None = None
    """What has to hold once it is done; None where its own end says it all."""
    typed_name: str = ""
    """What has to be typed before it is done, where something is stopped or lost by it."""
    words: str = ""
    """The text it sends, which may be put in other words; empty: there is nothing to word."""


class Proposer(Protocol):
    """Actions that need the operator's confirmation each time."""

    @property
    def verbs(self) -> tuple[tuple[str, str], ...]:
        """(verb, what it is called) of everything that can be proposed here."""

    async def propose(self, sandbox: SandboxId, verb: str, words: str = "") -> Proposal:
        """What the verb would do to this sandbox now; nothing is done.

        `words` are the operator's own where it sends a text; empty: the usual ones.

        Raises:
            NotFoundError: no such sandbox or verb here.
            UnavailableError: nothing can be said just now.
        """

    def carry_out(self, proposal: Proposal) -> AsyncIterator[Step]:
        """Do what was agreed to, as the actor wakes: used by the attempt machine alone.

        The detail of the last step says in a sentence how it went. Closing the iterator ends
        every child that is not of a critical step.

        Raises:
            RefusedError: it is no longer what was agreed to.
            UnavailableError: it could not be done.
        """


class Lifecycle(Protocol):
    """Starts and stops what lives as long as the panel: the embedded world."""

    async def enter(self) -> bool:
        """Start it unless it is up. True where it was started.

        Raises:
            UnavailableError: it does not start.
        """

    async def leave(self) -> None:
        """Let go of it; idempotent."""


class DefaultSandbox(Protocol):
    """Says which sandbox is meant where none is named."""

    async def default(self) -> SandboxId | None:
        """The one meant; None where nobody says."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """One configured system, ready to serve."""

    observer: Observer
    actor: Actor
    lifecycle: Lifecycle | None = None
    proposer: Proposer | None = None
    default_sandbox: DefaultSandbox | None = None
    attachment: str = ""
    """What a shell called `AGENT` is attached to, and what ending it does; empty where none is."""

    @property
    def info(self) -> Source:
        """Who this is."""
        return self.observer.info


def open_sources(settings: Settings, clock: Clock) -> tuple[OpenSource, ...]:
    """Every configured source, in order; a kind that is not configured is never imported.

    Read-only settings get actors that refuse. Opening touches neither disk nor network.
    """
    opened: list[OpenSource] = []
    for source in settings.sources:
        match source.table:
            case LocalTable() as table:
                from services.sources.local.source import open_local

                place = Path(table.root).expanduser() if table.root else paths.local_world()
                opened.append(open_local(source.key, table.label, place, clock))
            case OpenShellTable() as table:
                opened.append(_openshell(source.key, table, clock))
            case KubernetesTable() | CentmlTable() | ArgoTable() as table:
                from services.sources.pods.source import open_pods

                state = paths.open_shells_dir()
                opened.append(open_pods(source.key, source.kind, asdict(table), clock, state))
            case NanoClawTable() as table:
                from services.sources.nanoclaw.source import open_nanoclaw

                opened.append(
                    open_nanoclaw(
                        source.key,
                        table.label,
                        table.root,
                        clock,
                        nudge_text=table.nudge_text,
                        nudge_sender=table.nudge_sender,
                    )
                )
            case VellumTable() as table:
                from services.sources.vellum.source import open_vellum

                opened.append(
                    open_vellum(source.key, table.label, table.environment, table.command, clock)
                )
    if settings.read_only:
        from services.sources.protocol.read_only import ReadOnlyActor

        return tuple(replace(one, actor=ReadOnlyActor(), proposer=None) for one in opened)
    return tuple(opened)


def _openshell(key: str, table: OpenShellTable, clock: Clock) -> OpenSource:
    from services.sources.openshell.options import OpenShellOptions
    from services.sources.openshell.source import open_openshell

    options = OpenShellOptions(
        binary=table.binary,
        gateways=tuple(table.gateways),
        registry=table.registry,
        start={name: tuple(argv) for name, argv in table.start.items()},
        forwards=table.forwards,
        log_level=table.log_level,
        log_source=table.log_source,
    )
    return open_openshell(key, table.label, options, clock)
