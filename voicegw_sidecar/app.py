"""The composition root: builds the runtime and mounts the routes. Only wiring; `serve` runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from zoneinfo import ZoneInfo

from aiohttp import web

from voicegw_sidecar.access import Access, Area
from voicegw_sidecar.agent_keys import AgentKeys
from voicegw_sidecar.api.answers import RELAY, RUNTIME
from voicegw_sidecar.api.routes import agent_routes, api_routes, open_routes
from voicegw_sidecar.attribution import Attribution
from voicegw_sidecar.brands import Brands, read_file_logos
from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.clock import Clock, SystemClock
from voicegw_sidecar.config import Config, Loaded
from voicegw_sidecar.guard import guard
from voicegw_sidecar.ids import first_id_at
from voicegw_sidecar.intercept import Intercept
from voicegw_sidecar.jobs import COUNTED_LIMIT, Jobs
from voicegw_sidecar.ledger.calendar import day_of
from voicegw_sidecar.legs import Legs, ProcessMemory
from voicegw_sidecar.managed_projects import judge
from voicegw_sidecar.metrics import Metrics
from voicegw_sidecar.picks import adaptive_projects
from voicegw_sidecar.providers import Provider
from voicegw_sidecar.recorder import Recorder
from voicegw_sidecar.relay import Relay
from voicegw_sidecar.relay.server import keep_relayed_headers
from voicegw_sidecar.rollup import Rollup
from voicegw_sidecar.routing.latency import WINDOW_NS
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.sessions import CLOSED_LIMIT, Sessions
from voicegw_sidecar.settings import catalog_of, price_book, price_of
from voicegw_sidecar.shares import Shares
from voicegw_sidecar.sign_ins import Guesses, SignIns
from voicegw_sidecar.signing import signing_key
from voicegw_sidecar.store.database import open_store, read_once
from voicegw_sidecar.store.queries import operators
from voicegw_sidecar.store.queries.budgets import budget_seed
from voicegw_sidecar.store.queries.jobs import counted_jobs
from voicegw_sidecar.store.queries.latencies import newest_samples, observations
from voicegw_sidecar.store.queries.sessions import closed_sessions, open_sessions
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.tracing import Traces
from voicegw_sidecar.web import render
from voicegw_sidecar.web.routes import brand_routes, door_routes, page_routes, static_routes
from voicegw_sidecar.workers import Workers

_SEEDED_NS = 2 * 86_400 * NS_PER_S  # yesterday too: the clock may be set back


class Parts:
    """What decides about calls; ``intercept`` is another one after a reload."""

    intercept: Intercept

    def __init__(self, recorder: Recorder | None, attribution: Attribution) -> None:
        self.recorder = recorder
        self.attribution = attribution
        self.memory = ProcessMemory()


PARTS = web.AppKey("parts", Parts)


def build_runtime(loaded: Loaded, clock: Clock | None = None) -> Runtime:
    """Open the database and put together what a sidecar is made of; raises `StoreFailed`."""
    clock, config = clock or SystemClock(), loaded.config
    zone, prices = ZoneInfo(config.timezone), price_book(config)
    store = open_store(config.cost_tracking.db_path, zone, clock.wall_ns(), lambda row: price_of(prices, row))
    budgets = Budgets(clock, zone)
    budgets.seed(read_once(store.path, budget_seed, day_of(clock.wall_ns() - _SEEDED_NS, zone)))
    managed = {row.project_id: row for row in read_once(store.path, operators.managed_projects)}
    judged = judge(managed.values(), config, loaded.environ)
    catalog = catalog_of(config, judged.projects)
    key = signing_key(store.path.parent)
    logos = read_file_logos(config.projects.values())
    sessions = Sessions(store, clock, lambda: runtime.catalog)
    sessions.remember_closed(read_once(store.path, closed_sessions, CLOSED_LIMIT))
    for row, active_ns in read_once(store.path, open_sessions, store.node_id):
        sessions.take_over(row, active_ns)
    runtime = Runtime(
        loaded=loaded,
        managed=managed,
        judged=judged,
        catalog=catalog,
        access=_access(config, key),
        clock=clock,
        zone=zone,
        prices=prices,
        store=store,
        budgets=budgets,
        jobs=Jobs(read_once(store.path, counted_jobs, COUNTED_LIMIT)),
        sessions=sessions,
        rollup=Rollup(
            store,
            clock,
            read_once(store.path, observations),
            read_once(store.path, newest_samples, first_id_at(clock.wall_ns() - WINDOW_NS), adaptive_projects(catalog)),
        ),
        agent_keys=AgentKeys(catalog.projects),
        brands=Brands(store.path.parent, read_once(store.path, operators.brands), logos),
        shares=Shares(key, clock, read_once(store.path, operators.shares)),
        sign_ins=SignIns(store, clock, read_once(store.path, operators.sign_ins, clock.wall_ns())),
        guesses=Guesses(clock),
        api_guesses=Guesses(clock),
        signing_key=key,
        started_ns=clock.monotonic_ns(),
        metrics=Metrics(),
        changing=asyncio.Lock(),
    )
    runtime.metrics.started(clock.wall_ns())
    return runtime


def _access(config: Config, signing_key: bytes) -> Access:
    auth, serve = config.auth, config.serve
    return Access(
        auth.api_keys, auth.viewer_keys, serve.allowed_hosts, serve.public_url, serve.trusted_proxies, signing_key
    )


def build_app(runtime: Runtime) -> web.Application:
    """Mount every route; what no page and no API route takes is the agents'."""
    app = web.Application()
    app[RUNTIME] = runtime
    areas: dict[web.AbstractRoute, Area] = {}

    def mount(routes: list[web.RouteDef], area: Area) -> None:
        for definition in routes:
            for route in definition.register(app.router):
                areas[route] = area
                for other in route.resource or ():  # what is mounted for GET answers HEAD too
                    if other.method == "HEAD" and definition.method == "GET":
                        areas[other] = area

    mount(brand_routes(), Area.BRAND)  # before the static files: a logo's address is below theirs
    mount([*open_routes(), *static_routes()], Area.OPEN)
    mount(api_routes(), Area.API)
    mount(agent_routes(), Area.SESSION)
    mount(door_routes(), Area.DOOR)
    mount(page_routes(), Area.PAGE)
    mount([web.route("*", "/{tail:.*}", _relay)], Area.DATA)
    app.middlewares.append(guard(runtime, areas, lambda: app[PARTS].intercept.refused))
    app.on_response_prepare.append(keep_relayed_headers)
    app.cleanup_ctx.append(_relaying)
    render.set_up(app, runtime.zone)
    return app


