"""Sessions: opened with the router's pick, listed, shown with their turns, and closed."""

from __future__ import annotations

import asyncio
import random

import apsw
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from voicegw_sidecar.addressing import is_session_id
from voicegw_sidecar.api.answers import AGENT_PROJECT, RUNTIME, answer, iso_utc, usd
from voicegw_sidecar.api.body import json_body
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.errors import BadRequest, Conflict, Draining, Forbidden, StoreFailed, UnknownSession
from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.picks import model_of, pick, read_override
from voicegw_sidecar.route import RouteLeg, read_route
from voicegw_sidecar.routing.latency import Source
from voicegw_sidecar.routing.router import Decision
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.session_figures import figures
from voicegw_sidecar.sessions import Session
from voicegw_sidecar.store.queries import sessions as queries
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import ROUTED, Modality, SessionOrigin, SessionOutcome

_CLOSE_S = 5.0
_ID_WORDS = "up to 64 letters, digits and _ . : -, first a letter or digit"


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/sessions``; a leg that is named narrows its roster."""

    project: str | None = None
    session_id: str | None = None
    stt: str | None = None
    llm: str | None = None
    tts: str | None = None


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request that says everything in its address."""


class PickedLeg(Struct, frozen=True):
    """One leg of a new session, and where its provider is reached for this session."""

    provider: str
    model: str | None
    predicted_ms: float | None
    source: str | None
    samples: int | None
    base_url: str
    ws_url: str


class SimulatedLeg(Struct, frozen=True):
    """One leg of a route that nobody begins a session with."""

    provider: str
    model: str | None
    predicted_ms: float
    source: Source
    samples: int
    reason: str


class Simulated(Struct, frozen=True):
    """What ``route simulate --json`` prints."""

    project: str
    route: dict[Modality, SimulatedLeg]
    predicted_ms: float
    budget_ms: int
    budget_overrun: bool


class Begun(Struct, frozen=True):
    """The answer of ``POST /v1/sessions``."""

    session_id: str
    project: str
    route: dict[Modality, PickedLeg]
    predicted_ms: float | None
    budget_ms: int
    budget_overrun: bool | None


class TurnEntry(Struct, frozen=True):
    """One turn; durations are whole milliseconds, null where a moment was not seen."""

    index: int
    stt_ms: int | None
    llm_ms: int | None
    tts_ms: int | None
    agent_ms: int | None
    total_ms: int | None
    interrupted: bool
    llm_calls: int
    abandoned: int
    has_filler: bool


class SessionEntry(Struct, frozen=True, omit_defaults=True):
    """One session; of an open one the figures are as they stand. ``turns`` is left out of lists."""

    id: str
    project: str
    origin: SessionOrigin
    started_at: str
    ended_at: str | None
    route: dict[Modality, RouteLeg | None]
    predicted_ms: float | None
    budget_ms: int
    budget_ms_used: float | None
    budget_overrun: bool | None
    cost_usd: float | None
    unpriced: int | None
    exchanges: int | None
    turn_count: int | None
    interruptions: int | None
    user_talk_s: float | None
    agent_talk_s: float | None
    outcome: SessionOutcome
    failures: int | None
    turns: list[TurnEntry] | UnsetType = UNSET


class SessionList(Struct, frozen=True):
    """A page of sessions; ``next`` is what ``before`` takes to go on, null at the end."""

    sessions: list[SessionEntry]
    next: str | None


