"""Custom resources of a test cluster: discovery, lists, watches and merge patches, as served."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.http_peer import Exchange, Request
from tests.support.kube_api import matching, status

Resource = dict[str, Any]
Key = tuple[str, str]


@dataclass
class Kind:
    """One kind, and the versions it is served in."""

    group: str
    plural: str
    name: str
    versions: tuple[str, ...] = ("v1beta1",)
    convert: Callable[[Resource, str, str], Resource] = lambda one, old, new: one
    """A resource from one version to another."""
    kept_in: str = ""
    """The version it is stored in; empty for the first that is served."""
    rows: dict[Key, Resource] = field(default_factory=dict)
    events: list[tuple[int, str, Resource]] = field(default_factory=list)
    oldest: int = 0

    @property
    def stored(self) -> str:
        return self.kept_in or self.versions[0]


@dataclass(frozen=True)
class Patch:
    """One PATCH as it came, whatever was answered."""

    key: Key
    body: dict[str, Any]
    kind: str
    agent: str
    at: int
    """How many resources had been written by then."""


class Resources:
    """Everything behind `/apis`; give `handle` to a `KubeApi` as its `more`."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = {(one.group, one.plural): one for one in kinds}
        self.patches: list[Patch] = []
        self.forbidden: set[tuple[str, str]] = set()
        """(verb, plural) that nobody may; the plural of discovery is its group."""
        self.conflicts: set[str] = set()
        """Names of resources that somebody else writes just before a patch arrives."""
        self.refused: set[str] = set()
        """Names of resources that this user may not patch."""
        self.silent: set[str] = set()
        """Names of resources of which a patch is done and never answered."""
        self.lost: set[str] = set()
        """Names of resources of which a patch is neither done nor answered."""
        self.discoveries = 0
        self.lists = 0
        self.on_write: list[Callable[[Kind, Key, Resource | None], None]] = []
        self._version = 1000
        self._changed = asyncio.Condition()

    def kind(self, plural: str) -> Kind:
        return next(one for one in self.kinds.values() if one.plural == plural)

    def get(self, plural: str, name: str, namespace: str = "default") -> Resource:
        """A copy of one."""
        return copy.deepcopy(self.kind(plural).rows[namespace, name])

    def put(self, plural: str, one: Resource) -> Resource:
        """Add or replace one; a change of its spec counts as another generation."""
        kind = self.kind(plural)
        one = copy.deepcopy(one)
        metadata = one["metadata"]
        key = (metadata.setdefault("namespace", "default"), metadata["name"])
        before = kind.rows.get(key)
        metadata.setdefault("uid", f"uid-{plural}-{key[1]}")
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        one.setdefault("apiVersion", f"{kind.group}/{kind.stored}")
        one.setdefault("kind", kind.name)
        if before is None:
            metadata.setdefault("generation", 1)
        elif before.get("spec") != one.get("spec"):
            metadata["generation"] = before["metadata"]["generation"] + 1
        self._write(kind, key, one, "ADDED" if before is None else "MODIFIED")
        return copy.deepcopy(one)

    def set_status(self, plural: str, name: str, value: Any, namespace: str = "default") -> None:
        """What a controller writes: no other generation."""
        kind = self.kind(plural)
        one = copy.deepcopy(kind.rows[namespace, name])
        one["status"] = value
        self._write(kind, (namespace, name), one, "MODIFIED")

    def remove(self, plural: str, name: str, namespace: str = "default") -> None:
        kind = self.kind(plural)
        one = copy.deepcopy(kind.rows.pop((namespace, name)))
        self._write(kind, (namespace, name), one, "DELETED")

    def expire(self, plural: str) -> None:
        """Forget the history of a kind: a watch from before now answers 410, or ends with it."""
        kind = self.kind(plural)
        self._version += 10
        kind.oldest = self._version
        kind.events.clear()
        self._wake()

    def _write(self, kind: Kind, key: Key, one: Resource, how: str) -> None:
        self._version += 1
        one["metadata"]["resourceVersion"] = str(self._version)
        if how != "DELETED":
            kind.rows[key] = one
        kind.events.append((self._version, how, one))
        for listener in self.on_write:
            listener(kind, key, None if how == "DELETED" else one)
        asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._told = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def handle(self, exchange: Exchange) -> bool:
        """Answer one request below /apis; False where it is about nothing here."""
        parts = exchange.request.path.strip("/").split("/")
        if parts[0] != "apis":
            return False
        if len(parts) < 4:
            await self._discovery(exchange, parts[1:])
            return True
        group, version, *rest = parts[1:]
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = self.kinds.get((group, rest[0]))
        if kind is None or version not in kind.versions:
            await exchange.json(404, status(404, "NotFound", "the server could not find it"))
        elif len(rest) == 1:
            await self._many(exchange, kind, version, namespace)
        else:
            await self._one(exchange, kind, version, (namespace or "", rest[1]))
        return True

    async def _discovery(self, exchange: Exchange, parts: list[str]) -> None:
        self.discoveries += 1
        groups: dict[str, tuple[str, ...]] = {}
        for kind in self.kinds.values():
            groups[kind.group] = kind.versions
        if not parts:
            listed = [_group(name, versions) for name, versions in groups.items()]
            value = {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
            await exchange.json(200, value)
        elif ("get", parts[0]) in self.forbidden:
            await exchange.json(403, status(403, "Forbidden", "discovery is forbidden"))
        elif parts[0] not in groups or (len(parts) > 1 and parts[1] not in groups[parts[0]]):
            await exchange.json(404, status(404, "NotFound", "the server could not find it"))
        elif len(parts) == 1:
            await exchange.json(200, _group(parts[0], groups[parts[0]]))
        else:
            of_group = [one for one in self.kinds.values() if one.group == parts[0]]
            await exchange.json(200, _resources("/".join(parts), of_group))

    async def _refused(self, exchange: Exchange, verb: str, kind: Kind) -> bool:
        named = verb == "patch" and exchange.request.path.rsplit("/", 1)[1] in self.refused
        if not named and (verb, kind.plural) not in self.forbidden:
            return False
        said = f'{kind.plural}.{kind.group} is forbidden: User "dev" cannot {verb} resource'
        await exchange.json(403, status(403, "Forbidden", said))
        return True

    async def _many(
        self, exchange: Exchange, kind: Kind, version: str, namespace: str | None
    ) -> None:
        request = exchange.request
        watching = request.one("watch") in ("1", "true")
        if await self._refused(exchange, "watch" if watching else "list", kind):
            return
        if watching:
            await self._watch(exchange, kind, version, namespace)
            return
        self.lists += 1
        wanted = matching(namespace, request)
        found = [one for _, one in sorted(kind.rows.items()) if wanted(one)]
        start = int(request.one("continue") or "0")
        limit = int(request.one("limit", "0")) or len(found)
        metadata: dict[str, Any] = {"resourceVersion": str(self._version)}
        if start + limit < len(found):
            metadata["continue"] = str(start + limit)
        items = [self._served(kind, one, version) for one in found[start : start + limit]]
        await exchange.json(
            200,
            {
                "kind": f"{kind.name}List",
                "apiVersion": f"{kind.group}/{version}",
                "metadata": metadata,
                "items": items,
            },
        )

    async def _watch(
        self, exchange: Exchange, kind: Kind, version: str, namespace: str | None
    ) -> None:
        request = exchange.request
        asked = request.one("resourceVersion")
        wanted = matching(namespace, request)
        await exchange.begin()
        if not asked:
            for one in list(kind.rows.values()):
                if wanted(one):
                    await exchange.chunk(_line("ADDED", self._served(kind, one, version)))
        seen = int(asked or self._version)
        place = 0
        while True:
            if seen < kind.oldest:
                gone = status(410, "Expired", "too old resource version")
                await exchange.chunk(_line("ERROR", gone))
                await exchange.chunk(b"")
                return
            while place < len(kind.events) and kind.events[place][0] <= seen:
                place += 1
            fresh = kind.events[place:]
            if not fresh:
                async with self._changed:
                    if place >= len(kind.events) and seen >= kind.oldest:
                        await self._changed.wait()
                continue
            place += len(fresh)
            body = b"".join(
                _line(how, self._served(kind, one, version))
                for number, how, one in fresh
                if number > seen and wanted(one)
            )
            seen = fresh[-1][0]
            if body:
                await exchange.chunk(body)

    async def _one(self, exchange: Exchange, kind: Kind, version: str, key: Key) -> None:
        request = exchange.request
        verb = {"GET": "get", "PATCH": "patch", "PUT": "update"}.get(request.method, "delete")
        if request.method == "PATCH":
            self._note(request, key)
        if await self._refused(exchange, verb, kind):
            return
        if key not in kind.rows:
            said = f'{kind.plural}.{kind.group} "{key[1]}" not found'
            await exchange.json(404, status(404, "NotFound", said))
        elif request.method == "GET":
            await exchange.json(200, self._served(kind, kind.rows[key], version))
        elif request.method == "PATCH":
            await self._patch(exchange, kind, version, key)
        else:
            await exchange.json(405, status(405, "MethodNotAllowed", "not here"))

    def _note(self, request: Request, key: Key) -> None:
        body = json.loads(request.body)
        agent = request.headers.get("user-agent", "")
        content = request.headers.get("content-type", "")
        self.patches.append(Patch(key, body, content, agent, self._version))

    async def _patch(self, exchange: Exchange, kind: Kind, version: str, key: Key) -> None:
        name = key[1]
        if name in self.conflicts:
            other = copy.deepcopy(kind.rows[key])
            other["metadata"].setdefault("annotations", {})["touched"] = str(self._version)
            self._write(kind, key, other, "MODIFIED")
        if name in self.lost:
            exchange.abort()
            return
        changes = self.patches[-1].body
        held = kind.rows[key]
        wanted = changes.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != held["metadata"]["resourceVersion"]:
            said = f'Operation cannot be fulfilled on {kind.plural} "{name}": it has been modified'
            await exchange.json(409, status(409, "Conflict", said))
            return
        served = self._served(kind, held, version)
        merged = merge(served, changes)
        stored = kind.convert(merged, version, kind.stored)
        self.put(kind.plural, stored)
        if name in self.silent:
            exchange.abort()
            return
        await exchange.json(200, self._served(kind, kind.rows[key], version))

    def _served(self, kind: Kind, one: Resource, version: str) -> Resource:
        if version == kind.stored:
            return one
        return kind.convert(copy.deepcopy(one), kind.stored, version)


def merge(value: Any, changes: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(changes, dict):
        return changes
    merged = dict(value) if isinstance(value, dict) else {}
    for name, change in changes.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), change)
    return merged


def _group(name: str, versions: tuple[str, ...]) -> Resource:
    listed = [{"groupVersion": f"{name}/{one}", "version": one} for one in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": listed,
        "preferredVersion": listed[0],
    }


def _resources(group_version: str, kinds: list[Kind]) -> Resource:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": [
            {
                "name": one.plural,
                "singularName": one.name.lower(),
                "namespaced": True,
                "kind": one.name,
                "verbs": ["get", "list", "watch", "patch"],
            }
            for one in kinds
        ],
    }


def _line(how: str, one: Resource) -> bytes:
    return json.dumps({"type": how, "object": one}).encode() + b"\n"
