"""How long everything an attempt does may take, inner strictly below outer."""

from __future__ import annotations

from dataclasses import dataclass

MAX_CONNECTS = 4
"""How often the link is tried in one attempt."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds (upstream/repair: Limits)."""

    healthz_s: float = 1.5
    readyz_s: float = 4.0
    daemon_s: float = 1.5
    probe_s: float = 8.0
    refresh_s: float = 40.0
    """Also how long a critical step is let finish."""
    mint_s: float = 5.0
    connect_s: float = 55.0
    wake_s: float = 330.0
    kill_s: float = 5.0
    reap_s: float = 10.0
    """How long after the kill a child may take to be gone before it is no longer waited for."""
    verify_s: float = 60.0
    settling_s: float = 300.0
    """In place of `verify_s` once anything but a fault was seen; either counts once."""
    attempt_s: float = 900.0
    """Without the time spent waiting for the lock."""
    action_s: float = 490.0
    """What the operator confirmed beforehand, in place of a wake: at the longest a restart."""
    confirmed_s: float = 1080.0
    """In place of `attempt_s` where something was confirmed beforehand."""
    lock_s: float = 520.0
    """How long another repair of the same gateway is waited for."""
    tick_s: float = 5.0
    tick_probe_s: float = 6.0
    tick_longest_s: float = 30.0

    def check(self) -> None:
        """Hold every outer limit against the sum of its inner ones.

        Raises:
            ValueError: naming the first that does not exceed it.
        """
        rest = (
            self.probe_s
            + self.kill_s
            + self.reap_s
            + self.settling_s
            + MAX_CONNECTS * self.connect_s
        )
        for name, outer, inner in (
            ("probe_s", self.probe_s, self.healthz_s + self.readyz_s + self.daemon_s),
            ("connect_s", self.connect_s, self.refresh_s + self.mint_s + self.readyz_s),
            ("settling_s", self.settling_s, self.verify_s),
            ("attempt_s", self.attempt_s, rest + self.wake_s),
            ("confirmed_s", self.confirmed_s, rest + self.action_s),
            ("action_s", self.action_s, self.wake_s),
            ("lock_s", self.lock_s, self.action_s + self.kill_s + self.reap_s),
            ("tick_probe_s", self.tick_probe_s, self.healthz_s + self.readyz_s),
            ("tick_longest_s", self.tick_longest_s, self.tick_s),
        ):
            if outer <= inner:
                raise ValueError(f"{name} is {outer:g} s and must exceed {inner:g} s")
