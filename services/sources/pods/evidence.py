"""What the judgement of a pod rests on, as rows of its details."""

from __future__ import annotations

from services.models import Facts
from services.sources.pods.judge import last_end
from services.sources.pods.pod import ContainerStatus, Pod
from services.text.sanitize import sanitize


def evidence(pod: Pod) -> Facts:
    """What the judgement rests on, for the details."""
    rows = [
        ("phase", sanitize(pod.status.phase or "none", 40)),
        ("namespace", sanitize(pod.metadata.namespace, 80)),
        ("node", sanitize(pod.spec.node_name or "none yet", 80)),
        ("created", sanitize(pod.metadata.creation_timestamp or "unknown", 40)),
        ("restarts", str(pod.restarts)),
    ]
    ready = pod.condition("Ready")
    if ready is not None and ready.status != "True":
        why = ": ".join(part for part in (ready.reason, ready.message) if part)
        rows.append(("not ready", sanitize(why or ready.status, 200)))
    if ready is not None and ready.last_transition_time:
        since = "ready since" if ready.status == "True" else "not ready since"
        rows.append((since, sanitize(ready.last_transition_time, 40)))
    images = {one.name: one.image or "" for one in pod.containers}
    for one in pod.statuses:
        image = sanitize(images.get(one.name, ""), 80)
        named = f"{pod.role(one.name)} {sanitize(one.name, 60)}"
        rows.append((named, f"{_doing(one)}, {image}"))
        last = last_end(one)
        if last:
            rows.append((f"last end of {sanitize(one.name, 60)}", last))
    return tuple(rows)


def _doing(one: ContainerStatus) -> str:
    state = one.state
    if state is None:
        doing = "unknown"
    elif state.running is not None:
        doing = "running" if one.ready else "running, not ready"
    elif state.waiting is not None:
        doing = f"waiting ({sanitize(state.waiting.reason or 'no reason given', 60)})"
    else:
        at = "" if state.terminated is None else sanitize(state.terminated.finished_at or "", 40)
        doing = f"ended at {at}" if at else "ended"
    return f"{doing}, {one.restart_count} restarts" if one.restart_count else doing
