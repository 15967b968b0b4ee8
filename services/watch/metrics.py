"""What is watched, for Prometheus: a page on loopback with a bounded number of series."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from services.board.board import Board
from services.errors import ConfigError, UnavailableError
from services.watch.aggregates import Aggregates, bounded

DEFAULT_ADDRESS = "127.0.0.1:9646"
MOST_SANDBOXES = 2_000
"""Sandboxes that are told apart by name; how many are not is a series of its own."""
_REQUEST_S = 10.0
_GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sandboxes": ("Sandboxes by shown state; stale rows are not among them.", ("source", "state")),
    "gateways": ("Gateways by state; stale rows are not among them.", ("source", "state")),
    "stale_rows": ("Rows kept from an earlier look because the last one failed.", ("source",)),
    "needs_me": ("Sandboxes in which something waits for a person.", ("source",)),
    "source_up": ("Whether the source answers.", ("source",)),
    "source_latency_seconds": ("The slowest gateway at the last look.", ("source",)),
    "cost_usd": (
        "What the sandboxes there are have cost so far, as their providers report it.",
        ("source",),
    ),
    "sandboxes_reporting_cost": ("Sandboxes whose cost is reported.", ("source",)),
    "queue_messages": ("Messages by label.", ("source", "direction", "label")),
    "held_up_seconds": ("How long this process was last held up itself.", ()),
    "sandbox_state": ("1 for the state a sandbox is in.", ("source", "sandbox", "state")),
    "sandboxes_not_named": ("Sandboxes beyond those told apart by name.", ()),
}
_COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "state_seconds": ("Seconds that sandboxes spent in a state, summed.", ("source", "state")),
    "transitions": ("Transitions in the history.", ("source", "kind", "severity")),
    "attempts": ("Attempts of all panels by their end.", ("source", "end")),
    "false_starts": ("Ready for less than a minute before trouble.", ("source",)),
    "void_looks": ("Looks void by this process's own lateness.", ("source",)),
}
PREFIX = "wakedeck_"


def names() -> frozenset[str]:
    """Every name of a series there can be, as Prometheus stores it."""
    counters = {f"{PREFIX}{name}_total" for name in _COUNTERS}
    return frozenset(counters | {PREFIX + name for name in _GAUGES})


class Metrics:
    """Collects the series of a board; `label_sandboxes` names sandboxes one by one."""

    def __init__(
        self, board: Board, aggregates: Aggregates, *, label_sandboxes: bool = False
    ) -> None:
        self._board = board
        self._aggregates = aggregates
        self._label_sandboxes = label_sandboxes

    def collect(self) -> Iterator[Any]:
        """Metric families as prometheus-client takes them; called in a thread of the server."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kept = self._aggregates
        links = [(key, link) for key, link in dict(self._board.links).items()]
        held = self._board.held_up
        gauges: dict[str, Iterable[tuple[tuple[str, ...], float]]] = {
            "sandboxes": kept.sandboxes.copy().items(),
            "gateways": kept.gateways.copy().items(),
            "stale_rows": kept.stale.copy().items(),
            "needs_me": kept.needs_me.copy().items(),
            "source_up": [((key,), float(link.connected)) for key, link in links],
            "source_latency_seconds": [
                ((key,), link.latency_s) for key, link in links if link.latency_s is not None
            ],
            "cost_usd": kept.costs_usd().items(),
            "sandboxes_reporting_cost": kept.reporting_costs.copy().items(),
            "queue_messages": bounded(kept.queued.copy()).items(),
            "held_up_seconds": [((), 0.0 if held is None else held.held_up_s)],
        }
        if self._label_sandboxes:
            gauges |= self._by_name()
        for name, values in gauges.items():
            said, labels = _GAUGES[name]
            yield _filled(GaugeMetricFamily(PREFIX + name, said, labels=labels), values)
        counters: dict[str, Mapping[Any, float]] = {
            "state_seconds": kept.state_seconds,
            "transitions": kept.transitions,
            "attempts": kept.attempts,
            "false_starts": kept.false_starts,
            "void_looks": Counter({(key,): n for key, n in self._board.void_looks.copy().items()}),
        }
        for name, table in counters.items():
            said, labels = _COUNTERS[name]
            family = CounterMetricFamily(PREFIX + name, said, labels=labels)
            yield _filled(family, dict(table).items())

    def _by_name(self) -> dict[str, Iterable[tuple[tuple[str, ...], float]]]:
        rows = dict(self._board.sandboxes)
        named = sorted(rows, key=attrgetter("source", "native_id"))[:MOST_SANDBOXES]
        return {
            "sandbox_state": [
                ((key.source, key.native_id, rows[key].state.value), 1.0) for key in named
            ],
            "sandboxes_not_named": [((), float(len(rows) - len(named)))],
        }


def _filled(family: Any, values: Iterable[tuple[tuple[str, ...], float]]) -> Any:
    for labels, value in values:
        family.add_metric(labels, float(value))
    return family


def address(text: str) -> tuple[str, int]:
    """Where to listen: HOST:PORT of loopback.

    Raises:
        ConfigError: it is no such place.
    """
    host, _, port = text.rpartition(":")
    try:
        at = ipaddress.ip_address("127.0.0.1" if host in ("", "localhost") else host)
        number = int(port)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no address; say {DEFAULT_ADDRESS}.") from error
    if at.version != 4 or not at.is_loopback or not 0 <= number <= 65_535:
        raise ConfigError(
            f"{text!r} is not on loopback: metrics are served without a password.",
            advice="Let a proxy that asks for one stand before it.",
        )
    return str(at), number


class MetricsPage:
    """Serves `/metrics` in threads of its own until it is closed."""

    def __init__(self, collector: Metrics, host: str, port: int) -> None:
        """Listens when this returns.

        Raises:
            UnavailableError: prometheus-client is not installed, or the port is taken.
        """
        try:
            from prometheus_client import CollectorRegistry, make_wsgi_app
        except ImportError as error:
            raise UnavailableError(
                "Metrics need prometheus-client, which is not installed.",
                advice="Install the extra: pip install 'wakedeck[metrics]'.",
            ) from error
        registry = CollectorRegistry()
        registry.register(collector)
        app = _guarded(make_wsgi_app(registry))
        try:
            self._server = make_server(host, port, app, _Server, _Handler)
        except OSError as error:
            raise UnavailableError(
                f"Metrics cannot be served on {host}:{port}: {error.strerror}."
            ) from error
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_S

    def log_message(self, format: str, *args: Any) -> None:
        return


def _guarded(app: Callable[..., Any]) -> Callable[..., Any]:
    """The page alone, and only for who asks this machine by its name, as no web site does."""

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        host = str(environ.get("HTTP_HOST", "")).rpartition(":")[0] or "?"
        known = host == "localhost" or host.startswith("127.")
        if not known or environ.get("REQUEST_METHOD") != "GET":
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"asked for in a way that is not answered\n"]
        if environ.get("PATH_INFO") != "/metrics":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"there is /metrics and nothing else\n"]
        return app(environ, start)

    return guarded
