"""The vocabulary of logs: the streams one can be read from, and the lines of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream of one sandbox's log; the first a source names is the one shown unasked."""

    name: str
    """What `Observer.logs` and `wakedeck logs --stream` are given."""
    title: str
    """What an operator reads; harmless."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log, harmless and without secrets."""

    text: str
    ours: bool = False
    """Said by the panel about the log, not by the log."""
