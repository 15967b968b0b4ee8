"""Reads kubeconfig files: merged, one context picked, every path and certificate resolved.

A loader of our own: the official client's costs a hundred megabytes and knows no more of what is
needed here (upstream/pods: Kubeconfig reader). `kubectl config view` is the oracle of its tests.
"""

from __future__ import annotations

import base64
import binascii
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
from services.sources.pods.access import Access, Cluster, Helper, Identity
from services.text.sanitize import sanitize

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HELPER_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_LARGEST = 8 << 20
Table = dict[str, Any]


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
            return _inside(env, namespace)
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
    cluster = _entry(merged["clusters"], _text(picked.get("cluster")), "cluster")
    who = _text(picked.get("user"))
    user = _entry(merged["users"], who, "user") if who else {}
    return Access(
        name,
        _cluster(cluster),
        _identity(who, user),
        namespace or _text(picked.get("namespace")) or "default",
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
        merged["current-context"] = merged["current-context"] or _text(table.get("current-context"))
        for kind, key in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            entries = table.get(kind)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and isinstance(entry.get(key), dict):
                    name = _text(entry.get("name"))
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


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _cluster(table: Table) -> Cluster:
    server = _text(table.get("server")).rstrip("/")
    if not server:
        raise UnavailableError("The kubeconfig's cluster has no server.")
    if "://" not in server:
        server = f"http://{server}"
    return Cluster(
        server,
        _pem(table, "certificate-authority"),
        table.get("insecure-skip-tls-verify") is True,
        _text(table.get("tls-server-name")),
        _text(table.get("proxy-url")),
    )


def _identity(name: str, table: Table) -> Identity:
    if table.get("as") or table.get("as-groups") or table.get("as-uid"):
        raise UnavailableError(
            f"User {sanitize(name, 100)!r} of the kubeconfig acts as somebody else, "
            "which this panel does not do.",
            advice="Name a context without impersonation.",
        )
    helper = table.get("exec")
    provider = table.get("auth-provider")
    known = Identity(
        name,
        _text(table.get("token")),
        _path(table, "tokenFile"),
        _text(table.get("username")),
        _text(table.get("password")),
        _pem(table, "client-certificate"),
        _pem(table, "client-key"),
        _helper(name, helper, table[""]) if isinstance(helper, dict) else None,
    )
    if isinstance(provider, dict) and known == Identity(name):
        raise UnavailableError(
            f"User {sanitize(name, 100)!r} signs in with the auth-provider "
            f"{sanitize(_text(provider.get('name')), 60)!r}, which Kubernetes no longer has.",
            advice="Renew the kubeconfig with the provider's own tool.",
        )
    return known


def _helper(name: str, table: Table, folder: Path) -> Helper:
    version = _text(table.get("apiVersion"))
    if version not in _HELPER_VERSIONS:
        raise UnavailableError(
            f"The credential helper of {sanitize(name, 100)!r} speaks {sanitize(version, 80)!r}; "
            f"known are {' and '.join(_HELPER_VERSIONS)}."
        )
    command = _text(table.get("command"))
    if not command:
        raise UnavailableError(f"The credential helper of {sanitize(name, 100)!r} has no command.")
    if "/" in command and not command.startswith("/"):
        command = str(folder / command)
    words = table.get("args")
    variables = table.get("env")
    return Helper(
        (command, *(_text(word) for word in (words if isinstance(words, list) else []))),
        version,
        tuple(
            (_text(one.get("name")), _text(one.get("value")))
            for one in (variables if isinstance(variables, list) else [])
            if isinstance(one, dict)
        ),
        sanitize(_text(table.get("installHint"))),
        table.get("interactiveMode") == "Always",
        table.get("provideClusterInfo") is True,
    )


def _path(table: Table, key: str) -> Path | None:
    said = _text(table.get(key))
    return table[""] / said if said else None


def _pem(table: Table, key: str) -> str:
    """PEM text from `key-data`, else from the file `key` names."""
    data = _text(table.get(f"{key}-data"))
    if data:
        try:
            return base64.b64decode(data, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UnavailableError(f"The kubeconfig's {key}-data is not base64 of PEM.") from error
    path = _path(table, key)
    if path is None:
        return ""
    try:
        text = read_text(path)
    except (OSError, UnfitError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UnavailableError(f"The kubeconfig's {key} {path} cannot be read: {why}.") from error
    if not text.isascii():
        raise UnavailableError(f"The kubeconfig's {key} {path} is not PEM text.")
    return text


def _inside(env: Mapping[str, str], namespace: str, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The service account of the pod this panel runs in."""
    host = env["KUBERNETES_SERVICE_HOST"]
    shown = f"[{host}]" if ":" in host else host
    try:
        authority = (folder / "ca.crt").read_text("ascii")
        own = (folder / "namespace").read_text("ascii").strip()
    except OSError as error:
        raise UnavailableError(
            f"This looks like a pod, but its service account cannot be read: {error.strerror}."
        ) from error
    return Access(
        "in-cluster",
        Cluster(f"https://{shown}:{env.get('KUBERNETES_SERVICE_PORT') or '443'}", authority),
        Identity("service account", token_file=folder / "token"),
        namespace or own or "default",
    )
