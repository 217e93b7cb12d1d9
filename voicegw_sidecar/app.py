"""The composition root: builds the runtime and mounts the routes. Only wiring; `serve` runs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from zoneinfo import ZoneInfo

import apsw
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from voicegw_sidecar.access import Access, Area, Caller, Role
from voicegw_sidecar.agent_keys import AgentKeys
from voicegw_sidecar.api.answers import AGENT_PROJECT, RUNTIME, error_answer
from voicegw_sidecar.api.routes import agent_routes, api_routes, open_routes
from voicegw_sidecar.attribution import Attribution
from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.clock import Clock, SystemClock
from voicegw_sidecar.config import Config, Loaded
from voicegw_sidecar.errors import NotFound, SidecarError, StoreFailed, Unauthorized
from voicegw_sidecar.ids import first_id_at
from voicegw_sidecar.intercept import Intercept
from voicegw_sidecar.jobs import COUNTED_LIMIT, Jobs
from voicegw_sidecar.ledger.calendar import day_of
from voicegw_sidecar.legs import Legs, ProcessMemory
from voicegw_sidecar.picks import adaptive_projects
from voicegw_sidecar.providers import Provider
from voicegw_sidecar.recorder import Recorder
from voicegw_sidecar.relay import Arrival, Relay
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.server import arrival_of, keep_relayed_headers
from voicegw_sidecar.rollup import Rollup
from voicegw_sidecar.routing.latency import WINDOW_NS
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.sessions import CLOSED_LIMIT, Sessions
from voicegw_sidecar.settings import catalog_of, price_book, price_of
from voicegw_sidecar.store.database import open_store, read_once
from voicegw_sidecar.store.queries.budgets import budget_seed
from voicegw_sidecar.store.queries.jobs import counted_jobs
from voicegw_sidecar.store.queries.latencies import newest_samples, observations
from voicegw_sidecar.store.queries.sessions import closed_sessions, open_sessions
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.web import render
from voicegw_sidecar.web.routes import page_routes, static_routes
from voicegw_sidecar.workers import Workers

logger = logging.getLogger(__name__)

_SEEDED_NS = 2 * 86_400 * NS_PER_S  # yesterday too: the clock may be set back
RELAY = web.AppKey("relay", Relay)


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
    catalog = catalog_of(config)
    sessions = Sessions(store, clock, lambda: runtime.catalog)
    sessions.remember_closed(read_once(store.path, closed_sessions, CLOSED_LIMIT))
    for row, active_ns in read_once(store.path, open_sessions, store.node_id):
        sessions.take_over(row, active_ns)
    runtime = Runtime(
        catalog=catalog,
        config_path=loaded.path,
        not_in_force=loaded.not_in_force,
        access=_access(config),
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
        started_ns=clock.monotonic_ns(),
    )
    return runtime


def _access(config: Config) -> Access:
    return Access(config.auth.api_keys, config.auth.viewer_keys, config.serve.allowed_hosts, config.serve.public_url)


def build_app(runtime: Runtime) -> web.Application:
    """Mount every route; what no page and no API route takes is the agents'."""
    app = web.Application()
    app[RUNTIME] = runtime
    areas: dict[web.AbstractRoute, Area] = {}

    def mount(routes: list[web.RouteDef], area: Area) -> None:
        for definition in routes:
            for route in definition.register(app.router):
                areas[route] = area

    mount([*open_routes(), *static_routes()], Area.OPEN)
    mount(api_routes(), Area.API)
    mount(agent_routes(), Area.SESSION)
    mount(page_routes(), Area.PAGE)
    mount([web.route("*", "/{tail:.*}", _relay)], Area.DATA)
    app.middlewares.append(_guard(runtime, areas))
    app.on_response_prepare.append(keep_relayed_headers)
    app.cleanup_ctx.append(_relaying)
    render.set_up(app)
    return app


