"""Reads kubeconfig files: merged, one context picked, every path and certificate resolved.

A loader of our own: the official client's costs a hundred megabytes and knows no more of what is
needed here (upstream/pods: Kubeconfig reader). `kubectl config view` is the oracle of its tests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.errors import NotFoundError, UnavailableError
from services.files.bounded import (
    MissingParserError,
    UnfitError,
    parse_json,
    parse_yaml,
    read_text,
)
from services.sources.pods.access import Access
from services.sources.pods.kube_entries import (
    Table,
    cluster_of,
    identity_of,
    inside,
    path_of,
    text_of,
)
from services.text.sanitize import sanitize

_LARGEST = 8 << 20


def places(explicit: str, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files to read: the named one, those of KUBECONFIG, or the usual one."""
    if explicit:
        return (Path(explicit).expanduser(),)
    named = [one for one in environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    return tuple(Path(one) for one in named) or (Path("~/.kube/config").expanduser(),)


def load(
    explicit: str, context: str, namespace: str, environ: Mapping[str, str] | None = None
) -> Access:
    """What a context says, the current one where none is named; in a pod, its service account.

    Raises:
        NotFoundError: no such context, cluster or user.
        UnavailableError: no file, one that cannot be read, or a way to sign in we do not know.
    """
    env = os.environ if environ is None else environ
    files = places(explicit, env)
    present = _present(files)
    if not present:
        if not explicit and not context and env.get("KUBERNETES_SERVICE_HOST"):
            return inside(env, namespace)
        raise UnavailableError(
            f"There is no kubeconfig: {sanitize(', '.join(map(str, files)))}.",
            advice="Name one with `kubeconfig = …` in the source's table, or set KUBECONFIG.",
        )
    merged = _merge([(_read(path), path) for path in present])
    name = context or merged["current-context"]
    if not name:
        raise NotFoundError(
            "The kubeconfig has no current context.",
            advice=f"Name one with `context = …`; there are: {_names(merged['contexts'])}.",
        )
    picked = _entry(merged["contexts"], name, "context")
    cluster = _entry(merged["clusters"], text_of(picked.get("cluster")), "cluster")
    who = text_of(picked.get("user"))
    user = _entry(merged["users"], who, "user") if who else {}
    identity = identity_of(who, user)
    named = (
        path_of(cluster, "certificate-authority"),
        *(path_of(user, key) for key in ("client-certificate", "client-key")),
    )
    return Access(
        name,
        cluster_of(cluster),
        identity,
        namespace or text_of(picked.get("namespace")) or "default",
        (*files, *(path for path in named if path is not None)),
    )


def contexts(explicit: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Names of every context.

    Raises:
        UnavailableError: a file cannot be read.
    """
    files = places(explicit, os.environ if environ is None else environ)
    merged = _merge([(_read(path), path) for path in _present(files)])
    return tuple(sorted(merged["contexts"]))


def _present(files: Sequence[Path]) -> list[Path]:
    """Those that are there, whatever they are; the null device means none."""
    return [path for path in files if path.exists() and path != Path(os.devnull)]


def _read(path: Path) -> Table:
    try:
        value = _parse(read_text(path, _LARGEST))
    except MissingParserError as error:
        raise UnavailableError(
            "Reading a kubeconfig needs PyYAML, which is not installed.",
            advice="Install wakedeck with its `kubernetes` extra.",
        ) from error
    except (OSError, UnfitError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UnavailableError(f"The kubeconfig {path} cannot be read: {why}.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnavailableError(f"The kubeconfig {path} is not a mapping.")
    return value


def _parse(text: str) -> Any:
    if text.lstrip().startswith("{"):
        with suppress(UnfitError):
            return parse_json(text)
    return parse_yaml(text)


def _merge(files: Sequence[tuple[Table, Path]]) -> Table:
    """The first file that sets a value wins, as kubectl has it."""
    merged: Table = {"clusters": {}, "users": {}, "contexts": {}, "current-context": ""}
    for table, path in files:
        merged["current-context"] = merged["current-context"] or text_of(
            table.get("current-context")
        )
        for kind, key in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            entries = table.get(kind)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and isinstance(entry.get(key), dict):
                    name = text_of(entry.get("name"))
                    merged[kind].setdefault(name, {**entry[key], "": path.parent})
    return merged


def _entry(entries: Table, name: str, kind: str) -> Table:
    found = entries.get(name)
    if found is None:
        raise NotFoundError(
            f"The kubeconfig has no {kind} {sanitize(name, 100)!r}.",
            advice=f"There are: {_names(entries)}.",
        )
    return dict(found)


def _names(entries: Table) -> str:
    return sanitize(", ".join(sorted(entries)), 300) or "none"
