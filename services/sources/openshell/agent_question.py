"""Whether the agent's own gateway serves inside a sandbox: asked when the operator acts.

See upstream/openshell: Agent inside. Never asked on a timer.
"""

from __future__ import annotations

import re
import time

from services.agents.openclaw.evidence import OpenClawEvidence
from services.agents.openclaw.judge import judge
from services.agents.openclaw.probes import (
    PATHS,
    PROBE_S,
    Answers,
    HealthWord,
    Reach,
    Reply,
    ask,
    read_json,
)
from services.lazy_dataclass import dataclass
from services.models import Facts, SandboxState
from services.sources.openshell.cli import Cli, CliResult
from services.sources.openshell.cli_text import is_cli_error
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import scope
from services.sources.openshell.nemoclaw_registry import NemoclawEntry
from services.sources.openshell.records import Target
from services.text.format import clock_time

AGENT_S = 10.0
_HERMES_PATH = "/health"
_NOT_KNOWN = "whether its agent lives is not known"
_REMOTE_S = 8
_CURL_S = 2
_NO_SUCH_PROGRAM = 127
_MARK = "answered-with"
_FORMAT = rf"\n{_MARK} %{{http_code}} %{{content_type}}\n"
_ANSWER = re.compile(rf"(.*?)\n{_MARK} ([0-9]{{3}}) ([^\n]*)\n", re.DOTALL)
_REACHES = {7: Reach.REFUSED, 28: Reach.SILENT}
"""What `curl` ends with where nothing was answered."""


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What the agent's gateway answered at one instant."""

    serves: bool | None
    """None where it is not known, or not decided yet."""
    said: str
    """As a clause: `its agent answers on 18789 and is ready`."""
    at: float = 0.0


class AgentAnswers:
    """The last answer of each sandbox, for its details; written by what acts."""

    def __init__(self) -> None:
        self._told: dict[str, AgentAnswer] = {}
        self._reports: dict[str, dict[str, Facts]] = {}

    def note(self, target: Target, answer: AgentAnswer) -> None:
        """Keep an answer in place of the one before."""
        self._told[target.native] = answer

    def note_report(self, target: Target, verb: str, facts: Facts, at: float) -> None:
        """Keep what NemoClaw itself told in answer to a verb, in place of what it told before."""
        (name, said), *more = facts or (("NemoClaw", "told nothing"),)
        dated = ((name, f"{said}, asked at {clock_time(at)}"), *more)
        self._reports.setdefault(target.native, {})[verb] = dated

    def facts(self, native: str, entry: NemoclawEntry | None) -> Facts:
        """A line for a sandbox that runs an agent's gateway, and what NemoClaw told on request."""
        if entry is None:
            return ()
        reports = tuple(one for told in self._reports.get(native, {}).values() for one in told)
        if not entry.has_agent_gateway or entry.agent_port is None:
            return reports
        told = self._told.get(native)
        said = "not asked" if told is None else f"{told.said}, asked at {clock_time(told.at)}"
        return (("agent gateway", said), *reports)


async def ask_agent(
    cli: Cli, target: Target, tools: Toolset, entry: NemoclawEntry, now: float
) -> AgentAnswer:
    """Ask from inside the sandbox; only JSON with the words of its agent is believed.

    Raises:
        UnavailableError: openshell cannot be run.
    """
    port = entry.agent_port
    if not tools.exec or port is None:
        return AgentAnswer(None, _NOT_KNOWN, now)
    by = time.monotonic() + AGENT_S - 0.5
    if entry.agent == "hermes":
        carrier = AgentCarrier(cli, target, tools, port, (_HERMES_PATH,), by)
        return _to_hermes(await carrier(_HERMES_PATH, PROBE_S), port, now)
    carrier = AgentCarrier(cli, target, tools, port, PATHS, by)
    return _to_answer(await ask(carrier, time.monotonic), port, now)


