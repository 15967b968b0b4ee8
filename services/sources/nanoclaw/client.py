"""One exchange on a Unix socket of the host: connect, send a line, read a line, leave."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path

from services.errors import UnavailableError

CONNECT_S = 1.0
LONGEST_LINE = 32 * 1024 * 1024
"""Ten thousand sessions listed are about 4 MiB."""


class NoAnswer(Enum):
    """Why there was no answer (upstream/nanoclaw: Container and host state)."""

    ABSENT = "no socket"
    REFUSED = "nobody listens"
    DENIED = "permission denied"
    NO_REPLY = "accepts and says nothing"
    CLOSED = "closed without an answer"
    MALFORMED = "unusable"


class NoAnswerError(UnavailableError):
    """A socket that gave no line."""

    def __init__(self, no_answer: NoAnswer, sentence: str) -> None:
        super().__init__(sentence)
        self.no_answer = no_answer


async def exchange(socket: Path, line: bytes, timeout_s: float) -> bytes:
    """Send `line` and give the first line that comes back, without its end.

    Raises:
        NoAnswerError: there was none within `timeout_s`.
    """
    async with _connected(socket, timeout_s) as (reader, writer):
        try:
            async with asyncio.timeout(timeout_s):
                writer.write(line)
                await writer.drain()
                answer = await reader.readuntil(b"\n")
        except TimeoutError as error:
            raise NoAnswerError(
                NoAnswer.NO_REPLY, f"{socket.name} accepts and says nothing for {timeout_s:g} s."
            ) from error
        except asyncio.IncompleteReadError as error:
            what = "in the middle of a line" if error.partial else "without an answer"
            raise NoAnswerError(NoAnswer.CLOSED, f"{socket.name} was closed {what}.") from error
        except asyncio.LimitOverrunError as error:
            raise NoAnswerError(
                NoAnswer.MALFORMED, f"{socket.name} sends a line without end."
            ) from error
        except OSError as error:
            raise NoAnswerError(
                NoAnswer.CLOSED, f"{socket.name} was closed without an answer."
            ) from (error)
    return answer.removesuffix(b"\n")


async def deliver(socket: Path, line: bytes, timeout_s: float) -> None:
    """Send `line` and leave: nothing is ever said back.

    Raises:
        NoAnswerError: it could not be handed over.
    """
    async with _connected(socket, timeout_s) as (_, writer):
        try:
            async with asyncio.timeout(timeout_s):
                writer.write(line)
                await writer.drain()
                writer.write_eof()
        except TimeoutError as error:
            raise NoAnswerError(
                NoAnswer.NO_REPLY, f"{socket.name} does not take the line."
            ) from error
        except OSError as error:
            raise NoAnswerError(NoAnswer.CLOSED, f"{socket.name} was closed too early.") from error


@contextlib.asynccontextmanager
async def _connected(
    socket: Path, timeout_s: float
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        async with asyncio.timeout(min(CONNECT_S, timeout_s)):
            reader, writer = await asyncio.open_unix_connection(str(socket), limit=LONGEST_LINE)
    except TimeoutError as error:
        raise NoAnswerError(
            NoAnswer.NO_REPLY, f"{socket.name} does not accept connections."
        ) from error
    except (OSError, ValueError) as error:
        raise _unreachable(socket, error) from error
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await writer.wait_closed()


def _unreachable(socket: Path, error: OSError | ValueError) -> NoAnswerError:
    number = error.errno if isinstance(error, OSError) else None
    match number:
        case errno.ENOENT | errno.ENOTDIR:
            return NoAnswerError(NoAnswer.ABSENT, f"There is no {socket.name}.")
        case errno.ECONNREFUSED:
            return NoAnswerError(NoAnswer.REFUSED, f"Nobody listens on {socket.name}.")
        case errno.EACCES | errno.EPERM:
            return NoAnswerError(NoAnswer.DENIED, f"This user may not use {socket.name}.")
        case errno.EAGAIN:
            return NoAnswerError(NoAnswer.NO_REPLY, f"{socket.name} does not accept connections.")
    return NoAnswerError(NoAnswer.MALFORMED, f"{socket.name} cannot be used as a socket.")
