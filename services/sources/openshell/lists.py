"""The CLI's lists read: JSON where it offers it, its tables otherwise.

See upstream/openshell: Reading lists; upstream/openshell: Forwards.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping

from services.errors import UnavailableError
from services.models import Facts
from services.sources.openshell.cli_text import strip_colours
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
_GAP = re.compile(r"\s{2,}")
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


def _items(text: str, what: str, *keys: str) -> list[Mapping[str, object]]:
    """The objects of a list, or of a list wrapped in an object.

    Raises:
        UnavailableError: it is no such list.
    """
    try:
        found = json.loads(strip_colours(text))
    except (ValueError, RecursionError) as error:
        raise _garbled(what) from error
    if isinstance(found, dict):
        found = next((found[key] for key in keys if isinstance(found.get(key), list)), None)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _garbled(what)
    return found


def table(text: str, first: str = "NAME") -> list[dict[str, str]]:
    """The rows of a printed table by column name; empty where there is no header."""
    lines = [line.strip() for line in strip_colours(text).splitlines()]
    start = next((n for n, line in enumerate(lines) if line.split()[:1] == [first]), None)
    if start is None:
        return []
    columns = lines[start].split()
    rows = []
    for line in lines[start + 1 :]:
        cells = _GAP.split(line.removeprefix("*").strip())
        if len(cells) >= 2:
            row = {name: sanitize(cell) for name, cell in zip(columns, cells, strict=False)}
            rows.append({**row, "ACTIVE": "*" if line.startswith("*") else ""})
    return rows


def registrations(text: str, *, as_json: bool) -> tuple[Registration, ...]:
    """The gateways the CLI knows.

    Raises:
        UnavailableError: it is not a list of gateways.
    """
    if not as_json:
        return tuple(
            Registration(
                row["NAME"],
                row.get("ENDPOINT", ""),
                row.get("TYPE", ""),
                row.get("AUTH", ""),
                row.get("SOURCE", ""),
                row["ACTIVE"] == "*",
            )
            for row in table(text)
        )
    return tuple(
        Registration(
            _text(one.get("name")),
            _text(one.get("endpoint"), 400),
            _text(one.get("type")),
            _text(one.get("auth")),
            _text(one.get("source")),
            one.get("active") is True,
        )
        for one in _items(text, "`gateway list`", "gateways", "items")
        if _text(one.get("name"))
    )


def phase(value: object) -> str:
    """A phase as one word; a number nobody knows is `phase N`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return PHASES[value] if 0 <= value < len(PHASES) else f"phase {value}"
    word = _text(value, 40)
    if word.isdigit():
        return phase(int(word[:6]))
    word = word.removeprefix("SANDBOX_PHASE_")
    return word.capitalize() if word.isalpha() and word in (word.upper(), word.lower()) else word


def sandbox(one: Mapping[str, object]) -> SandboxRow:
    """One JSON object of a list or of `sandbox get`."""
    code = one.get("exit_code")
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
        conditions=_conditions(one.get("conditions")),
    )


def _pairs(value: object) -> Facts:
    if not isinstance(value, dict):
        return ()
    return tuple(
        (sanitize(str(name), 80), _text(said)) for name, said in list(value.items())[:_LABELS]
    )


def _conditions(value: object) -> tuple[SandboxCondition, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(
        SandboxCondition(*(_text(one.get(key)) for key in ("type", "status", "reason", "message")))
        for one in value[:_LABELS]
        if isinstance(one, dict)
    )


def sandboxes(text: str, *, as_json: bool) -> tuple[tuple[SandboxRow, ...], str]:
    """The sandboxes of one page, and the token of the next where there is one.

    Raises:
        UnavailableError: it is not a list of sandboxes.
    """
    if not as_json:
        if not table(text) and "no sandboxes found" not in text.lower():
            raise _garbled("`sandbox list`")
        rows = [
            SandboxRow(
                row["NAME"], phase(row.get("PHASE", "")) or "Unknown", created=row["CREATED"]
            )
            for row in table(text)
            if "CREATED" in row
        ]
        return tuple(rows), ""
    items = _items(text, "`sandbox list`", "sandboxes", "items")
    rows = [row for row in map(sandbox, items) if row.name]
    return tuple(rows), _next_page(text)


def _next_page(text: str) -> str:
    whole = json.loads(strip_colours(text))
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


def forwards(text: str) -> tuple[Forward, ...]:
    """The rows of `forward list`; the ones without a port are left out."""
    try:
        items = _items(text, "`forward list`", "forwards", "items")
    except UnavailableError:
        return tuple(
            Forward(row["SANDBOX"], row.get("BIND", ""), int(row["PORT"]), _runs(row))
            for row in table(text, "SANDBOX")
            if row.get("PORT", "").isdigit()
        )
    return tuple(
        Forward(
            _text(one.get("sandbox")),
            _text(one.get("bind_address")),
            port,
            one.get("alive") is True,
        )
        for one in items
        if isinstance(port := one.get("port"), int)
    )


def _runs(row: Mapping[str, str]) -> bool:
    return row.get("STATUS", "").lower() == "running"
