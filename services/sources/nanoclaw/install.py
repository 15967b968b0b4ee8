"""One checkout of NanoClaw on this machine: where its files are and what its parts are called."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from services.errors import UnavailableError
from services.lazy_dataclass import dataclass
from services.text.sanitize import sanitize

EXPECTED = (
    "nanoclaw",
    "NanoClaw",
    "nanoclaw-v2",
    "src/nanoclaw",
    "code/nanoclaw",
    "projects/nanoclaw",
)
"""Below the home folder."""
EXPECTED_ELSEWHERE = ("/opt/nanoclaw", "/srv/nanoclaw")
_DENIED = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Install:
    """The names of one install.

    See upstream/nanoclaw: Files of an install; upstream/nanoclaw: Containers.
    """

    root: Path
    """Absolute, as the host's working directory spells it."""
    slug: str
    """First eight hex digits of the SHA-1 of the root."""

    @property
    def data(self) -> Path:
        """Where the host keeps its state."""
        return self.root / "data"

    @property
    def central(self) -> Path:
        """The central DB, in WAL mode."""
        return self.data / "v2.db"

    @property
    def sessions(self) -> Path:
        """One folder a group, in it one a session."""
        return self.data / "v2-sessions"

    @property
    def admin_socket(self) -> Path:
        """`ncl`'s socket."""
        return self.data / "ncl.sock"

    @property
    def chat_socket(self) -> Path:
        """The socket that takes routed lines."""
        return self.data / "cli.sock"

    @property
    def breaker(self) -> Path:
        """Written at every start, deleted on a clean stop."""
        return self.data / "circuit-breaker.json"

    @property
    def log(self) -> Path:
        """What the host says at debug and info."""
        return self.root / "logs" / "nanoclaw.log"

    @property
    def error_log(self) -> Path:
        """What the host says from warn upwards."""
        return self.root / "logs" / "nanoclaw.error.log"

    @property
    def service(self) -> str:
        """The systemd unit; launchd puts `com.` in front."""
        return f"nanoclaw-v2-{self.slug}"

    @property
    def label(self) -> str:
        """The one label on its containers."""
        return f"nanoclaw-install={self.slug}"


def install_at(root: Path) -> Install:
    """The names that follow from a root; its links are followed as the kernel does for a cwd."""
    real = os.path.realpath(root.expanduser())
    digest = hashlib.sha1(real.encode("utf-8", "surrogateescape"), usedforsecurity=False)
    return Install(Path(real), digest.hexdigest()[:8])


def expected_roots() -> list[Path]:
    """Where an operator would have put it."""
    return [*(Path.home() / name for name in EXPECTED), *(Path(one) for one in EXPECTED_ELSEWHERE)]


def find(root: str, candidates: Sequence[Path] | None = None) -> Install:
    """The install at `root`, or the only one among the candidates where `root` is empty.

    Raises:
        UnavailableError: it is not there, not readable, not NanoClaw, or several are found.
    """
    if root:
        one = install_at(Path(root))
        check(one)
        return one
    found: dict[Path, Install] = {}
    for place in expected_roots() if candidates is None else candidates:
        one = install_at(place)
        try:
            check(one)
        except UnavailableError:
            continue
        found[one.root] = one
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        names = ", ".join(_shown(place) for place in found)
        raise UnavailableError(
            f"Several NanoClaw installs were found: {names}.",
            advice="Give each its own source with a `root` in the config.",
        )
    raise UnavailableError(
        "No NanoClaw install was found where one usually is.",
        advice="Name its folder as `root` in the config.",
    )


def check(install: Install) -> None:
    """Hold a root against what an install looks like.

    Raises:
        UnavailableError: it is not there, not readable, or something else.
    """
    place = _shown(install.root)
    try:
        _listed(install.root)
    except FileNotFoundError as error:
        raise UnavailableError(
            f"The folder {place} is not there: it was moved, or never made."
        ) from (error)
    except NotADirectoryError as error:
        raise UnavailableError(f"{place} is a file, not the folder of an install.") from error
    except OSError as error:
        raise _unreadable(install.root, error) from error
    try:
        _listed(install.data)
    except FileNotFoundError as error:
        raise UnavailableError(
            f"{place} is not a NanoClaw v2 install: it has no data folder.",
            advice="Name the folder the host is started in.",
        ) from error
    except OSError as error:
        raise _unreadable(install.data, error) from error
    if not _any_of(install.central, install.sessions, install.admin_socket):
        raise UnavailableError(
            f"{place} is not a NanoClaw v2 install: there is no data/v2.db in it.",
            advice="Name the folder the host is started in.",
        )


def owner_trouble(install: Install) -> str:
    """Why the central DB must not be opened by this user; empty where it may.

    See upstream/nanoclaw: Reading safely.
    """
    try:
        owner = install.central.stat().st_uid
    except OSError:
        return ""
    if owner == os.geteuid():
        return ""
    return f"v2.db belongs to {_user(owner)}: opening it as another user could lock the host out"


def _user(number: int) -> str:
    import pwd

    try:
        return f"user {sanitize(pwd.getpwuid(number).pw_name, 60)}"
    except KeyError:
        return f"user {number}"


def _listed(folder: Path) -> None:
    with os.scandir(folder) as entries:
        next(entries, None)


def _any_of(*paths: Path) -> bool:
    for path in paths:
        try:
            path.lstat()
        except OSError:
            continue
        return True
    return False


def _unreadable(folder: Path, error: OSError) -> UnavailableError:
    if error.errno in _DENIED:
        return UnavailableError(
            f"{_shown(folder)} cannot be read by this user.",
            advice="Run the panel as the user the NanoClaw host runs as.",
        )
    why = sanitize(error.strerror or type(error).__name__, 80)
    return UnavailableError(f"{_shown(folder)} cannot be read: {why}.")


def _shown(path: Path) -> str:
    return sanitize(str(path), 160)
