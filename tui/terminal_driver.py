"""The terminal under the panel, which may vanish while something is being drawn on it."""

from __future__ import annotations

from typing import Any

from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver


class VanishingFile:
    """Writes as long as there is somebody to write to.

    A thread draws; where it died of an error, the panel would wait for it for ever.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write, or drop it."""
        try:
            return int(self._file.write(text))
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush what there is anybody to see."""
        try:
            self._file.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class PanelDriver(LinuxDriver):
    """Survives the end of its terminal long enough to leave politely."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._file: Any = VanishingFile(self._file)


def surviving(kind: type[Driver]) -> type[Driver]:
    """The driver to use where that one would be; another than a terminal's is left alone."""
    return PanelDriver if kind is LinuxDriver else kind
