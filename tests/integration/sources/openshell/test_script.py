"""OpenShell through a script that plays its CLI: what is asked, in which order, and what never."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.clock import SystemClock
from services.config.sources import OpenShellTable
from services.errors import NotFoundError, UnavailableError
from services.logs.reader import LogRecord
from services.models import (
    Attempt,
    AttemptState,
    Capability,
    GatewayState,
    Observation,
    SandboxId,
    SandboxState,
    StepState,
    Verb,
)
from services.repair.attempts import Attempts
from services.repair.limits import Limits
from services.sources.openshell import actor, commands
from services.sources.openshell.source import open_openshell
from services.sources.protocol.observer import NameFinder
from services.sources.protocol.source import OpenSource
from services.sources.protocol.verdict import VerdictKind
from services.terminal.exec.requests import ShellChoice
from tests.support.following import followed, notes, own
from tests.support.openshell_script import Script, register, script
from tests.support.ran import link_steps, ran
from tests.support.waiting import eventually

NEVER = ("destroy", "onboard", "delete", "uninstall", "--recreate", "remove", "approve", "reject")
ALPHA, BETA = SandboxId("os", "nemoclaw/alpha"), SandboxId("os", "nemoclaw/beta")


def source(**options: object) -> OpenSource:
    return open_openshell("os", OpenShellTable(**options), SystemClock())  # type: ignore[arg-type]


def startable(made: Script) -> OpenSource:
    return source(start={"nemoclaw": (made.service, "nemoclaw")})


HASTY = Limits(verify_s=3.0, settling_s=4.0)
"""What does not come up is not waited for."""


async def repair(
    one: OpenSource, verb: Verb, sandbox: SandboxId, locks: Path, limits: Limits | None = None
) -> Attempt:
    attempts = Attempts({"os": one}, SystemClock(), locks, lambda _: None, limits=limits)
    try:
        return await attempts.request(verb, sandbox).wait()
    finally:
        await attempts.close()


def in_order(calls: Sequence[str], *wanted: str) -> None:
    """Each of `wanted` is in a call of its own, one after the other."""
    at = -1
    for words in wanted:
        found = next((n for n in range(at + 1, len(calls)) if words in calls[n]), None)
        assert found is not None, f"{words!r} not after {at} in {calls}"
        at = found


def harmless(made: Script) -> None:
    assert not [call for call in made.calls() if any(word in call.split() for word in NEVER)]


async def test_what_there_is_is_seen_with_its_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        forwards=[["alpha", "127.0.0.1", 18789, 1, "dead"]],
        rules={"alpha": ["egress-1", "egress-2"], "beta": ["not shown"]},
    )
    register(home, "alpha", "ghost", default="ghost")
    monkeypatch.setenv("OPENSHELL_GATEWAY", "other")
    monkeypatch.setenv("OPENSHELL_GATEWAY_ENDPOINT", "http://elsewhere")
    observer = source().observer

    async def complete() -> Observation:
        # A round that took long leaves the rules to the next.
        seen = await observer.observe()
        alpha = next(one for one in seen.sandboxes if one.name == "alpha")
        assert ("network rules", "2 waiting: egress-1, egress-2") in alpha.evidence
        return seen

    seen = await eventually(complete)
    assert [(one.name, one.state) for one in seen.gateways] == [
        ("nemoclaw", GatewayState.READY),
        ("other", GatewayState.READY),
    ]
    rows = {one.name: one for one in seen.sandboxes}
    assert rows["alpha"].state is SandboxState.READY
    assert "18789 is dead" in rows["alpha"].reason
    assert rows["beta"].state is SandboxState.ASLEEP and rows["beta"].asleep_by_design
    assert not [said for name, said in rows["beta"].evidence if name == "network rules"]
    assert (Capability.SHELL, "it is not ready (phase: Stopped)") in rows["beta"].unavailable
    assert rows["ghost"].state is SandboxState.ABSENT
    assert not any(
        name.startswith("OPENSHELL_GATEWAY") for one in made.environments() for name in one
    )
    assert made.acts() == []
    for call in made.calls():
        assert call.startswith(("-g ", "gateway list", "forward list")), call


async def test_a_gateway_that_dies_keeps_its_rows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    one = source()
    first = await one.observer.observe()
    made.set(gateways={"nemoclaw": "refused", "other": "connected"})
    then = await one.observer.observe()
    front = next(gateway for gateway in then.gateways if gateway.name == "nemoclaw")
    assert front.state is GatewayState.DOWN
    assert front.reason == "Connection refused at http://127.0.0.1:1."
    rows = {sandbox.name: sandbox for sandbox in then.sandboxes}
    assert rows["alpha"].stale and rows["alpha"].state is SandboxState.READY
    assert rows["alpha"].observed_at == first.sandboxes[0].observed_at
    assert rows["alpha"].reason == f"nemoclaw is down: {front.reason}"
    assert rows["beta"].reason.startswith("Stopped; wake starts it. nemoclaw is down: ")
    again = await one.observer.observe()
    assert [sandbox.reason for sandbox in again.sandboxes] == [row.reason for row in then.sandboxes]


async def test_one_silent_gateway_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sources.openshell.client.PROBE_S", 0.5)
    monkeypatch.setattr("services.sources.openshell.client.LIST_S", 0.8)
    script(
        tmp_path / "os",
        monkeypatch,
        gateways={"a": "silent", "b": "silent", "good": "connected"},
        sandboxes={"good": {"one": "Ready"}},
    )
    one = source()
    seen = await one.observer.observe()
    states = {gateway.name: gateway.state for gateway in seen.gateways}
    assert states == {"a": GatewayState.HUNG, "b": GatewayState.HUNG, "good": GatewayState.READY}
    assert [sandbox.name for sandbox in seen.sandboxes] == ["one"]
    verdict = await one.observer.probe(SandboxId("os", "a/x"))
    assert verdict.kind is VerdictKind.UNKNOWN and not verdict.wakeable


def listed(first: int, last: int, *more: str) -> dict[str, str]:
    """Sandboxes as the script keeps them, and `mine` behind them all."""
    return dict.fromkeys([*(f"box-{n:03}" for n in range(first, last)), "mine", *more], "Ready")


@pytest.mark.parametrize("generation", ["A", "B"])
@pytest.mark.parametrize(
    "after",
    [
        listed(0, 40, "aaa"),
        listed(200, 300),
        listed(5, 300),
        listed(0, 300, *(f"a-{n:03}" for n in range(150))),
        listed(0, 0),
    ],
    ids=["fewer", "first-200-gone", "first-five-gone", "150-before-them", "but-one-gone"],
)
async def test_no_row_is_missed_where_the_list_changes_between_two_pages(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    generation: str,
    after: dict[str, str],
) -> None:
    script(
        tmp_path / "os",
        monkeypatch,
        generation=generation,
        gateways={"nemoclaw": "connected"},
        sandboxes={"nemoclaw": listed(0, 300)},
        turns=[after],
    )
    seen = await source().observer.observe()
    names = {one.name for one in seen.sandboxes}
    assert not any(one.stale for one in seen.sandboxes)
    missed = (set(after) & set(listed(0, 300))) - names
    assert not missed, sorted(missed)


async def test_a_list_that_never_stands_still_is_not_known_and_the_rows_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw": "connected"},
        sandboxes={"nemoclaw": listed(0, 300)},
    )
    observer = source().observer
    assert len((await observer.observe()).sandboxes) == 301
    made.set(turns=[listed(0, 0) if n % 2 == 0 else listed(0, 300) for n in range(40)])
    seen = await observer.observe()
    assert len(seen.sandboxes) == 301 and all(one.stale for one in seen.sandboxes)
    assert "change while they are listed" in seen.gateways[0].reason


async def test_every_one_of_three_hundred_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"box-{number:03}": "Ready" for number in range(300)}
    script(tmp_path / "os", monkeypatch, sandboxes={"nemoclaw": names})
    seen = await source().observer.observe()
    assert sorted(one.name for one in seen.sandboxes) == sorted(names)
    assert len({one.id for one in seen.sandboxes}) == 300


async def test_a_healthy_sandbox_is_connected_without_starting_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    ended = await repair(startable(made), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    assert ended.wakes == 0
    assert [one.name for one in ended.steps] == ["check", "sandbox", "forward", "connect"]
    assert all("exec -n alpha" in call for call in made.acts()), "nothing but its proof"
    in_order(made.calls(), "status", "sandbox get alpha", "forward list", "exec -n alpha")
    harmless(made)


async def test_a_dead_gateway_is_started_then_the_sandbox_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw": "refused", "other": "connected"},
        forwards=[["alpha", "127.0.0.1", 8080, 1, "dead"]],
    )
    register(home, "alpha", default="alpha")
    ended = await repair(startable(made), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    in_order(
        made.calls(),
        *("SERVICE nemoclaw", "status", "sandbox get alpha", "forward list"),
        *("forward stop 8080 alpha", "forward start --background 8080 alpha"),
        *("forward start --background 18789 alpha", "sandbox exec -n alpha"),
    )
    assert "down" in ended.original
    names = [one.name for one in ended.steps]
    assert names.index("start") < names.index("sandbox") < names.index("connect")
    assert made.state()["active"] == "other", "another's choice of gateway is left alone"
    assert (home / ".nemoclaw" / "sandboxes.json").stat().st_mtime <= home.stat().st_mtime + 60
    harmless(made)


async def test_a_gateway_that_breaks_off_while_it_comes_up_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw": "refused", "other": "connected"},
        comes_up=["reset", "reset", "connected"],
    )
    ended = await repair(startable(made), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    assert len([call for call in made.calls() if call.startswith("SERVICE")]) == 1


async def test_the_first_generation_selects_starts_and_says_what_was_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        generation="A",
        version="0.0.16",
        gateways={"nemoclaw": "refused", "other": "connected"},
    )
    ended = await repair(source(), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    in_order(
        made.calls(),
        *("gateway select nemoclaw", "gateway start --name nemoclaw", "sandbox get alpha"),
    )
    select = next(one for one in ended.steps if one.name == "select")
    assert "other was the active gateway" in select.detail
    harmless(made)


async def test_a_missing_registration_reaches_start_in_the_first_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        generation="A",
        version="0.0.16",
        active="",
        gateways={},
    )
    register(home, "alpha")
    one = source()
    seen = await one.observer.observe()
    assert [(g.name, g.state) for g in seen.gateways] == [("nemoclaw", GatewayState.ABSENT)]
    assert [(s.name, s.state) for s in seen.sandboxes] == [("alpha", SandboxState.UNKNOWN)]
    verdict = await one.observer.probe(ALPHA)
    assert verdict.wakeable
    ended = await repair(one, Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    in_order(made.calls(), "gateway start --name nemoclaw", "select nemoclaw", "get alpha")
    harmless(made)


async def test_a_cli_that_hangs_is_told_from_a_gateway_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sources.openshell.cli_version.PROBE_S", 0.5)
    script(tmp_path / "os", monkeypatch, slow={"--version": 60})
    with pytest.raises(UnavailableError, match="openshell itself does not answer"):
        await source().observer.observe()


async def test_a_missing_registration_is_never_guessed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(tmp_path / "os", monkeypatch, gateways={"other": "connected"})
    register(home, "alpha")
    ended = await repair(startable(made), Verb.WAKE, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.FAILED
    assert "gateway add" in ended.advice
    assert made.acts() == []


async def test_a_stopped_sandbox_is_started_and_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    ended = await repair(source(), Verb.WAKE, BETA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE, ended
    in_order(made.calls(), "sandbox start beta", "sandbox exec -n beta", "sandbox get beta")
    assert [one.state for one in ended.steps if one.name in ("select", "start")] == [
        StepState.SKIPPED,
        StepState.SKIPPED,
    ]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"gateways": {"nemoclaw": "refused"}, "start_fails": True}, "service is masked"),
        ({"sandboxes": {"nemoclaw": {"alpha": "Error"}}}, "In Error"),
        ({"sandboxes": {"nemoclaw": {"alpha": "phase 77"}}}, "phase 77"),
        ({"sandboxes": {"nemoclaw": {}}}, "has no sandbox alpha"),
        ({"say": {"status -o": [0, '{"status": "connected"', ""]}}, "cannot be understood"),
        ({"say": {"status -o": [0, '{"status": "connected", "version": "0.1.5"}', ""]}}, "0.1.5"),
        (
            {"say": {"status -o": [1, "", "Error:   x client error (Connect) UnknownIssuer\n"]}},
            "another identity",
        ),
        (
            {
                "say": {
                    "status -o": [
                        0,
                        '{"status":"connected","authentication":{"status":"failed"}}',
                        "",
                    ]
                }
            },
            "does not accept this login",
        ),
        ({"say": {"sandbox get": [0, "{}", ""]}}, "cannot be understood"),
        ({"say": {"gateway list": [0, "{}", ""]}}, "cannot be understood"),
        ({"say": {"gateway list": [0, "[[]]", ""]}}, "cannot be understood"),
        (
            {"say": {"sandbox get": [1, "", "Error:   x handshake verification failed\n"]}},
            "identity",
        ),
    ],
)
async def test_what_cannot_be_repaired_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, object], words: str
) -> None:
    made = script(tmp_path / "os", monkeypatch, **state)
    ended = await repair(startable(made), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.FAILED
    told = f"{ended.original} {ended.last} {ended.advice}"
    assert words in told
    assert "onboard" not in told
    harmless(made)


async def test_ready_with_a_dead_supervisor_is_not_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch, dead_supervisor=True)
    steps = await link_steps(source().actor, ALPHA)
    assert steps[-1].name == "connect" and steps[-1].state is StepState.FAILED
    assert steps[-1].transient and "supervisor session not connected" in steps[-1].detail
    harmless(made)


@pytest.mark.parametrize("verb", list(Verb))
async def test_neither_verb_calls_it_serving_without_a_command_that_ran_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Verb
) -> None:
    made = script(tmp_path / "os", monkeypatch, dead_supervisor=True)
    ended = await repair(startable(made), verb, ALPHA, tmp_path / "locks", HASTY)
    assert ended.state is AttemptState.FAILED
    assert "listed as ready, but runs no command: " in ended.summary
    assert "supervisor session not connected" in ended.summary
    made.forget()
    made.set(dead_supervisor=False)
    ended = await repair(startable(made), verb, ALPHA, tmp_path / "locks", HASTY)
    assert ended.state is AttemptState.DONE
    assert "exec -n alpha" in " ".join(made.acts())
    harmless(made)


async def test_a_wake_whose_proof_fails_in_passing_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch, dead_supervisor=True)
    attempts = Attempts({"os": startable(made)}, SystemClock(), tmp_path / "locks", lambda _: None)
    handle = attempts.request(Verb.WAKE, BETA)
    await eventually(lambda: "runs no command" in str(handle.attempt.steps))
    await eventually(lambda: handle.attempt.state is AttemptState.VERIFY)
    made.set(dead_supervisor=False)
    ended = await handle.wait()
    await attempts.close()
    assert ended.state is AttemptState.DONE and "was woken and is serving" in ended.summary
    starts = [call for call in made.acts() if "sandbox start" in call]
    assert len(starts) == 1 and "exec -n beta" in made.acts()[-1]


async def test_a_port_that_cannot_be_had_does_not_fail_the_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    script(tmp_path / "os", monkeypatch, port_taken=True)
    register(home, "alpha", dashboardPort=20000)
    steps = await link_steps(source().actor, ALPHA)
    forward = next(one for one in reversed(steps) if one.name == "forward")
    assert forward.state is StepState.FAILED and forward.best_effort and "20000" in forward.detail
    connected = next(one for one in reversed(steps) if one.name == "connect")
    assert connected.state is StepState.OK


async def test_many_presses_on_one_gateway_start_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os",
        monkeypatch,
        gateways={"nemoclaw": "refused"},
        sandboxes={"nemoclaw": {"alpha": "Ready", "beta": "Ready"}},
        slow={"SERVICE": 0.5},
    )
    one = startable(made)
    attempts = Attempts({"os": one}, SystemClock(), tmp_path / "locks", lambda _: None)
    try:
        handles = [attempts.request(Verb.RECONNECT, box) for box in (ALPHA, ALPHA, BETA, ALPHA)]
        ended = [await handle.wait() for handle in handles]
    finally:
        await attempts.close()
    assert {one.state for one in ended} == {AttemptState.DONE}
    assert len({one.id for one in ended}) == 2
    assert sum("SERVICE" in call for call in made.calls()) == 1


async def test_cancelling_ends_the_child_and_changes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch, slow={"sandbox start": 60})
    attempts = Attempts({"os": source()}, SystemClock(), tmp_path / "locks", lambda _: None)
    try:
        handle = attempts.request(Verb.WAKE, BETA)
        async with asyncio.timeout(60):
            await eventually(lambda: any("sandbox start" in call for call in made.calls()))
            handle.cancel()
            ended = await handle.wait()
    finally:
        await attempts.close()
    assert ended.state is AttemptState.CANCELLED
    assert made.state()["sandboxes"]["nemoclaw"]["beta"] == "Stopped"


async def test_names_that_are_no_names_never_reach_a_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os", monkeypatch, sandboxes={"nemoclaw": {"--all": "Ready", "a/b": "Ready"}}
    )
    one = source()
    seen = await one.observer.observe()
    assert len(seen.sandboxes) == 2
    assert all(len(sandbox.unavailable) == 5 for sandbox in seen.sandboxes)
    assert not [call for call in made.calls() if "--all " in f"{call} " or "a/b" in call]
    for native in ("nemoclaw/--all", "nemoclaw/a/b/c", "nemoclaw", "", "-g/x", "a\n/b"):
        wrong = SandboxId("os", native)
        assert (await one.observer.probe(wrong)).kind is VerdictKind.TERMINAL
        with pytest.raises(NotFoundError):
            one.actor.shell(wrong, ShellChoice())
        with pytest.raises(NotFoundError):
            await ran(one.actor, wrong, ["true"], 5, ShellChoice())


async def test_a_flood_of_output_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "os", monkeypatch, say={"sandbox list": [0, "x" * 1024, "", 50 * 1024]})
    seen = await source().observer.observe()
    assert "more than 4 MiB" in seen.gateways[0].reason


async def test_a_replaced_cli_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    one = source()
    await one.observer.observe()
    made.forget()
    await one.observer.observe()
    assert not any("--version" in json.dumps(env) for env in made.environments())
    before = len(made.environments())
    binary = tmp_path / "os" / "bin" / "openshell"
    os.utime(binary, (1, 1))
    made.forget()
    await one.observer.observe()
    assert len(made.environments()) >= before + 9


async def test_without_a_cli_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    one = source(binary=str(tmp_path / "nowhere"))
    with pytest.raises(UnavailableError, match="not installed"):
        await one.observer.observe()
    verdict = await one.observer.probe(ALPHA)
    assert verdict.kind is VerdictKind.TERMINAL and "Install openshell" in verdict.advice
    with pytest.raises(UnavailableError):
        one.actor.shell(ALPHA, ShellChoice())


async def test_a_command_has_its_output_and_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    one = source()
    done = await ran(one.actor, ALPHA, ["sh", "-c", "echo out; echo err >&2; exit 7"], 20)
    assert (done.stdout, done.stderr, done.code) == (b"out\n", b"err\n", 7)
    made.set(dead_supervisor=True)
    lost = await ran(one.actor, ALPHA, ["true"], 20, ShellChoice())
    assert lost.code is None and "supervisor" in lost.reason
    with pytest.raises(UnavailableError, match="pods"):
        await ran(one.actor, ALPHA, ["true"], 20, ShellChoice(first_pod=True))


async def test_a_shell_runs_on_a_terminal_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    shell = source().actor.shell(ALPHA, ShellChoice(shell="sh"))
    await shell.open(91, 33)
    try:
        await shell.write(b"stty size; exit 5\n")
        output = b""
        async with asyncio.timeout(60):
            while isinstance(data := await shell.read(), bytes):
                output += data
    finally:
        await shell.close()
    assert b"33 91" in output
    assert data.code == 5
    assert any(call.endswith("exec -n alpha --tty -- /bin/sh -l") for call in made.calls())


async def test_a_shell_the_cli_gives_up_is_lost_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "os", monkeypatch, dead_supervisor=True)
    shell = source().actor.shell(ALPHA, ShellChoice())
    await shell.open(80, 24)
    try:
        async with asyncio.timeout(60):
            while isinstance(data := await shell.read(), bytes):
                pass
    finally:
        await shell.close()
    assert data.code is None
    assert "supervisor session not connected" in data.reason


async def test_a_log_is_taken_up_where_it_was_lost_without_a_line_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.logs.follower.FIRST_WAIT_S", 0.05)
    lines = [f"[17000000{n:02}.5] [gateway] [INFO ] [x] line {n}" for n in range(3)]
    made = script(tmp_path / "os", monkeypatch, logs=lines)
    observer = source(log_level="debug").observer

    def reader(since: float | None) -> AsyncIterator[LogRecord]:
        return observer.logs(ALPHA, "", since)

    async with followed(reader, SystemClock()) as told:
        await eventually(lambda: any("was lost" in note for note in notes(told)))
        again = [line.replace("] [", "]  [") for line in lines]  # the same, spaced otherwise
        made.set(logs=[*again, "[1700000009.0] [sandbox] [WARN ] late"])
        await eventually(lambda: any("late" in line for line in own(told)))
    shown = [line.split("] ")[-1] for line in own(told)]
    assert shown == ["line 0", "line 1", "line 2", "late"]
    first, *_, last = [call for call in made.calls() if " logs " in call]
    assert first.endswith("logs alpha --tail --level debug -n 200")
    assert "--since" in last


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    generation=st.sampled_from(["A", "B"]),
    gateway=st.sampled_from(["connected", "refused", "error", "connected_http"]),
    phase=st.sampled_from(["Ready", "Stopped", "Error", "Deleting", "phase 9"]),
    fails=st.booleans(),
    verb=st.sampled_from(list(Verb)),
    look=st.booleans(),
)
def test_nothing_is_ever_destroyed_and_looking_never_acts(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    generation: str,
    gateway: str,
    phase: str,
    fails: bool,
    verb: Verb,
    look: bool,
) -> None:
    folder = tmp_path_factory.mktemp("os")
    monkeypatch.setattr(actor, "WAIT_S", 3.0)
    made = script(
        folder / "os",
        monkeypatch,
        generation=generation,
        gateways={"nemoclaw": gateway, "other": "connected"},
        sandboxes={"nemoclaw": {"alpha": phase}},
        start_fails=fails,
    )
    one = startable(made)

    async def go() -> Attempt | None:
        if look:
            await one.observer.observe()
            await one.observer.probe(ALPHA)
            return None
        return await repair(one, verb, ALPHA, folder / "locks", HASTY)

    ended = asyncio.run(go())
    harmless(made)
    if look:
        assert made.acts() == []
    if ended is not None:
        assert ended.wakes <= 1
        assert ended.state in (AttemptState.DONE, AttemptState.FAILED)
        if ended.state is AttemptState.DONE:
            assert made.state()["sandboxes"]["nemoclaw"]["alpha"] == "Ready"


def test_the_limits_of_a_wake_and_of_the_link_are_within_the_attempts_own() -> None:
    limits = Limits()
    wake = (
        commands.SELECT_S
        + commands.START_S
        + commands.WAIT_S
        + commands.SANDBOX_S
        + commands.PROOF_S
    )
    assert wake < limits.wake_s
    assert limits.connect_s > commands.GET_S + commands.FORWARDS_S + commands.PROOF_S


async def test_details_are_asked_once_a_revision_and_rules_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(tmp_path / "os", monkeypatch, rules={"alpha": ["one"]})
    one = source()
    for _ in range(3):
        await one.observer.observe()
    assert sum("settings get alpha" in call for call in made.calls()) == 1
    assert sum("rule get alpha" in call for call in made.calls()) == 3
    made.set(rules={})
    seen = await one.observer.observe()
    assert not [n for row in seen.sandboxes for n, _ in row.evidence if n == "network rules"]


async def test_the_dead_port_is_started_again_and_no_other_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = ["alpha", "127.0.0.1", 19000, 4000000, "\x1b[31mdead\x1b[39m"]
    other = ["beta-with-a-long-name", "127.0.0.1", 19001, 29492, "\x1b[31mdead\x1b[39m"]
    made = script(tmp_path / "os", monkeypatch, forwards=[dead, other])
    ended = await repair(source(), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE
    asked = [call.split("forward ")[1] for call in made.calls() if "forward st" in call]
    assert asked == ["stop 19000 alpha", "start --background 19000 alpha"]
    assert "the forward of port 19000 was mended" in ended.summary


async def test_a_list_of_forwards_that_fails_is_not_a_list_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os", monkeypatch, say={"forward list": [1, "", "Error:   × locked\n"]}
    )
    ended = await repair(source(), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE
    assert "its forwards may not be mended" in ended.summary
    assert "nothing had to be repaired" not in ended.summary
    assert not [call for call in made.calls() if "forward st" in call]


@pytest.mark.parametrize(
    "fault",
    [
        [1, "", "Error:   × code: 'Internal error', message: \"database is locked\"\n"],
        [2, "", "error: unexpected argument '--all-workspaces' found\n"],
        [0, "half of a {", ""],
        [1, "", "Error:   × code: 'Some resource has been exhausted', message: \"full\"\n"],
    ],
)
async def test_a_list_that_fails_is_not_known_and_the_name_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: list[object]
) -> None:
    made = script(tmp_path / "os", monkeypatch, gateways={"nemoclaw": "connected"})
    one = source().observer
    first = await one.observe()
    assert not first.unknown and len(first.sandboxes) == 2
    made.set(say={"sandbox list": fault})
    seen = await one.observe()
    ((gateway, unknown),) = seen.unknown
    assert gateway == seen.gateways[0].id and unknown.reason.endswith(".")
    assert all(row.stale for row in seen.sandboxes) and len(seen.sandboxes) == 2
    assert isinstance(one, NameFinder)
    found = await one.find("alpha")
    assert found is not None and found.id == ALPHA and found.state is SandboxState.READY
    assert await one.find("nemoclaw/beta") is not None
    assert await one.find("gamma") is None
    assert await one.find("-x") is None


async def test_where_all_workspaces_are_denied_the_own_one_is_listed_and_the_rest_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = script(
        tmp_path / "os", monkeypatch, gateways={"nemoclaw": "connected"}, one_workspace=True
    )
    seen = await source().observer.observe()
    assert {row.name for row in seen.sandboxes} == {"alpha", "beta"}
    assert not any(row.stale for row in seen.sandboxes)
    ((_, unknown),) = seen.unknown
    assert "only its own workspace may be listed" in unknown.reason.lower()
    assert made.acts() == []


async def test_a_gateway_that_does_not_say_is_not_one_without_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(
        tmp_path / "os", monkeypatch, gateways={"nemoclaw": "refused", "other": "connected"}
    )
    one = source().observer
    assert isinstance(one, NameFinder)
    with pytest.raises(UnavailableError, match="nemoclaw does not say"):
        await one.find("alpha")
    register(home, "alpha", default="alpha")
    found = await one.find("alpha")
    assert found is not None and found.id == ALPHA and found.state is SandboxState.UNKNOWN
    made.set(
        gateways={"nemoclaw": "connected", "other": "connected"},
        sandboxes={"nemoclaw": {"alpha": "Ready"}, "other": {"alpha": "Ready"}},
    )
    with pytest.raises(UnavailableError, match="several"):
        await one.find("alpha")
    assert (await one.find("other/alpha")) is not None


FIRST_PAGE = '{"sandboxes": [{"name": "alpha", "phase": "Ready"}], "next_page_token": "two"}'


async def test_pages_are_asked_for_as_the_help_offers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    calls = folder / "calls"
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    async def asked(offered: str, rest: str) -> list[str]:
        calls.write_text("")
        (folder / "openshell").write_text(
            f"""#!/bin/sh
