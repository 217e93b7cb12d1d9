"""What the sidecar counts for Prometheus as it happens; how things stand is asked at each scrape (``api.metrics``).

Labels are bounded: projects, providers and modalities are the configuration's, outcomes and codes are closed sets.
Models and session ids are the agents' own words and are no labels.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

from voicegw_sidecar.relay.plan import Part
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import NANO_PER_USD, NS_PER_S, Status

OTHER = "other"
"""The modality of what is relayed and not understood."""
_FIRST_OUTPUT_S = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_DELAY_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_MS_PER_S = 1000

Child = TypeVar("Child", bound=MetricWrapperBase)


class Metrics:
    """Counters and histograms of one sidecar, in a registry of their own; each method takes about a microsecond."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)

        def counter(name: str, about: str, *labels: str) -> _Family[Counter]:
            return _Family(Counter(f"voicegw_{name}", about, labels, registry=registry))

        def histogram(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> _Family[Histogram]:
            return _Family(Histogram(f"voicegw_{name}", about, labels, registry=registry, buckets=buckets))

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"voicegw_{name}", about, registry=registry)

        work = ("project", "provider", "modality")
        self._exchanges = counter("exchanges", "Exchanges that ended, by outcome.", *work, "status")
        self._cost = counter("cost_usd", "What ended exchanges cost, US dollars.", *work)
        self._unpriced = counter("unpriced_exchanges", "Ended exchanges whose cost is not known.", *work)
        self._first = histogram(
            "first_output_seconds", "Time to the first useful output of exchanges that succeeded.", _FIRST_OUTPUT_S,
            "provider", "modality",
        )  # fmt: skip
        self._delay = histogram(
            "added_delay_seconds", "What the sidecar itself added to what it relayed.", _DELAY_S, "part"
        )
        self._connections = counter("connections", "Requests and sockets of agents that were let on.", "kind")
        self._refusals = counter("refusals", "Requests of agents that the sidecar refused, by its code.", "code")
        self._alerts = counter("alerts", "Attempts to deliver a budget alert.", "result")
        self._traces = counter("traces", "Traces handed to the exporter, or dropped.", "result")
        self._reloads = counter("config_reloads", "Reloads of the configuration file.", "result")
        self._reload_success = gauge("config_last_reload_success", "1 unless the latest reload was refused.")
        self._reload_success.set(1)
        self._reload_time = gauge("config_last_reload_timestamp_seconds", "When a file was last put in force.")
        self._lag = histogram("event_loop_lag_seconds", "How late the event loop was for a timer of its own.", _LAG_S)

    def started(self, wall_ns: int) -> None:
        """Take the time at which the first configuration was put in force."""
        self._reload_time.set(wall_ns / NS_PER_S)

    def ended(self, row: ExchangeRow) -> None:
        """Count an exchange that ended."""
        modality = row.modality or OTHER
        work = (row.project, row.provider, modality)
        self._exchanges.child(*work, row.status).inc()
        if row.cost_nanousd is None:
            self._unpriced.child(*work).inc()
        elif row.cost_nanousd > 0:
            self._cost.child(*work).inc(row.cost_nanousd / NANO_PER_USD)
        if row.first_ms is not None and row.status is Status.OK:
            self._first.child(row.provider, modality).observe(row.first_ms / _MS_PER_S)

    def delayed(self, part: Part, delay_ns: int) -> None:
        """Take how long something was held here before it went on."""
        self._delay.child(part).observe(delay_ns / NS_PER_S)

    def connected(self, *, is_socket: bool) -> None:
        """Count a request or socket that was let on."""
        self._connections.child("socket" if is_socket else "request").inc()

    def refused(self, code: str) -> None:
        """Count a request that was refused."""
        self._refusals.child(code).inc()

    def alerted(self, *, is_delivered: bool) -> None:
        """Count an attempt to deliver an alert."""
        self._alerts.child("delivered" if is_delivered else "failed").inc()

    def traced(self, result: str, count: int = 1) -> None:
        """Count traces: ``exported``, ``failed`` or ``dropped``."""
        self._traces.child(result).inc(count)

    def reloaded(self, wall_ns: int, *, is_in_force: bool) -> None:
        """Take the result of a reload."""
        self._reloads.child("in_force" if is_in_force else "refused").inc()
        self._reload_success.set(int(is_in_force))
        if is_in_force:
            self._reload_time.set(wall_ns / NS_PER_S)

    def lagged(self, lag_s: float) -> None:
        """Take how late the event loop was."""
        self._lag.child().observe(max(0.0, lag_s))


class _Family(Generic[Child]):
    """A metric's children by their labels: the library's own look-up takes four times as long."""

    def __init__(self, parent: Child) -> None:
        self._parent = parent
        self._children: dict[tuple[str, ...], Child] = {}

    def child(self, *labels: str) -> Child:
        """Return the child of these labels, made when it is first asked for."""
        found = self._children.get(labels)
        if found is None:
            found = self._children[labels] = self._parent.labels(*labels) if labels else self._parent
        return found
