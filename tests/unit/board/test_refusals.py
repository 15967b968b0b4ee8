"""Why something cannot be done to a sandbox: its own reason, its source's, or that none can."""

from __future__ import annotations

from services.board.refusals import refusals
from services.models import Capability, Sandbox, SandboxId, SandboxState, Source

SOURCE = Source(
    "lab",
    "pods",
    "Lab",
    "https://lab.example",
    frozenset({Capability.WAKE, Capability.LOGS, Capability.SHELL}),
    ((Capability.LOGS, "logs are off"), (Capability.SHELL, "no key")),
)


def test_what_the_source_lacks_is_refused_in_its_name() -> None:
    found = refusals(SOURCE, None)
    assert found[Capability.QUEUE] == "Lab cannot do this"
    assert found[Capability.LOGS] == "logs are off"
    assert Capability.WAKE not in found


def test_the_reason_of_the_sandbox_goes_before_that_of_its_source() -> None:
    box = Sandbox(
        SandboxId("lab", "one"),
        "one",
        SandboxState.ASLEEP,
        "It sleeps.",
        0.0,
        unavailable=((Capability.SHELL, "it is asleep"), (Capability.QUEUE, "no queue yet")),
    )
    found = refusals(SOURCE, box)
    assert found[Capability.SHELL] == "it is asleep"
    assert found[Capability.QUEUE] == "no queue yet"
    assert found[Capability.LOGS] == "logs are off"
