"""Tells several listeners the same thing: the error of one keeps nothing from the others."""

from __future__ import annotations

import logging
from collections.abc import Callable

from textual.css.query import NoMatches

_LOG = logging.getLogger(__name__)


def tell_each(*listeners: Callable[[], object]) -> None:
    """Call each in order; one that is going away is no error, any other is logged."""
    for listener in listeners:
        try:
            listener()
        except NoMatches as error:
            _LOG.debug("a pane that has gone was not told: %s", error)
        except Exception:
            _LOG.exception("a pane could not be told")
