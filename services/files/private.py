"""Folders of ours: for their owner alone whatever the umask, and never somebody else's trap."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

OURS = "wakedeck"
"""Folders at and below one of this name are ours; what is above is made as the system would."""
_OTHERS = 0o077
_WRITABLE = 0o022


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter, and give it.

    One that is there already is closed to others. A folder or a link of another user is refused,
    and so is one in which another user could leave something and has.

    Raises:
        OSError: it cannot be made or may not be used; `strerror` says why.
    """
    missing = []
    above = path.parent
    while not os.path.lexists(above):
        missing.append(above)
        above = above.parent
    for folder in reversed(missing):
        _make(folder, ours=OURS in folder.parts)
    if not os.path.lexists(path):
        _make(path, ours=True)
    _check(path)
    return path


def _make(folder: Path, *, ours: bool) -> None:
    try:
        folder.mkdir(mode=0o700 if ours else 0o777)
    except FileExistsError:
        return
    if ours:
        # The umask may have taken the owner's own rights.
        folder.chmod(0o700)


def _check(path: Path) -> None:
    me = os.geteuid()
    link = path.lstat()
    about = path.stat() if stat.S_ISLNK(link.st_mode) else link
    if link.st_uid != me or about.st_uid != me:
        raise _refused(path, "it belongs to another user")
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if about.st_mode & _OTHERS:
        path.chmod(stat.S_IMODE(about.st_mode) & ~_OTHERS)
    if about.st_mode & _WRITABLE:
        with os.scandir(path) as entries:
            if any(one.stat(follow_symlinks=False).st_uid != me for one in entries):
                raise _refused(path, "others could write in it, and another user has")


def _refused(path: Path, why: str) -> OSError:
    return PermissionError(errno.EPERM, why, str(path))