async def _relay(request: web.Request) -> web.StreamResponse:
    return await request.app[RELAY].handle(request)


async def _relaying(app: web.Application) -> AsyncIterator[None]:
    """The relay lives in the running loop: opened at start, closed at the end."""
    runtime = app[RUNTIME]
    recorder, traces = None, Traces(runtime)
    runtime.sessions.on_written = traces.session_closed
    if runtime.catalog.config.cost_tracking.enabled:
        unpriced = runtime.catalog.config.cost_tracking.unpriced
        recorder = Recorder(runtime.store, runtime.prices, runtime.clock, runtime.budgets, unpriced)
        recorder.on_closed = lambda row: _ended(runtime, traces, row)
    attribution = Attribution(runtime.store, runtime.sessions, runtime.clock)
    app[PARTS] = parts = Parts(recorder, attribution)
    parts.intercept = _intercept(runtime, parts)
    runtime.put_in_force = lambda: _put_in_force(runtime, parts)
    app[RELAY] = relay = Relay(lambda arrival: parts.intercept.decide(arrival), runtime.clock, runtime.metrics)
    workers = Workers(runtime, attribution, traces)
    yield
    await relay.close()
    attribution.close()
    await workers.close()


def _ended(runtime: Runtime, traces: Traces, row: ExchangeRow) -> None:
    """Tell who is told of each exchange that ended."""
    runtime.rollup.note(row)
    runtime.metrics.ended(row)
    traces.exchange_ended(row)


def _intercept(runtime: Runtime, parts: Parts) -> Intercept:
    def legs(providers: Mapping[str, Provider]) -> Legs:
        return Legs(
            runtime.catalog, providers, runtime.rollup, runtime.sessions, runtime.prices, runtime.clock, parts.memory
        )

    return Intercept(
        runtime.catalog, runtime.agent_keys, parts.recorder, parts.attribution, runtime.jobs, legs,
        lambda: runtime.is_draining, lambda: parts.intercept.reception,
    )  # fmt: skip


def _put_in_force(runtime: Runtime, parts: Parts) -> None:
    """Let the next call and the next session have another configuration; what runs keeps what it began with."""
    config = runtime.loaded.config
    runtime.catalog = catalog_of(config, runtime.judged.projects)
    runtime.access = _access(config, runtime.signing_key)
    runtime.agent_keys = AgentKeys(runtime.catalog.projects)
    runtime.prices = price_book(config)
    if parts.recorder is not None:
        parts.recorder.reprice(runtime.prices, config.cost_tracking.unpriced)
    parts.intercept = _intercept(runtime, parts)
