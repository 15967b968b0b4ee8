"""Brings the embedded world up and takes it down, meeting whatever was left behind.

A world is up when `run/up.json` names its live host. It is needed while a panel holds a lease or
`keep` exists. Two panels share one world: the first starts it, the last one ends it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from services.errors import UnavailableError
from services.files.private import open_private, private_folder
from services.sources.local import crashes, lock, process_records, spawn, starts
from services.sources.local.flood import flood_file
from services.sources.local.layout import SANDBOX_NAMES, ProcessRecord, World, write_private
from services.sources.local.leases import Lease, is_needed, lease_count

_LOCK_WAIT_S = 15.0
GRACE_S = 2.0
UP = "up"
"""The mark of a whole start, which names the host a second time."""


def roles(world: World) -> tuple[str, ...]:
    """Every role of a whole world: host, gateway, then one agent for each sandbox."""
    names = sorted({*SANDBOX_NAMES, *world.names()})
    return ("host", "gateway", *(f"agent-{name}" for name in names))


@asynccontextmanager
async def _locked(world: World) -> AsyncIterator[None]:
    """Hold the world's lock; a kernel lock, so a killed holder lets go."""
    handle = open_private(world.lock, os.O_RDWR | os.O_CREAT)
    try:
        waited = 0.0
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if waited >= _LOCK_WAIT_S:
                    raise UnavailableError(
                        "Another panel is starting or ending the embedded world and does not "
                        f"finish ({world.lock}).",
                        advice="Look for a hung wakedeck process, end it and try again.",
                    ) from error
            await asyncio.sleep(0.05)
            waited += 0.05
        yield
    finally:
        os.close(handle)


def is_up(world: World) -> bool:
    """Whether a whole start has happened and its host has not died since."""
    marker = world.read_record(UP)
    host = world.read_record("host")
    return (
        marker is not None
        and host is not None
        and replace(marker, role=host.role) == host
        and not process_records.alive(host).over
    )


def records(world: World) -> tuple[ProcessRecord, ...]:
    """Every process of the world that left a record, dead ones too."""
    try:
        roles = sorted(path.stem for path in (world.root / "run").glob("*.json"))
    except OSError:
        return ()
    found = (world.read_record(role) for role in roles)
    return tuple(record for record in found if record is not None)


def end_all(world: World, *, spare: tuple[str, ...] = (), grace_s: float = GRACE_S) -> bool:
    """End the processes of all roles but `spare`, and never the caller; whether all are gone.

    Their records go, and the locks of agents that could not clean up.
    Blocks for at most `grace_s` + 2 s and a little. A suspended process is killed.
    """
    every = (*records(world), *starts.everyone(world))
    spared = {os.getpid(), *(record.pid for record in every if record.role in spare)}
    world.record(UP).unlink(missing_ok=True)
    ending = [record for record in every if record.pid not in spared]
    for record in ending:
        spawn.terminate(record)
    deadline = time.monotonic() + grace_s
    gone = True
    for record in ending:
        ended = spawn.end(record, max(0.0, deadline - time.monotonic()))
        gone = gone and ended
        if ended and world.read_record(record.role) == record:
            world.record(record.role).unlink(missing_ok=True)
        if ended:
            starts.forget(world, record)
    for name in world.names():
        lock.break_stale(world.sandbox(name))
    return gone


