"""Reads what others write: type, size, encoding, depth and numbers are bounded.

Files, answers of networks and the output of commands come through here alike.

What every parser here gives is no deeper, no larger and no longer than `LIMITS` says; a number
fits in 64 bits or is a finite float. Each refusal is a `ValueError` whose text is a reason without
the file's own words.
"""

from __future__ import annotations

import errno
import importlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What a document may be."""

    depth: int = 64
    size: int = 16 << 20
    """Characters of the whole, or bytes where it is decoded from those."""
    values: int = 250_000
    key: int = 4096
    """Characters of a key."""
    aliases: int = 8
    """Of YAML: with merges a few more would be millions of entries."""


LIMITS = DocumentLimits()
LISTS = DocumentLimits(size=64 << 20, values=4_000_000)
"""Of lists that a platform gives whole."""
LARGEST = 1 << 20
T = TypeVar("T")
_UNLINKED = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_INTEGER = 19
_LONGEST_FLOAT = 400
_LONGEST_DOTTED = 32
_TOML_TEXT = re.compile(
    r"""\"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)|"(?:\\.|[^"\\\n])*+"?|'[^'\n]*+'?|\#[^\n]*""",
    re.DOTALL,
)
"""Strings and comments, each of which matches at once or not at all."""
_KEY_PARTS = re.compile(r"""[\w"' \t-]++|\.|[^\w"' \t.-]++""")


class UnfitError(ValueError):
    """A file or a document that is not parsed; the text says why."""


class MalformedError(UnfitError):
    """A document that breaks the grammar of its format."""


class MissingParserError(Exception):
    """The library that parses this format is not installed."""


def read_bounded(path: Path, largest: int = LARGEST, *, links: bool = True) -> bytes:
    """The bytes of a regular file; without `links` a symbolic link is not followed.

    Raises:
        OSError: it cannot be read.
        UnfitError: it is no regular file, or larger than `largest`.
    """
    with _open(path, links=links) as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise UnfitError(f"it is larger than {_size(largest)}")
    return data


def open_regular(path: Path) -> BinaryIO:
    """A regular file to read a bounded part of: a pipe in its place would hold the reader up.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    try:
        return _open(path)
    except UnfitError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None


def read_tail(root: Path, below: Sequence[str], most: int) -> bytes:
    """Whole lines from the last `most` bytes of a regular file; `below` are the names under `root`.

    No link below `root` is followed: others may write there.

    Raises:
        OSError: it cannot be read.
        UnfitError: a name leads elsewhere, or it is no regular file.
    """
    if not below or any(name in ("", ".", "..") or {"/", "\0"} & set(name) for name in below):
        raise UnfitError("its name leads elsewhere")
    *folders, last = below
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in folders:
            inner = os.open(name, _UNLINKED | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        _require_regular(os.stat(last, dir_fd=at, follow_symlinks=False).st_mode)
        handle = os.open(last, _UNLINKED | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        _require_regular(about.st_mode)
        # The byte before tells whether a line begins here: half a line may hold half a secret.
        start = max(0, about.st_size - most - 1)
        data = os.pread(file.fileno(), most + 1, start)
    return data.partition(b"\n")[2] if start else data


def _open(path: Path, *, links: bool = True) -> BinaryIO:
    # Asked before it is opened: opening a device or a FIFO may do something.
    _require_regular(path.stat(follow_symlinks=links).st_mode)
    follow = 0 if links else os.O_NOFOLLOW
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow)
    try:
        _require_regular(os.fstat(handle).st_mode)
    except UnfitError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_text(path: Path, largest: int = LARGEST) -> str:
    """The same as text; a byte order mark is left out.

    Raises:
        OSError: it cannot be read.
        UnfitError: as `read_bounded`, or it is not UTF-8 text.
    """
    return decode(read_bounded(path, largest))


def decode(data: bytes | str) -> str:
    """Text from bytes; a byte order mark is left out.

    Raises:
        UnfitError: it is not UTF-8 text.
    """
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnfitError("it is not UTF-8 text") from None


def parse_json(
    data: bytes | str, limits: DocumentLimits = LIMITS, *, unfit_numbers: bool = False
) -> Any:
    """A JSON document; with `unfit_numbers`, a number that does not fit is None and no refusal.

    Raises:
        MalformedError: it is not JSON.
        UnfitError: it is beyond `limits`.
    """
    _require_size(data, limits)
    text = decode(data)
    try:
        value = (_decode_tolerant if unfit_numbers else _decode_json)(text)
    except RecursionError:
        raise UnfitError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"it is not JSON (line {error.lineno})") from None
    return require_fit(value, limits)


def json_reader(kind: type[T], limits: DocumentLimits = LIMITS) -> Callable[[bytes | str], T]:
    """What decodes JSON straight into a type of msgspec's; unknown fields are skipped in C.

    The type bounds its own numbers: `Int64` instead of `int`. The result raises `UnfitError` for
    what is not JSON of that type, or larger or deeper than is read.
    """
    import msgspec

    decode_typed = msgspec.json.Decoder(kind).decode

    def read(data: bytes | str) -> T:
        _require_size(data, limits)
        try:
            return decode_typed(data)
        except RecursionError:
            raise UnfitError("it is nested too deep") from None
        except ValueError:  # also what msgspec raises, and a key that is not UTF-8
            raise UnfitError("it is not JSON of the expected shape") from None

    return read


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document.

    Raises:
        tomllib.TOMLDecodeError: it is not TOML; the text names the line.
        UnfitError: it is beyond `LIMITS`.
    """
    import tomllib

    bare = _TOML_TEXT.sub('""', text)
    if _most_dots(bare) > _LONGEST_DOTTED or _deepest(bare) > LIMITS.depth:
        raise UnfitError("it is nested too deep")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (RecursionError, ValueError, OverflowError):
        raise UnfitError("it holds a value that cannot be read") from None
    return require_fit(value)  # type: ignore[no-any-return]


