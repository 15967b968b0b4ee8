"""The order of a run's files: those that wait beside those that compute, the longest first.

Workers take files in this order, so that the cores are busy while one waits, and the run's end is
made of short files. `weights.tsv` holds what the long ones took; `--weigh` writes it anew.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).with_name("weights.tsv")
LEAST_S = 4.0
"""Shorter files are in no table."""
_TEST_S = 0.02
"""A test's part of a file that is in no table; it counts as computing."""
_KEY = "weights"
_waited: dict[str, float] = defaultdict(float)
_computed: dict[str, float] = defaultdict(float)


@dataclass(frozen=True, slots=True)
class Weight:
    """What one file takes, in seconds."""

    waited: float
    computed: float

    @property
    def whole(self) -> float:
        """How long it lasts."""
        return self.waited + self.computed

    @property
    def waits(self) -> bool:
        """Whether most of it is spent waiting."""
        return self.waited > self.computed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--weigh`."""
    parser.addoption(
        "--weigh", action="store_true", help=f"write what long files take into {TABLE.name}"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files of a run that has workers."""
    if not hasattr(config, "workerinput"):
        return
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(file_of(item), []).append(item)
    known = weights()
    each = {
        name: known.get(name, Weight(0.0, _TEST_S * len(tests))) for name, tests in files.items()
    }
    items[:] = [item for name in mixed(each) for item in files[name]]


def file_of(item: pytest.Item) -> str:
    """The file of a test, as the table names it."""
    return item.nodeid.partition("::")[0]


def weights() -> dict[str, Weight]:
    """What the table says."""
    found = {}
    for line in TABLE.read_text().splitlines():
        waited, computed, name = line.split("\t")
        found[name] = Weight(float(waited), float(computed))
    return found


def mixed(each: Mapping[str, Weight]) -> list[str]:
    """All names: at each point as large a part of the waiting is begun as of the computing."""
    order = sorted(each, key=lambda name: (-each[name].whole, name))
    kinds = [[one for one in order if each[one].waits is waits] for waits in (True, False)]
    return [name for _, name in sorted(part for kind in kinds for part in _begun(kind, each))]


def _begun(names: Sequence[str], each: Mapping[str, Weight]) -> list[tuple[float, str]]:
    """Each with the part of its kind that is before it."""
    total = sum(each[name].whole for name in names) or 1.0
    before, found = 0.0, []
    for name in names:
        found.append((before / total, name))
        before += each[name].whole
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Weigh a test."""
    began, used = time.monotonic(), _processor_s()
    result = yield
    computed = _processor_s() - used
    _computed[file_of(item)] += computed
    _waited[file_of(item)] += max(0.0, time.monotonic() - began - computed)
    return result


def _processor_s() -> float:
    """What this process and its ended children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker has weighed."""
    for sums, more in zip(
        (_waited, _computed), getattr(node, "workeroutput", {}).get(_KEY, ()), strict=False
    ):
        for name, seconds in more.items():
            sums[name] += seconds


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the weights over, or write them down."""
    config = session.config
    if hasattr(config, "workerinput"):
        vars(config)["workeroutput"][_KEY] = dict(_waited), dict(_computed)
    elif config.getoption("weigh"):
        each = {name: Weight(_waited[name], _computed[name]) for name in _waited}
        long = sorted(name for name in each if each[name].whole >= LEAST_S)
        lines = [f"{each[one].waited:.0f}\t{each[one].computed:.0f}\t{one}\n" for one in long]
        TABLE.write_text("".join(lines))
