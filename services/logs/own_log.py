"""The panel's own log: rotating, owner only, masked; nothing ever on stderr."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
from pathlib import Path

from services.files.private import open_private, private_folder
from services.logs.rate_limit import RateLimit
from services.text.redact import redact
from services.text.sanitize import sanitize_block

MAX_BYTES = 1 << 20
FILES = 3
"""The one written to and two older ones."""
MOST_A_MINUTE = 30
"""Records of one line of code; what is beyond is counted and left out."""
_NOISY_LOGGERS = ("aiosqlite", "asyncio", "httpcore", "httpx", "markdown_it", "websockets")


class _RedactingFormatter(logging.Formatter):
    """One record as text, exception included, harmless and without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        # An indented rest of a record cannot pass for a record of its own.
        return redact(sanitize_block(super().format(record)).replace("\n", "\n  "))


class _PrivateFileHandler(logging.handlers.RotatingFileHandler):
    """Mode 0600, and follows the name when another panel has rotated the file away."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=MAX_BYTES,
            backupCount=FILES - 1,
            encoding="utf-8",
            errors="replace",
            delay=True,
        )
        self.limit = RateLimit(MOST_A_MINUTE)
        self.addFilter(self.limit)

    def _open(self) -> io.TextIOWrapper:
        path = Path(self.baseFilename)
        private_folder(path.parent)
        handle = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        return os.fdopen(handle, "a", encoding=self.encoding, errors=self.errors)

    def close(self) -> None:
        left_out = self.limit.left_out()
        if left_out and self.stream is not None:
            words = f"{left_out} records of this panel were left out of its log"
            level = logging.WARNING
            super().emit(logging.LogRecord(__name__, level, __file__, 0, words, (), None))
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None and self._rotated_away(self.stream.fileno()):
            self.stream.close()
            self.stream = None  # opened anew by what follows
        super().emit(record)

    def _rotated_away(self, handle: int) -> bool:
        try:
            mine, there = os.fstat(handle), Path(self.baseFilename).stat()
        except OSError:
            return True
        return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino)


def configure(path: Path, level: int | str = logging.INFO) -> logging.Handler:
    """Send every record of the process to `path`, made with its folder at the first one.

    Where it cannot be written, records are lost and nothing else happens.

    Calling again replaces what the last call set up. Close the returned handler to stop.
    """
    handler = _PrivateFileHandler(path)
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _PrivateFileHandler):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(level)
    # A handler that cannot write says nothing on the screen it would spoil.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return handler
