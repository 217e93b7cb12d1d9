"""``/sessions``: conversations, newest first, filtered; a row leads to the session itself."""

from __future__ import annotations

import apsw
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.api.parameters import BEFORE
from voicegw_sidecar.api.sessions import among, outcome_of
from voicegw_sidecar.route import RouteLeg, read_route
from voicegw_sidecar.store.queries import sessions as queries
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import ROUTED, Modality, SessionOutcome
from voicegw_sidecar.web.render import show
from voicegw_sidecar.web.visit import visit

ROWS = 50


class Line(Struct, frozen=True):
    """One session of the list; of an open one the figures are as they stand."""

    row: SessionRow
    outcome: SessionOutcome
    legs: dict[Modality, RouteLeg | None]


class SessionsPage(Struct, frozen=True):
    """What the page shows: ``outcome`` and ``overrun`` are the filters as asked for."""

    lines: list[Line]
    next: str | None
    outcome: str | None
    overrun: str | None
    is_first: bool

    @property
    def is_filtered(self) -> bool:
        """True where some filter is set, so that an empty list does not mean that there is nothing."""
        return self.outcome is not None or self.overrun is not None


async def sessions(request: web.Request) -> web.Response:
    """``GET /sessions?project=&outcome=&overrun=&before=``"""
    seen = visit(request, "outcome", "overrun", "before")
    parameters, selected = seen.parameters, seen.project_id
    wanted, before = among(parameters), parameters.read(BEFORE)

    template = "parts/sessions.html" if seen.is_part else "pages/sessions.html"
    filters = (parameters.text("outcome"), parameters.text("overrun"))
    return await show(seen, template, "/sessions", build, selected, wanted, before, filters)


def build(
    connection: apsw.Connection, project: str | None, wanted: queries.Among, before: str | None,
    filters: tuple[str | None, str | None],
) -> SessionsPage:  # fmt: skip
    """Ask the database."""
    found = queries.sessions(connection, project, before, ROWS, among=wanted)
    lines = [_line(connection, row) for row in found.rows]
    return SessionsPage(lines, found.next, *filters, is_first=before is None)


def _line(connection: apsw.Connection, row: SessionRow) -> Line:
    route = read_route(row.route)
    if row.ended_ns is None:
        far = queries.so_far(connection, row.project, row.id)
        row = replace(
            row, exchanges=far.exchanges, cost_nanousd=far.nanousd, unpriced=far.unpriced, failures=far.failures
        )
    return Line(row, outcome_of(row), {modality: route.get(modality) for modality in ROUTED})
