"""The CLI's lists read: JSON where it offers it, its tables otherwise.

See upstream/openshell: Reading lists; upstream/openshell: Forwards.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from services.errors import UnavailableError
from services.files.bounded import UnfitError
from services.models import Facts
from services.sources.openshell.cli_text import json_of, strip_colours
from services.sources.openshell.lifecycle import instant, lifecycle
from services.sources.openshell.records import Forward, Registration, SandboxCondition, SandboxRow
from services.text.sanitize import sanitize, sanitize_block

PHASES = (
    "Unspecified",
    "Provisioning",
    "Ready",
    "Error",
    "Deleting",
    "Unknown",
    "Stopping",
    "Stopped",
    "Starting",
    "Completed",
)
"""By number (upstream/openshell: Phases)."""
_WORD = re.compile(r"\S+")
_LABELS = 20
_FIELD = re.compile(r"^\s*([A-Z][A-Za-z ]{1,30}):\s*(.*)$")


def _garbled(what: str) -> UnavailableError:
    return UnavailableError(
        f"openshell answered {what} with something that cannot be understood.",
        advice="Run the same command in a shell; its version may be one this panel does not know.",
    )


def _text(value: object, limit: int = 200) -> str:
    known = isinstance(value, str | int | float) and not isinstance(value, bool)
    return sanitize(str(value), limit) if known else ""


def _items(text: str, what: str, *keys: str) -> tuple[list[Mapping[str, object]], int]:
    """The objects of a list, or of a list wrapped in an object; and how many others are in it.

    Raises:
        UnavailableError: it is no such list.
    """
    try:
        found, _ = json_of(text)
    except UnfitError as error:
        raise _garbled(what) from error
    if isinstance(found, dict):
        found = next((found[key] for key in keys if isinstance(found.get(key), list)), None)
    if not isinstance(found, list):
        raise _garbled(what)
    items: list[Mapping[str, object]] = [one for one in found if isinstance(one, dict)]
    if found and not items:
        raise _garbled(what)
    return items, len(found) - len(items)


def table(text: str, *columns: str) -> tuple[list[dict[str, str]], int]:
    """The rows of a printed table by column name, cut where the words of its header begin.

    And how many lines do not fit the header. What stands before the first column is under the
    empty name. No header with all of `columns`: no rows.
    """
    lines = strip_colours(text).splitlines()
    start = next((n for n, line in enumerate(lines) if _is_header(line, columns)), None)
    if start is None:
        return [], 0
    words = [(match[0], match.start()) for match in _WORD.finditer(lines[start])]
    cuts = [("", 0), *words] if words[0][1] else words
    ends: list[int | None] = [*(at for _, at in cuts[1:]), None]
    rows, odd = [], 0
    for line in lines[start + 1 :]:
        if not line.strip():
            continue
        if any(line[at - 1 : at].strip() for _, at in cuts if at):
            odd += 1
            continue
        cells = zip(cuts, ends, strict=True)
        rows.append({name: sanitize(line[at:end].strip()) for (name, at), end in cells})
    return rows, odd


def _is_header(line: str, columns: tuple[str, ...]) -> bool:
    words = line.split()
    return line.isupper() and all(name in words for name in columns)


def registrations(text: str, *, as_json: bool) -> tuple[Registration, ...]:
    """The gateways the CLI knows.

    Raises:
        UnavailableError: it is not a list of gateways.
    """
    what = "`gateway list`"
    if not as_json:
        printed, odd = table(text, "NAME", "ENDPOINT")
        if odd:
            raise _garbled(what)
        return tuple(
            Registration(
                row["NAME"],
                row.get("ENDPOINT", ""),
                row.get("TYPE", ""),
                row.get("AUTH", ""),
                row.get("SOURCE", ""),
                row.get("") == "*",
            )
            for row in printed
        )
    items, odd = _items(text, what, "gateways", "items")
    if odd or not all(_text(one.get("name")) for one in items):
        raise _garbled(what)
    return tuple(
        Registration(
            _text(one.get("name")),
            _text(one.get("endpoint"), 400),
            _text(one.get("type")),
            _text(one.get("auth")),
            _text(one.get("source")),
            one.get("active") is True,
        )
        for one in items
    )


def phase(value: object) -> str:
    """A phase as one word; a number nobody knows is `phase N`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return PHASES[value] if 0 <= value < len(PHASES) else f"phase {value}"
    word = _text(value, 40)
    if word.isdecimal():
        return phase(int(word[:6]))
    word = word.removeprefix("SANDBOX_PHASE_")
    return word.capitalize() if word.isalpha() and word in (word.upper(), word.lower()) else word


def sandbox(one: Mapping[str, object]) -> SandboxRow:
    """One JSON object of a list or of `sandbox get`."""
    code, spec = one.get("exit_code"), one.get("spec")
    return SandboxRow(
        name=_text(one.get("name")),
        phase=phase(one.get("phase", "")) or "Unknown",
        id=_text(one.get("id")),
        workspace=_text(one.get("workspace")),
        created=_text(one.get("created_at")),
        labels=_pairs(one.get("labels")),
        revision=_text(one.get("resource_version")),
        policy_version=_text(one.get("current_policy_version")),
        exit_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
        conditions=conditions(one.get("conditions")),
        life=lifecycle(one, spec if isinstance(spec, dict) else {}),
    )


