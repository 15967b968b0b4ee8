"""What NemoClaw's register tells of one sandbox, for its details; no private field is shown.

See upstream/openshell: NemoClaw.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from services.models import Facts
from services.sources.openshell.lifecycle import instant
from services.text.format import ago
from services.text.sanitize import sanitize

_PLAIN = {
    "agent": "agent",
    "agentVersion": "agent version",
    "provider": "provider",
    "model": "model",
    "nemoclawVersion": "NemoClaw version",
    "openshellDriver": "OpenShell driver",
    "openshellVersion": "OpenShell version",
}
_MOST = 20


def facts(one: Mapping[str, object], port: int | None, now: float | None) -> Facts:
    """Ready to show; `port` is that of its dashboard, `now` epoch seconds, for ages."""
    found = [
        (label, sanitize(said, 120))
        for key, label in _PLAIN.items()
        if isinstance(said := one.get(key), str) and said
    ]
    if gpu := _gpu(one, now):
        found.append(("GPU", gpu))
    if channels := _channels(one.get("messaging")):
        found.append(("channels", f"{channels} (as of the register)"))
    if address := _address(one.get("dashboardExternalUrl"), port):
        found.append(("dashboard", address))
    if one.get("stopped") is True:
        found.append(("NemoClaw notes it as", "stopped on purpose"))
    return tuple(found)


def _gpu(one: Mapping[str, object], now: float | None) -> str:
    """Asked for, and proven or not: it is never called good without a proof."""
    if one.get("gpuEnabled") is not True and one.get("sandboxGpuEnabled") is not True:
        return ""
    proof = one.get("sandboxGpuProof")
    told = proof if isinstance(proof, Mapping) else {}
    status = told.get("status")
    words = {"verified": "verified", "failed": "failed"}
    said = words.get(status, "unproven") if isinstance(status, str) else "unproven"
    if status == "verified":
        cuda = "CUDA too" if told.get("cudaVerified") is True else "CUDA not proven"
        said = f"{said}, {cuda}"
    at = instant(told.get("at"))
    return said if at is None or now is None else f"{said}, {ago(now - at)}"


def _channels(value: object) -> str:
    """The names alone: what else stands there may be a secret."""
    told = value.get("channels", value) if isinstance(value, Mapping) else value
    if isinstance(told, Mapping):
        names: list[object] = [name for name, plan in told.items() if plan not in (None, False)]
    elif isinstance(told, list):
        names = [
            one.get("channel") or one.get("name") or one.get("type")
            if isinstance(one, Mapping)
            else one
            for one in told
        ]
    else:
        return ""
    return ", ".join(sanitize(one, 40) for one in names[:_MOST] if isinstance(one, str) and one)


def _address(value: object, port: int | None) -> str:
    """Where a browser finds its dashboard, without anything that could be a token."""
    if isinstance(value, str):
        try:
            split = urlsplit(value)
            host, number = split.hostname, split.port
        except ValueError:
            host = None
        if host and split.scheme in ("http", "https"):
            place = f"{host}:{number}" if number else host
            return sanitize(f"{split.scheme}://{place}{split.path}", 200)
    return f"http://127.0.0.1:{port}/" if port is not None else ""
