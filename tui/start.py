"""Where the program begins: an interrupt while it loads, or while it ends, is a quiet end.

Loading takes long enough to be interrupted, and a traceback of imports helps nobody. So this comes
before anything of ours, or of the libraries, is loaded.
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself takes long enough

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def main() -> None:
    """The command line."""
    import logging

    from services.process.signals import die_of_interrupt
    from tui.cli.main import main as commands

    logging.lastResort = None  # without a log of ours a record is lost, and never on stderr
    try:
        commands()
    finally:
        die_of_interrupt()
