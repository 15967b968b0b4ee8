"""What NemoClaw's own `status --json` and `doctor --json` tell of one sandbox, in a line each.

See upstream/openshell: NemoClaw commands. Their exit codes have many reasons, so the JSON decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.lazy_dataclass import dataclass
from services.models import Facts
from services.text.redact import redact_line

_MOST_CHECKS = 20
_MOST_NAMED = 3
_DOCTOR_WORDS = ("ok", "warn", "fail", "info")


@dataclass(frozen=True, slots=True)
class NemoclawReport:
    """One answer: whether all is well, a sentence, and lines for the details."""

    well: bool
    said: str
    facts: Facts = ()


def status_report(told: Mapping[str, object]) -> NemoclawReport | None:
    """What `status` says; None where it is not of a shape that is known."""
    if not isinstance(told.get("found"), bool):
        return None
    if told["found"] is False:
        return NemoclawReport(False, "NemoClaw does not know this sandbox.")
    layer, drift = _word(told.get("failureLayer")), told.get("rpcIssue")
    model, answers = _model(told.get("inferenceHealth"))
    parts = [
        f"phase {_word(told.get('phase')) or 'not known'}",
        f"gateway {_word(told.get('gatewayState')) or 'not known'}",
        model,
        f"trouble in {layer}" if layer else "",
        "OpenShell and its gateway do not fit" if isinstance(drift, Mapping) else "",
    ]
    well = told.get("phase") == "Ready" and answers and not layer and drift is None
    said = redact_line(", ".join(filter(None, parts)), 300)
    return NemoclawReport(well, f"NemoClaw says: {said}.", (("NemoClaw status", said),))


def _model(health: object) -> tuple[str, bool]:
    """How its one request to the model went, and that it did not fail."""
    if not isinstance(health, Mapping) or health.get("probed") is not True:
        return "the model was not asked", health is None
    if health.get("ok") is True:
        return "the model answers", True
    why = _word(health.get("detail"))
    return f"the model does not answer{f' ({why})' if why else ''}", False


def doctor_report(told: Mapping[str, object]) -> NemoclawReport | None:
    """What `doctor` found; None where it is not of a shape that is known."""
    checks = told.get("checks")
    if not isinstance(checks, list):
        return None
    rows = [row for one in checks if (row := _check(one)) is not None]
    bad = [row for row in rows if row[0] != "ok"]
    bad.sort(key=lambda row: row[0] != "fail")
    failed = sum(word == "fail" for word, _, _ in rows)
    warned = sum(word not in ("ok", "fail", "info") for word, _, _ in rows)
    odd = len(checks) - len(rows)
    count = f"{failed} failed, {warned} warned, {len(rows) - failed - warned} well"
    count += f", {odd} not understood" if odd else ""
    named = "; ".join(
        f"{label}: {said}" for word, label, said in bad[:_MOST_NAMED] if word != "info"
    )
    facts = [
        ("NemoClaw doctor", redact_line(f"{word} · {label}: {said}", 200))
        for word, label, said in bad[:_MOST_CHECKS]
    ]
    said = redact_line(f"NemoClaw's doctor: {count}{f' ({named})' if named else ''}", 300)
    return NemoclawReport(
        failed == 0 and odd == 0, f"{said}.", (("NemoClaw doctor", count), *facts)
    )


def _check(one: object) -> tuple[str, str, str] | None:
    """(word, label, detail) of one check; its hint is NemoClaw's advice and left to it."""
    if not isinstance(one, Mapping):
        return None
    word, label = _word(one.get("status")), _word(one.get("label"))
    if not word or not label:
        return None
    if word not in _DOCTOR_WORDS:
        word = f"{word} (this panel does not know it)"
    return word, label, _word(one.get("detail"))


def _word(value: object) -> str:
    return redact_line(value, 120).rstrip(".") if isinstance(value, str) else ""
