"""Network rules that wait for a decision, as `rule get` prints them: read with suspicion.

See upstream/openshell: Network rules.

The reasons in them are an agent's own words. A list in which such words could pass for another
rule, or hide part of one, is not understood, rather than shown for a decision.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from services.sources.openshell.cli_text import strip_colours
from services.sources.openshell.records import safe_name
from services.text.sanitize import sanitize

_HEADER = re.compile(r"^Network Rules:.*\b(\d+) chunks?\)$")
_FIELD = re.compile(r"^([A-Z][A-Za-z ]{1,30}):(?: (.*))?$")
_FIRST = "Chunk"
_LONGEST = 400
_MOST_FIELDS = 20


@dataclass(frozen=True, slots=True)
class WaitingRule:
    """One of them, whole."""

    chunk: str
    fields: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return dict(self.fields).get("Rule") or self.chunk

    @property
    def words(self) -> str:
        """All of it, a line for each field."""
        return "\n".join(f"{name}: {said}" for name, said in self.fields if said)

    @property
    def mark(self) -> str:
        """The same only for the very same rule."""
        return f"{self.chunk} {hashlib.sha256(self.words.encode()).hexdigest()}"


def waiting(text: str) -> tuple[WaitingRule, ...] | None:
    """Every rule of a list of pending ones; None where it cannot be read beyond doubt."""
    lines = [line.strip() for line in strip_colours(text).splitlines() if line.strip()]
    if not lines or lines[0].startswith("No network rules"):
        return ()
    header = _HEADER.match(lines[0])
    if header is None:
        return None
    blocks: list[dict[str, str]] = []
    for line in lines[1:]:
        field = _FIELD.match(line)
        if field is None or len(line) > _LONGEST:
            return None
        if field[1] == _FIRST:
            blocks.append({})
        if not blocks or field[1] in blocks[-1] or len(blocks[-1]) >= _MOST_FIELDS:
            return None
        blocks[-1][field[1]] = sanitize(field[2] or "", _LONGEST)
    if len(blocks) != int(header[1]) or not all(safe_name(one[_FIRST]) for one in blocks):
        return None
    return tuple(WaitingRule(one[_FIRST], tuple(one.items())) for one in blocks)
