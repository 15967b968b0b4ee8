"""The container runtime's command line: what is asked of it, and what it prints.

See upstream/nanoclaw: Containers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.files.bounded import parse_json
from services.lazy_dataclass import dataclass
from services.queues.timestamps import seconds
from services.sources.nanoclaw.install import Install
from services.text.redact import redact_line
from services.text.sanitize import sanitize

DOCKER = "docker"


def list_argv(install: Install) -> tuple[str, ...]:
    """Every container of one install, also one that does not run yet.

    See upstream/nanoclaw: Containers.
    """
    return (
        *(DOCKER, "ps", "-a", "--no-trunc", "--filter", f"label={install.label}"),
        *("--format", "{{json .}}"),
    )


def logs_argv(name: str, since: str = "10m") -> tuple[str, ...]:
    """A container's log of ten minutes or since an instant, then what comes; it goes with it."""
    return (DOCKER, "logs", "--since", since, "-f", name)


def inspect_argv(ids: Iterable[str], key: str = "Id") -> tuple[str, ...]:
    """Labels, instants and mounts of each, one line a container; `key`: what its id is called."""
    template = f"[{{{{json .{key}}}}},{_INSPECT}"
    return (DOCKER, "inspect", "--type", "container", "--format", template, *ids)


_INSPECT = "{{json .Config.Labels}},{{json .State.StartedAt}},{{json .Created}},{{json .Mounts}}]"


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One line of the listing."""

    id: str
    name: str
    status: str
    uptime: str
    """As the runtime words it."""
    key: str = "Id"
    """What `inspect` calls its id: podman, where it stands in for docker, has its own word."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What `inspect` says of one container."""

    labels: Mapping[str, object]
    started: str
    created: str
    mounts: tuple[Mapping[str, object], ...]


def parse_rows(stdout: bytes) -> list[ListedRow] | None:
    """Each listed container; None where a line is something else.

    Docker prints one a line, podman one list (upstream/nanoclaw: Containers).
    """
    rows: list[ListedRow] = []
    try:
        told = _listed(stdout)
    except ValueError:
        return None
    for row in told:
        try:
            key = row.get("ID") or row["Id"]
            names = row.get("Names") or ""
            name = (names[0] if isinstance(names, list) else names.split(",")[0]) or key[:12]
            status = str(row.get("State") or _state(row)).lower()
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return None
        if not (safe_name(key) and safe_name(name)):
            return None
        uptime = str(row.get("Status", ""))[:80]
        calls = "ID" if "ID" not in row else "Id"
        rows.append(ListedRow(key, name, sanitize(status, 20), uptime, calls))
    return rows


def _state(row: dict[str, Any]) -> str:
    """The state of a row without one, from its status in words; `unknown` where that tells none."""
    words = str(row.get("Status", "")).lower().split()
    if words[:1] == ["up"]:
        return "paused" if words[-1] == "(paused)" else "running"
    first = words[0] if words else "unknown"
    return "removing" if first == "removal" else first


def _listed(stdout: bytes) -> list[Any]:
    if stdout.lstrip().startswith(b"["):
        told = parse_json(stdout)
        return told if isinstance(told, list) else []
    return [parse_json(line) for line in stdout.splitlines() if line.strip()]


def safe_name(name: object) -> bool:
    """Whether it is a name docker itself would give, and so cannot be taken for an option."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= 255
        and name.isascii()
        and name[0].isalnum()
        and all(char.isalnum() or char in "_.-" for char in name)
    )


def parse_inspected(stdout: bytes) -> dict[str, Inspected]:
    """What was inspected, by id; lines that are something else are left out."""
    found: dict[str, Inspected] = {}
    for line in stdout.splitlines():
        try:
            key, labels, started, created, mounts = parse_json(line)
        except (ValueError, TypeError):
            continue
        if isinstance(key, str):
            found[key] = Inspected(
                labels if isinstance(labels, dict) else {},
                started if isinstance(started, str) else "",
                created if isinstance(created, str) else "",
                tuple(one for one in mounts if isinstance(one, dict))
                if isinstance(mounts, list)
                else (),
            )
    return found


def epoch(stamp: str) -> float | None:
    """An instant as the runtime spells it; None for its zero and for what is no instant."""
    if not stamp or stamp.startswith("0001-"):
        return None
    match = _STAMP.match(stamp)
    if match is None:
        return None
    return seconds(f"{match[1]}{(match[2] or '')[:10]}{match[3]}")


_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?\s?(Z|[+-]\d\d:?\d\d)", re.ASCII)


def started_at(name: str) -> float | None:
    """The instant at the end of `nanoclaw-v2-<folder>-<ms>`."""
    digits = name.rsplit("-", 1)[-1]
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 14):
        return None
    return int(digits) / 1000


def complaint(stderr: bytes) -> str:
    """The last thing it said, harmless."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return redact_line(lines[-1], 160) if lines else "it failed without a word"
