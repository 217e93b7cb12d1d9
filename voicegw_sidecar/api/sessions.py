"""Sessions: opened with the router's pick, listed, shown with their turns, and closed."""

from __future__ import annotations

import asyncio
import random
from typing import Annotated

import apsw
from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from voicegw_sidecar.addressing import is_session_id
from voicegw_sidecar.api.answers import AGENT_PROJECT, RUNTIME, IsoUtc, iso_utc, usd
from voicegw_sidecar.api.body import JsonBody
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import BEFORE, LIMIT, PROJECT, Choice, Parameters, Query, YesNo
from voicegw_sidecar.api.shapes import SESSION_ID, entry_schema
from voicegw_sidecar.errors import (
    BadRequest,
    Conflict,
    Draining,
    Forbidden,
    NoRoute,
    StoreFailed,
    UnknownProject,
    UnknownSession,
)
from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.picks import pick, read_override
from voicegw_sidecar.route import RouteLeg, read_route
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.session_figures import figures
from voicegw_sidecar.sessions import Session
from voicegw_sidecar.store.queries import sessions as queries
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import ROUTED, Modality, SessionOrigin, SessionOutcome

_CLOSE_S = 5.0
_ID_WORDS = "up to 64 letters, digits and _ . : -, first a letter or digit"
_ONE_PROJECT = Query("project", PROJECT.kind, None, "Needed only where two projects have a session of this id.")
_OUTCOME = Query("outcome", Choice(tuple(SessionOutcome)), None, "Only sessions that stand so.")
_OVERRUN = Query(
    "overrun",
    YesNo(),
    None,
    "Only sessions whose pick did not fit their latency budget, or did: it says nothing of how long they took.",
)


class WantedSession(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/sessions``; a leg that is named narrows its roster."""

    project: str | None = None
    session_id: Annotated[str, Meta(description=_ID_WORDS, extra_json_schema=SESSION_ID)] | None = None
    stt: Annotated[str, Meta(extra_json_schema=entry_schema(Modality.STT))] | None = None
    llm: Annotated[str, Meta(extra_json_schema=entry_schema(Modality.LLM))] | None = None
    tts: Annotated[str, Meta(extra_json_schema=entry_schema(Modality.TTS))] | None = None


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
    started_at: IsoUtc
    ended_at: IsoUtc | None
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


@described(
    "Open a session with the router's pick, and say where each of its providers is reached. Without a project it is "
    "the agent key's own, else the default one's.",
    body=JsonBody(WantedSession), answers=Begun, status=201,
    refuses=(BadRequest, UnknownProject, NoRoute, Conflict, Draining, StoreFailed),
)  # fmt: skip
async def begin(request: web.Request, asked: Parameters, wanted: WantedSession) -> Begun:
    """``POST /v1/sessions``: choose a triple and open a session with it."""
    runtime = request.app[RUNTIME]
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
    return _begun(request, session)


@described(
    "Sessions, newest first, without their turns.", query=(PROJECT, _OUTCOME, _OVERRUN, BEFORE, LIMIT),
    answers=SessionList, refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def listing(request: web.Request, asked: Parameters) -> SessionList:
    """``GET /v1/sessions``"""
    runtime = request.app[RUNTIME]
    project, before, limit = asked.project(runtime), asked.read(BEFORE), asked.read(LIMIT)
    return await runtime.store.read(listed_sessions, project, before, limit, among(asked))


def among(asked: Parameters) -> queries.Among:
    """Read which sessions are asked for; the page takes the same words."""
    outcome = asked.read(_OUTCOME)
    return queries.Among(None if outcome is None else SessionOutcome(outcome), asked.read(_OVERRUN))


@described(
    "One session with its turns.", id_of="session", query=(_ONE_PROJECT,), answers=SessionEntry,
    refuses=(UnknownProject, UnknownSession, Conflict, StoreFailed),
)  # fmt: skip
async def one(request: web.Request, asked: Parameters) -> SessionEntry:
    """``GET /v1/sessions/{id}``"""
    runtime = request.app[RUNTIME]
    row = await _find(request, asked)
    return await runtime.store.read(session_entry, row)


@described(
    "Close a session, which fixes its figures; a second time answers the same.", id_of="session",
    query=(_ONE_PROJECT,), body=JsonBody(Nothing, is_required=False), answers=SessionEntry,
    refuses=(UnknownProject, UnknownSession, Conflict, StoreFailed),
)  # fmt: skip
async def close(request: web.Request, asked: Parameters, nothing: Nothing) -> SessionEntry:
    """``POST /v1/sessions/{id}/close``"""
    runtime = request.app[RUNTIME]
    row = await _find(request, asked)
    session = runtime.sessions.find(row.project, row.id)
    if session is not None:
        closing: asyncio.Task[None] | None = runtime.sessions.close(session, runtime.clock.wall_ns())
    else:
        closing = runtime.sessions.closing((row.project, row.id))
    if closing is not None:
        done, _ = await asyncio.wait((closing,), timeout=_CLOSE_S)
        if not done:
            raise StoreFailed("the session is closed, but the database cannot be written at the moment; ask again")
    row = await _find(request, asked)
    return await runtime.store.read(session_entry, row)


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


async def _find(request: web.Request, asked: Parameters) -> SessionRow:
    """Return the session that an address names."""
    runtime, session_id = request.app[RUNTIME], request.match_info["id"]
    project = _project(request, asked.read(_ONE_PROJECT))  # before it is said whether there is such a project
    asked.project(runtime)
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
