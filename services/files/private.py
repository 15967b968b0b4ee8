"""Our folders and files: for their owner alone whatever the umask, never somebody else's trap."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

OURS = "wakedeck"
"""Folders at and below one of this name are ours; what is above is made as the system would."""
_OTHERS = 0o077
_WRITABLE = 0o022


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter, and give it.

    One of ours that is there already is closed to others, and so is one above it in which everybody
    can write; elsewhere only one in which others can write is refused, for it may be more than
    ours. A folder or a link of another user is refused, and so is one in which another user has
    left something.

    Raises:
        OSError: it cannot be made or may not be used; `strerror` says why.
    """
    missing = []
    above = path.parent
    while not os.path.lexists(above):
        missing.append(above)
        above = above.parent
    for one in (above, *above.parents):
        if OURS in one.parts and {one.lstat().st_uid, one.stat().st_uid} - {os.geteuid(), 0}:
            raise _refused(one, "it belongs to another user")
        if one.name == OURS and one.stat().st_mode & stat.S_IWOTH:
            _check(one)  # whoever can write there can put another in our place
    for folder in reversed(missing):
        _make(folder, ours=OURS in folder.parts)
    if not os.path.lexists(path):
        _make(path, ours=True)
    _check(path)
    return path


def open_private(path: Path, flags: int) -> int:
    """Open a file of ours, made with mode 0600 where `flags` ask for it; its descriptor.

    A link is not followed, and what is no regular file or another user's is refused; one that
    others could read is closed to them. Its folder must be one of `private_folder`.

    Raises:
        OSError: it cannot be opened or may not be used; `strerror` says why.
    """
    # Without O_NONBLOCK a FIFO would hold us up before it can be refused.
    safe = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        handle = os.open(path, flags | safe, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "it is a link") from error
        if error.errno in (errno.ENXIO, errno.EISDIR):
            raise _refused(path, "it is not a regular file") from error
        raise
    try:
        _check_file(path, os.fstat(handle))
        if os.fstat(handle).st_mode & _OTHERS:
            os.fchmod(handle, 0o600)
    except OSError:
        os.close(handle)
        raise
    return handle


def require_private(path: Path) -> None:
    """Check a file of ours that a library will open by its name; one that is missing is fine.

    Raises:
        OSError: as `open_private`.
    """
    try:
        about = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(about.st_mode):
        raise _refused(path, "it is a link")
    _check_file(path, about)
    if about.st_mode & _OTHERS:
        path.chmod(0o600)


def write_new(path: Path, text: str) -> None:
    """Make a file, owner only, that is whole from the instant it is there.

    Raises:
        FileExistsError: there is one already.
        OSError: it cannot be written; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _make(folder: Path, *, ours: bool) -> None:
    try:
        folder.mkdir(mode=0o700 if ours else 0o777)
    except FileExistsError:
        return
    if ours:
        # The umask may have taken the owner's own rights.
        folder.chmod(0o700)


def _check_file(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise _refused(path, "it is not a regular file")
    if about.st_uid != os.geteuid():
        raise _refused(path, "it belongs to another user")


def _check(path: Path) -> None:
    me = os.geteuid()
    link = path.lstat()
    about = path.stat() if stat.S_ISLNK(link.st_mode) else link
    if link.st_uid != me or about.st_uid != me:
        raise _refused(path, "it belongs to another user")
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if path.name.startswith(OURS) or OURS in path.parent.parts:
        if about.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(about.st_mode) & ~_OTHERS)
    elif about.st_mode & _WRITABLE:
        raise _refused(path, "others can write in it")
    if about.st_mode & _WRITABLE:
        with os.scandir(path) as entries:
            if any(one.stat(follow_symlinks=False).st_uid != me for one in entries):
                raise _refused(path, "others could write in it, and another user has")


def _refused(path: Path, why: str) -> OSError:
    return PermissionError(errno.EPERM, why, str(path))
