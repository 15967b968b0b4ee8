"""From evidence to the state of a gateway: the first row that matches (upstream/openclaw: States).

Pure. A row gives nothing where it does not match.
"""

from __future__ import annotations

from collections.abc import Callable

from services.agents.openclaw.evidence import LockState, OpenClawEvidence, Owner, ServiceState
from services.agents.openclaw.judgement import OpenClawJudgement
from services.agents.openclaw.probes import HealthWord, Reach
from services.agents.openclaw.told_judge import (
    channel_down,
    channel_patience,
    degraded,
    not_read,
)
from services.models import GatewayState, SandboxState
from services.text.format import plural, span

STARTING_S = 300.0
"""A process may hold the lock so long without opening its port."""
CRASHES = 3
"""So many starts by its service in a row are a crash loop."""
CONFIG_EXIT = 78
_START = "openclaw gateway start"
_SIDECARS = "startup-sidecars"


def judge(seen: OpenClawEvidence) -> OpenClawJudgement:
    """The state of one gateway."""
    for row in _ROWS:
        if (found := row(seen)) is not None:
            return found
    why = f"What was seen of the gateway in {seen.place} says nothing about its state."
    return OpenClawJudgement("nothing known", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why)


def _absent(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    nothing = not seen.config.present and seen.lock.state is LockState.NONE
    if seen.remote or not nothing or seen.service.installed:
        return None
    if seen.answers is not None and seen.answers.reach is not Reach.REFUSED:
        return None
    why = f"No OpenClaw gateway is set up in {seen.place}."
    return OpenClawJudgement(
        "nothing there", GatewayState.ABSENT, SandboxState.ABSENT, why, "Correct `state_dir`."
    )


def _elsewhere(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    if seen.remote or seen.config.mode != "remote" or seen.lock.state is LockState.HELD:
        return None
    at = f" at {seen.config.remote}" if seen.config.remote else " on another machine"
    why = f"This OpenClaw uses the gateway{at}."
    advice = "Name its address as `url` in a table of its own to watch it."
    return OpenClawJudgement(
        "gateway elsewhere", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why, advice
    )


def _unread(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """What would say where it is, or whether it runs, cannot be read."""
    answers = seen.answers
    if seen.lock.problem and (answers is None or answers.reach is Reach.REFUSED):
        why = f"The lock in {seen.place} cannot be read: {seen.lock.problem}."
    elif seen.config.problem and seen.lock.state is LockState.NONE and answers is None:
        why = (
            f"Its configuration cannot be read ({seen.config.problem}) and no process holds its "
            "lock: where it would answer is not known."
        )
    else:
        return None
    return OpenClawJudgement("not readable", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why)


def _other_answers(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    answers = seen.answers
    if answers is None or answers.reach is not Reach.ANSWERED:
        return None
    who = f" ({seen.owner_name})" if seen.owner_name else ""
    if answers.health is HealthWord.OTHER or seen.owner is Owner.OTHER:
        if seen.remote:
            why = f"What answers at {seen.place} is no OpenClaw gateway."
            advice = "Correct `url`."
        else:
            why = (
                f"Port {seen.port} is answered by something else{who}; the gateway cannot take it."
            )
            advice = "End that program, or give one of the two another port."
        return OpenClawJudgement(
            "another program answers", GatewayState.WRONG, SandboxState.BROKEN, why, advice
        )
    return None


def _port_of_another(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """It answers there, for another state directory that is proven to."""
    if not seen.claimed_by:
        return None
    if seen.lock.state is LockState.HELD:
        why = f"It and the gateway of {seen.claimed_by} both claim port {seen.port}."
        return OpenClawJudgement(
            "one port, two locks", GatewayState.WRONG, SandboxState.BROKEN, why, "Give one another."
        )
    why = f"It is not running: port {seen.port} is that of the gateway of {seen.claimed_by}."
    return OpenClawJudgement("port of another", GatewayState.DOWN, SandboxState.DOWN, why)


def _unproven(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """Some gateway answers, and nothing says that it is the one of this directory."""
    answers = seen.answers
    if seen.remote or answers is None or answers.reach is not Reach.ANSWERED:
        return None
    if seen.lock.state not in (LockState.NONE, LockState.STALE) and not seen.lock.problem:
        return None
    who = f" ({seen.owner_name})" if seen.owner_name else ""
    unheld = f"no living process holds the lock in {seen.place}"
    unread = f"the lock in {seen.place} cannot be read ({seen.lock.problem})"
    why = (
        f"An OpenClaw gateway{who} answers on port {seen.port}, but "
        f"{unread if seen.lock.problem else unheld}: whose it is, is not known."
    )
    advice = "If it is a tunnel or a container, name it as `url` in a table of its own."
    if _is_unheld(seen) and seen.owner is Owner.FORMER and seen.without_lock is not None:
        pid, since = seen.without_lock
        if since < STARTING_S and (not seen.was_started or seen.heard.restart_s):
            return None
        why = (
            f"Process {pid} answers on port {seen.port}, but no longer holds the lock in "
            f"{seen.place}: whether it is still its gateway is not known."
        )
        advice = "If its lock file was removed, a restart writes it anew."
    return OpenClawJudgement(
        "owner not proven", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why, advice
    )


def _opening(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    lock, unasked = seen.lock, seen.answers is None and seen.port is None
    if lock.state is not LockState.HELD or lock.suspended:
        return None
    if not unasked and (seen.answers is None or seen.answers.reach is not Reach.REFUSED):
        return None
    if (lock.age_s or 0.0) < STARTING_S:
        return _starts(seen, "its port is not open yet")
    age = span(lock.age_s or 0.0)
    why = f"Process {lock.pid} has held the lock for {age} without opening its port."
    return OpenClawJudgement(
        "port never opened", GatewayState.HUNG, SandboxState.STUCK, why, _look(seen)
    )


def _may_start(seen: OpenClawEvidence) -> bool:
    """Whether the process of the lock may be starting: it works for long before it answers."""
    held = seen.lock.state is LockState.HELD and not seen.lock.suspended
    return held and not seen.was_started and (seen.lock.age_s or 0.0) < STARTING_S


def _starts(seen: OpenClawEvidence, rest: str) -> OpenClawJudgement:
    age = seen.lock.age_s or 0.0
    why = f"It is starting: process {seen.lock.pid}, for {span(age)}; {rest}."
    until = seen.now + STARTING_S - age
    settling = GatewayState.SETTLING, SandboxState.SETTLING
    return OpenClawJudgement("not started yet", *settling, why, until=until)


def _is_away(seen: OpenClawEvidence) -> bool:
    """Whether no process holds the lock and nobody answers."""
    if seen.answers is None:
        return _is_unheld(seen) and seen.port is None
    return _is_unheld(seen) and seen.answers.reach is Reach.REFUSED


def _is_unheld(seen: OpenClawEvidence) -> bool:
    return not seen.remote and seen.lock.state in (LockState.NONE, LockState.STALE)


def _between_locks(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """As it starts it lets go of its lock once, and as it ends before its process does."""
    heard = seen.answers is not None and seen.answers.reach in (Reach.SILENT, Reach.ANSWERED)
    if not (_is_away(seen) or (heard and _is_unheld(seen))) or seen.without_lock is None:
        return None
    pid, since = seen.without_lock
    if since >= STARTING_S:
        return None
    why = f"Process {pid} has let go of its lock and still runs: it starts or ends."
    until = seen.now + STARTING_S - since
    settling = GatewayState.SETTLING, SandboxState.SETTLING
    return OpenClawJudgement("between two locks", *settling, why, until=until)


def _config_invalid(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    if not _is_away(seen) or not seen.config.refused or seen.heard.restart_s:
        return None
    why = f"Its configuration is not accepted: {seen.config.refused}."
    advice = "Nothing starts it before that is mended."
    return OpenClawJudgement(
        "configuration invalid", GatewayState.DOWN, SandboxState.BROKEN, why, advice
    )


def _ended(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    """No process holds the lock and nobody answers: what its service says."""
    if not _is_away(seen):
        return None
    lock, service = seen.lock, seen.service
    if seen.heard.restart_s:
        # Within one process too: its lock is let go of and taken again.
        why = "It said that it restarts; no process holds its lock yet."
        until = seen.now + seen.heard.restart_s
        settling = GatewayState.SETTLING, SandboxState.SETTLING
        return OpenClawJudgement("restarts", *settling, why, until=until)
    told = f" (exit {service.exit_code})" if service.exit_code else ""
    if service.exit_code == CONFIG_EXIT and service.state is not ServiceState.RUNNING:
        why = "Its configuration is not accepted (exit 78); nothing is started until it is mended."
        advice = "See what is wrong with `openclaw config validate`."
        return OpenClawJudgement(
            "configuration refused", GatewayState.DOWN, SandboxState.BROKEN, why, advice
        )
    if service.state is ServiceState.FAILED:
        count = f" after {plural(service.restarts, 'restart')}" if service.restarts else ""
        why = f"Its service gave up{count}{told}: {service.result or 'it failed'}."
        return OpenClawJudgement(
            "service gave up", GatewayState.DOWN, SandboxState.BROKEN, why, _log(seen), True
        )
    if service.state is ServiceState.RESTARTING:
        if service.restarts >= CRASHES:
            why = f"It crashes again and again: its service restarted it {service.restarts} times"
            return OpenClawJudgement(
                "crash loop", GatewayState.DOWN, SandboxState.BROKEN, f"{why}{told}.", _log(seen)
            )
        why = f"It ended{told}; its service starts it again."
        return OpenClawJudgement(
            "service restarts it", GatewayState.SETTLING, SandboxState.SETTLING, why
        )
    if service.state is ServiceState.RUNNING:
        if service.running_s is not None and service.running_s < STARTING_S:
            why = f"It is starting: its service runs for {span(service.running_s)}."
            return OpenClawJudgement(
                "service starts",
                GatewayState.SETTLING,
                SandboxState.SETTLING,
                why,
                until=seen.now + STARTING_S - service.running_s,
            )
        why = "Its service runs, but no process holds its lock and nobody answers for it."
        return OpenClawJudgement(
            "service without lock", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why, _log(seen)
        )
    if service.state is ServiceState.ENDED:
        clean = service.result == "success" and not service.exit_code
        why = f"It is not running{told}; its service can start it."
        agent = SandboxState.ASLEEP if clean and lock.state is LockState.NONE else SandboxState.DOWN
        return OpenClawJudgement("service stopped", GatewayState.DOWN, agent, why, _START, True)
    if service.state is ServiceState.ABSENT:
        why = "It is not running and no service is installed."
        advice = "Start it as you usually do: `openclaw gateway run`."
        return OpenClawJudgement("no service", GatewayState.DOWN, SandboxState.DOWN, why, advice)
    why = "It is not running; whether a service could start it is not known here."
    return OpenClawJudgement("not running", GatewayState.DOWN, SandboxState.DOWN, why)


def _silent(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    if seen.remote or seen.answers is None:
        return None
    if seen.lock.suspended and seen.lock.state is LockState.HELD:
        why = (
            f"Process {seen.lock.pid} is suspended by a signal: it keeps its port and does nothing."
        )
        advice = f"Let it go on with `kill -CONT {seen.lock.pid}`."
        return OpenClawJudgement("suspended", GatewayState.HUNG, SandboxState.STUCK, why, advice)
    if seen.answers.reach is not Reach.SILENT:
        return None
    if _may_start(seen):
        return _starts(seen, "it does not answer yet")
    if seen.lock.state is LockState.HELD:
        why = f"Process {seen.lock.pid} keeps its port but does not answer."
        return OpenClawJudgement("silent", GatewayState.HUNG, SandboxState.STUCK, why, _look(seen))
    why = (
        f"Something keeps port {seen.port} without an answer: whether it is the gateway is unknown."
    )
    return OpenClawJudgement("silent stranger", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why)


def _unreachable(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    if seen.answers is None or seen.answers.reach is Reach.ANSWERED:
        return None
    why = seen.answers.problem or "It cannot be reached."
    return OpenClawJudgement(
        "cannot be reached",
        GatewayState.UNKNOWN,
        SandboxState.UNKNOWN,
        f"{why} Its state is not known.",
    )


def _unknown_word(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    answers = seen.answers
    word = ""
    if answers is not None and answers.health is HealthWord.UNKNOWN:
        word = answers.word
    elif answers is not None and answers.startup is not None:
        said = answers.startup.word
        word = "" if said in ("started", "starting", "draining") else said
    if not word:
        return None
    why = f"It says “{word}” of itself, a word that this panel does not know."
    return OpenClawJudgement(
        "unknown word", GatewayState.UNKNOWN, SandboxState.UNKNOWN, why, unknown_word=word
    )


def _not_started(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    answers = seen.answers
    if answers is None or answers.health is not HealthWord.LIVE:
        return None
    startup, ready = answers.startup, answers.readiness
    if answers.silent and startup is None and _may_start(seen):
        return _starts(seen, "it does not say yet whether it is ready")
    told = seen.heard.draining
    if told or (startup is not None and startup.word == "draining"):
        why = "It is draining before a restart: what runs may finish, new work is refused."
        return OpenClawJudgement("draining", GatewayState.SETTLING, SandboxState.SETTLING, why)
    waits_for = "" if startup is None else startup.waits_for
    starting = startup is not None and startup.word == "starting"
    if ready is not None and _SIDECARS in ready.failing:
        starting, waits_for = True, waits_for or _SIDECARS
    if not starting:
        return None
    why = f"It is starting{f', waiting for {waits_for}' if waits_for else ''}."
    return OpenClawJudgement("starting", GatewayState.SETTLING, SandboxState.SETTLING, why)


def _not_ready(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    answers = seen.answers
    if answers is None or answers.health is not HealthWord.LIVE:
        return None
    ready = answers.readiness
    if ready is None:
        why = "It is alive, but does not say whether it is ready."
        if answers.silent:
            why = "It is alive, but slow: it did not say in time whether it is ready."
        return OpenClawJudgement(
            "readiness not told", GatewayState.READY, SandboxState.UNKNOWN, why
        )
    if ready.suppressed:
        why = f"Channels are held back after crashes: {', '.join(ready.suppressed)}."
        advice = "They come back after five quiet minutes."
        return OpenClawJudgement(
            "channels held back", GatewayState.READY, SandboxState.STUCK, why, advice
        )
    if not ready.ready:
        why = f"Not ready: {', '.join(ready.failing) or 'it does not say why'}."
        return OpenClawJudgement("not ready", GatewayState.READY, SandboxState.STUCK, why)
    return None


def _late(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    if seen.slow is None or seen.slow.starved:
        return None
    busy = seen.slow.host_busy
    host = f" (host {min(busy, 1.0):.0%} busy)" if busy is not None else ""
    why = f"It answers slowly: its event loop is {seen.slow.delay_ms:.0f} ms late{host}."
    return OpenClawJudgement("event loop late", GatewayState.READY, SandboxState.STUCK, why)


def _ready(seen: OpenClawEvidence) -> OpenClawJudgement | None:
    answers = seen.answers
    if answers is None or answers.readiness is None or not answers.readiness.ready:
        return None
    # What is late for want of a processor is not stuck.
    slow = "" if seen.slow is None else "It answers slowly: its machine is busy with other work."
    ready = GatewayState.READY, SandboxState.READY
    return OpenClawJudgement("every probe is good", *ready, slow, until=channel_patience(seen))


def _look(seen: OpenClawEvidence) -> str:
    return f"See what process {seen.lock.pid} does; `openclaw gateway restart --safe` restarts it."


def _log(seen: OpenClawEvidence) -> str:
    return f"See why with `journalctl --user -u {seen.service.unit}`." if seen.service.unit else ""


_ROWS: tuple[Callable[[OpenClawEvidence], OpenClawJudgement | None], ...] = (
    *(_absent, _elsewhere, _unread, _port_of_another, _other_answers, _unproven, _opening),
    *(
        _between_locks,
        _config_invalid,
        _ended,
        _silent,
        _unreachable,
        _unknown_word,
        _not_started,
        not_read,
    ),
    *(channel_down, _not_ready, _late, degraded, _ready),
)
