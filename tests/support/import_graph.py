"""The import graph of the project, read from its source: every import, wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PACKAGES = ("services", "widgets", "tui")


def name_of(path: Path, root: Path) -> str:
    """The dotted name of a module; a package's `__init__` is the package."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def under(name: str, *roots: str) -> bool:
    """Whether `name` is one of `roots` or lies below one."""
    return any(name == root or name.startswith(root + ".") for root in roots)


def longest_path(arrows: Mapping[str, AbstractSet[str]]) -> list[str]:
    """The longest way down along arrows; RecursionError where they make a ring."""
    below: dict[str, list[str]] = {}

    def way(name: str) -> list[str]:
        if name not in below:
            below[name] = max(map(way, sorted(arrows[name])), key=len, default=[])
        return [name, *below[name]]

    return max(map(way, sorted(arrows)), key=len, default=[])


@dataclass(frozen=True)
class Imported:
    """One import: what it names, and whether only a call or a type checker performs it."""

    name: str
    deferred: bool


@dataclass(frozen=True)
class Tree:
    """The modules of a checkout by dotted name, with their source."""

    sources: Mapping[str, str]

    @classmethod
    @cache
    def read(cls, root: Path) -> Tree:
        """The modules below `root`; those of one checkout are read once."""
        paths = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
        return cls({name_of(path, root): path.read_text("utf-8") for path in paths})

    def planted(self, **more: str) -> Tree:
        """A copy in which lines stand at the end of a module; `__` in a name is a dot."""
        sources = dict(self.sources)
        for key, lines in more.items():
            name = key.replace("__", ".")
            sources[name] = f"{sources.get(name, '')}\n{lines}\n"
        return Tree(sources)

    @cached_property
    def parsed(self) -> dict[str, ast.Module]:
        """Syntax trees by module."""
        return {name: _parsed(text) for name, text in self.sources.items()}

    @cached_property
    def imported(self) -> dict[str, tuple[Imported, ...]]:
        """All that each module imports, other people's included."""
        return {name: _imported(name, text) for name, text in self.sources.items()}

    @cached_property
    def arrows(self) -> dict[str, frozenset[str]]:
        """Which modules of ours each module imports, type checking and lazy ones included."""
        return self._arrows(lazy=True)

    @cached_property
    def eager(self) -> dict[str, frozenset[str]]:
        """Which modules of ours are loaded with each module."""
        return self._arrows(lazy=False)

    def closure(self, *starts: str, eager: bool = False) -> frozenset[str]:
        """All that can be reached from modules, themselves left out unless in a ring."""
        arrows = self.eager if eager else self.arrows
        reached: set[str] = set()
        waiting = [one for start in starts for one in arrows[start]]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += arrows[name]
        return frozenset(reached)

    def rings(self) -> list[list[str]]:
        """Groups of modules that import each other in a circle."""
        reach = {name: self.closure(name) for name in self.sources}
        inside = [name for name in self.sources if name in reach[name]]
        groups = {frozenset(o for o in inside if o in reach[n] and n in reach[o]) for n in inside}
        return sorted(sorted(group) for group in groups)

    @cached_property
    def packages(self) -> frozenset[str]:
        """The modules that are folders."""
        return frozenset(name.rpartition(".")[0] for name in self.sources) & self.sources.keys()

    @cached_property
    def importers(self) -> dict[str, frozenset[str]]:
        """Who uses each module: a re-export is seen through, and its folder is no user."""
        found: dict[str, set[str]] = {name: set() for name in self.sources}
        for user in self.sources.keys() - self.packages:
            told = (self._at_its_place(one.name) for one in self.imported[user])
            for used in self._ours(told):
                found[used].add(user)
        return {name: frozenset(users - {name}) for name, users in found.items()}

    def classes(self, *packages: str) -> Iterator[tuple[str, ast.ClassDef]]:
        """(module, class) of every class below the packages, nested ones included."""
        for name, tree in self.parsed.items():
            if under(name, *packages):
                for node in ast.walk(tree):
                    if isinstance(node, ast.ClassDef):
                        yield name, node

    def named(self, module: str) -> dict[str, str]:
        """The full names of what a module imports, by the names it has there."""
        return _named(self.sources[module])

    def _at_its_place(self, name: str) -> str:
        """Where what a folder's own file re-exports is defined."""
        folder, _, symbol = name.rpartition(".")
        return self.named(folder).get(symbol, name) if folder in self.packages else name

    def _arrows(self, *, lazy: bool) -> dict[str, frozenset[str]]:
        return {
            name: frozenset(self._ours(one.name for one in found if lazy or not one.deferred))
            - {name}
            for name, found in self.imported.items()
        }

    def _ours(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name in self.sources:
                yield name
            elif (parent := name.rpartition(".")[0]) in self.sources:
                yield parent


@cache
def _parsed(text: str) -> ast.Module:
    """Nobody changes a tree, so that planted copies share all but what was planted."""
    return ast.parse(text)


@cache
def _imported(module: str, text: str) -> tuple[Imported, ...]:
    tree = _parsed(text)
    later = {id(node) for node in _deferred(tree)}
    return tuple(
        Imported(name, id(node) in later)
        for node in ast.walk(tree)
        for name in _names(module, node)
    )


@cache
def _named(text: str) -> dict[str, str]:
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(_parsed(text))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _names(module: str, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:
            raise AssertionError(f"{module}:{node.lineno}: import by the full name")
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return [first.value]
    return []


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _deferred(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that loading the module does not run: bodies of functions, type checking."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
                yield from (inner for child in body for inner in ast.walk(child))
            case ast.If(test=test, body=body) if "TYPE_CHECKING" in ast.unparse(test):
                yield from (inner for child in body for inner in ast.walk(child))
