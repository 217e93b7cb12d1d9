"""The exchanges themselves: ``GET /v1/logs``, newest first."""

from __future__ import annotations

import apsw
import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, encoded_answer, iso_utc, usd
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.store.queries import exchanges
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import CostSource, FirstBasis, Modality, Status, Usage


class LogEntry(Struct, frozen=True):
    """One exchange; null is "not known", and ``usage`` leaves out what is not."""

    id: str
    started_at: str
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


async def logs(request: web.Request) -> web.Response:
    """``GET /v1/logs?project=&modality=&session=&status=&from=&to=&before=&limit=``"""
    parameters = Parameters(request, "project", "modality", "session", "status", "from", "to", "before", "limit")
    runtime = request.app[RUNTIME]
    wanted = exchanges.Filter(
        project=parameters.project(runtime),
        modality=parameters.choice("modality", [modality.value for modality in Modality]),
        session_id=parameters.text("session"),
        status=parameters.choice("status", [status.value for status in Status]),
        from_ns=parameters.moment_ns("from"),
        to_ns=parameters.moment_ns("to"),
        before_id=parameters.exchange_id("before"),
        limit=parameters.limit(),
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