async def begin(request: web.Request) -> web.Response:
    """``POST /v1/sessions``: choose a triple and open a session with it."""
    Parameters(request)
    runtime = request.app[RUNTIME]
    wanted = await json_body(request, Wanted)
    if runtime.is_draining:
        raise Draining("the sidecar is shutting down; call again once it is back")
    named = _project(request, wanted.project)
    project = runtime.catalog.default_project if named is None else named
    runtime.catalog.project(project)
    session_id = wanted.session_id
    if session_id is not None and not is_session_id(session_id):
        raise BadRequest(f"session_id: found {session_id[:64]!r}, expected {_ID_WORDS}")
    overrides = {
        modality: read_override(modality.value, modality, found)
        for modality in ROUTED
        if (found := getattr(wanted, modality.value)) is not None
    }
    draw = random.random()  # noqa: S311 - which sessions explore is no secret
    decision = pick(runtime.catalog, project, runtime.rollup.seen(project), overrides, draw)
    if session_id is None:
        session_id = runtime.sessions.new_id()
    else:
        listed = await runtime.store.read_first(queries.sessions, project, None, 1, session_id)
        if listed.rows or runtime.sessions.is_known((project, session_id)):
            raise Conflict(f"session_id: {session_id} is taken in project {project}; choose another, or leave it out")
    session = runtime.sessions.begin(project, session_id, SessionOrigin.API, decision)
    await _written(runtime)
    return answer(_begun(request, session), 201)


async def listing(request: web.Request) -> web.Response:
    """``GET /v1/sessions?project=&outcome=&overrun=&before=&limit=``"""
    parameters = Parameters(request, "project", "outcome", "overrun", "before", "limit")
    runtime = request.app[RUNTIME]
    project, before, limit = parameters.project(runtime), parameters.cursor("before"), parameters.limit()
    return answer(await runtime.store.read(listed_sessions, project, before, limit, among(parameters)))


def among(parameters: Parameters) -> queries.Among:
    """Read which sessions are asked for; the page takes the same words."""
    outcome = parameters.choice("outcome", [one.value for one in SessionOutcome])
    is_overrun = parameters.choice("overrun", ("true", "false"))
    return queries.Among(
        None if outcome is None else SessionOutcome(outcome), None if is_overrun is None else is_overrun == "true"
    )


async def one(request: web.Request) -> web.Response:
    """``GET /v1/sessions/{id}?project=``"""
    runtime = request.app[RUNTIME]
    row = await _find(request)
    return answer(await runtime.store.read(session_entry, row))


async def close(request: web.Request) -> web.Response:
    """``POST /v1/sessions/{id}/close?project=``: fix the session's figures; a second time answers the same."""
    runtime = request.app[RUNTIME]
    if request.can_read_body:
        await json_body(request, Nothing)
    row = await _find(request)
    session = runtime.sessions.find(row.project, row.id)
    if session is not None:
        closing: asyncio.Task[None] | None = runtime.sessions.close(session, runtime.clock.wall_ns())
    else:
        closing = runtime.sessions.closing((row.project, row.id))
    if closing is not None:
        done, _ = await asyncio.wait((closing,), timeout=_CLOSE_S)
        if not done:
            raise StoreFailed("the session is closed, but the database cannot be written at the moment; ask again")
    row = await _find(request)
    return answer(await runtime.store.read(session_entry, row))


def listed_sessions(
    connection: apsw.Connection, project: str | None, before: str | None, limit: int, among: queries.Among = queries.ANY
) -> SessionList:
    """Put a page of sessions in its outside form; the command line shows the same."""
    found = queries.sessions(connection, project, before, limit, among=among)
    return SessionList([_entry(row if row.ended_ns else _so_far(connection, row)) for row in found.rows], found.next)


def session_entry(connection: apsw.Connection, row: SessionRow) -> SessionEntry:
    """Put one session in its outside form, turns included."""
    if row.ended_ns is None:
        row, turns = figures(connection, row)
        row = replace(row, budget_ms_used=None)
    else:
        turns = queries.turns_of(connection, row.uid)
    return _entry(row, [_turn(turn) for turn in turns])


def simulated_answer(catalog: Catalog, project: str, decision: Decision) -> Simulated:
    """Put a decision in its outside form."""
    legs = {
        modality: SimulatedLeg(
            leg.entry.provider, model_of(catalog, modality, leg.entry), leg.expected.ms, leg.expected.source,
            leg.expected.samples, leg.reason,
        )
        for modality, leg in decision.legs.items()
    }  # fmt: skip
    return Simulated(project, legs, decision.predicted_ms, decision.budget_ms, decision.is_overrun)


