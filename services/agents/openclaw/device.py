"""The proof of a paired device that a gateway asks for from another machine.

Who holds the key signs; this knows only what is signed. See upstream/openclaw: Devices.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from services.agents.openclaw.fields import text
from services.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """One device: its public key, and what signs with the other one."""

    public_key: bytes
    """Ed25519, as it is on the wire: 32 bytes."""
    sign: Callable[[bytes], bytes] = field(repr=False)

    @property
    def id(self) -> str:
        """What gateways know it by."""
        return hashlib.sha256(self.public_key).hexdigest()


def prove_device(
    device: DeviceIdentity,
    challenge: Mapping[str, Any],
    client: Mapping[str, str],
    role: str,
    scopes: list[str],
    token: str,
) -> dict[str, object]:
    """The field `device` of a `connect` that answers this challenge."""
    nonce, at = text(challenge.get("nonce"), 200), challenge.get("ts")
    signed_at = at if isinstance(at, int) and not isinstance(at, bool) else 0
    words = ("v3", device.id, client["id"], client["mode"], role, ",".join(scopes))
    signed = "|".join((*words, str(signed_at), token, nonce, client["platform"], ""))
    return {
        "id": device.id,
        "publicKey": _unpadded(device.public_key),
        "signature": _unpadded(device.sign(signed.encode())),
        "signedAt": signed_at,
        "nonce": nonce,
    }


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
