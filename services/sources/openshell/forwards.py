"""Forwarded ports of this machine: from their own pid files first, and whose each one is.

See upstream/openshell: Forwards. Nothing here writes.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from services.files.bounded import UnfitError, parse_json, read_bounded
from services.lazy_dataclass import dataclass
from services.process.identity import ProcessId, held_ports, port_owner
from services.sources.openshell.records import Forward, SandboxRow, Target, safe_name
from services.text.sanitize import sanitize

_LARGEST = 4096
_MOST_FILES = 1000
_NAME = re.compile(r"(?P<sandbox>.+)-(?P<port>[0-9]{1,5})\.pid")
_CONNECT_S = 1.0

_LARGEST_RECEIPT = 64 * 1024
_MOST_RECEIPTS = 256
_RECEIPT_SANDBOX = ("sandbox", "sandboxName", "name")
_RECEIPT_GATEWAY = ("gateway", "gatewayName")
_RECEIPT_PORT = ("localPort", "hostPort", "port")


@dataclass(frozen=True, slots=True)
class ForwardList:
    """Every forward that is known."""

    rows: tuple[Forward, ...] = ()
    problem: str = ""
    """Why there may be more, as a clause; empty where this is all."""


def from_files(folder: Path) -> ForwardList:
    """The forwards that have a pid file; dead where that process is gone or holds no such port."""
    files, problem = _files(folder)
    found = []
    for workspace, path in files:
        try:
            one = _read(workspace, path)
        except OSError as error:
            why = sanitize(error.strerror or "why is not known")
            problem = problem or f"{sanitize(path.name, 80)} cannot be read: {why}"
            continue
        found += [one] if one is not None else []
    held = held_ports([(process, one.port) for one, process in found if process is not None])
    rows = (replace(one, alive=(process, one.port) in held) for one, process in found)
    return ForwardList(tuple(rows), problem)


def _files(folder: Path) -> tuple[list[tuple[str, Path]], str]:
    """(workspace, file) in the folder and one level below."""
    found: list[tuple[str, Path]] = []
    places = [("", folder)]
    try:
        for workspace, place in places:
            for entry in sorted(os.scandir(place), key=lambda one: one.name):
                if len(found) >= _MOST_FILES:
                    return found, f"there are more than {_MOST_FILES} files of forwards"
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and not workspace and safe_name(entry.name):
                    places.append((entry.name, Path(entry.path)))
                elif stat.S_ISREG(mode) and entry.name.endswith(".pid"):
                    found.append((workspace, Path(entry.path)))
    except (FileNotFoundError, NotADirectoryError):
        return found, ""
    except OSError as error:
        why = sanitize(error.strerror or "they cannot be read")
        return found, f"the files of forwards cannot be read: {why}"
    return found, ""


def _read(workspace: str, path: Path) -> tuple[Forward, ProcessId | None] | None:
    """What a pid file says, and the process that has its number now; None where it says nothing.

    Raises:
        OSError: it cannot be read.
    """
    match = _NAME.fullmatch(path.name)
    if match is None or not safe_name(match["sandbox"]):
        return None
    sandbox, port = match["sandbox"], int(match["port"])
    try:
        text = read_bounded(path, _LARGEST).decode("utf-8", "replace")
    except (FileNotFoundError, UnfitError):
        return None
    words = text.strip("\r\n").split("\t")
    if not 0 < port < 65536 or not words[0].strip().isdecimal() or len(words[0]) > 10:
        return None
    number = sanitize(words[1].strip(), 200) if len(words) > 1 else ""
    bind = sanitize(words[2].strip(), 60) if len(words) > 2 else "127.0.0.1"
    told = Forward(sandbox, bind, port, alive=False, workspace=workspace, id=number)
    return told, ProcessId.capture(int(words[0]))


def merged(listed: Iterable[Forward], files: Iterable[Forward]) -> tuple[Forward, ...]:
    """Both; what has a file is as its file says, in the workspace the list adds to it."""
    told = {(one.sandbox, one.port): one for one in listed}
    rows = []
    for one in files:
        same = told.pop((one.sandbox, one.port), None)
        more = same.workspace if same is not None and not one.workspace else one.workspace
        rows.append(replace(one, workspace=more))
    return (*rows, *told.values())


class Owners:
    """Which sandbox a forward leads to, among all that are known of all gateways."""

    def __init__(self, known: Iterable[tuple[Target, str]]) -> None:
        """`known`: each sandbox with its id, empty where that is not known."""
        self._ids = dict(known)
        self._named = Counter(target.name for target in self._ids)

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[str, SandboxRow]], more: Iterable[Target]) -> Owners:
        """From listed rows with their gateways, and from names that are known besides."""
        listed = {
            Target(gateway, row.name, row.workspace or "default"): row.id for gateway, row in rows
        }
        return cls({**dict.fromkeys(more, ""), **listed}.items())

    def owned(self, forward: Forward, target: Target) -> bool:
        """Whether it is beyond doubt that sandbox's: by its id, else by a name nobody shares."""
        if not forward.of(target):
            return False
        mine = self._ids.get(target, "")
        if forward.id and mine:
            return forward.id == mine
        if forward.id and forward.id in self._ids.values():
            return False
        return self._named[target.name] == 1

    def unassigned(self, forward: Forward) -> bool:
        """Whether nobody can be told to be its owner."""
        mine = (target for target in self._ids if target.name == forward.sandbox)
        return not any(self.owned(forward, target) for target in mine)


