"""Runs as a child, by path: takes the terminal on fd 0 as its own and becomes the program.

Arguments: the fd to report an errno on, whether LC_CTYPE is the caller's, then the program's argv.
A child of a threaded process may not run Python between fork and exec, so this starts afresh; it
imports nothing of ours.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios


def main() -> None:
    """Never returns: becomes the program, or reports why not and exits with 127."""
    report, keep_ctype, argv = int(sys.argv[1]), sys.argv[2] == "1", sys.argv[3:]
    os.set_inheritable(report, False)
    environment = dict(os.environ)
    if not keep_ctype:
        # The interpreter sets it for itself in a C locale; the program never asked for it.
        environment.pop("LC_CTYPE", None)
    try:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - argv made by us, no shell
    except OSError as error:
        os.write(report, str(error.errno or 0).encode())
    os._exit(127)


if __name__ == "__main__":
    main()
