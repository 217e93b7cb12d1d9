"""``/sessions/{id}``: one conversation: how it was routed, the waterfall of every turn, and its exchanges beneath."""

from __future__ import annotations

import apsw
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.api.sessions import outcome_of
from voicegw_sidecar.errors import Conflict, UnknownSession
from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.route import RouteLeg, read_route
from voicegw_sidecar.session_figures import figures
from voicegw_sidecar.store.queries import exchanges
from voicegw_sidecar.store.queries import sessions as queries
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import ROUTED, Modality, SessionOutcome
from voicegw_sidecar.web.charts import Scale, Stretch, TurnLine, scale_of, stretches, turn_line
from voicegw_sidecar.web.render import show
from voicegw_sidecar.web.visit import visit

TURNS = 60
EXCHANGES = 200


class TurnRow(Struct, frozen=True):
    """One turn of the waterfall."""

    turn: Turn
    stretches: list[Stretch]


class SessionPage(Struct, frozen=True):
    """What the page shows. ``turns`` are some of them from ``first_turn`` on; ``turn_count`` is how many there are."""

    row: SessionRow
    outcome: SessionOutcome
    legs: dict[Modality, RouteLeg | None]
    turns: list[TurnRow]
    first_turn: int
    turn_count: int
    scale: Scale
    line: TurnLine
    exchanges: list[ExchangeRow]
    has_more_exchanges: bool


async def session(request: web.Request) -> web.Response:
    """``GET /sessions/{id}?project=&turn=``"""
    seen = visit(request, "turn")
    first = seen.parameters.whole("turn", 0, 0, 1_000_000)
    session_id, selected = request.match_info["id"], seen.project_id

    return await show(seen, "pages/session.html", "/sessions", build, selected, session_id, first)


def build(connection: apsw.Connection, project: str | None, session_id: str, first: int) -> SessionPage:
    """Ask the database; of an open session the figures are as they stand."""
    row = _find(connection, project, session_id)
    if row.ended_ns is None:
        row, turns = figures(connection, row)
        row = replace(row, budget_ms_used=None)  # set when the session is closed
    else:
        turns = queries.turns_of(connection, row.uid)
    route = read_route(row.route)
    shown = turns[first : first + TURNS]
    scale = scale_of(shown, row.budget_ms)
    wanted = exchanges.Filter(project=row.project, session_id=row.id, limit=EXCHANGES)
    found = exchanges.exchanges(connection, wanted)
    return SessionPage(
        row=row,
        outcome=outcome_of(row),
        legs={modality: route.get(modality) for modality in ROUTED},
        turns=[TurnRow(turn, stretches(turn, scale)) for turn in shown],
        first_turn=first,
        turn_count=len(turns),
        scale=scale,
        line=turn_line(turns, row.budget_ms),
        exchanges=sorted(found.rows, key=lambda one: one.started_ns),
        has_more_exchanges=found.next is not None,
    )


def _find(connection: apsw.Connection, project: str | None, session_id: str) -> SessionRow:
    rows = queries.sessions(connection, project, None, 2, session_id).rows
    if not rows:
        raise UnknownSession("there is no such session here")
    if len(rows) > 1:
        raise Conflict("several projects have a session of this id; select one of them first")
    return rows[0]
