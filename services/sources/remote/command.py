"""The command that reaches a far side, and how it is called for the operator."""

from __future__ import annotations

from services.config.sources import ExternalTable, RemoteTable
from services.errors import ConfigError
from services.lazy_dataclass import dataclass

_SSH = (
    *("ssh", "-T", "-o", "BatchMode=yes"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "--"),
)
_FAR_SIDE = ("wakedeck", "source", "--stdio")


@dataclass(frozen=True, slots=True)
class FarCommand:
    """How a far side is started."""

    argv: tuple[str, ...]
    place: str
    """Where it is, for the operator."""
    host: str = ""
    """The host as ssh knows it; empty where it is not reached by our own ssh command."""

    @property
    def by_ssh(self) -> bool:
        """Whether ssh carries it, so that what ssh says on stderr is known."""
        return self.argv[0].rpartition("/")[2] == "ssh"

    @property
    def asking(self) -> tuple[str, ...]:
        """The same ssh, run where it may ask: for a password, or whether a host key is right."""
        return ("ssh", "--", self.host, "true") if self.host else ()


def remote_command(key: str, table: RemoteTable, read_only: bool) -> FarCommand:
    """The command of a `remote` table.

    Raises:
        ConfigError: it names no host and no command, or both.
    """
    if bool(table.host) == bool(table.command):
        raise ConfigError(f"[sources.{key}] needs either a host or a command.")
    options = [*(("--profile", table.profile) if table.profile else ())]
    for name in table.only:
        options += ["--only", name]
    if read_only:
        options.append("--read-only")
    if table.host:
        return FarCommand((*_SSH, table.host, *_FAR_SIDE, *options), table.host, table.host)
    return FarCommand((*table.command, *options), table.label or key)


def external_command(key: str, table: ExternalTable) -> FarCommand:
    """The command of an `external` table.

    Raises:
        ConfigError: it names none.
    """
    if not table.command:
        raise ConfigError(f"[sources.{key}] needs a command: the program that is the source.")
    return FarCommand(table.command, table.label or key)
