"""Whatever is pressed and called off, in whatever state: order, one start, nothing destroyed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.errors import RefusedError
from services.models import AttemptState, SandboxId, Verb
from services.repair.attempts import AttemptHandle, Attempts
from services.sources.openshell.source import open_openshell
from tests.support.openshell_script import Script, script

NEVER = {"destroy", "onboard", "delete", "uninstall", "--recreate", "remove", "stop"}
NAMES = ("alpha", "beta")


@dataclass(frozen=True)
class Press:
    """One key: what, on which, how long after the one before, and when it is called off."""

    verb: Verb
    name: str
    after_s: float
    cancelled_s: float | None


PRESSES = st.lists(
    st.builds(
        Press,
        st.sampled_from(list(Verb)),
        st.sampled_from(NAMES),
        st.sampled_from([0.0, 0.0, 0.05, 0.3]),
        st.sampled_from([None, None, 0.0, 0.1, 0.4]),
    ),
    min_size=1,
    max_size=4,
)


async def pressed(attempts: Attempts, presses: list[Press]) -> list[AttemptHandle]:
    """Press and call off as told; every attempt is seen to its end.

    The pauses between keys are real: what is drawn is how long an operator waits.
    """
    handles: list[AttemptHandle] = []
    calls_off: list[asyncio.Task[None]] = []

    async def call_off(handle: AttemptHandle, after_s: float) -> None:
        await asyncio.sleep(after_s)  # real time between keys
        handle.cancel()

    for one in presses:
        await asyncio.sleep(one.after_s)  # real time between keys
        try:
            handle = attempts.request(one.verb, SandboxId("os", f"nemoclaw/{one.name}"))
        except RefusedError:
            continue
        handles.append(handle)
        if one.cancelled_s is not None:
            calls_off.append(asyncio.create_task(call_off(handle, one.cancelled_s)))
    for handle in handles:
        await handle.wait()
    await asyncio.gather(*calls_off)
    return handles


def of(calls: list[str], words: str) -> list[int]:
    return [number for number, call in enumerate(calls) if words in call]


def in_order(made: Script, name: str, was_down: bool) -> None:
    """The service before any proof or repair of a sandbox; a start of it before its proof."""
    calls = made.acts()
    proofs = of(calls, f"exec -n {name}")
    forwards = of(calls, f"forward start --background 8080 {name}")
    if was_down:
        services = of(calls, "SERVICE")
        for number in (*proofs, *forwards, *of(calls, f"sandbox start {name}")):
            assert services and services[0] < number, calls
    starts = of(calls, f"sandbox start {name}")
    if starts and proofs:
        assert starts[0] < proofs[-1], calls


@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@example(
    # Ready already: said to be serving only once a command ran in it.
    presses=[Press(Verb.WAKE, "alpha", 0.0, None)],
    gateway="connected",
    phases=("Ready", "Ready"),
    generation="B",
)
@given(
    presses=PRESSES,
    gateway=st.sampled_from(["connected", "refused", "refused"]),
    phases=st.tuples(*(st.sampled_from(["Ready", "Stopped", "Error"]) for _ in NAMES)),
    generation=st.sampled_from(["A", "B", "B"]),
)
def test_presses_and_calls_off_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    presses: list[Press],
    gateway: str,
    phases: tuple[str, ...],
    generation: str,
) -> None:
    folder = tmp_path_factory.mktemp("os")
    made = script(
        folder / "os",
        monkeypatch,
        generation=generation,
        gateways={"nemoclaw": gateway, "other": "connected"},
        sandboxes={"nemoclaw": dict(zip(NAMES, phases, strict=True))},
        slow={"SERVICE": 0.2},
    )
    options = OpenShellTable(registry="", start={"nemoclaw": (made.service, "nemoclaw")})
    source = open_openshell("os", options, SystemClock())
    states: list[AttemptState] = []

    async def go() -> list[AttemptHandle]:
        attempts = Attempts(
            {"os": source}, SystemClock(), folder / "locks", lambda one: states.append(one.state)
        )
        try:
            return await pressed(attempts, presses)
        finally:
            await attempts.close()
            # A look that was called off ends its children itself, in its own time.
            strays = asyncio.all_tasks() - {asyncio.current_task()}
            if strays:
                _, left = await asyncio.wait(strays, timeout=20)
                assert not left

    ended = [handle.attempt for handle in asyncio.run(go())]
    calls = made.calls()
    assert not [call for call in calls if NEVER & set(call.split())], calls
    called_off = any(one.cancelled_s is not None for one in presses)
    for attempt in ended:
        assert attempt.state.ended
        assert attempt.state is not AttemptState.CANCELLED or called_off
    runs = {attempt.id for attempt in ended}
    assert len(of(calls, "SERVICE")) <= (len(runs) if called_off else gateway == "refused")
    for name in NAMES:
        in_order(made, name, gateway == "refused")
        done = [a for a in ended if a.sandbox.native_id.endswith(name)]
        if any(one.state is AttemptState.DONE for one in done):
            assert made.state()["sandboxes"]["nemoclaw"][name] == "Ready"
            assert of(calls, f"exec -n {name}") or generation == "A"
    assert set(made.state()["gateways"]) == {"nemoclaw", "other"}
    assert set(made.state()["sandboxes"]["nemoclaw"]) == set(NAMES)
