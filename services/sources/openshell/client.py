"""Read-only calls of the CLI: registrations, gateways and their sandboxes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from services.clock import Clock
from services.config.sources import OpenShellTable
from services.errors import UnavailableError
from services.files.bounded import UnfitError
from services.sources.openshell import grpc_client, lists, metadata, nemoclaw_registry
from services.sources.openshell.certificates import NO_BUNDLE, Bundle, CertificateFiles
from services.sources.openshell.cli import LIST_S, PROBE_S, Cli, CliResult, config_folder
from services.sources.openshell.cli_text import ErrorKind, json_of
from services.sources.openshell.cli_version import Generation, Toolset, ToolsetDetector
from services.sources.openshell.forwards import (
    ForwardList,
    ForwardReceipt,
    from_files,
    merged,
    receipts,
)
from services.sources.openshell.gateway_judge import (
    judge,
    missing,
    nemoclaw_status,
    no_answer,
    refusal,
)
from services.sources.openshell.gateway_status import GatewayJudgement, GatewayStatus
from services.sources.openshell.gather import gather
from services.sources.openshell.records import (
    DEFAULT_WORKSPACE,
    Forward,
    Registration,
    SandboxRow,
    Target,
    safe_name,
)
from services.sources.openshell.sandbox_judge import Reconciled, SandboxProbe, reconcile

GATEWAY_PROBE_S = 4.6
"""Seconds for one gateway with all its sandboxes, waiting for a free place included."""
PAGE = 100
OVERLAP = 10
"""Rows a page has in common with the one before, so that a change in between is noticed."""
TAKES = 4
"""How often a list that changes meanwhile is taken, within the time for listing."""
MOST = 5000
"""Sandboxes of one gateway that are shown."""
Rows = dict[tuple[str, str], SandboxRow]


@dataclass(frozen=True, slots=True)
class GatewayProbe:
    """The result of one probe of a gateway."""

    registration: Registration
    judgement: GatewayJudgement
    took_s: float = 0.0
    rows: tuple[SandboxRow, ...] | None = None
    """None where they could not be listed."""
    problem: str = ""
    """Why they could not, where the gateway itself is well."""
    partial: tuple[SandboxRow, ...] = ()
    """Some of them, where not all could be listed."""
    last_used: Target | None = None
    """The sandbox the CLI was last used for, where its rows are not to be had."""
    health: str = ""
    """What it says of itself, where that is not well."""
    bundle: Bundle = NO_BUNDLE
    """The certificate files of its registration."""
    grpc_problem: str = ""
    """Why no conditions could be had over gRPC; empty where they were, or nobody wants them."""


class UnlistedError(UnavailableError):
    """The sandboxes of a gateway that could not be listed, and what kind of trouble it was."""

    def __init__(
        self, sentence: str, error_kind: ErrorKind, rows: tuple[SandboxRow, ...] = ()
    ) -> None:
        super().__init__(sentence)
        self.error_kind = error_kind
        self.rows = rows
        """The ones that came before it broke off."""


class OpenShellClient:
    """The read-only CLI calls of one source."""

    def __init__(self, cli: Cli, table: OpenShellTable, clock: Clock) -> None:
        self._cli = cli
        self._table = table
        self._clock = clock
        self._detector = ToolsetDetector(cli)
        self._certificates = CertificateFiles()

    async def toolset(self) -> Toolset:
        """What the CLI can do.

        Raises:
            UnavailableError: there is none.
        """
        return await self._detector.toolset()

    async def registry(self) -> nemoclaw_registry.NemoclawRegistry:
        """NemoClaw's register, as it is now."""
        place = self._table.registry
        return await asyncio.to_thread(
            nemoclaw_registry.read,
            Path(place).expanduser() if place else None,
            self._clock.now(),
        )

    async def receipts(self) -> tuple[ForwardReceipt, ...]:
        """The ports that NemoClaw forwards itself, or did."""
        place = self._table.registry
        if not place:
            return ()
        base = Path(place).expanduser().parent
        ports = islice(base.glob("gateways/*"), nemoclaw_registry.MOST_ROOTS)
        return await asyncio.to_thread(lambda: receipts((base, *ports)))

    async def registrations(self, tools: Toolset) -> tuple[Registration, ...]:
        """Every gateway that may be shown.

        Raises:
            UnavailableError: the CLI's answer cannot be understood.
        """
        found: tuple[Registration, ...] = ()
        if tools.gateway_json:
            answer = await self._cli.run("gateway", "list", "-o", "json", limit_s=PROBE_S)
            if answer.code != 0 or answer.truncated:
                raise _no_registrations(answer)
            found = lists.registrations(answer.stdout, as_json=True)
        else:
            found = await asyncio.to_thread(metadata.registrations, config_folder())
            if tools.gateway_list and not found:
                answer = await self._cli.run("gateway", "list", limit_s=PROBE_S)
                if answer.code != 0 or answer.truncated:
                    raise _no_registrations(answer)
                found = lists.registrations(answer.text, as_json=False)
        wanted = self._table.gateways
        return tuple(
            one for one in found if safe_name(one.name) and (not wanted or one.name in wanted)
        )

    async def gateway(self, known: Registration, tools: Toolset) -> tuple[GatewayJudgement, float]:
        """Whether it lives, and how many seconds it took to say so."""
        as_json = ("-o", "json") if tools.status_json else ()
        answer, bundle = await gather(
            self._cli.run("status", *as_json, limit_s=PROBE_S, gateway=known.name),
            self.bundle(known),
        )
        now = self._clock.now()
        judged = judge(known.name, known.endpoint, answer, tools, PROBE_S, bundle, now)
        if tools.generation is Generation.A and judged.status is GatewayStatus.UNHEALTHY:
            info = await self._cli.run("gateway", "info", limit_s=PROBE_S, gateway=known.name)
            as_nemoclaw = nemoclaw_status(answer.text, info.text, known.name)
            if as_nemoclaw in (GatewayStatus.MISSING, GatewayStatus.CONNECTED_OTHER):
                judged = missing(known.name, known.endpoint)
        return judged, answer.took_s

    async def bundle(self, known: Registration) -> Bundle:
        """The certificate files of a registration, as they are now on disk."""
        return await asyncio.to_thread(
            self._certificates.bundle, config_folder(), known.name, known.endpoint, known.auth
        )

    async def probe_gateway(self, known: Registration, tools: Toolset) -> GatewayProbe:
        """The gateway and its sandboxes at the same time; the rows count only if it is well."""
        try:
            async with asyncio.timeout(GATEWAY_PROBE_S) as whole:
                probe = await self._probe_gateway(known, tools)
        except TimeoutError:
            return GatewayProbe(
                known, no_answer(known.name, known.endpoint, GATEWAY_PROBE_S), GATEWAY_PROBE_S
            )
        probe = replace(probe, bundle=await self.bundle(known))
        left = (whole.when() or 0.0) - asyncio.get_running_loop().time()
        return await self._with_grpc_facts(probe, left)

    async def _with_grpc_facts(self, probe: GatewayProbe, left_s: float) -> GatewayProbe:
        """With the conditions the CLI does not tell, where there is time to ask for them."""
        rows = probe.rows
        if rows is None or left_s < grpc_client.LEAST_S or any(map(_told_all, rows)):
            return probe
        told = await grpc_client.ask(probe.registration, probe.judgement.version, left_s)
        return replace(
            probe,
            rows=tuple(map(told.completed, rows)),
            health=told.health,
            grpc_problem=told.problem,
        )

    async def with_grpc_reasons(
        self, known: Registration, version: str, probe: SandboxProbe
    ) -> SandboxProbe:
        """A sandbox that is not well with the reasons the CLI does not tell."""
        row = probe.row
        if row is None or _told_all(row) or row.phase in ("Ready", "Stopped"):
            return probe
        return replace(probe, row=(await grpc_client.ask(known, version)).completed(row))

    async def _probe_gateway(self, known: Registration, tools: Toolset) -> GatewayProbe:
        status, listed = await gather(
            self.gateway(known, tools), self._rows_or_why(known.name, tools)
        )
        judged, took_s = status
        if judged.status is not GatewayStatus.HEALTHY:
            last = await asyncio.to_thread(metadata.last_used, config_folder(), known.name)
            return GatewayProbe(known, judged, took_s, last_used=last)
        if isinstance(listed, tuple):
            return GatewayProbe(known, judged, took_s, listed)
        refused = refusal(known.name, listed.error_kind, listed.sentence)
        if refused is not None:
            return GatewayProbe(known, refused, took_s)
        return GatewayProbe(known, judged, took_s, None, listed.sentence, listed.rows)

    async def _rows_or_why(
        self, gateway: str, tools: Toolset
    ) -> tuple[SandboxRow, ...] | UnlistedError:
        came: Rows = {}
        try:
            async with asyncio.timeout(LIST_S):
                return await self.rows(gateway, tools, came)
        except TimeoutError:
            late = f"listing its sandboxes took more than {LIST_S:g} s"
            return UnlistedError(late, ErrorKind.UNKNOWN, (*came.values(),))
        except UnlistedError as error:
            return error
        except UnavailableError as error:
            return UnlistedError(error.sentence.rstrip("."), ErrorKind.UNKNOWN, (*came.values(),))

    async def rows(self, gateway: str, tools: Toolset, came: Rows) -> tuple[SandboxRow, ...]:
        """Every sandbox of a gateway, page by page; `came` is told those of each page that came.

        Raises:
            UnlistedError: the CLI says why not.
            UnavailableError: its answer cannot be understood.
        """
        asked = ["sandbox", "list"]
        if tools.page_tokens:
            asked += ["--page-size", str(PAGE)] if tools.page_size else []
        elif tools.offsets:
            asked += ["--limit", str(PAGE)]
        if tools.list_json:
            asked += ["-o", "json"]
        if tools.workspaces:
            asked.append("--all-workspaces")
        try:
            return await self._taken(asked, gateway, tools, came)
        except UnlistedError as error:
            if error.error_kind is not ErrorKind.PERMISSION or not tools.workspaces:
                raise
            asked.remove("--all-workspaces")
            mine = await self._taken(asked, gateway, tools, came)
            why = f"only its own workspace may be listed: {error.sentence}"
            raise UnlistedError(why, ErrorKind.PERMISSION, mine) from error

    async def _taken(
        self, asked: list[str], gateway: str, tools: Toolset, came: Rows
    ) -> tuple[SandboxRow, ...]:
        for _ in range(TAKES):
            rows = await self._take(asked, gateway, tools, came)
            if rows is not None:
                return tuple(rows.values())
        raise UnlistedError("its sandboxes change while they are listed", ErrorKind.UNKNOWN)

    async def _take(
        self, asked: list[str], gateway: str, tools: Toolset, rows: Rows
    ) -> Rows | None:
        """All pages read into `rows`; None where so much changed that a row may be missed.

        Pages by number shift while sandboxes come and go. Each begins with the last rows of the one
        before: as long as one of those is still there, nothing between the two was skipped.
        """
        rows.clear()
        before: Rows = {}
        step: list[str] = []
        at = odd = 0
        tokens: set[str] = set()
        while max(len(rows), at) < MOST:
            answer = await self._cli.run(*asked, *step, limit_s=LIST_S, gateway=gateway)
            if answer.code != 0 or answer.truncated:
                why = "no answer in time" if answer.timed_out else answer.error_text
                said = f"its sandboxes cannot be listed: {why}"
                raise UnlistedError(said, answer.error_kind, (*rows.values(),))
            listed, token, missed = lists.sandboxes(answer.stdout, as_json=tools.list_json)
            odd, size = odd + missed, len(listed) + missed
            page = {(row.workspace, row.name): row for row in listed}
            if at and not page.keys() & before.keys():
                return None
            again = list(page) == list(before)
            rows.update(page)
            if tools.page_tokens:
                if not token:
                    break
                if token in tokens:
                    raise _incomplete("its list begins again and again", rows)
                tokens.add(token)
                step = ["--page-token", token]
            elif size >= PAGE and tools.offsets and not again:
                at += size - OVERLAP
                step = ["--offset", str(at)]
            elif token or (size == PAGE and not tools.offsets):
                raise _incomplete("its list may have more pages than it gives", rows)
            else:
                break
            before = page
        else:
            raise _incomplete(f"it has more than {MOST} sandboxes", rows)
        if odd:
            raise _incomplete(f"{odd} of its lines not understood", rows)
        return rows

    async def sandbox(self, target: Target, tools: Toolset, limit_s: float) -> SandboxProbe:
        """One sandbox by name; the gateway has been judged before."""
        asked = [*scope(target, tools), "sandbox", "get", target.name]
        if tools.get_json:
            asked += ["-o", "json"]
        answer = await self._cli.run(*asked, limit_s=limit_s, gateway=target.gateway)
        found = reconcile(answer.code, answer.error_kind)
        if found is not Reconciled.PRESENT:
            return SandboxProbe(found, said=answer.error_text)
        row = _parse_sandbox(answer.stdout, target.name, as_json=tools.get_json)
        if row is None:
            return SandboxProbe(Reconciled.UNKNOWN_ERROR, said="its answer cannot be understood")
        return SandboxProbe(found, row)

    async def forwards(self, tools: Toolset) -> ForwardList:
        """The forwarded ports of this machine, and why there may be more.

        Raises:
            UnavailableError: openshell cannot be run.
        """
        as_json = ("-o", "json") if tools.forwards_json else ()
        answer, files = await gather(
            self._cli.run("forward", "list", *as_json, limit_s=PROBE_S),
            asyncio.to_thread(from_files, config_folder() / "forwards"),
        )
        problem = files.problem
        listed: tuple[Forward, ...] = ()
        if answer.code != 0 or answer.truncated:
            why = "no answer in time" if answer.timed_out else answer.error_text
            problem = f"which ports are forwarded is not known: {why}"
        else:
            try:
                said = answer.stdout if answer.stdout.strip() else answer.stderr
                listed, odd = lists.forwards(said)
                problem = "; ".join(filter(None, (problem, lists.not_understood(odd))))
            except UnavailableError as error:
                problem = f"which ports are forwarded is not known: {error.sentence.rstrip('.')}"
        return ForwardList(merged(listed, files.rows), problem)


