"""Reads kubeconfig files: merged, one context picked, every path and certificate resolved.

A loader of our own: the official client's costs a hundred megabytes and knows no more of what is
needed here (upstream/pods: Kubeconfig reader). `kubectl config view` is the oracle of its tests.
Entries are taken as kubectl takes them (upstream/pods: Cluster access).
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from services.errors import NotFoundError, UnavailableError
from services.files.bounded import (
    MissingParserError,
    UnfitError,
    parse_json,
    parse_yaml,
    read_bounded,
    read_text,
)
from services.sources.pods.access import IN_CLUSTER, Access, Cluster, Helper, Identity
from services.text.sanitize import sanitize

_LARGEST = 8 << 20
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HELPER_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_BEGIN = b"-----BEGIN "
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


def text_of(value: object) -> str:
    """A text, empty where it is none."""
    return value if isinstance(value, str) else ""


def cluster_of(table: Table) -> Cluster:
    """One cluster.

    Raises:
        UnavailableError: what is wrong with it.
    """
    authority = _pem(table, "certificate-authority")
    server = text_of(table.get("server"))
    if not server:
        raise UnavailableError("The kubeconfig's cluster has no server.")
    if "://" not in server:
        server = f"http://{server}"
    return Cluster(
        _address(server.rstrip("/")),
        authority,
        table.get("insecure-skip-tls-verify") is True,
        text_of(table.get("tls-server-name")),
        text_of(table.get("proxy-url")),
    )


def _address(server: str) -> str:
    """The server itself.

    Raises:
        UnavailableError: it is no http or https address.
    """
    try:
        parts = urlsplit(server)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        why = "it is no http or https address"
    except ValueError as error:
        fits, why = False, sanitize(str(error), 80)
    if not fits:
        shown = sanitize(server.rpartition("@")[2], 100)
        raise UnavailableError(f"The kubeconfig's server {shown!r} is not an address: {why}.")
    return server


def _acts_as(name: str, table: Table) -> tuple[tuple[str, str], ...]:
    """Impersonation, as headers (upstream/pods: Impersonation)."""
    extra = table.get("as-user-extra")
    found = [("Impersonate-User", text_of(table.get("as")))]
    found += [("Impersonate-Uid", text_of(table.get("as-uid")))]
    found += [("Impersonate-Group", one) for one in _texts(table.get("as-groups"))]
    for key, values in extra.items() if isinstance(extra, dict) else ():
        field = f"Impersonate-Extra-{quote(text_of(key).lower(), safe='')}"
        found += [(field, one) for one in _texts(values)]
    said = tuple((header, value) for header, value in found if value)
    if said and said[0][0] != "Impersonate-User":
        raise UnavailableError(
            f"User {sanitize(name, 100)!r} of the kubeconfig acts as a group or uid of nobody.",
            advice="`as` has to name who that is.",
        )
    if not all(value.isascii() and value.isprintable() for _, value in said):
        raise UnavailableError(
            f"User {sanitize(name, 100)!r} of the kubeconfig acts as a name no header can hold."
        )
    return said


def _texts(value: object) -> list[str]:
    return [text_of(one) for one in value] if isinstance(value, list) else []


def identity_of(name: str, table: Table) -> Identity:
    """One user.

    Raises:
        UnavailableError: what is wrong with it, or a way to sign in we do not know.
    """
    helper = table.get("exec")
    provider = table.get("auth-provider")
    known = Identity(
        name,
        text_of(table.get("token")),
        path_of(table, "tokenFile"),
        text_of(table.get("username")),
        text_of(table.get("password")),
        _pem(table, "client-certificate"),
        _pem(table, "client-key"),
        _helper(name, helper, table[""]) if isinstance(helper, dict) else None,
        _acts_as(name, table),
    )
    if isinstance(provider, dict) and known == Identity(name):
        raise UnavailableError(
            f"User {sanitize(name, 100)!r} signs in with the auth-provider "
            f"{sanitize(text_of(provider.get('name')), 60)!r}, which Kubernetes no longer has.",
            advice="Renew the kubeconfig with the provider's own tool.",
        )
    return known


def _helper(name: str, table: Table, folder: Path) -> Helper:
    version = text_of(table.get("apiVersion"))
    if version not in _HELPER_VERSIONS:
        raise UnavailableError(
            f"The credential helper of {sanitize(name, 100)!r} speaks {sanitize(version, 80)!r}; "
            f"known are {' and '.join(_HELPER_VERSIONS)}."
        )
    command = text_of(table.get("command"))
    if not command:
        raise UnavailableError(f"The credential helper of {sanitize(name, 100)!r} has no command.")
    if "/" in command and not command.startswith("/"):
        command = str(folder / command)
    words = table.get("args")
    variables = table.get("env")
    # Of v1beta1 the word may be missing, which means that it may ask.
    mode = table.get("interactiveMode") or "IfAvailable"
    return Helper(
        (command, *_texts(words)),
        version,
        tuple(
            (text_of(one.get("name")), text_of(one.get("value")))
            for one in (variables if isinstance(variables, list) else [])
            if isinstance(one, dict)
        ),
        sanitize(text_of(table.get("installHint"))),
        mode == "Always",
        mode in ("Always", "IfAvailable"),
        table.get("provideClusterInfo") is True,
    )


def path_of(table: Table, key: str) -> Path | None:
    """A path, from where its file stands."""
    said = text_of(table.get(key))
    return table[""] / said if said else None


def _pem(table: Table, key: str) -> str:
    """PEM text from `key-data`, else from the file `key` names; nothing but its blocks."""
    data = text_of(table.get(f"{key}-data"))
    if data:
        where = f"{key}-data"
        try:
            found = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise UnavailableError(f"The kubeconfig's {where} is not base64 of PEM.") from error
    else:
        path = path_of(table, key)
        if path is None:
            return ""
        where = f"{key} {path}"
        try:
            found = read_bounded(path)
        except (OSError, UnfitError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UnavailableError(f"The kubeconfig's {where} cannot be read: {why}.") from error
    return _blocks(found, f"The kubeconfig's {where}")


def _blocks(data: bytes, where: str) -> str:
    """The PEM blocks of a file, whatever stands around them.

    Raises:
        UnavailableError: there is none.
    """
    blocks: list[str] = []
    for part in data.split(_BEGIN)[1:]:
        label, dashes, _ = part.partition(b"-----")
        end = b"-----END " + label + dashes
        block, found, _ = part.partition(end)
        if dashes and found and block.isascii():
            blocks.append((_BEGIN + block + end).decode("ascii"))
    if not blocks:
        raise UnavailableError(f"{where} is not PEM text.")
    return "\n".join(blocks) + "\n"


def inside(env: Mapping[str, str], namespace: str, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The service account of the pod this panel runs in."""
    host = env["KUBERNETES_SERVICE_HOST"]
    shown = f"[{host}]" if ":" in host else host
    try:
        authority = _blocks(read_bounded(folder / "ca.crt"), "The service account's ca.crt")
        own = read_text(folder / "namespace").strip()
    except (OSError, UnfitError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UnavailableError(
            f"This looks like a pod, but its service account cannot be read: {why}."
        ) from error
    return Access(
        IN_CLUSTER,
        Cluster(f"https://{shown}:{env.get('KUBERNETES_SERVICE_PORT') or '443'}", authority),
        Identity("service account", token_file=folder / "token"),
        namespace or own or "default",
        (folder / "ca.crt",),
    )
