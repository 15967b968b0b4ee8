"""Children of ours that have ended are collected by whoever sees that they are over."""

from __future__ import annotations

import subprocess
import sys

import psutil

from services.process.identity import Liveness, ProcessId
from services.sources.local import process_records
from services.sources.local.layout import ProcessRecord
from tests.support.waiting import eventually_sync


def test_a_child_that_is_seen_to_be_over_is_collected_at_once() -> None:
    """Also right after all were collected, and where nobody looks again."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process_records.keep_child(child)
    me = ProcessId.capture(child.pid)
    assert me is not None
    ticks, boot = me.start_ticks, me.boot_id
    record = ProcessRecord("agent-one", child.pid, me.started_at(), None, ticks, boot)
    assert process_records.alive(record) is Liveness.RUNNING
    child.kill()
    eventually_sync(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    process_records._reaped_at = float("inf")  # as if just now
    try:
        assert process_records.alive(record).over
        assert not psutil.pid_exists(child.pid)
        assert process_records.exit_code(child.pid) == -9
    finally:
        process_records._reaped_at = 0.0
        assert child.stdin is not None
        child.stdin.close()
