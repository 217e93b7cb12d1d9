"""The exchanges themselves: ``GET /v1/logs``, newest first."""

from __future__ import annotations

import apsw
import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, IsoUtc, encoded_answer, iso_utc, usd
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import BEFORE, LIMIT, PROJECT, Choice, Moment, Parameters, Query, Text
from voicegw_sidecar.errors import StoreFailed, UnknownProject
from voicegw_sidecar.store.queries import exchanges
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import CostSource, FirstBasis, Modality, Status, Usage


class LogEntry(Struct, frozen=True):
    """One exchange; null is "not known", and ``usage`` leaves out what is not."""

    id: str
    started_at: IsoUtc
    project: str
    session_id: str | None
    provider: str
    model: str | None
    modality: Modality | None
    status: Status
    http_status: int | None
    first_ms: float | None
    first_ms_basis: FirstBasis | None
    total_ms: float | None
    usage: Usage
    estimated: bool
    cost_usd: float | None
    cost_source: CostSource
    error: str | None
    late: bool


class Logs(Struct, frozen=True):
    """A page of exchanges; ``next`` is what ``before`` takes to go on, null at the end."""

    logs: list[LogEntry]
    next: str | None


MODALITY = Query("modality", Choice(tuple(Modality)), None, "Only this kind of work.")
STATUS = Query("status", Choice(tuple(Status)), None, "Only what ended so; `open` is listed only when asked for.")
SESSION = Query("session", Text(), None, "Only what is of the session of this id.")
_FROM = Query("from", Moment(), None, "Only what began then or later, in the years 1970 to 2200; UTC without a zone.")
_TO = Query("to", Moment(), None, "Only what began before; as `from`.")


@described(
    "The exchanges, newest first.", query=(PROJECT, MODALITY, SESSION, STATUS, _FROM, _TO, BEFORE, LIMIT),
    answers=Logs, refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def logs(request: web.Request, asked: Parameters) -> web.Response:
    """``GET /v1/logs``"""
    runtime = request.app[RUNTIME]
    wanted = exchanges.Filter(
        project=asked.project(runtime),
        modality=asked.read(MODALITY),
        session_id=asked.read(SESSION),
        status=asked.read(STATUS),
        from_ns=asked.read(_FROM),
        to_ns=asked.read(_TO),
        before_id=asked.read(BEFORE),
        limit=asked.read(LIMIT),
    )
    return encoded_answer(await runtime.store.read(_encoded, wanted))


def _encoded(connection: apsw.Connection, wanted: exchanges.Filter) -> bytes:
    return msgspec.json.encode(logs_answer(exchanges.exchanges(connection, wanted)))


def logs_answer(listing: exchanges.Listing) -> Logs:
    """Put a listing in its outside form; the command line and the page show the same."""
    return Logs([log_entry(row) for row in listing.rows], listing.next)


def log_entry(row: ExchangeRow) -> LogEntry:
    """Put a row in its outside form: whole microseconds are noise, so durations have three decimals."""
    return LogEntry(
        id=row.id,
        started_at=iso_utc(row.started_ns),
        project=row.project,
        session_id=row.session_id,
        provider=row.provider,
        model=row.model,
        modality=row.modality,
        status=row.status,
        http_status=row.http_status,
        first_ms=None if row.first_ms is None else round(row.first_ms, 3),
        first_ms_basis=row.first_ms_basis,
        total_ms=None if row.total_ms is None else round(row.total_ms, 3),
        usage=row.usage,
        estimated=row.estimated,
        cost_usd=usd(row.cost_nanousd),
        cost_source=row.cost_source,
        error=row.error,
        late=row.late,
    )
