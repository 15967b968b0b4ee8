"""Draws logic mutants and runs the tests that import what was changed.

`python -m tests.support.mutants --base REV --count N` draws from the tree of REV, in a copy; the
first eight hex digits of that commit are the seed. A mutant turns one comparison around or shifts
its bound, makes `and` an `or`, or drops a `not`.

Every module can be drawn. Asked are the unit and pilot tests that import it directly. Where none
does, every unit test is asked that comes to it through imports of modules of ours and of
`tests.support`, the nearest first; where no test does, the mutant lives.
Tests marked `slow` are not asked: `make quick` goes without them.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.import_graph import Tree, name_of, under

ROOT = Path(__file__).resolve().parents[2]
SLOWDOWN = 10
"""How many times longer than without a mutant the tests may take; longer is killed as well."""
LEAST_S = 60.0
OPTIONS = ("-n0", "-x", "-p", "no:cacheprovider", "-m", "not slow")
_OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True, order=True)
class Site:
    """A place where a mutant can be: the n-th logic operator of a module."""

    module: str
    number: int


@dataclass(frozen=True)
class Mutant:
    """A module with one operator changed."""

    site: Site
    line: int
    before: str
    after: str
    source: str


@dataclass(frozen=True)
class Result:
    """What the tests said to a mutant."""

    module: str
    number: int
    line: int
    before: str
    after: str
    outcome: str
    """`killed`, `survived`, or `broken` where the tests fail without the mutant."""
    tests: tuple[str, ...]


def operators(tree: ast.Module) -> Iterator[tuple[ast.expr, int]]:
    """Every logic operator in the order of the source: its node, and which of the node's it is."""
    found: list[tuple[int, int, int, ast.expr]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            found += [(node.lineno, node.col_offset, n, node) for n in range(len(node.ops))]
        elif isinstance(node, ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            found.append((node.lineno, node.col_offset, 0, node))
    # Nodes that begin at the same place keep the order of the walk: outer first.
    for _, _, index, node in sorted(found, key=lambda one: one[:2]):
        yield node, index


def mutate(source: str, site: Site) -> Mutant:
    """The mutant of a site; the module's text is written anew from its syntax tree."""
    tree = ast.parse(source)
    node, index = list(operators(tree))[site.number]
    before = ast.unparse(node)
    changed: ast.expr
    if isinstance(node, ast.Compare):
        node.ops[index] = _OTHER[type(node.ops[index])]()
        changed = node
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        changed = node
    else:
        assert isinstance(node, ast.UnaryOp)
        changed = node.operand
        _Replace(node, changed).visit(tree)
    return Mutant(site, node.lineno, before, ast.unparse(changed), ast.unparse(tree) + "\n")


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old = old
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


def importers(
    root: Path, folders: Sequence[str], further: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Which test files below `folders` import each module of ours directly.

    Where none does: those below `further` that come to it through other modules, nearest first.
    """
    sources = dict(Tree.read(root).sources)
    support = {name_of(path, root): path for path in (root / "tests/support").rglob("*.py")}
    tests = {
        name_of(path, root): path
        for folder in dict.fromkeys((*folders, *further))
        for path in sorted((root / folder).rglob("test_*.py"))
    }
    texts = {name: path.read_text("utf-8") for name, path in {**support, **tests}.items()}
    arrows = Tree({**sources, **texts}).arrows
    found: dict[str, dict[int, list[str]]] = {module: {} for module in sources}
    for name, path in tests.items():
        file = path.relative_to(root)
        inside = [any(file.is_relative_to(one) for one in some) for some in (folders, further)]
        for module, far in _distances(arrows, name).items():
            if module in found and inside[far > 1]:
                found[module].setdefault(far, []).append(str(file))
    return {
        module: tuple(near.get(1, ())) or tuple(file for far in sorted(near) for file in near[far])
        for module, near in found.items()
    }


def _distances(arrows: Mapping[str, AbstractSet[str]], start: str) -> dict[str, int]:
    """How many imports away everything is that can be reached from a module."""
    far = {start: 0}
    waiting = deque([start])
    while waiting:
        name = waiting.popleft()
        for other in arrows[name] - far.keys():
            far[other] = far[name] + 1
            waiting.append(other)
    return far


def draw(sources: dict[str, str], seed: str, count: int) -> list[Site]:
    """`count` sites in the order they were drawn: more of the same seed begin with the same."""
    sites = [
        Site(module, number)
        for module in sorted(sources)
        for number, _ in enumerate(operators(ast.parse(sources[module])))
    ]
    random.Random(int(seed, 16)).shuffle(sites)
    return sites[:count]


def unpack(revision: str, folder: Path) -> None:
    """The tree of a commit as files."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", revision], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


class Runner:
    """Runs test files of a copy; how long they take without a mutant is measured once each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._usual: dict[tuple[str, ...], float | None] = {}

    def run(self, mutant: Mutant, tests: tuple[str, ...]) -> str:
        """The outcome; the module is as before afterwards. Where there is no test, it lives."""
        if not tests:
            return "survived"
        usual = self._usual_s(tests)
        if usual is None:
            return "broken"
        stem = self._root.joinpath(*mutant.site.module.split("."))
        path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        whole = path.read_text("utf-8")
        try:
            path.write_text(mutant.source, "utf-8")
            passed = self._passes(tests, max(LEAST_S, SLOWDOWN * usual))
        finally:
            path.write_text(whole, "utf-8")
        return "survived" if passed else "killed"

    def _usual_s(self, tests: tuple[str, ...]) -> float | None:
        if tests not in self._usual:
            began = time.monotonic()
            passed = self._passes(tests, 600.0)
            self._usual[tests] = time.monotonic() - began if passed else None
        return self._usual[tests]

    def _passes(self, tests: tuple[str, ...], limit_s: float) -> bool:
        # What a killed run leaves in its temporary folder goes with that.
        with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as scratch:
            child = subprocess.Popen(
                [sys.executable, "-Bm", "pytest", *OPTIONS, *tests],
                cwd=self._root,
                env={**os.environ, "TMPDIR": scratch},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                return child.wait(limit_s) in (
                    pytest.ExitCode.OK,
                    pytest.ExitCode.NO_TESTS_COLLECTED,
                )
            except subprocess.TimeoutExpired:
                return False
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()


def chosen(path: Path) -> list[Site]:
    """The sites of a file of results, to run again."""
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [Site(row["module"], row["number"]) for row in rows]


def results(
    root: Path, sites: Iterable[Site], sources: dict[str, str], tests: dict[str, tuple[str, ...]]
) -> Iterator[Result]:
    """Run one mutant after the other."""
    runner = Runner(root)
    for site in sites:
        mutant = mutate(sources[site.module], site)
        files = tests[site.module]
        yield Result(
            site.module,
            site.number,
            mutant.line,
            mutant.before,
            mutant.after,
            runner.run(mutant, files),
            files,
        )


def main() -> int:
    """Print a line of JSON for each mutant, then what was killed; 1 where one survived."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--base", default="HEAD", help="the commit to draw from and to run")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", help="hex digits; else the first eight of the commit")
    parser.add_argument("--under", default="services", help="the package to change")
    parser.add_argument("--tests", nargs="+", default=["tests/unit", "tests/pilot"])
    parser.add_argument("--further", nargs="+", default=["tests/unit"], help="where none does")
    parser.add_argument("--sites", type=Path, help="run the mutants of this file of results again")
    options = parser.parse_args()
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{options.base}^{{commit}}"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if found.returncode:
        parser.error(f"there is no commit {options.base!r}")
    commit = found.stdout.strip()
    seed = options.seed or commit[:8]
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        root = Path(name)
        unpack(commit, root)
        tests = importers(root, options.tests, options.further)
        sources = {n: t for n, t in Tree.read(root).sources.items() if under(n, options.under)}
        sites = chosen(options.sites) if options.sites else draw(sources, seed, options.count)
        print(
            f"{len(sites)} mutants of {commit[:12]}, seed {seed}; "
            f"{sum(not tests[name] for name in sources)} of {len(sources)} modules no test reaches",
            file=sys.stderr,
        )
        counts = {"killed": 0, "survived": 0, "broken": 0}
        for result in results(root, sites, sources, tests):
            counts[result.outcome] += 1
            print(json.dumps(asdict(result)), flush=True)
    print(", ".join(f"{number} {what}" for what, number in counts.items()), file=sys.stderr)
    return 0 if counts["killed"] == len(sites) else 1


if __name__ == "__main__":
    sys.exit(main())
