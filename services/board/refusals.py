"""What cannot be done to a sandbox, and why."""

from __future__ import annotations

from services.models import Capability, Sandbox, Source


def refusals(source: Source, sandbox: Sandbox | None) -> dict[Capability, str]:
    """The reason for each capability a sandbox lacks: its own, its source's, or that there is none.

    `sandbox` is None where it is not known.
    """
    missing = [one for one in Capability if one not in source.capabilities]
    found = dict.fromkeys(missing, f"{source.label} cannot do this") | dict(source.unavailable)
    return found if sandbox is None else found | dict(sandbox.unavailable)