async def listens(bind: str, port: int) -> bool:
    """Whether a connection to it is taken within a second."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def holder(port: int) -> str:
    """The program that listens on a port of this machine, in words."""
    owner = await asyncio.to_thread(port_owner, port)
    name = "" if owner is None else sanitize(owner.name, 40)
    return f"held by {name}" if name else "held by another program"


@dataclass(frozen=True, slots=True)
class ForwardReceipt:
    """One port of this machine that NemoClaw forwards, or did."""

    sandbox: str
    gateway: str
    """Empty where it does not tell."""
    port: int
    alive: bool
    """Whether the process it names is there."""


def receipts(roots: Iterable[Path]) -> tuple[ForwardReceipt, ...]:
    """Those below the folders of NemoClaw's registers; what cannot be read is left out.

    Such a forward is in no list of the `openshell` command. See upstream/openshell: NemoClaw.
    """
    found: list[ForwardReceipt] = []
    for root in roots:
        folder = root / "forwards"
        try:
            if folder.is_symlink():
                continue
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")[
                :_MOST_RECEIPTS
            ]
        except OSError:
            continue
        found += filter(None, map(_receipt, paths))
    return tuple(found)


def _receipt(path: Path) -> ForwardReceipt | None:
    if path.name.endswith(".pending.json") or path.is_symlink():
        return None
    try:
        told = parse_json(read_bounded(path, _LARGEST_RECEIPT))
    except (OSError, UnfitError):
        return None
    if not isinstance(told, Mapping):
        return None
    sandbox, gateway = _word(told, _RECEIPT_SANDBOX), _word(told, _RECEIPT_GATEWAY)
    port = next((told[key] for key in _RECEIPT_PORT if isinstance(told.get(key), int)), 0)
    pid = told.get("pid")
    if not sandbox or isinstance(port, bool) or not 0 < port < 65536:
        return None
    process = ProcessId.capture(pid) if isinstance(pid, int) and pid > 0 else None
    return ForwardReceipt(sandbox, gateway, port, process is not None and process.alive())


def _word(told: Mapping[str, object], keys: tuple[str, ...]) -> str:
    value = next((told[key] for key in keys if isinstance(told.get(key), str)), "")
    return value if isinstance(value, str) and safe_name(value) else ""
