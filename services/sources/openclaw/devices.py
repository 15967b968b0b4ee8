"""The keys that this panel is known by to gateways on other machines: one for each, ours alone.

See upstream/openclaw: Devices.
"""

from __future__ import annotations

import base64
import hashlib
import os
from binascii import Error
from contextlib import suppress
from pathlib import Path

from services.agents.openclaw.device import DeviceIdentity
from services.errors import UnavailableError
from services.files.private import open_private, private_folder, write_new

_MISSING = "Being paired needs the package `cryptography`, which is not installed."
_ADVICE = "Install wakedeck with its extra `openclaw`, or use a tunnel to its port."
_LONGEST = 200


class DeviceKeys:
    """The key files below one folder."""

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
            return _identity(file.read(_LONGEST))

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
            raise UnavailableError(_MISSING, advice=_ADVICE) from error
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
        raise UnavailableError(_MISSING, advice=_ADVICE) from error
    try:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept, validate=True))
    except (Error, ValueError) as error:
        raise UnavailableError("The key of this panel is no key.") from error
    return DeviceIdentity(key.public_key().public_bytes_raw(), key.sign)