echo "$*" >> {calls}
case "$*" in
 --version) echo "openshell 0.1.5";;
 *"sandbox list --help"*) printf -- '{offered}';;
 *--help*) exit 2;;
 *"gateway list"*) echo '[{{"name": "lab", "endpoint": "http://127.0.0.1:1"}}]';;
 {rest}
 *"sandbox list"*) echo '{FIRST_PAGE}';;
 *status*) printf 'Server Status\\n\\n  Gateway: lab\\n  Status: Connected\\n';;
esac
"""
        )
        (folder / "openshell").chmod(0o755)
        seen = await source(registry="").observer.observe()
        names.append([row.name for row in seen.sandboxes])
        reasons.append("".join(one.reason for _, one in seen.unknown))
        lines = calls.read_text().splitlines()
        return [line.split("sandbox list ")[1] for line in lines if "lab sandbox list" in line]

    names: list[list[str]] = []
    reasons: list[str] = []
    second = (
        """*"--page-token two"*) echo '{"sandboxes": [{"name": "beta", "phase": "Ready"}]}';;"""
    )
    by_token = "  -o, --output <F>  Format\\n  --page-size <N>\\n  --page-token <T>\\n"
    found = await asked(by_token, second)
    assert found == [
        "--page-size 100 -o json",
        "--page-size 100 -o json --page-token two",
    ]
    assert (names.pop(), reasons.pop()) == (["alpha", "beta"], "")
    only_mentioned = "  --output <F>  Format; see --limit\\n  --limit-x <N>\\n  --offset <N>\\n"
    assert await asked(only_mentioned, "") == ["-o json"]
    assert names.pop() == ["alpha"] and "may have more pages" in reasons.pop()
    assert len(await asked(by_token, "")) == 2, "the same token again"
    assert names.pop() == ["alpha"] and "begins again" in reasons.pop()
    broken = '*"--page-token two"*) echo "error: broke" >&2; exit 1;;'
    await asked(by_token, broken)
    assert names.pop() == ["alpha"] and "broke" in reasons.pop()


async def test_a_sandbox_without_a_dashboard_gets_no_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    made = script(tmp_path / "os", monkeypatch)
    register(home, "alpha", dashboardPort=None)
    ended = await repair(source(), Verb.RECONNECT, ALPHA, tmp_path / "locks")
    assert ended.state is AttemptState.DONE
    assert not [call for call in made.calls() if "forward st" in call]