def end_if_unneeded(world: World, *, spare: tuple[str, ...] = ()) -> bool:
    """End the world if, with its lock held, still nobody needs it; whether it was ended.

    False also where somebody else is bringing it up or down just now.
    """
    handle = open_private(world.lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    try:
        if is_needed(world):
            return False
        end_all(world, spare=spare)
        return True
    finally:
        os.close(handle)


def _start_all(world: World, tcp: bool) -> None:
    for left_over in (world.faults, world.tcp, flood_file(world)):
        left_over.unlink(missing_ok=True)
    if tcp:
        write_private(world.tcp, "")
    for name in SANDBOX_NAMES:
        private_folder(world.work(name))
        (world.sandbox(name) / crashes.GAVE_UP).unlink(missing_ok=True)
        (world.sandbox(name) / crashes.CRASHES).unlink(missing_ok=True)
    for role in roles(world):
        spawn.start(world, role)


async def _await_host(world: World) -> ProcessRecord:
    for _ in range(200):
        record = world.read_record("host")
        if record is not None and not process_records.alive(record).over:
            return record
        await asyncio.sleep(0.05)
    raise UnavailableError(
        "The embedded world's host process does not start.",
        advice=f"Its log says why: {world.log('host')}",
    )


class WorldLifecycle:
    """One panel's stay in an embedded world."""

    def __init__(self, world: World, *, tcp: bool = False) -> None:
        """`tcp` lets the gateway of a world that is started here listen on a port too."""
        self._world = world
        self._tcp = tcp
        self._lease: Lease | None = None

    async def enter(self) -> bool:
        """Hold a lease; start the world where nobody else keeps one up. True where it was started.

        Raises:
            UnavailableError: the folder cannot be used, or the world does not start.
        """
        try:
            self._world.create()
            async with _locked(self._world):
                needed = self._world.keep.exists() or lease_count(self._world) > 0
                if self._lease is None:
                    self._lease = Lease(self._world)
                if needed and is_up(self._world):
                    return False
                await asyncio.to_thread(end_all, self._world)
                await asyncio.to_thread(_start_all, self._world, self._tcp)
                host = await _await_host(self._world)
                self._world.write_record(replace(host, role=UP))
                return True
        except OSError as error:
            raise UnavailableError(
                f"The embedded world's folder {self._world.root} cannot be used: {error.strerror}."
            ) from error

    async def leave(self) -> None:
        """Let go; the last panel out ends a world that nobody asked to keep. Idempotent."""
        if self._lease is None:
            return
        self._lease.close()
        self._lease = None
        async with _locked(self._world):
            if not self._world.keep.exists() and lease_count(self._world) == 0:
                await asyncio.to_thread(end_all, self._world)


async def keep_up(world: World, *, tcp: bool = False, sandboxes: int | None = None) -> bool:
    """`wakedeck local up`: start it where it is not up, and keep it. True where it was started.

    With `tcp` its gateway listens on a loopback port too; one that does not is started anew.
    `sandboxes` is how many rows are shown, simulated ones beside the real ones; None as before.

    Raises:
        UnavailableError: it does not start.
    """
    lifecycle = WorldLifecycle(world, tcp=tcp)
    started = await lifecycle.enter()
    try:
        write_private(world.keep, "")
        if sandboxes is not None:
            write_private(world.simulated, str(sandboxes))
        if tcp:
            await _listen_on_tcp(world)
    finally:
        await lifecycle.leave()
    return started


async def _listen_on_tcp(world: World) -> None:
    async with _locked(world):
        if not world.tcp.exists():
            write_private(world.tcp, "")
            record = world.read_record("gateway")
            if record is not None:
                await asyncio.to_thread(spawn.end, record, GRACE_S)
            await asyncio.to_thread(spawn.start, world, "gateway")
        for _ in range(200):
            if tcp_port(world) is not None:
                return
            await asyncio.sleep(0.05)
    raise UnavailableError(
        "The embedded gateway does not listen on a port.",
        advice=f"Wake a sandbox of it; its log says more: {world.log('gateway')}",
    )


def tcp_port(world: World) -> int | None:
    """The loopback port of the gateway, where the recorded living process listens on it."""
    record = world.read_record("gateway")
    if record is None or record.port is None:
        return None
    process = process_records.identify(record)
    return record.port if process is not None and process.owns_port(record.port) else None


async def take_down(world: World) -> int:
    """`wakedeck local down`: end every process of the world. Gives how many panels still look.

    Raises:
        UnavailableError: another panel is just starting or ending it.
    """
    if not world.root.exists():
        return 0
    world.create()
    async with _locked(world):
        world.keep.unlink(missing_ok=True)
        world.tcp.unlink(missing_ok=True)
        world.simulated.unlink(missing_ok=True)
        await asyncio.to_thread(end_all, world)
        return lease_count(world)
