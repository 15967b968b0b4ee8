"""Whether this process may have what a panel needs: without it, it would break anywhere."""

from __future__ import annotations

import resource

from services.errors import RefusedError

LEAST_MB = {resource.RLIMIT_AS: 1024, resource.RLIMIT_DATA: 256}
"""Of addresses and of what is written: each thread sets far more addresses aside than it uses."""
LEAST_FILES = 16
_NAMES = {resource.RLIMIT_AS: "address space", resource.RLIMIT_DATA: "data"}


def check() -> None:
    """Look at the limits of this process.

    Raises:
        RefusedError: they are too low; the sentence says which and by how much.
    """
    for which, least in LEAST_MB.items():
        most = resource.getrlimit(which)[0]
        if most != resource.RLIM_INFINITY and most < least << 20:
            raise RefusedError(
                f"the panel needs {least} MB of {_NAMES[which]}, and may have {most >> 20} here.",
                advice="Raise the limit (`ulimit -v`, `ulimit -d`); `wakedeck status` needs less.",
            )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files < LEAST_FILES:
        raise RefusedError(
            f"the panel needs {LEAST_FILES} open files, and may have {files} here.",
            advice="Raise the limit with `ulimit -n`.",
        )
