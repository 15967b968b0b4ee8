"""How far back: `90s`, `30m`, `2h`, `1d`, `1w`, a date or a date with a time, as typed."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhdw])")


def instant(text: str, now: float) -> float:
    """The instant meant, as an epoch time; a date without a zone is local.

    Raises:
        ValueError: it is neither a span nor a date.
    """
    said = text.strip()
    if span := _SPAN.fullmatch(said):
        return now - float(span.group(1)) * _SECONDS[span.group(2)]
    return datetime.fromisoformat(said).timestamp()


class Since(click.ParamType):  # type: ignore[type-arg]
    """Such an instant as an option's value."""

    name = "when"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """An epoch time; a usage error that shows the grammar where there is none."""
        try:
            return instant(str(value), time.time())
        except (ValueError, OverflowError):
            self.fail(
                f"{str(value)!r} is no time; say 30m, 2h, 1d, 1w, 2026-11-20 or 2026-11-20T09:30.",
                param,
                ctx,
            )
