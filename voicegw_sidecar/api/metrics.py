"""``GET /metrics``: what was counted, and how things stand at this moment, as Prometheus text.

The event loop only takes the figures; the text, which grows with the number of projects, is written on a thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from aiohttp import web
from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from voicegw_sidecar import __version__
from voicegw_sidecar.api.answers import RELAY, RUNTIME
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.health import readiness_of
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.budgets import Standing
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.ledger.budget import budget_status
from voicegw_sidecar.relay import Relay
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.writer import WriterState
from voicegw_sidecar.terms import NANO_PER_USD, NS_PER_S, BudgetStatus


class State(Struct, frozen=True):
    """How a sidecar stands, taken at one moment."""

    uptime_s: float
    status: str
    is_draining: bool
    relaying: int
    open_sessions: dict[str, int]
    budgets: list[tuple[Project, Standing]]
    writer: WriterState
    open_holds: int
    not_in_force: int


@described("What was counted, and how things stand, as Prometheus text.", answers=str, media_type="text/plain")
async def metrics(request: web.Request, asked: Parameters) -> web.Response:
    """``GET /metrics``"""
    runtime = request.app[RUNTIME]
    state = state_of(runtime, request.app[RELAY])
    text = await asyncio.to_thread(_text, runtime.metrics.registry, state)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})


def state_of(runtime: Runtime, relay: Relay) -> State:
    """Take the figures; nothing here waits."""
    return State(
        uptime_s=(runtime.clock.monotonic_ns() - runtime.started_ns) / NS_PER_S,
        status=readiness_of(runtime).status,
        is_draining=runtime.is_draining,
        relaying=relay.running,
        open_sessions=Counter(session.project for session in runtime.sessions.all_open()),
        budgets=[(project, runtime.budgets.standing(project.id)) for project in runtime.catalog.projects.values()],
        writer=runtime.store.state(),
        open_holds=runtime.budgets.open_holds,
        not_in_force=len(runtime.judged.faults),
    )


def _text(counted: CollectorRegistry, state: State) -> bytes:
    standing = CollectorRegistry()
    standing.register(_Standing(state))
    return generate_latest(counted) + generate_latest(standing)


class _Standing(Collector):
    """Puts a state into the library's form."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        state = self._state
        about = GaugeMetricFamily("voicegw_build_info", "The version that runs.", labels=("version",))
        about.add_metric((__version__,), 1)
        yield about
        yield GaugeMetricFamily("voicegw_uptime_seconds", "Since the start.", state.uptime_s)
        yield GaugeMetricFamily("voicegw_ready", "1 unless /ready answers 503.", int(state.status != "unready"))
        yield GaugeMetricFamily("voicegw_degraded", "1 if something is wrong.", int(state.status == "degraded"))
        yield GaugeMetricFamily("voicegw_draining", "1 once it was told to stop.", int(state.is_draining))
        yield GaugeMetricFamily("voicegw_relaying", "Requests and sockets of agents under way.", state.relaying)
        yield GaugeMetricFamily(
            "voicegw_projects_not_in_force", "Projects made at run time that cannot be.", state.not_in_force
        )
        sessions = GaugeMetricFamily("voicegw_sessions_open", "Open sessions.", labels=("project",))
        for project, count in sorted(state.open_sessions.items()):
            sessions.add_metric((project,), count)
        yield sessions
        yield from self._store()
        yield from self._budgets()

    def _store(self) -> Iterator[Metric]:
        writer = self._state.writer
        yield GaugeMetricFamily("voicegw_store_waiting_rows", "Rows that wait for the disk.", writer.waiting_rows)
        yield GaugeMetricFamily("voicegw_store_limit_rows", "How many may wait.", writer.limit_rows)
        yield GaugeMetricFamily("voicegw_store_trouble", "1 while nothing can be written.", int(bool(writer.trouble)))
        yield CounterMetricFamily("voicegw_store_dropped_rows", "Rows lost at the limit.", writer.dropped_rows)
        yield CounterMetricFamily("voicegw_store_rejected_rows", "Rows the database refused.", writer.rejected_rows)

    def _budgets(self) -> Iterator[Metric]:
        one = ("project",)
        spent = GaugeMetricFamily("voicegw_budget_spent_usd", "Spent today, US dollars.", labels=one)
        held = GaugeMetricFamily("voicegw_budget_in_flight_usd", "Held by open exchanges, US dollars.", labels=one)
        limit = GaugeMetricFamily("voicegw_budget_limit_usd", "The daily budget; absent: unlimited.", labels=one)
        stands = GaugeMetricFamily("voicegw_budget_state", "1 for how it stands.", labels=("project", "state"))
        for project, standing in self._state.budgets:
            label = (project.id,)
            spent.add_metric(label, standing.spent_nanousd / NANO_PER_USD)
            held.add_metric(label, standing.in_flight_nanousd / NANO_PER_USD)
            if project.daily_budget_nanousd is None:
                continue
            limit.add_metric(label, project.daily_budget_nanousd / NANO_PER_USD)
            found = budget_status(standing.spent_nanousd, project.daily_budget_nanousd)
            for state in BudgetStatus:
                stands.add_metric((project.id, state), int(state == found))
        yield from (spent, held, limit, stands)
        yield GaugeMetricFamily(
            "voicegw_budget_holds", "Exchanges that hold a part of a budget.", self._state.open_holds
        )
