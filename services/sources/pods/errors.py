"""What refused requests and handshakes mean, as errors with advice for the operator.

See upstream/pods: Argo CD refusals; upstream/terminal: Why a session ends.
"""

from __future__ import annotations

from services.errors import ShellError, SignedOutError, UnavailableError
from services.lazy_dataclass import dataclass
from services.models import Retry
from services.net.failures import ConnectionFailure
from services.net.http import ApiError
from services.text.sanitize import sanitize

_KUBE_VERBS = (
    "The user needs `get` and `create` of pods/exec (since 1.35 WebSockets need both), or an"
    " admission policy is in the way."
)


@dataclass(frozen=True, slots=True)
class RefusalText:
    """One server's sentences for refused requests."""

    unaccepted: str
    sign_in: str
    forbidden: str = ""
    """Empty where a 403 is said as any other answer."""
    rights: str = ""


def explain_api_error(error: ApiError, words: RefusalText) -> UnavailableError:
    """An answer that was an error, said for an operator."""
    tail = f": {error.said}" if error.said else ""
    if error.status == 401:
        return SignedOutError(f"{words.unaccepted} (401){tail}.", advice=words.sign_in)
    if error.status == 403 and words.forbidden:
        return UnavailableError(f"{words.forbidden} (403){tail}.", advice=words.rights)
    return UnavailableError(error.sentence, advice=error.advice)


def kube_refusal(failure: ConnectionFailure, pod: str) -> ShellError:
    """The API server's answer."""
    said, code = failure.server_message, failure.status
    name = sanitize(pod, 100)
    if code == 401:
        return ShellError(
            _with("the cluster does not accept the credential (401)", said),
            retry=Retry.ASK,
            advice="reconnect to sign in again",
        )
    if code == 403 and said:
        return ShellError(f"not allowed (403): {said}", retry=Retry.NO, advice=_KUBE_VERBS)
    if code == 403:
        return ShellError(
            "refused without a reason (403): the server speaks neither v5 nor v4 exec,"
            " or a gateway on the way refused",
            retry=Retry.NO,
        )
    if code == 404:
        return ShellError(
            _with(f"pod {name} is gone (404)", said), retry=Retry.NO, advice="look at the list anew"
        )
    if code == 400:
        return ShellError(_with("the server refused (400)", said), retry=Retry.NO)
    return ShellError(failure.sentence, retry=failure.retry, advice=failure.advice)


def centml_refusal(failure: ConnectionFailure, deployment: str, pod: str) -> ShellError:
    """The CentML proxy's answer."""
    said, code = failure.server_message, failure.status
    if code == 401:
        return ShellError(
            _with("the platform does not accept the token (401)", said),
            retry=Retry.ASK,
            advice="reconnect, or sign in with `centml login`",
        )
    if code == 404:
        what = f"deployment {sanitize(deployment, 40)} or its pod {sanitize(pod, 100)}"
        return ShellError(
            _with(f"{what} is not known (404)", said),
            retry=Retry.NO,
            advice="look at the list anew",
        )
    return ShellError(failure.sentence, retry=failure.retry, advice=failure.advice)


def argo_refusal(failure: ConnectionFailure, application: str, pod: str) -> ShellError:
    """The Argo CD server's answer."""
    said, code = failure.server_message, failure.status
    if code == 401:
        return ShellError(
            _with("Argo CD says no (401): the token is not valid, or the role lacks a right", said),
            retry=Retry.ASK,
            advice="the rights needed are `applications, get` and `exec, create`",
        )
    if code == 403:
        sentence = "Argo CD does not serve this application's namespace (403)"
        return ShellError(_with(sentence, said), retry=Retry.NO)
    if code == 404 and not said:
        return ShellError(
            "Argo CD has its terminal switched off (404)",
            retry=Retry.NO,
            advice="`exec.enabled` must be true in its configuration",
        )
    if code == 404:
        return ShellError(
            _with(f"application {sanitize(application, 80)} is not known (404)", said),
            retry=Retry.NO,
        )
    if code == 400:
        return ShellError(
            _with(f"Argo CD refused pod {sanitize(pod, 100)} (400)", said), retry=Retry.NO
        )
    return ShellError(failure.sentence, retry=failure.retry, advice=failure.advice)


def _with(sentence: str, said: str) -> str:
    return f"{sentence}: {said}" if said else sentence
