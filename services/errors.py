"""The one exception tree of the services.

::

    WakedeckError
    ├── ConfigError        a value in a file, the environment or a flag
    ├── RefusedError       an action this panel will not take
    │   └── ReadOnlyError  … because it was started read-only
    ├── NotFoundError      no sandbox, gateway or source of that name
    ├── AmbiguousError     a name that two sources share
    ├── UnavailableError   a system that cannot do or be reached for this
    │   ├── DeadlineError  … because it did not answer in time
    │   └── SignedOutError … because there is no valid credential at hand
    ├── ProcessError       a child that could not be run
    └── ShellError         a terminal session that could not be opened or kept
        └── ChoiceError    … because several would do and none was named

`str(error)` is the sentence for the operator: harmless, without secrets. The cause for the log is
`__cause__`.
"""

from __future__ import annotations

import logging

from services.models import Retry
from services.text.redact import redact
from services.text.sanitize import sanitize

_LOG = logging.getLogger(__name__)


class WakedeckError(Exception):
    """Anything the services say went wrong."""

    def __init__(self, sentence: str, *, advice: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.advice = advice
        """What to do about it; may be empty."""


class ConfigError(WakedeckError):
    """A value in a file, the environment or a flag is wrong; the sentence names file and key."""


class RefusedError(WakedeckError):
    """An action this panel will not take, or not without confirmation."""


class ReadOnlyError(RefusedError):
    """The panel was started read-only."""


class NotFoundError(WakedeckError):
    """No sandbox, gateway or source of that name."""


class AmbiguousError(WakedeckError):
    """A name that two sources share; the sentence lists both."""


class UnavailableError(WakedeckError):
    """A system that cannot do this, or cannot be reached for it."""


class DeadlineError(UnavailableError):
    """A system that did not answer in time."""


class SignedOutError(UnavailableError):
    """There is no valid credential at hand; signing in is the operator's to ask for."""


class ProcessError(WakedeckError):
    """A child process that could not be run."""

    def __init__(self, sentence: str, *, advice: str = "", code: int | None = None) -> None:
        super().__init__(sentence, advice=advice)
        self.code = code
        """Its exit status, negative for a signal; None where it never ran."""


class ShellError(WakedeckError):
    """A terminal session that could not be opened or kept.

    See upstream/terminal: Why a session ends.
    """

    def __init__(self, sentence: str, *, retry: Retry = Retry.ASK, advice: str = "") -> None:
        super().__init__(sentence, advice=advice)
        self.retry = retry


class ChoiceError(ShellError):
    """Several pods would do and none was named; `choices` lists them."""

    def __init__(self, sentence: str, choices: tuple[str, ...], *, advice: str = "") -> None:
        super().__init__(sentence, retry=Retry.NO, advice=advice)
        self.choices = choices


def unforeseen(where: str, error: BaseException) -> UnavailableError:
    """What an operator is told of an exception nobody foresaw; the log has its traceback."""
    _LOG.error("%s: unforeseen", sanitize(where, 80), exc_info=error)
    if isinstance(error, MemoryError):
        return UnavailableError(f"There is not enough memory for {sanitize(where, 80)}.")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return UnavailableError(
            f"No thread can be started for {sanitize(where, 80)}.",
            advice="Memory or the number of processes is at its limit: `ulimit -a` shows both.",
        )
    said = sanitize(f"{type(error).__name__}: {error}".rstrip(": "), 160)
    return UnavailableError(
        redact(f"Something unforeseen went wrong in {sanitize(where, 80)} ({said})."),
        advice="The panel's own log (`wakedeck doctor` says where) has the details.",
    )
