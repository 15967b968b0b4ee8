"""What a refusal of a gateway means for us; by its codes, never by its words."""

from __future__ import annotations

import re

from services.agents.openclaw.evidence import ConnectionState
from services.agents.openclaw.wire import NO_SCHEMA, PROTOCOL, READ_SCOPE, GatewayRefusal
from services.text.sanitize import sanitize

NO_SCOPE = GatewayRefusal("NO_SCOPE")
"""It let us in and gave no right to read."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_PAIR = "It is tried again every 10 s for 10 min; `r` begins anew."
_SAYS: dict[str, tuple[str, str]] = {
    "AUTH_TOKEN_MISMATCH": ("the token it is shown is another one than its own", ""),
    "AUTH_PASSWORD_MISMATCH": ("the password it is shown is another one than its own", ""),
    "AUTH_TOKEN_MISSING": ("it asks for a token", "Name one in the table of this source."),
    "AUTH_PASSWORD_MISSING": ("it asks for a password", "Name one in the table of this source."),
    "AUTH_RATE_LIMITED": ("it was shown wrong credentials too often", "Reconnect in 5 min."),
    "DEVICE_IDENTITY_REQUIRED": (
        "it asks for a paired device",
        "From another machine `r` asks it to pair this panel; from its own one, or over a tunnel, "
        "it can be read with `gateway.auth.mode` `token`.",
    ),
    "AUTH_SCOPE_MISMATCH": ("the credential gives no right to read", ""),
    "NO_SCOPE": (
        f"it gives no right to read ({READ_SCOPE})",
        "It lets paired devices alone read: `r` asks it to pair this panel; or use a tunnel.",
    ),
}
PAIRING = frozenset({"NOT_PAIRED", "PAIRING_REQUIRED"})
_PASSING = ("UNAVAILABLE", "startup-sidecars")


def explain(refusal: GatewayRefusal) -> tuple[ConnectionState, str, str]:
    """How the connection stands after it, why in a sentence, and what to do."""
    if refusal.code in _PASSING or refusal.reason in _PASSING:
        return ConnectionState.LOST, "It is not ready for a connection yet.", ""
    if refusal.code == "PROTOCOL_MISMATCH":
        speaks = f"protocol {refusal.expected}" if refusal.expected else "another protocol"
        older = "OpenClaw" if 0 < refusal.expected < PROTOCOL else "this panel"
        why = f"It speaks {speaks}, this panel {PROTOCOL}: only its probes are shown."
        return ConnectionState.OTHER_PROTOCOL, why, f"Update {older}."
    if refusal.code == NO_SCHEMA:
        why = "It does not take this panel's way to connect: only its probes are shown."
        return ConnectionState.OTHER_PROTOCOL, why, "Its release and this panel's do not fit."
    if refusal.code in PAIRING:
        # It stands in a command to paste.
        request = refusal.request_id if _ID.fullmatch(refusal.request_id) else ""
        how = f"On its machine: `openclaw devices approve {request}`." if request else ""
        why = f"This gateway does not know this panel yet. {how}".strip()
        return ConnectionState.REFUSED, why, _PAIR
    said, advice = _SAYS.get(refusal.code, (f"{sanitize(refusal.code, 60)}", ""))
    return ConnectionState.REFUSED, f"It runs, but refuses this panel: {said}.", advice