def _to_answer(answers: Answers, port: int, now: float) -> AgentAnswer:
    missed = _to_miss(answers.reach, answers.problem, port, now)
    if missed is not None:
        return missed
    if answers.health is HealthWord.OTHER:
        return AgentAnswer(False, f"something else than its agent answers on {port}", now)
    seen = OpenClawEvidence(now, "", "", remote=True, port=port, answers=answers)
    judged = judge(seen)
    if judged.agent is SandboxState.READY:
        return AgentAnswer(True, f"its agent answers on {port} and is ready", now)
    why = judged.reason[:1].lower() + judged.reason[1:].rstrip(".")
    return AgentAnswer(None, f"its agent answers on {port}: {why}", now)


def _to_hermes(reply: Reply, port: int, now: float) -> AgentAnswer:
    missed = _to_miss(reply.reach, reply.problem, port, now)
    if missed is not None:
        return missed
    told = read_json(reply)
    if reply.status == 200 and (told.get("status"), told.get("platform")) == ("ok", "hermes-agent"):
        return AgentAnswer(True, f"its agent answers on {port} and is well", now)
    return AgentAnswer(None, f"{_NOT_KNOWN} ({reply.status}, and not its words)", now)


def _to_miss(reach: Reach, problem: str, port: int, now: float) -> AgentAnswer | None:
    if reach is Reach.REFUSED:
        return AgentAnswer(
            False, f"its agent does not answer on {port}: the connection is refused", now
        )
    if reach is Reach.SILENT:
        return AgentAnswer(False, f"its agent keeps port {port} but does not answer", now)
    if reach is Reach.FAILED:
        return AgentAnswer(None, f"{_NOT_KNOWN} ({problem})", now)
    return None


class AgentCarrier:
    """Carries probes: one `curl` in the sandbox for all paths; what came is given out by one."""

    def __init__(
        self, cli: Cli, target: Target, tools: Toolset, port: int, paths: tuple[str, ...], by: float
    ) -> None:
        """`by` is the instant, by the monotonic clock, at which everything has to be over."""
        self._cli = cli
        self._target = target
        self._tools = tools
        self._urls = [f"http://127.0.0.1:{port}{path}" for path in paths]
        self._paths = paths
        self._by = by
        self._replies: dict[str, Reply] = {}

    async def __call__(self, path: str, limit_s: float) -> Reply:
        """What became of a path.

        Raises:
            UnavailableError: openshell cannot be run.
        """
        if path == self._paths[0]:
            self._replies = await self._ask()
        return self._replies.get(path, Reply(Reach.FAILED, problem="it broke off"))

    async def _ask(self) -> dict[str, Reply]:
        target, tools = self._target, self._tools
        left = self._by - time.monotonic()
        if left <= 0:
            return self._all(Reply(Reach.FAILED, problem="no answer in time"))
        plain = ("--no-login-shell",) if tools.no_login_shell else ()
        told = await self._cli.run(
            *(*scope(target, tools), "sandbox", "exec", "-n", target.name, "--no-tty"),
            *("--timeout", str(_REMOTE_S), *plain, "--"),
            *("curl", "-s", "--noproxy", "*", "--fail-early", "-m", str(_CURL_S), "-w", _FORMAT),
            *self._urls,
            limit_s=left,
            gateway=target.gateway,
        )
        if told.code == _NO_SUCH_PROGRAM:
            return self._all(Reply(Reach.FAILED, problem="no curl in it"))
        if told.timed_out or told.truncated or is_cli_error(told.stderr):
            why = "no answer in time" if told.timed_out else told.error_text
            return self._all(Reply(Reach.FAILED, problem=why))
        return self._read(told)

    def _read(self, told: CliResult) -> dict[str, Reply]:
        missed = Reply(_REACHES.get(told.code or 0, Reach.FAILED), problem="it broke off")
        replies = self._all(missed)
        answers = _ANSWER.findall(told.stdout)
        for path, (body, status, kind) in zip(self._paths, answers, strict=False):
            if status != "000":
                json = kind.partition(";")[0].strip().lower() == "application/json"
                replies[path] = Reply(Reach.ANSWERED, int(status), json, body.encode())
        return replies

    def _all(self, reply: Reply) -> dict[str, Reply]:
        return dict.fromkeys(self._paths, reply)
