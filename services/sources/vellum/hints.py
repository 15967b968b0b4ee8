"""What lines of a wake hint at; they are unversioned and decide nothing.

See upstream/vellum: Progress lines.
"""

from __future__ import annotations

_HINTS = (
    ("not responding", "something hangs, it is restarted: up to a minute"),
    ("migrations still running", "migrating its database"),
    ("migrations FAILED", "its database migration failed"),
    ("credential-executor", "starting the credential executor"),
    ("Assistant ready", "the assistant is up"),
    ("already running", "the assistant is up"),
    ("Starting gateway", "starting the gateway"),
    ("Gateway started", "the gateway was started"),
    ("did not respond within", "the gateway does not answer yet"),
    ("Seeded guardian token", "a credential was copied from another environment"),
    ("Re-provisioned guardian token", "a new credential was issued"),
    ("Wake complete", "verifying"),
    ("Starting local assistant", "starting the assistant"),
    ("Starting assistant", "starting the assistant"),
    ("is starting", "the assistant is starting"),
)


def hint(line: str) -> str:
    """What a line of progress is about; empty where it says nothing known."""
    return next((words for sign, words in _HINTS if sign in line), "")
