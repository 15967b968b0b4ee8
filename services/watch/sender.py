"""Sending through apprise; neither an url nor a part of one is ever in what is said of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any

from services.errors import ConfigError, UnavailableError
from services.text.redact import MASK, redact_line
from services.watch.digest import Notice

SEND_S = 60.0
"""The longest that a notice is on its way."""
_SHORTEST_SECRET = 3


class Sender:
    """Sends to everybody of one `[notify.NAME]`."""

    def __init__(self, name: str, urls: Sequence[str]) -> None:
        """`urls` as apprise spells them.

        Raises:
            UnavailableError: apprise is not installed.
            ConfigError: it does not know one of them.
        """
        try:
            import apprise
        except ImportError as error:
            raise UnavailableError(
                "Notices need apprise, which is not installed.",
                advice="Install the extra: pip install 'wakedeck[notify]'.",
            ) from error
        # Its own log names urls, also those it cannot read.
        own = logging.getLogger("apprise")
        own.propagate = False
        if not own.handlers:
            own.addHandler(logging.NullHandler())
        self._secrets = sorted(_parts(urls), key=len, reverse=True)
        self._apprise = apprise.Apprise()
        for number, url in enumerate(urls, 1):
            if not self._apprise.add(url):
                raise ConfigError(
                    f"[notify.{name}]: url number {number} is none that apprise knows.",
                    advice="It is not shown here, for it may hold a secret.",
                )

    async def send(self, notice: Notice) -> str:
        """Send it; why it could not be, empty where it was."""
        try:
            async with asyncio.timeout(SEND_S):
                return await asyncio.to_thread(self._send, notice)
        except TimeoutError:
            return f"no answer within {SEND_S:.0f} s"
        except Exception as error:
            return self._masked(f"{type(error).__name__}: {error}")

    def _send(self, notice: Notice) -> str:
        said: list[str] = []

        def heard(entry: Any, _plugin: Any) -> None:
            said.append(str(entry.message))

        accepted = self._apprise.notify(
            body=notice.body,
            title=notice.title,
            body_format="text",
            interpret_escapes=False,
            log_callback=heard,
            log_level=logging.WARNING,
        )
        if accepted:
            return ""
        return self._masked(said[-1]) if said else "it was not accepted"

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact_line(text, 160)


def _parts(urls: Sequence[str]) -> set[str]:
    """What of urls may be a secret: all but their schemes."""
    found: set[str] = set()
    for url in urls:
        rest = url.partition("://")[2] or url
        found |= {rest, *re.split(r"[/:?&=@#,]+", rest)}
    return {one for one in found if len(one) > _SHORTEST_SECRET}
