"""Where Vellum keeps things, for its five environments (upstream/vellum: Places)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from services.errors import UnavailableError
from services.files.bounded import open_regular
from services.lazy_dataclass import dataclass
from services.text.sanitize import sanitize

ENVIRONMENTS = ("production", "staging", "test", "dev", "local")
HOST = "127.0.0.1"
_BASE_PORTS = {"staging": 17000, "dev": 18000, "test": 19000, "local": 20000}
"""A daemon's first port; the gateway's is 100 above. Production has its own."""


@dataclass(frozen=True, slots=True)
class EnvironmentPaths:
    """One environment of one user."""

    environment: str
    lockfile: Path
    fallback: Path | None
    """An older name of the lockfile that is read where the first does not exist."""
    config: Path
    data: Path

    def registry(self) -> Path:
        """The lockfile that is read now."""
        if self.fallback is not None and not self.lockfile.exists() and self.fallback.exists():
            return self.fallback
        return self.lockfile

    @property
    def default_ports(self) -> tuple[int, int]:
        """Those of a daemon and a gateway whose entry, of an old kind, names none."""
        base = _BASE_PORTS.get(self.environment)
        return (7821, 7830) if base is None else (base, base + 100)

    @property
    def log(self) -> Path:
        """What the vellum command writes down of what the processes say that it starts."""
        return self.config / "logs" / "hatch.log"

    def token(self, assistant: str) -> Path:
        """Where the credential of an assistant is stored."""
        return self.config / "assistants" / assistant / "guardian-token.json"

    def instance(self, assistant: str) -> Path:
        """Where an assistant lives unless its entry says otherwise."""
        return self.data / "assistants" / assistant


def place(environment: str, environ: Mapping[str, str]) -> EnvironmentPaths:
    """The folders of a known environment, as the variables say."""
    home = Path(environ.get("HOME") or Path.home())
    suffix = "vellum" if environment == "production" else f"vellum-{environment}"
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / suffix
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / suffix
    moved = environ.get("VELLUM_LOCKFILE_DIR")
    if environment == "production":
        folder = Path(moved) if moved else home
        old = folder / ".vellum.lockfile.json"
        return EnvironmentPaths(environment, folder / ".vellum.lock.json", old, config, data)
    folder = Path(moved) if moved else config
    return EnvironmentPaths(environment, folder / "lockfile.json", None, config, data)


class Site:
    """The environment a source shows: found at the first look, then kept.

    What an attempt is bound to must not move because somebody switches environments meanwhile.
    """

    def __init__(self, environment: str = "", environ: Mapping[str, str] | None = None) -> None:
        self._wanted = environment
        self._place: EnvironmentPaths | None = None
        self.environ: Mapping[str, str] = dict(os.environ if environ is None else environ)

    @property
    def place(self) -> EnvironmentPaths:
        """The environment's folders.

        Raises:
            UnavailableError: the name is none of the five.
        """
        if self._place is None:
            self._place = place(self._name(), self.environ)
        return self._place

    def others(self) -> tuple[EnvironmentPaths, ...]:
        """The other four environments."""
        mine = self.place.environment
        return tuple(place(name, self.environ) for name in ENVIRONMENTS if name != mine)

    def child_environ(self) -> dict[str, str]:
        """The variables for a command, the environment named explicitly."""
        return {
            **self.environ,
            "VELLUM_ENVIRONMENT": self.place.environment,
            "NO_COLOR": "1",
        }

    def _name(self) -> str:
        said, origin = self._wanted, "the configuration"
        if not said:
            said, origin = self.environ.get("VELLUM_ENVIRONMENT", "").strip(), "VELLUM_ENVIRONMENT"
        if not said:
            home = Path(self.environ.get("HOME") or Path.home())
            config = Path(self.environ.get("XDG_CONFIG_HOME") or home / ".config")
            chosen = config / "vellum" / "environment"
            said, origin = _first_line(chosen), str(chosen)
        said = said or "production"
        if said not in ENVIRONMENTS:
            raise UnavailableError(
                f"Vellum has no environment {sanitize(said, 40)!r} (from {sanitize(origin, 120)}).",
                advice=f"There are: {', '.join(ENVIRONMENTS)}.",
            )
        return said


def _first_line(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return file.read(200).decode("utf-8", "replace").strip()
    except OSError:
        return ""
