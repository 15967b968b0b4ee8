"""Why there is no link to a far side, as a sentence with what helps.

What ssh says is checked against upstream/openssh: Messages.
"""

from __future__ import annotations

import signal

from services.lazy_dataclass import dataclass
from services.models import GatewayState
from services.sources.remote.command import FarCommand
from services.text.redact import redact_line
from services.text.sanitize import end_sentence

INSTALL = "Install it there (`pipx install .` in a clone), or name its path with `command`."
_NOT_FOUND = ("command not found", "not found", "no such file or directory")


@dataclass(frozen=True, slots=True)
class LinkFailure:
    """Why a link could not be made, or was lost."""

    state: GatewayState
    sentence: str
    advice: str = ""
    lasting: bool = False
    """It will be the same until somebody does something: asked again rarely."""
    asks: bool = False
    """ssh itself could ask for what is missing, in a terminal."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the command of a far side ended."""

    code: int | None
    """Its status, negative for a signal; None where we ended it."""
    stderr: str
    noise: str
    """What it said on stdout before any hello."""
    greeted: bool
    """Whether there was a hello."""
    unfinished: bool = False
    """It ended within a message."""


def no_hello(command: FarCommand, seconds: float, ending: Ending) -> LinkFailure:
    """Nothing that is a hello came within the limit."""
    said = _said(ending)
    if said:
        return LinkFailure(
            GatewayState.WRONG,
            f"No hello came within {seconds:g} s; it said: {said}",
            "Something else than Wakedeck answers there, or it greets before it begins.",
        )
    return LinkFailure(GatewayState.HUNG, f"{command.place} did not answer within {seconds:g} s.")


def not_started(sentence: str, advice: str) -> LinkFailure:
    """The command could not be run here."""
    return LinkFailure(GatewayState.DOWN, sentence, advice, lasting=True)


def stalled(place: str, seconds: float) -> LinkFailure:
    """Nothing came although it was asked."""
    return LinkFailure(
        GatewayState.HUNG, f"The link to {place} has given no sign of life for {seconds:g} s."
    )


def takes_nothing(place: str) -> LinkFailure:
    """It speaks and does not listen."""
    return LinkFailure(GatewayState.HUNG, f"{place} takes nothing of what it is sent.")


def not_understood(place: str, why: str) -> LinkFailure:
    """What came is not of the protocol."""
    return LinkFailure(
        GatewayState.WRONG,
        f"{place} says what this panel cannot read: {redact_line(why, 200)}.",
        "`wakedeck source check -- COMMAND` says what is wrong with a source.",
        lasting=True,
    )


def other_version(place: str, theirs: str, protocol: int, ours: str, own: int) -> LinkFailure:
    """The far side speaks another major version."""
    older = protocol < own
    return LinkFailure(
        GatewayState.WRONG,
        f"{place} has {theirs} with protocol {protocol}; this panel is {ours} with protocol {own}.",
        f"Update {'that' if older else 'this'} one, as it was installed.",
        lasting=True,
    )


def ended(command: FarCommand, ending: Ending) -> LinkFailure:
    """The command ended by itself."""
    place = command.place
    if ending.greeted:
        if command.by_ssh and ending.code == 255:  # ssh's own
            return LinkFailure(GatewayState.DOWN, f"The link to {place} was lost{_why(ending)}")
        cut = " in the middle of a message" if ending.unfinished else ""
        return LinkFailure(
            GatewayState.DOWN,
            f"Wakedeck on {place} ended{cut} ({_how(ending.code)}){_why(ending)}"
            if command.by_ssh
            else f"{place} ended{cut} ({_how(ending.code)}){_why(ending)}",
            "Its own log there says more: `wakedeck doctor` names the file."
            if command.by_ssh
            else "",
        )
    if command.by_ssh and (known := _ssh_failure(place, command.host or place, ending)) is not None:
        return known
    lower = f"{ending.stderr} {ending.noise}".lower()
    if ending.code == 127 or (ending.code == 126 and any(one in lower for one in _NOT_FOUND)):
        return LinkFailure(
            GatewayState.WRONG, f"There is no wakedeck on {place}.", INSTALL, lasting=True
        )
    if ending.code == 2 and "no such command" in lower:
        return LinkFailure(
            GatewayState.WRONG,
            f"The wakedeck on {place} is too old: it knows no `source` command.",
            "Update it there, as it was installed.",
            lasting=True,
        )
    return LinkFailure(
        GatewayState.DOWN, f"{place} ended before it said hello ({_how(ending.code)}){_why(ending)}"
    )


def _ssh_failure(place: str, host: str, ending: Ending) -> LinkFailure | None:
    """What ssh itself says before there is a connection."""
    text = ending.stderr
    if "HOST IDENTIFICATION HAS CHANGED" in text:
        return LinkFailure(
            GatewayState.WRONG,
            f"The host key of {place} is not the one that is known: somebody may listen in.",
            f"Never accepted for you. If it was changed on purpose: `ssh-keygen -R {host}`, then "
            f"`ssh {host}` and compare the fingerprint.",
            lasting=True,
        )
    if "Host key verification failed" in text:
        return LinkFailure(
            GatewayState.WRONG,
            f"The host key of {place} is not known yet.",
            f"Run `ssh {host}` once and compare the fingerprint; r does that in a shell tab.",
            lasting=True,
            asks=True,
        )
    if "Permission denied" in text or "Too many authentication failures" in text:
        return LinkFailure(
            GatewayState.WRONG,
            f"{place} accepts none of your keys.",
            "Nobody is asked for a password in the background: load a key (`ssh-add`), or press r "
            "to run ssh once where it may ask.",
            lasting=True,
            asks=True,
        )
    for words, sentence, advice in (
        ("Could not resolve hostname", f"There is no host {place}.", "Check `host`, or the DNS."),
        ("Connection refused", f"{place} refuses the connection.", "No ssh server listens there."),
        ("timed out", f"{place} did not answer in time.", ""),
        ("No route to host", f"There is no way to {place}.", "Check the network."),
        ("Network is unreachable", f"There is no way to {place}.", "Check the network."),
    ):
        if words in text:
            return LinkFailure(GatewayState.DOWN, sentence, advice)
    if ending.code == 255:
        return LinkFailure(GatewayState.DOWN, f"ssh could not reach {place}{_why(ending)}")
    return None


def _said(ending: Ending) -> str:
    """The last that was said, on stderr or before a hello."""
    for text in (ending.stderr, ending.noise):
        lines = [one for one in text.splitlines() if one.strip()]
        if lines:
            return redact_line(lines[-1], 200)
    return ""


def _why(ending: Ending) -> str:
    said = _said(ending)
    return end_sentence(f": {said}") if said else "."


def _how(code: int | None) -> str:
    if code is None:
        return "ended by this panel"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"status {code}"