def _pairs(value: object) -> Facts:
    if not isinstance(value, dict):
        return ()
    return tuple(
        (sanitize(str(name), 80), _text(said)) for name, said in list(value.items())[:_LABELS]
    )


def conditions(value: object) -> tuple[SandboxCondition, ...]:
    """The conditions in a list of JSON objects; none for what is no list."""
    if not isinstance(value, list):
        return ()
    return tuple(
        SandboxCondition(
            _text(one.get("type")),
            _condition_status(one.get("status")),
            _text(one.get("reason")),
            _text(one.get("message")),
            instant(one.get("transition_time") or one.get("last_transition_time")),
        )
        for one in value[:_LABELS]
        if isinstance(one, dict)
    )


def _condition_status(value: object) -> str:
    """`True`, `False` or `Unknown`, however it is spelled; another word as it is."""
    word = str(value) if isinstance(value, bool) else _text(value)
    return word.capitalize() if word.lower() in ("true", "false", "unknown") else word


def sandboxes(text: str, *, as_json: bool) -> tuple[tuple[SandboxRow, ...], str, int]:
    """The sandboxes of one page, the token of the next where there is one, and how many entries
    were not understood.

    Raises:
        UnavailableError: it is not a list of sandboxes.
    """
    if not as_json:
        printed, odd = table(text, "NAME", "CREATED", "PHASE")
        if not printed and "no sandboxes found" not in text.lower():
            raise _garbled("`sandbox list`")
        rows = [
            SandboxRow(row["NAME"], phase(row["PHASE"]) or "Unknown", created=row["CREATED"])
            for row in printed
        ]
        return tuple(rows), "", odd
    items, odd = _items(text, "`sandbox list`", "sandboxes", "items")
    rows = [row for row in map(sandbox, items) if row.name]
    return tuple(rows), _next_page(text), odd + len(items) - len(rows)


def _next_page(text: str) -> str:
    whole, _ = json_of(text)
    return _text(whole.get("next_page_token"), 400) if isinstance(whole, dict) else ""


def fields(text: str) -> dict[str, str]:
    """`Name: value` lines, names lower-cased; the first of each name counts."""
    found: dict[str, str] = {}
    for line in strip_colours(text).splitlines():
        match = _FIELD.match(line)
        if match:
            found.setdefault(match[1].lower(), sanitize(match[2]))
    return found


def indented(text: str, heading: str) -> list[str]:
    """The lines below a heading, harmless, without their common indent."""
    lines = strip_colours(text).splitlines()
    start = next((n for n, line in enumerate(lines) if line.strip() == heading), None)
    if start is None:
        return []
    below = textwrap.dedent("\n".join(lines[start + 1 :])).splitlines()
    return [sanitize_block(line, 200) for line in below if line.strip()]


def forwards(text: str) -> tuple[tuple[Forward, ...], int]:
    """The rows of `forward list`, and how many were not understood: those name no port.

    Raises:
        UnavailableError: it is no such list.
    """
    what = "`forward list`"
    try:
        items, odd = _items(text, what, "forwards", "items")
    except UnavailableError:
        printed, odd = table(text, "SANDBOX", "PORT", "PID", "STATUS")
        if not printed and (odd or "no active forwards" not in text.lower()):
            raise
        found = [_printed_forward(row) for row in printed]
    else:
        found = [_forward(one) for one in items]
    rows = tuple(one for one in found if one is not None)
    return rows, odd + len(found) - len(rows)


def _printed_forward(row: Mapping[str, str]) -> Forward | None:
    port, pid = _number(row["PORT"]), _number(row["PID"])
    if not row["SANDBOX"] or not 0 < port < 65536 or not pid:
        return None
    # A column before the name is the workspace (upstream/openshell: Forwards).
    before = next(iter(row))
    workspace = row[before] if before not in ("", "SANDBOX") else ""
    alive = {"running": True, "dead": False}.get(row["STATUS"].lower())
    if alive is None:
        return None
    return Forward(row["SANDBOX"], row.get("BIND", ""), port, alive, workspace)


def _forward(one: Mapping[str, object]) -> Forward | None:
    name, port = _text(one.get("sandbox")), one.get("port")
    if not name or isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    place, workspace = _text(one.get("bind_address")), _text(one.get("workspace"))
    alive = one.get("alive")
    return Forward(name, place, port, alive, workspace) if isinstance(alive, bool) else None


def _number(cell: str) -> int:
    """The number in a cell; 0 where there is none."""
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 12 else 0


def not_understood(lines: int) -> str:
    """What is said of lines of a list that were left out; empty where none were."""
    if not lines:
        return ""
    return f"{lines} line{'s' if lines > 1 else ''} of `forward list` not understood"
