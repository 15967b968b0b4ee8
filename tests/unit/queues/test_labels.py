"""The label tables row by row, and properties that hold for any row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.models import InLabel, OutLabel
from services.queues.labels import (
    DueState,
    InboundFacts,
    OutboundFacts,
    inbound_label,
    is_deferred,
    outbound_label,
)

LATER = InboundFacts(due_state=DueState.LATER)
SENT = OutboundFacts("chat", "telegram", delivery="delivered", confirmed=True)


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        (InboundFacts(status="failed", ack="processing"), InLabel.FAILED),
        (InboundFacts(status="paused", due_state=DueState.LATER), InLabel.PAUSED),
        (InboundFacts(status="completed", ack="completed", abandoned=True), InLabel.COMPLETED),
        (InboundFacts(status="completed"), InLabel.COMPLETED),
        (InboundFacts(status="completed", abandoned=True), InLabel.CANCELLED),
        (InboundFacts(ack="completed"), InLabel.UNSYNCED),
        (InboundFacts(ack="failed", due_state=DueState.LATER), InLabel.UNSYNCED),
        (InboundFacts(ack="processing"), InLabel.PROCESSING),
        (InboundFacts(due_state=DueState.NEVER, retried=True), InLabel.NEVER_DUE),
        (replace(LATER, retried=True), InLabel.BACKOFF),
        (LATER, InLabel.SCHEDULED),
        (replace(LATER, system=True), InLabel.SCHEDULED),
        (InboundFacts(system=True, on_wake=True), InLabel.WAITING),
        (InboundFacts(on_wake=True, wakes=False), InLabel.HELD),
        (InboundFacts(wakes=False), InLabel.CONTEXT),
        (InboundFacts(), InLabel.DUE),
        (InboundFacts(status="processing"), InLabel.DUE),
        (InboundFacts(ack="nonsense"), InLabel.UNKNOWN_ACK),
    ],
)
def test_inbound(facts: InboundFacts, label: InLabel) -> None:
    assert inbound_label(facts, alive=True) is label


def test_a_claim_is_an_orphan_only_where_the_agent_is_known_to_be_gone() -> None:
    claimed = InboundFacts(ack="processing")
    assert inbound_label(claimed, alive=False) is InLabel.ORPHAN
    assert inbound_label(claimed, alive=None) is InLabel.PROCESSING


@pytest.mark.parametrize(
    ("facts", "label"),
    [
        (replace(SENT, delivery="failed", kind="system"), OutLabel.FAILED),
        (replace(SENT, kind="system", channel="agent"), OutLabel.APPLIED),
        (replace(SENT, channel="agent", confirmed=False), OutLabel.ROUTED),
        (SENT, OutLabel.DELIVERED),
        (replace(SENT, channel="cli", confirmed=False), OutLabel.DELIVERED),
        (replace(SENT, confirmed=False), OutLabel.UNCONFIRMED),
        (replace(SENT, channel="", confirmed=False), OutLabel.UNCONFIRMED),
        (replace(SENT, delivery="", deferred=True), OutLabel.DEFERRED),
        (replace(SENT, delivery=""), OutLabel.UNDELIVERED),
        (replace(SENT, delivery="bounced"), OutLabel.UNKNOWN_STATUS),
        (replace(SENT, delivery="bounced", confirmed=False), OutLabel.UNKNOWN_STATUS),
        (replace(SENT, delivery="bounced", kind="task_log"), OutLabel.UNKNOWN_STATUS),
        (
            replace(SENT, kind="telemetry", channel="", confirmed=False, addressed=False),
            OutLabel.UNKNOWN_KIND,
        ),
        (replace(SENT, kind="telemetry", confirmed=False), OutLabel.UNCONFIRMED),
    ],
)
def test_outbound(facts: OutboundFacts, label: OutLabel) -> None:
    assert outbound_label(facts) is label


def test_a_deferral_is_compared_as_text() -> None:
    now = "2026-11-20 17:00:00"
    assert is_deferred("2026-11-20T00:00:01Z", now)
    assert not is_deferred("2026-11-19T23:59:59Z", now)
    assert not is_deferred("", now)
    assert not is_deferred(None, now)
    assert not is_deferred(now, now)


inbound_facts = st.builds(
    InboundFacts,
    status=st.sampled_from(("pending", "failed", "paused", "completed", "")) | st.text(),
    due_state=st.sampled_from(DueState),
    retried=st.booleans(),
    system=st.booleans(),
    on_wake=st.booleans(),
    wakes=st.booleans(),
    ack=st.sampled_from(("", "processing", "completed", "failed")) | st.text(),
    abandoned=st.booleans(),
)


@given(facts=inbound_facts, alive=st.sampled_from((True, False, None)))
@settings(deadline=None)
def test_what_is_over_stays_over_and_nothing_else_is_called_due(
    facts: InboundFacts, alive: bool | None
) -> None:
    label = inbound_label(facts, alive=alive)
    over = {InLabel.FAILED, InLabel.PAUSED, InLabel.COMPLETED, InLabel.CANCELLED}
    assert (label in over) == (facts.status in ("failed", "paused", "completed"))
    if label is InLabel.DUE:
        assert facts.due_state is DueState.DUE
        assert facts.wakes
        assert not (facts.system or facts.on_wake)
        assert facts.ack not in ("processing", "completed", "failed")