def _so_far(connection: apsw.Connection, row: SessionRow) -> SessionRow:
    return replace(figures(connection, row)[0], budget_ms_used=None)  # set when the session is closed


def _entry(row: SessionRow, turns: list[TurnEntry] | UnsetType = UNSET) -> SessionEntry:
    route = read_route(row.route)
    return SessionEntry(
        id=row.id, project=row.project, origin=row.origin, started_at=iso_utc(row.started_ns),
        ended_at=None if row.ended_ns is None else iso_utc(row.ended_ns),
        route={modality: route.get(modality) for modality in ROUTED},
        predicted_ms=row.predicted_ms, budget_ms=row.budget_ms, budget_ms_used=row.budget_ms_used,
        budget_overrun=row.budget_overrun, cost_usd=usd(row.cost_nanousd), unpriced=row.unpriced,
        exchanges=row.exchanges, turn_count=row.turns, interruptions=row.interruptions,
        user_talk_s=row.user_talk_s, agent_talk_s=row.agent_talk_s, outcome=outcome_of(row), failures=row.failures,
        turns=turns,
    )  # fmt: skip


def outcome_of(row: SessionRow) -> SessionOutcome:
    """Say how a session stands."""
    if row.ended_ns is None:
        return SessionOutcome.OPEN
    return SessionOutcome.ERRORS if row.failures else SessionOutcome.OK


def _turn(turn: Turn) -> TurnEntry:
    return TurnEntry(**{name: getattr(turn, name) for name in TurnEntry.__struct_fields__})


def _begun(request: web.Request, session: Session) -> Begun:
    legs = {}
    for modality, leg in session.route.items():
        path = f"/p/{session.project}/s/{session.id}/{leg.provider}"
        scheme, socket_scheme = ("https", "wss") if _is_tls(request) else ("http", "ws")
        legs[modality] = PickedLeg(
            leg.provider, leg.model, leg.predicted_ms, leg.source, leg.samples,
            f"{scheme}://{request.host}{path}", f"{socket_scheme}://{request.host}{path}",
        )  # fmt: skip
    return Begun(session.id, session.project, legs, session.predicted_ms, session.budget_ms, session.is_overrun)


def _is_tls(request: web.Request) -> bool:
    """Say whether the caller came by TLS: that a proxy at the public address ended it, only the address tells."""
    public_url = request.app[RUNTIME].catalog.config.serve.public_url or ""
    return request.secure or public_url.lower() == f"https://{request.host.lower()}"


def _project(request: web.Request, named: str | None) -> str | None:
    """Return the project that a request is about: an agent key's own, which no other may be named beside."""
    own = request.get(AGENT_PROJECT)
    if own is not None and named not in (None, own):
        raise Forbidden("this agent key belongs to another project than the one that is named")
    return own or named


async def _find(request: web.Request) -> SessionRow:
    """Return the session that an address names."""
    parameters = Parameters(request, "project")
    runtime, session_id = request.app[RUNTIME], request.match_info["id"]
    project = _project(request, parameters.text("project"))  # before it is said whether there is such a project
    parameters.project(runtime)
    found = (await runtime.store.read_first(queries.sessions, project, None, 2, session_id)).rows
    known = {(row.project, row.id) for row in found}
    # an open one whose row still waits to be written is there all the same
    found += [one.row() for one in runtime.sessions.named(project, session_id) if one.key not in known]
    if not found:
        raise UnknownSession(f"no session {session_id[:64]!r} is here" if project is None else
                             f"no session {session_id[:64]!r} is in project {project}")  # fmt: skip
    if len(found) > 1:
        raise Conflict(f"several projects have a session {session_id}; name one with ?project=")
    return found[0]


async def _written(runtime: Runtime) -> None:
    """Wait for what is queued for the database, but not for a disk that is in trouble."""
    await asyncio.wait((runtime.store.committed(),), timeout=1.0)
