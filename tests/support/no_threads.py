"""A process that can start no thread any more, by a limit of the system."""

from __future__ import annotations

import resource
import threading
from pathlib import Path


def no_more_threads() -> None:
    """Leave too little memory for another thread of this process."""
    threading.stack_size(64 << 20)  # larger than what is kept of threads before
    most = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (most + (32 << 20), resource.RLIM_INFINITY))
    try:
        threading.Thread(target=print).start()
    except RuntimeError:
        return
    raise AssertionError("a thread was started")
