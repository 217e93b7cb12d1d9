"""The composition root: builds the runtime and mounts the routes. Only wiring; `serve` runs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import apsw
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from voicegw_sidecar.access import Access, Area, Caller, Role
from voicegw_sidecar.agent_keys import AgentKeys
from voicegw_sidecar.api.answers import RUNTIME, error_answer
from voicegw_sidecar.api.routes import api_routes, open_routes
from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.clock import Clock, SystemClock
from voicegw_sidecar.config import Loaded
from voicegw_sidecar.errors import NotFound, SidecarError, StoreFailed, Unauthorized
from voicegw_sidecar.intercept import Intercept
from voicegw_sidecar.jobs import COUNTED_LIMIT, Jobs
from voicegw_sidecar.ledger.calendar import day_of
from voicegw_sidecar.recorder import Recorder
from voicegw_sidecar.relay import Arrival, Relay
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.server import arrival_of, keep_relayed_headers
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.settings import catalog_of, price_book, price_of
from voicegw_sidecar.store.database import open_store, read_once
from voicegw_sidecar.store.queries.budgets import budget_seed
from voicegw_sidecar.store.queries.jobs import counted_jobs
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.web import render
from voicegw_sidecar.web.routes import page_routes, static_routes

logger = logging.getLogger(__name__)

_SEEDED_NS = 2 * 86_400 * NS_PER_S  # yesterday too: the clock may be set back
RELAY = web.AppKey("relay", Relay)
INTERCEPT = web.AppKey("intercept", Intercept)


def build_runtime(loaded: Loaded, clock: Clock | None = None) -> Runtime:
    """Open the database and put together what a sidecar is made of; raises `StoreFailed`."""
    clock, config = clock or SystemClock(), loaded.config
    zone, prices = ZoneInfo(config.timezone), price_book(config)
    store = open_store(config.cost_tracking.db_path, zone, clock.wall_ns(), lambda row: price_of(prices, row))
    budgets = Budgets(clock, zone)
    budgets.seed(read_once(store.path, budget_seed, day_of(clock.wall_ns() - _SEEDED_NS, zone)))
    catalog = catalog_of(config)
    return Runtime(
        catalog=catalog,
        config_path=loaded.path,
        not_in_force=loaded.not_in_force,
        access=Access(
            config.auth.api_keys, config.auth.viewer_keys, config.serve.allowed_hosts, config.serve.public_url
        ),
        clock=clock,
        zone=zone,
        prices=prices,
        store=store,
        budgets=budgets,
        jobs=Jobs(read_once(store.path, counted_jobs, COUNTED_LIMIT)),
        agent_keys=AgentKeys(catalog.projects),
        started_ns=clock.monotonic_ns(),
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

    mount([*open_routes(), *static_routes()], Area.OPEN)
    mount(api_routes(), Area.API)
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
            if runtime.access.check(caller, area) is Role.STRANGER and not _has_agent_key(runtime, arrival):
                raise Unauthorized("calls from off this machine need an agent key of one of the projects")
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
            return refusal_response(request.app[INTERCEPT].refused(arrival_of(request), refused))
        return error_answer(refused)

    return guard


def _has_agent_key(runtime: Runtime, arrival: Arrival) -> bool:
    return runtime.agent_keys.owner(arrival.headers, arrival.target.partition("?")[2]) is not None


async def _relay(request: web.Request) -> web.StreamResponse:
    return await request.app[RELAY].handle(request)


async def _relaying(app: web.Application) -> AsyncIterator[None]:
    """The relay lives in the running loop: opened at start, closed at the end."""
    runtime = app[RUNTIME]
    recorder = None
    if runtime.catalog.config.cost_tracking.enabled:
        unpriced = runtime.catalog.config.cost_tracking.unpriced
        recorder = Recorder(runtime.store, runtime.prices, runtime.clock, runtime.budgets, unpriced)
    app[INTERCEPT] = intercept = Intercept(
        runtime.catalog, runtime.agent_keys, recorder, runtime.jobs, lambda: runtime.is_draining
    )
    app[RELAY] = relay = Relay(intercept.decide, runtime.clock)
    yield
    await relay.close()
