"""What a terminal server answers to a plain request, which starts no shell, and what that means.

See upstream/terminal: Independent servers.
"""

from __future__ import annotations

from dataclasses import field
from urllib.parse import parse_qsl

from services.errors import DeadlineError, UnavailableError
from services.files.bounded import parse_json
from services.lazy_dataclass import dataclass
from services.models import GatewayState, SandboxState
from services.net.failures import network_cause
from services.net.http import ApiError, Http
from services.sources.terminal.server import TerminalServer
from services.text.sanitize import sanitize

AT_A_TERMINAL = (400, 405, 426)
"""What a WebSocket address says to a request that is none."""
_SEE = "see `token_file` and `url` in its table"


@dataclass(frozen=True, slots=True)
class Health:
    """The server, and the terminal behind it."""

    server: GatewayState
    server_reason: str
    terminal: SandboxState
    reason: str
    seen: str = ""
    """What was asked and answered."""
    terminals: int | None = None
    """How many a Jupyter server has."""
    ttyd_token: str = field(default="", repr=False)


async def check(server: TerminalServer, http: Http) -> Health:
    """Ask once; read-only.

    Raises:
        UnavailableError: nothing was learned: no address, no credential at hand, no name, no TLS.
    """
    where = server.address
    if server.is_jupyter:
        path = f"{where.path}/api/terminals"
    elif server.table.family == "ttyd":
        path = f"{where.path.removesuffix('/ws') if where.direct else where.path}/token"
    else:
        path = where.path or "/"
    try:
        answer = await http.get(path, tuple(parse_qsl(where.query, keep_blank_values=True)))
    except ApiError as error:
        return judge_status(server, error.status, error.said)
    except DeadlineError as error:
        return _closed(GatewayState.HUNG, error.sentence)
    except UnavailableError as error:
        if isinstance(network_cause(error), ConnectionRefusedError):
            return _closed(GatewayState.DOWN, error.sentence)
        raise
    return _judge_answer(server, answer)


def judge_status(server: TerminalServer, status: int, said: str = "") -> Health:
    """What an answer other than a success means."""
    tail = f": {said}" if said else ""
    seen = f"a plain request was answered {status}"
    asks_itself = server.is_jupyter or server.table.family == "ttyd"
    if status in (401, 403):
        word = f"It does not accept the credential ({status}){tail}; {_SEE}."
        return Health(GatewayState.READY, "", SandboxState.BROKEN, word, seen)
    if status in AT_A_TERMINAL and not asks_itself:
        return Health(GatewayState.READY, "", SandboxState.READY, "", seen)
    if status in (502, 503, 504):
        return _closed(GatewayState.DOWN, f"It answers {status}{tail}.", seen)
    if status >= 500:
        return _closed(GatewayState.WRONG, f"It fails ({status}){tail}.", seen)
    if 300 <= status < 400:
        why = f"It sends us to another page ({status}): is a sign-in in front of it?"
        return _closed(GatewayState.WRONG, why, seen)
    if status == 404 and not asks_itself:
        # Some frameworks know a WebSocket route only for an upgrade.
        word = (
            "A plain request is answered 404: whether a terminal is there, only opening one tells."
        )
        return Health(GatewayState.READY, "", SandboxState.UNKNOWN, word, seen)
    if status == 404:
        return _closed(GatewayState.WRONG, _nothing_there(server), seen)
    return _closed(GatewayState.WRONG, f"It refuses a plain request ({status}){tail}.", seen)


def _nothing_there(server: TerminalServer) -> str:
    if server.is_jupyter:
        return (
            "There are no Jupyter terminals (404): switched off there, or not Jupyter; a terminado"
            " server is named by the ws:// address of its terminal."
        )
    return f"There is no {server.table.family} terminal at this address (404)."


def _judge_answer(server: TerminalServer, answer: bytes) -> Health:
    try:
        value = parse_json(answer)
    except ValueError:
        value = None
    ready = (GatewayState.READY, "", SandboxState.READY, "")
    if server.is_jupyter and isinstance(value, list):
        return Health(*ready, f"it lists {len(value)} terminals", len(value))
    if server.table.family == "ttyd" and isinstance(value, dict):
        token = value.get("token")
        if isinstance(token, str):
            return Health(*ready, "it tells its token", None, token)
    what = {"terminado": "Jupyter", "ttyd": "ttyd"}.get(server.table.family, "a terminal")
    what = what if not server.address.direct or what == "ttyd" else "a terminal"
    return _closed(GatewayState.WRONG, f"A web page answers there, not {what}.")


def _closed(state: GatewayState, why: str, seen: str = "") -> Health:
    reason = "Nothing is known of its terminal."
    return Health(state, sanitize(why, 300), SandboxState.UNKNOWN, reason, seen)