def _guard(runtime: Runtime, areas: dict[web.AbstractRoute, Area]) -> Middleware:
    """Check every request before its handler sees it, and word every deliberate error."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        area = areas.get(request.match_info.route, Area.API)
        try:
            arrival = arrival_of(request)
            caller = Caller(arrival.method, arrival.scheme, arrival.headers, arrival.peer)
            owner = _owner(runtime, arrival) if area is Area.SESSION else None
            role = runtime.access.check(caller, area, has_agent_key=owner is not None)
            if role is Role.STRANGER and _owner(runtime, arrival) is None:
                raise Unauthorized("calls from off this machine need an agent key of one of the projects")
            if role is Role.AGENT and owner is not None:
                request[AGENT_PROJECT] = owner
            return await handler(request)
        except SidecarError as error:
            refused = error
        except apsw.Error as error:
            logger.error("database cannot be read", extra={"error": type(error).__name__})
            refused = StoreFailed("the database cannot be read at the moment; see the sidecar's log and /ready")
        except web.HTTPException as error:
            if error.status != 404:
                raise
            refused = NotFound("nothing is at this address")
        except (OSError, asyncio.CancelledError):
            raise  # the caller is gone
        except Exception as error:  # the last resort of every request: one line, in the caller's own form
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_name}:{where.tb_lineno}" if where is not None else "unknown"
            logger.error("request failed", extra={"error": type(error).__name__, "at": place, "area": area.value})
            refused = SidecarError("the sidecar failed at this request; its log names the place")
        if area is Area.DATA:
            return refusal_response(request.app[PARTS].intercept.refused(arrival_of(request), refused))
        return error_answer(refused)

    return guard


def _owner(runtime: Runtime, arrival: Arrival) -> str | None:
    """Return the project whose agent key a request presents, if it presents one."""
    return runtime.agent_keys.owner(arrival.headers, arrival.target.partition("?")[2])


async def _relay(request: web.Request) -> web.StreamResponse:
    return await request.app[RELAY].handle(request)


async def _relaying(app: web.Application) -> AsyncIterator[None]:
    """The relay lives in the running loop: opened at start, closed at the end."""
    runtime = app[RUNTIME]
    recorder = None
    if runtime.catalog.config.cost_tracking.enabled:
        unpriced = runtime.catalog.config.cost_tracking.unpriced
        recorder = Recorder(runtime.store, runtime.prices, runtime.clock, runtime.budgets, unpriced)
        recorder.on_closed = runtime.rollup.note
    attribution = Attribution(runtime.store, runtime.sessions, runtime.clock)
    app[PARTS] = parts = Parts(recorder, attribution)
    parts.intercept = _intercept(runtime, parts)
    app[RELAY] = relay = Relay(lambda arrival: parts.intercept.decide(arrival), runtime.clock)
    workers = Workers(runtime, attribution)
    yield
    await relay.close()
    attribution.close()
    await workers.close()


def _intercept(runtime: Runtime, parts: Parts) -> Intercept:
    def legs(providers: Mapping[str, Provider]) -> Legs:
        return Legs(
            runtime.catalog, providers, runtime.rollup, runtime.sessions, runtime.prices, runtime.clock, parts.memory
        )

    return Intercept(
        runtime.catalog, runtime.agent_keys, parts.recorder, parts.attribution, runtime.jobs, legs,
        lambda: runtime.is_draining, lambda: parts.intercept.reception,
    )  # fmt: skip


def put_in_force(app: web.Application, runtime: Runtime, loaded: Loaded) -> None:
    """Let the next call and the next session have another configuration; what runs keeps what it began with."""
    config, parts = loaded.config, app[PARTS]
    runtime.catalog = catalog_of(config)
    runtime.not_in_force = loaded.not_in_force
    runtime.access = _access(config)
    runtime.agent_keys = AgentKeys(runtime.catalog.projects)
    runtime.prices = price_book(config)
    if parts.recorder is not None:
        parts.recorder.reprice(runtime.prices, config.cost_tracking.unpriced)
    parts.intercept = _intercept(runtime, parts)
