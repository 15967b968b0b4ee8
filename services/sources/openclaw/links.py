"""The connections of one source: which gateway is shown a credential, and what each told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
from binascii import Error
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from services.agents.openclaw.device import DeviceIdentity
from services.agents.openclaw.evidence import ConnectionState, Heard, LockState
from services.agents.openclaw.link import GatewayLink
from services.agents.openclaw.probes import Answers, HealthWord, Reach
from services.agents.openclaw.wire import GatewayCredential
from services.clock import Clock
from services.errors import UnavailableError
from services.files.private import open_private, private_folder, write_new
from services.process.identity import port_owner, program
from services.sources.openclaw.carrier import GatewayAddress
from services.sources.openclaw.door import CredentialPlace, GatewayDoor
from services.sources.openclaw.files import read_lock
from services.sources.openclaw.layout import StateDirectory

FIRST_S = 3.0
"""The first poll waits so long for what is told over a new connection."""
_NO_CRYPTOGRAPHY = "Being paired needs the package `cryptography`, which is not installed."
_INSTALL = "Install wakedeck with its extra `openclaw`, or use a tunnel to its port."
_LONGEST_KEY = 200


class GatewayLinks:
    """One connection for each gateway that may be shown a credential."""

    def __init__(
        self,
        credential: CredentialPlace,
        named: GatewayAddress | None,
        keys: Path,
        environ: Mapping[str, str],
        clock: Clock,
    ) -> None:
        """`named` is of the one gateway that is named by it, `keys` the folder of our keys."""
        self.named = named
        self.changed = asyncio.Event()
        """Set when a gateway told something between two looks; whoever waits clears it."""
        self._credential = credential
        self._environ = environ
        self._clock = clock
        self._links: dict[str, GatewayLink] = {}
        self._places: dict[str, GatewayAddress] = {}
        self._keys = DeviceKeys(keys)

    def get(self, native_id: str) -> GatewayLink | None:
        """The connection of one gateway; None where none was made."""
        return self._links.get(native_id)

    async def hear(
        self,
        native_id: str,
        answers: Answers | None,
        place: StateDirectory | None,
        address: GatewayAddress | None,
    ) -> Heard:
        """What it tells over its connection, which is made where its probes allow it.

        `place` is None for a local one whose port is not proven to be its own.
        """
        link = self._links.get(native_id)
        if not self._credential.named:
            return Heard()
        address = self.named or address
        if _is_started(answers) and address is not None and (place is not None or self.named):
            self._places[native_id] = address
            if link is None:
                link = self._links[native_id] = self._make(native_id, place)
            first = link.heard().connection is ConnectionState.OFF
            link.start()
            if first:
                await link.settled(FIRST_S)
        elif link is not None and (answers is None or answers.reach is not Reach.SILENT):
            await link.stop()
        return Heard() if link is None else link.heard()

    async def forget(self, known: Collection[str]) -> None:
        """Let go of the connections of gateways that are not there any more."""
        for gone in self._links.keys() - set(known):
            await self._links.pop(gone).stop()

    async def identify(self, native_id: str) -> None:
        """Have a key that a gateway on another machine can know us by, where it asks for one.

        Raises:
            UnavailableError: it cannot be made.
        """
        link, address = self._links.get(native_id), self.named
        if link is not None and address is not None and address.far and link.asks_for_device:
            await asyncio.to_thread(self._keys.make, address.where)

    async def close(self) -> None:
        """Let go of all of them."""
        for link in self._links.values():
            await link.stop()

    def _make(self, native_id: str, place: StateDirectory | None) -> GatewayLink:
        async def prove() -> str:
            port = self._places[native_id].port
            if place is not None:
                return await asyncio.to_thread(_prove_local, place, port)
            return await asyncio.to_thread(_prove_named, self._places[native_id])

        async def device() -> DeviceIdentity | None:
            # On its own machine a new device would take the place of those paired there.
            address = self._places[native_id]
            if not address.far:
                return None
            return await asyncio.to_thread(self._keys.read, address.where)

        def credential() -> GatewayCredential | None:
            config = None if place is None else place.config
            return self._credential.read(config, self._environ)

        door = GatewayDoor(lambda: self._places[native_id], credential, prove, device)
        jitter = random.Random()  # noqa: S311  no secret is made of it
        return GatewayLink(door, self._clock, version("wakedeck"), self.changed, jitter)


def _is_started(answers: Answers | None) -> bool:
    """Whether its probes say that it lives and is started: before that it is left alone."""
    if answers is None or answers.health is not HealthWord.LIVE:
        return False
    if answers.startup is not None:
        return answers.startup.word == "started"
    return answers.readiness is not None and answers.readiness.ready


def _prove_local(place: StateDirectory, port: int | None) -> str:
    """Why it is not proven that the process of the lock listens; empty where it is."""
    held = read_lock(place, 0.0)
    if held.lock.state is not LockState.HELD or held.process is None:
        return "no living process is known to hold its lock"
    if port is None or (held.lock.port or port) != port or not held.process.owns_port(port):
        return "the process of its lock does not listen there"
    return ""


def _prove_named(address: GatewayAddress) -> str:
    """The same for an address: TLS proves another machine, our user's program a port of this."""
    if address.secure:
        return ""
    found = port_owner(address.port)
    runs = None if found is None or found.process is None else program(found.process.pid)
    return "" if runs is not None and runs.own else "a program of another user may listen there"


class DeviceKeys:
    """The keys gateways on other machines know us by: a file each (upstream/openclaw: Devices)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, address: str) -> DeviceIdentity | None:
        """What the gateway at an address knows us by; None where there is nothing yet.

        Raises:
            UnavailableError: it is there and cannot be used.
        """
        try:
            handle = open_private(self._path(address), os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(
                f"The key of this panel cannot be read: {error.strerror}."
            ) from (error)
        with os.fdopen(handle, "rb") as file:
            return _identity(file.read(_LONGEST_KEY))

    def make(self, address: str) -> DeviceIdentity:
        """The same, made now where there is none.

        Raises:
            UnavailableError: it cannot be made.
        """
        found = self.read(address)
        if found is not None:
            return found
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError as error:
            raise UnavailableError(_NO_CRYPTOGRAPHY, advice=_INSTALL) from error
        secret = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw())
        try:
            private_folder(self._folder)
            with suppress(FileExistsError):  # another panel was first: its key is the one
                write_new(self._path(address), secret.decode())
        except OSError as error:
            raise UnavailableError(
                f"The key of this panel cannot be kept: {error.strerror}."
            ) from (error)
        made = self.read(address)
        if made is None:
            raise UnavailableError("The key of this panel is gone again.")
        return made

    def _path(self, address: str) -> Path:
        return self._folder / f"{hashlib.sha256(address.encode()).hexdigest()[:32]}.key"


def _identity(kept: bytes) -> DeviceIdentity:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise UnavailableError(_NO_CRYPTOGRAPHY, advice=_INSTALL) from error
    try:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept, validate=True))
    except (Error, ValueError) as error:
        raise UnavailableError("The key of this panel is no key.") from error
    return DeviceIdentity(key.public_key().public_bytes_raw(), key.sign)
