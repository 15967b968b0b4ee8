"""Reads the configuration file; everything wrong in it is named by file, line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from services.errors import ConfigError
from services.files.bounded import UnfitError, parse_toml, read_text
from services.text.sanitize import sanitize

KeyPath = tuple[str, ...]
"""Where a value stands: the names of its tables, then its own."""
_Table = TypeVar("_Table", bound=msgspec.Struct)
_LARGEST = 256 * 1024
_LONGEST_LINE = 4096
_MAX_REPORTED = 8
"""Faults that are told at once."""
_HEADER = re.compile(r"^\s*\[\[?\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_PART = r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[A-Za-z0-9_-]+)"
_KEY = re.compile(rf"^\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong in the configuration file."""

    key_path: KeyPath
    message: str


def read(path: Path, table: type[_Table]) -> tuple[_Table, Mapping[str, Any]]:
    """The file as `table` and as it was written; both empty where there is no file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds a key or a value we do not know.
    """
    try:
        text = read_text(path, _LARGEST)
    except FileNotFoundError:
        return table(), {}
    except (OSError, UnfitError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    import tomllib

    try:
        raw = parse_toml(text)
    except UnfitError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    try:
        return msgspec.convert(raw, table), raw
    except msgspec.ValidationError as error:
        found = list(find_problems(raw, table)) or [ConfigProblem((), str(error))]
        messages = [
            f"{_location(path, text, one.key_path)}: {one.message}" for one in found[:_MAX_REPORTED]
        ]
        if len(found) > _MAX_REPORTED:
            messages.append(f"… and {len(found) - _MAX_REPORTED} more")
        raise ConfigError("\n".join(messages)) from error


def _location(path: Path, text: str, key_path: KeyPath) -> str:
    line = line_of(text, key_path)
    return f"{path}, line {line}" if line else str(path)


def line_of(text: str, key_path: KeyPath) -> int | None:
    """The line on which a value stands, or else the table or inline table that holds it."""
    table: KeyPath = ()
    nearest: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > _LONGEST_LINE:
            continue
        if header := _HEADER.match(line):
            here = table = _key_path(f"[{header.group(1)}]")
        elif key := _KEY.match(line):
            here = (*table, *_key_path(f"{key.group(1)} = 0"))
        else:
            continue
        if here and here == key_path[: len(here)] and (nearest is None or len(here) > nearest[0]):
            nearest = (len(here), number)
    return nearest[1] if nearest else None


def with_line_number(origin: str, key_path: KeyPath) -> str:
    """An origin with the line number, where it is a file that still holds the value."""
    path = Path(origin)
    try:
        line = line_of(read_text(path, _LARGEST), key_path)
    except (OSError, UnfitError):
        line = None
    return f"{origin}, line {line}" if line else origin


def _key_path(toml: str) -> KeyPath:
    """The dotted name of a header or a key."""
    try:
        inside: Any = parse_toml(toml)
    except ValueError:
        return ()
    names: list[str] = []
    while isinstance(inside, dict) and inside:
        names.append(next(iter(inside)))
        inside = inside[names[-1]]
    return tuple(names)


def find_problems(value: object, shape: Any, key_path: KeyPath = ()) -> Iterator[ConfigProblem]:
    """Everything in a decoded value that its shape, a type, does not allow."""
    kinds = [one for one in (get_args(shape) or (shape,)) if _is_struct(one)]
    if kinds and shape is not None and get_origin(shape) is not dict:
        if isinstance(value, dict):
            yield from _in_table(value, kinds, key_path)
        else:
            yield ConfigProblem(key_path, f"{_dotted(key_path)}: a table is expected")
        return
    if get_origin(shape) is dict and isinstance(value, dict):
        names, inner = get_args(shape)
        for key, one in value.items():
            if _validation_error(key, names):
                yield ConfigProblem(
                    (*key_path, key),
                    f"{_quoted(key)} cannot be a name here: letters, digits, dot, dash and "
                    "underscore, at most 64, a letter or digit first",
                )
            else:
                yield from find_problems(one, inner, (*key_path, key))
        return
    if said := _validation_error(value, shape):
        yield ConfigProblem(key_path, f"{_dotted(key_path)}: {said}")


def _in_table(
    value: Mapping[str, object], kinds: list[Any], key_path: KeyPath
) -> Iterator[ConfigProblem]:
    tag_field = kinds[0].__struct_config__.tag_field
    if tag_field is not None:
        by_tag = {str(kind.__struct_config__.tag): kind for kind in kinds}
        said = value.get(tag_field)
        if said is None:
            yield ConfigProblem(
                key_path, f"[{_dotted(key_path)}] says no {tag_field!r}; {_choices(by_tag)}"
            )
            return
        if said not in by_tag:
            hint = nearest(str(said), by_tag)
            yield ConfigProblem(
                (*key_path, tag_field),
                f"unknown {tag_field} {_quoted(str(said))}; {_choices(by_tag)}{hint}",
            )
            return
        kinds = [by_tag[str(said)]]
    shapes = get_type_hints(kinds[0], include_extras=True)
    for key, one in value.items():
        if key == tag_field:
            continue
        if key in shapes:
            yield from find_problems(one, shapes[key], (*key_path, key))
        else:
            inside = f" in [{_dotted(key_path)}]" if key_path else ""
            yield ConfigProblem(
                (*key_path, key), f"unknown key {_quoted(key)}{inside}{nearest(key, shapes)}"
            )


def _is_struct(shape: object) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _validation_error(value: object, shape: Any) -> str:
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        said = str(error).split(" - at ", maxsplit=1)[0]
        return f"{said[:1].lower()}{said[1:]}"
    return ""


def nearest(word: str, known: Iterable[str]) -> str:
    """A question about the known word that is most like this one; empty where none is."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _choices(known: Mapping[str, object]) -> str:
    return f"there are: {', '.join(sorted(known))}"


def _quoted(word: str) -> str:
    return repr(sanitize(word, 60))


def _dotted(key_path: KeyPath) -> str:
    return sanitize(".".join(key_path), 120)
