"""Which shells of ours run in pods, written down so that they outlive a panel that is killed.

One file for each panel, locked for as long as it lives: the kernel lets go of a lock however a
process ends, so a file that can be locked names shells nobody hung up.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from services.sources.pods.pod import Metadata, Pod
from services.terminal.exec.remote_pid import RemoteProcess

_LARGEST = 1 << 20
_log = logging.getLogger(__name__)


class OpenShell(msgspec.Struct, frozen=True):
    """One shell, by what finds it again."""

    namespace: str
    name: str
    uid: str
    container: str
    pid: int
    started: int
    became: str

    @property
    def pod(self) -> Pod:
        """Its pod, as far as it is known."""
        return Pod(metadata=Metadata(name=self.name, namespace=self.namespace, uid=self.uid))

    @property
    def remote(self) -> RemoteProcess:
        """The process."""
        return RemoteProcess(self.pid, self.started, self.became)


_read = msgspec.json.Decoder(list[OpenShell]).decode


class OpenShells:
    """The shells of this panel in one source, and those that dead panels left in it."""

    def __init__(self, folder: Path | None, source: str) -> None:
        """Without a `folder`, nothing is written down. Nothing is touched before the first use."""
        self._folder = folder
        self._prefix = f"{quote(source, safe='')}."
        self._mine: set[OpenShell] = set()
        self._handle: int | None = None

    def add(self, shell: OpenShell) -> None:
        """It runs from now on."""
        self._mine.add(shell)
        self._save()

    def discard(self, shell: OpenShell) -> None:
        """It has ended."""
        if shell in self._mine:
            self._mine.discard(shell)
            self._save()

    def abandoned(self, uid: str) -> tuple[OpenShell, ...]:
        """Take over what dead panels left in a pod: it is this panel's from now on."""
        found: list[OpenShell] = []
        for handle, path in self._dead():
            left = _shells(handle)
            found += [one for one in left if one.uid == uid]
            rest = [one for one in left if one.uid != uid]
            if rest:
                _write(handle, rest)
            else:
                path.unlink(missing_ok=True)
        if found:
            self._mine.update(found)
            self._save()
        return tuple(found)

    def close(self) -> None:
        """Let go of the file; it stays where shells are left."""
        if self._handle is not None:
            if not self._mine:
                self._path().unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def _path(self) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._prefix}{os.getpid()}.json"

    def _save(self) -> None:
        if self._folder is None:
            return
        try:
            if self._handle is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._handle = os.open(self._path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(self._handle, sorted(self._mine, key=lambda one: (one.uid, one.pid)))
        except OSError as error:
            # The shells work without; only a panel that is killed would leave them.
            _log.warning("open shells are not written down: %s", error.strerror)

    def _dead(self) -> Iterator[tuple[int, Path]]:
        """Files of panels that are gone, locked by us meanwhile."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob(f"{self._prefix}*.json")):
            try:
                handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield handle, path
            except OSError:
                continue
            finally:
                os.close(handle)


def _shells(handle: int) -> list[OpenShell]:
    try:
        return _read(os.pread(handle, _LARGEST, 0))
    except (msgspec.DecodeError, RecursionError):
        return []


def _write(handle: int, shells: list[OpenShell]) -> None:
    data = msgspec.json.encode(shells)
    os.ftruncate(handle, 0)
    os.pwrite(handle, data, 0)
