"""Whether the agent's own gateway lives inside a sandbox: one command, when the operator acts.

See upstream/openshell: Agent inside. Never asked on a timer.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.models import Facts
from services.sources.openshell.cli import Cli
from services.sources.openshell.cli_text import is_cli_error
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import scope
from services.sources.openshell.nemoclaw_registry import NemoclawEntry
from services.sources.openshell.records import Target
from services.text.format import clock_time

AGENT_S = 10.0
_REMOTE_S = 8
_CURL_S = 5
_ALIVE = ("2", "3")
_REFUSED_LOGIN = ("401", "403")
_NO_SUCH_PROGRAM = 127


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What the agent's gateway answered at one instant."""

    alive: bool | None
    """None where it is not known."""
    said: str
    """As a clause: `answers on 18789 (401)`."""
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
    """Ask from inside the sandbox; the answer's body is thrown away.

    Raises:
        UnavailableError: openshell cannot be run.
    """
    port = entry.agent_port
    if not tools.exec or port is None:
        return AgentAnswer(None, "whether its agent lives is not known", now)
    plain = ("--no-login-shell",) if tools.no_login_shell else ()
    answer = await cli.run(
        *(*scope(target, tools), "sandbox", "exec", "-n", target.name, "--no-tty"),
        *("--timeout", str(_REMOTE_S), *plain, "--"),
        *("curl", "-s", "-o", "/dev/null", "-m", str(_CURL_S), "-w", "%{http_code}"),
        f"http://127.0.0.1:{port}/health",
        limit_s=AGENT_S - 0.5,
        gateway=target.gateway,
    )
    code = answer.stdout.strip()[-3:]
    if answer.timed_out or answer.code == _NO_SUCH_PROGRAM or is_cli_error(answer.stderr):
        why = "no curl in it" if answer.code == _NO_SUCH_PROGRAM else answer.error_text
        why = "no answer in time" if answer.timed_out else why
        return AgentAnswer(None, f"whether its agent lives is not known ({why})", now)
    if not (len(code) == 3 and code.isascii() and code.isdigit()):
        return AgentAnswer(None, "whether its agent lives is not known", now)
    if code[0] in _ALIVE or code in _REFUSED_LOGIN:
        return AgentAnswer(True, f"its agent answers on {port} ({code})", now)
    if entry.agent == "hermes" and code == "404":
        return AgentAnswer(None, "whether its agent lives is not known (404)", now)
    return AgentAnswer(False, f"its agent does not answer on {port}", now)
