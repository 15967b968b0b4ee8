"""The panel's style sheets, parsed once for each theme."""

from __future__ import annotations

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

MOST_SHEETS = 512
"""More than all of ours and Textual's: one too few, and each new widget has all parsed anew."""


class KeptStylesheet(Stylesheet):
    """Keeps what it parsed for a theme; Textual's parses that in a copy which it throws away."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(MOST_SHEETS)

    def reparse(self) -> None:
        """Parse all with new variables; after an error the rules are as they were."""
        self.parse()