def parse_yaml(text: str) -> Any:
    """A YAML document of plain values.

    Raises:
        UnfitError: it is not YAML, or beyond `LIMITS`.
        MissingParserError: PyYAML is not installed.
    """
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        raise MissingParserError from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Events come one by one; what makes values of them calls itself for each level, in C.
        _require_flat(yaml.parse(text, Loader=loader), yaml)
        value = yaml.load(text, Loader=loader)
    except UnfitError:
        raise
    except yaml.YAMLError as error:
        # Its text quotes the file, which may hold credentials.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise UnfitError(f"it is not YAML{where}") from None
    except Exception:
        # Its constructors raise a dozen kinds of errors for odd scalars.
        raise UnfitError("it holds a value that cannot be read") from None
    return require_fit(value)


def require_fit(value: Any, limits: DocumentLimits = LIMITS) -> Any:
    """The value itself, where it is within `limits`.

    Raises:
        UnfitError: it is not.
    """
    waiting, left = [(value, 1)], limits.values
    while waiting:
        one, depth = waiting.pop()
        left -= 1
        if left < 0:
            raise UnfitError(f"it holds more than {limits.values} values")
        if isinstance(one, dict):
            if any(len(key) > limits.key for key in one if isinstance(key, str)):
                raise UnfitError(f"it has a key of more than {limits.key} characters")
            inside: Iterator[Any] = iter(one.values())
        elif isinstance(one, list | tuple | set):
            inside = iter(one)
        else:
            if isinstance(one, int) and one.bit_length() > 64:
                raise UnfitError("it holds a number that is too large")
            continue
        if depth > limits.depth:
            raise UnfitError("it is nested too deep")
        waiting.extend((each, depth + 1) for each in inside)
    return value


def _require_size(data: bytes | str, limits: DocumentLimits) -> None:
    if len(data) > limits.size:
        raise UnfitError(f"it is larger than {_size(limits.size)}")


def _require_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    what = next((word for test, word in kinds if test(mode)), "of an unknown kind")
    raise UnfitError(f"it is {what}, not a regular file")


def _require_flat(events: Iterator[Any], yaml: Any) -> None:
    depth = aliases = 0
    for count, event in enumerate(events):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > LIMITS.depth:
            raise UnfitError("it is nested too deep")
        if count > 2 * LIMITS.values:
            raise UnfitError(f"it holds more than {LIMITS.values} values")
        if aliases > LIMITS.aliases:
            raise UnfitError(f"it repeats parts of itself more than {LIMITS.aliases} times")


def _most_dots(text: str) -> int:
    """The dots of the longest dotted key; each character is looked at once."""
    dots = most = 0
    for found in _KEY_PARTS.finditer(text):
        part = found.group()
        if part == ".":
            dots += 1
            most = max(most, dots)
        elif not (part[0].isalnum() or part[0] in "_\"' \t-"):
            dots = 0
    return most


def _deepest(text: str) -> int:
    depth = deepest = 0
    for found in re.finditer(r"[\[\]{}]", text):
        depth += 1 if found.group() in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER + 1:
        raise UnfitError("it holds a number that is too large")
    return int(digits)


def _finite(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_FLOAT else math.inf
    if not math.isfinite(value):
        raise UnfitError("it holds a number that is too large")
    return value


def _not_a_number(_word: str) -> float:
    raise UnfitError("it holds a word where a number is expected")


_decode_json = json.JSONDecoder(
    parse_int=_integer, parse_float=_finite, parse_constant=_not_a_number
).decode


def _or_none(read: Callable[[str], T]) -> Callable[[str], T | None]:
    def tolerant(text: str) -> T | None:
        try:
            return read(text)
        except UnfitError:
            return None

    return tolerant


def _fitting(digits: str) -> int:
    return require_fit(_integer(digits))  # type: ignore[no-any-return]


_decode_tolerant = json.JSONDecoder(
    parse_int=_or_none(_fitting),
    parse_float=_or_none(_finite),
    parse_constant=_or_none(_not_a_number),
).decode


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{max(1, count >> 10)} KiB"
