"""A pytest plugin that gives account of a run: its kits, its skips and what it left behind."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests.support import kits, leftovers

SLOW_S = 600.0
"""The limit of a test that says it is slow, or that may have to fetch its kit first."""
_KIT = "kit"
_KEY = "left_behind"
_run = pytest.StashKey[leftovers.Run]()
_left = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--slowest`."""
    parser.addoption(
        "--slowest", action="store_true", help="show the twenty slowest parts of tests"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Five for two cores: more than half of a test's time is spent waiting for other programs."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 2
    return min(5 * cores // 2, 8)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Start no workers for a single file: they take longer than its tests."""
    named = [one.partition("::")[0] for one in config.invocation_params.args if one[:1] != "-"]
    files = [one for one in named if one.endswith(".py")]
    asked = any(one.startswith(("-n", "--numprocesses")) for one in config.invocation_params.args)
    if len(files) == 1 == len(set(named)) and not asked:
        config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the run a temporary folder of its own before anybody asks for one."""
    config.stash[_left] = []
    if config.getoption("slowest"):
        config.option.durations, config.option.durations_min = 20, 0.0
    if not _is_worker(config):
        _end_tidily()
        config.stash[_run] = leftovers.begin()


def _end_tidily() -> None:
    """Have a run that is told to end do so as at an interrupt: with all that it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give those longer that need it."""
    for item in items:
        longer = item.get_closest_marker("slow") or item.get_closest_marker("kit")
        if longer and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which kits the test used, where the reports of workers carry it along."""
    item.user_properties.extend((_KIT, f"{name}|{why}") for name, why in kits.take_uses())
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker says it left behind."""
    said = getattr(node, "workeroutput", {}).get(_KEY, [])
    node.config.stash[_left].extend(f"{node.gateway.id}: {one}" for one in said)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look at what is left behind: each worker at its own, then one at the whole run."""
    config = session.config
    if config.getoption("collectonly"):
        return
    if _is_worker(config) or not config.getoption("numprocesses", None):
        if kept_servers := sys.modules.get("tests.support.kept_servers"):
            kept_servers.end_all()
        config.stash[_left] += leftovers.unclosed()
        config.stash[_left] += leftovers.children()
        config.stash[_left] += leftovers.connections()
    if _is_worker(config):
        vars(config)["workeroutput"][_KEY] = config.stash[_left]
        return
    run = config.stash[_run]
    config.stash[_left] += leftovers.processes(str(run.folder), *_own_folder(config))
    config.stash[_left] += run.end()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    nameless = _nameless(reporter) if reporter is not None else []
    if session.exitstatus == pytest.ExitCode.OK and (config.stash[_left] or nameless):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the temporary folder back where the run never got as far as its end."""
    if (run := config.stash.get(_run, None)) is not None and run.folder.exists():
        run.end()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print a line for each kit, each kind of skip and each thing left behind."""
    for title, lines in (
        ("kits", _kits(terminalreporter)),
        ("skipped", _skips(terminalreporter)),
        ("retried or skipped without a reason", _nameless(terminalreporter)),
        ("left behind", config.stash[_left]),
    ):
        if lines:
            terminalreporter.section(title, sep="-")
            for line in lines:
                terminalreporter.write_line(line)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _own_folder(config: pytest.Config) -> list[str]:
    """Pytest's folder of this run, where a test was given one."""
    factory = getattr(config, "_tmp_path_factory", None)
    return [] if factory is None else [str(factory.getbasetemp())]


def _kits(reporter: pytest.TerminalReporter) -> list[str]:
    ran: Counter[str] = Counter()
    lacked: Counter[str] = Counter()
    why: dict[str, str] = {}
    for reports in reporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") != "teardown":
                continue
            for name, said in set(report.user_properties):
                if name != _KIT:
                    continue
                kit, _, reason = str(said).partition("|")
                (lacked if reason else ran)[kit] += 1
                why[kit] = reason
    lines = []
    for kit in sorted(set(ran) | set(lacked)):
        did = f"ran in {ran[kit]}" if ran[kit] else f"skipped in {lacked[kit]}: {why[kit]}"
        lines.append(f"{kit:16} {did}")
    return lines


def _reason(report: Any) -> str:
    longrepr = report.longrepr
    said = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr or "")
    return str(said).removeprefix("Skipped").removeprefix(":").strip()


def _skips(reporter: pytest.TerminalReporter) -> list[str]:
    reasons = Counter(_reason(one) for one in reporter.stats.get("skipped", []))
    return [f"{count} x {reason}" for reason, count in sorted(reasons.items()) if reason]


def _nameless(reporter: pytest.TerminalReporter) -> list[str]:
    """Tests that were run again, and skips that do not say why."""
    silent = ("", "unconditional skip")
    found = [f"retried: {one.nodeid}" for one in reporter.stats.get("rerun", [])]
    skipped = reporter.stats.get("skipped", [])
    return found + [f"skipped: {one.nodeid}" for one in skipped if _reason(one) in silent]
