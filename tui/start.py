"""Where the program begins: an interrupt while it loads, or while it ends, is a quiet end.

Loading takes long enough to be interrupted, and a traceback of imports helps nobody. So this comes
before anything of ours, or of the libraries, is loaded.
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself takes long enough

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _open_standard_streams() -> None:
    """Give back those that were closed: the next file opened would take their place.

    What is written to a stdout that was closed fails: data is never lost in silence.
    """
    import io
    import os
    import sys

    for handle, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(handle)
        except OSError:
            # The lowest that is free is this one.
            os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            os.set_inheritable(handle, True)
        if getattr(sys, name) is None:
            raw = io.FileIO(handle, "r" if name == "stdin" else "w", closefd=False)
            stream: io.RawIOBase | io.BufferedReader = raw
            if name == "stdin":
                stream = io.BufferedReader(raw)
            # Unbuffered: what could not be written is not tried once more at the end.
            setattr(sys, name, io.TextIOWrapper(stream, "utf-8", write_through=True))


def _print_version() -> bool:
    """Answer `--version` alone without the command line, which says why where it cannot be."""
    import sys

    if sys.argv[1:] != ["--version"]:
        return False
    from importlib.metadata import version

    try:
        sys.stdout.write(f"wakedeck, version {version('wakedeck')}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _say_once_what_is_short() -> None:
    """Python shows no traceback of its own where memory has run out: the command says so."""
    import sys
    import threading
    from typing import Any

    def quieter(show: Any) -> Any:
        return lambda told: None if told.exc_type is MemoryError else show(told)

    sys.unraisablehook = quieter(sys.unraisablehook)
    threading.excepthook = quieter(threading.excepthook)


def main() -> None:
    """The command line."""
    _open_standard_streams()
    if _print_version():
        return
    _say_once_what_is_short()
    import logging

    from tui import gc_control

    gc_control.disable_until_started()  # `tui.cli.main` ends that for every command but the panel
    from services.process.signals import die_of_interrupt
    from tui.cli.main import main as commands

    # Without a log of ours a record is lost, and nothing is said of it on stderr.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        commands()
    finally:
        die_of_interrupt()
