"""A configuration file with every table, every key, its default and what it is for.

It is made from the tables themselves, so that it cannot say anything else than they do.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec

from services.config.notify import NotifyTable
from services.config.settings import FileTable, ProfileTable
from services.config.sources import SourceTable

WIDTH = 100
INTRODUCTION = """\
Wakedeck's configuration. Every key is here with its default; take the # away from what you change.
A profile wins over the top level, a variable over both, a flag over all three:
`wakedeck config show` says where every value came from, `wakedeck doctor` what is on this machine.
"""
_EXAMPLES: Mapping[str, Any] = {
    "profile": "default",
    "read_only": False,
    "theme": "wakedeck-dark",
    "animation": True,
    "transcripts": False,
    "remember": True,
    "confirm_quit": "auto",
}
"""What stands for a value that has no default of its own."""
_NAMED_TABLES = ("notify", "keys", "sources", "profiles")
_KEYS = {"repair.wake": "w", "repair.reconnect": "r"}
_PROFILE = {
    "sources": ["local"],
    "read_only": True,
    "theme": "wakedeck-contrast",
    "production": True,
}


def kinds() -> tuple[type[msgspec.Struct], ...]:
    """The table of every kind of source."""
    return get_args(SourceTable)


def field_descriptions(table: type[msgspec.Struct]) -> dict[str, str]:
    """What each field of a table is for: the text below it in the source code."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(table)))
    except OSError:  # Installed without its source.
        return {}
    body = tree.body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def default_text() -> str:
    """The whole file; read as it is, it changes nothing."""
    lines = [f"# {line}" for line in INTRODUCTION.splitlines()]
    words = field_descriptions(FileTable)
    fields = msgspec.structs.fields(FileTable)
    tables = [field for field in fields if _is_table(field.type)]
    for field in fields:
        if field not in tables and field.name not in _NAMED_TABLES:
            lines += [
                "",
                *_comment(words.get(field.name, "")),
                _setting(field.name, _default_of(field)),
            ]
    for field in tables:
        lines += ["", *_comment(words.get(field.name, "")), f"#[{field.name}]"]
        lines += _fields(field.type, {})
    lines += ["", *_comment(words.get("notify", "")), "#[notify.night]"]
    lines += _fields(NotifyTable, {})
    lines += ["", *_comment(words.get("keys", "")), "#[keys]"]
    lines += [_setting(json.dumps(name), key) for name, key in _KEYS.items()]
    lines += ["", *_comment(words.get("sources", ""))]
    for kind in kinds():
        tag = str(kind.__struct_config__.tag)
        lines += ["", *_comment(_headline(kind)), f"#[sources.{tag}]", _setting("kind", tag)]
        lines += _fields(kind, {})
    lines += ["", *_comment(words.get("profiles", "")), "#[profiles.production]"]
    lines += _fields(ProfileTable, _PROFILE)
    return "\n".join(lines) + "\n"


def source_block(name: str, kind: str, values: Mapping[str, Any]) -> str:
    """A `[sources.NAME]` table to paste, with these values alone."""
    lines = [f"[sources.{name}]", f"kind = {_value(kind)}"]
    lines += [f"{key} = {_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _fields(table: type[msgspec.Struct], overrides: Mapping[str, Any]) -> Iterator[str]:
    words = field_descriptions(table)
    for field in msgspec.structs.fields(table):
        yield from _comment(words.get(field.name, ""))
        yield _setting(field.name, overrides.get(field.name, _default_of(field)))


def _default_of(field: msgspec.structs.FieldInfo) -> object:
    """The default of a field, or what stands for it where it has none of its own."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    if field.default is not msgspec.NODEFAULT and field.default is not None:
        return field.default
    return _EXAMPLES.get(field.name, False if bool in get_args(field.type) else "")


def _headline(kind: type[msgspec.Struct]) -> str:
    said = " ".join((kind.__doc__ or "").split()).split(": ", 1)[-1]
    return said[:1].upper() + said[1:]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ") if text else []


def _setting(name: str, value: object) -> str:
    return f"#{name} = {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{json.dumps(str(k))} = {_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # JSON's words for text, numbers and truth are TOML's as well.
    said = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in said)
