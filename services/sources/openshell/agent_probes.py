"""Carries the probes of the agent's gateway inside a sandbox: one `curl` there for several paths.

See upstream/openshell: Agent inside.
"""

from __future__ import annotations

import re
import time

from services.agents.openclaw.probes import Reach, Reply
from services.sources.openshell.cli import Cli, CliResult
from services.sources.openshell.cli_text import is_cli_error
from services.sources.openshell.cli_version import Toolset
from services.sources.openshell.client import scope
from services.sources.openshell.records import Target

_REMOTE_S = 8
_CURL_S = 2
_NO_SUCH_PROGRAM = 127
_MARK = "answered-with"
_FORMAT = rf"\n{_MARK} %{{http_code}} %{{content_type}}\n"
_ANSWER = re.compile(rf"(.*?)\n{_MARK} ([0-9]{{3}}) ([^\n]*)\n", re.DOTALL)
_REACHES = {7: Reach.REFUSED, 28: Reach.SILENT}
"""What `curl` ends with where nothing was answered."""


class AgentCarrier:
    """Asks all paths at once where the first is asked; what came is given out one by one."""

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