def _no_registrations(answer: CliResult) -> UnavailableError:
    why = "no answer in time" if answer.timed_out else answer.error_text
    return UnavailableError(f"Which gateways are registered is not known: {why}.")


def _incomplete(why: str, rows: Rows) -> UnlistedError:
    return UnlistedError(
        f"not all of its sandboxes are listed: {why}", ErrorKind.UNKNOWN, (*rows.values(),)
    )


def _told_all(row: SandboxRow) -> bool:
    """Whether the command tells of it what gRPC would."""
    return bool(row.conditions) and row.life.restarts is not None


def scope(target: Target, tools: Toolset) -> list[str]:
    """The workspace, where this CLI has them."""
    return ["--workspace", target.workspace or DEFAULT_WORKSPACE] if tools.workspaces else []


def _parse_sandbox(text: str, name: str, *, as_json: bool) -> SandboxRow | None:
    if as_json:
        try:
            one, _ = json_of(text)
        except UnfitError:
            return None
        # 0.1 wraps its lists in an object; whether it wraps this too is not proven.
        one = one.get("sandbox", one) if isinstance(one, dict) else one
        row = lists.sandbox(one) if isinstance(one, dict) else None
        return row if row is not None and row.name == name else None
    told = lists.fields(text)
    if told.get("name") != name:
        return None
    return SandboxRow(
        name,
        lists.phase(told.get("phase", "")) or "Unknown",
        id=told.get("id", ""),
        revision=told.get("resource version", ""),
    )
