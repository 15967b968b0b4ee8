"""How long everything here may take, in seconds.

See upstream/vellum: Wake limits; upstream/vellum: Probe ladder; upstream/repair: Limits.
"""

from __future__ import annotations

HEALTH_S = 1.5
READY_S = 4.0
"""Above the 3 s the gateway gives its own daemon, or a hung daemon looks like a hung gateway."""
DAEMON_S = 1.5
"""Cut to what a look has left: a background look never takes more than `PROBE_S`."""
SPEECH_S = 0.5
"""For a silent port to say what it is, instead of the readiness it will not be asked for."""
PROBE_S = HEALTH_S + READY_S
MINT_S = 5.0
REFRESH_LOCK_S = 10.0
"""How long the command waits for another refresh of the same token."""
REFRESH_HTTP_S = 15.0
REFRESH_S = 40.0
_SILENT_S = 60.0 + 3.0
"""What the command waits for a process that is alive and silent, with its own question."""
_STOP_DAEMON_S, _STOP_GATEWAY_S = 45.0, 7.0
"""Its longest ceilings for ending what hangs before it starts anew (read in newer sources)."""
_START_DAEMON_S, _START_GATEWAY_S = 63.0, 30.0
_PACKAGED_S = 62.0
"""A packaged command starts from source where its own assistant does not come up."""
WAKE_INNER_S = (_SILENT_S + _STOP_DAEMON_S + _START_DAEMON_S + _PACKAGED_S) + (
    _SILENT_S + _STOP_GATEWAY_S + _START_GATEWAY_S
)
"""The command's own waits, summed."""
WAKE_S = WAKE_INNER_S + 12.0
WAKE_GRACE_S = 5.0
SLEEP_INNER_S = 120.0 + _STOP_GATEWAY_S
SLEEP_S = 150.0
REISSUE_PAUSES_S = 6.0
REISSUE_S = WAKE_S

DRAIN_S = 8.0
"""A gateway drains for 5 s; one that still does after this will not end by itself."""
YOUNG_S = 60.0
"""A pid file or a gateway this young may still be starting; an answer may settle this long."""
YOUNG_PRIMES = 3
"""How often a young gateway may refuse a credential before that is believed."""
SKEW_S = 60.0
"""An access token that ends within this is expired."""
BODY_BYTES = 64 * 1024
WATCH_S = 5.0
"""After a wake one process has to answer this long before it counts as serving."""
REFUSALS, REFUSED_S = 3, 3.0
"""So many refused connections over so long with no process: nothing is coming any more."""
EARLY_S = 30.0
"""A gateway that ended within this of its start died early."""
CRASHES, CRASHES_WITHIN_S = 3, 600.0
"""So many early deaths within so long are a crash loop."""
