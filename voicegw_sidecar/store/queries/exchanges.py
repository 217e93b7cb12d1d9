"""Which exchanges were there: newest first, filtered."""

from __future__ import annotations

import apsw
from msgspec import Struct

from voicegw_sidecar.store.records import READ_EXCHANGE, ExchangeRow, Value, from_columns


class Filter(Struct, frozen=True):
    """What to list; None means any. ``status`` None leaves open rows out. Times are wall-clock nanoseconds."""

    project: str | None = None
    modality: str | None = None
    session_id: str | None = None
    status: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    before_id: str | None = None
    limit: int = 100


class Listing(Struct, frozen=True):
    """Rows, newest first, and the id to continue before; None at the end."""

    rows: list[ExchangeRow]
    next: str | None


def exchanges(connection: apsw.Connection, wanted: Filter) -> Listing:
    """List exchanges."""
    terms, values = _conditions(wanted)
    query = f"SELECT {READ_EXCHANGE} FROM exchange WHERE {' AND '.join(terms)} ORDER BY id DESC LIMIT ?"  # noqa: S608
    rows = [from_columns(row) for row in connection.execute(query, (*values, wanted.limit + 1))]
    has_more = len(rows) > wanted.limit
    rows = rows[: wanted.limit]
    return Listing(rows, rows[-1].id if has_more else None)


def _conditions(wanted: Filter) -> tuple[list[str], list[Value]]:
    choices: list[tuple[str, Value]] = [
        ("project = ?", wanted.project),
        ("modality = ?", wanted.modality),
        ("session_id = ?", wanted.session_id),
        ("status = ?", wanted.status),
        ("started_ns >= ?", wanted.from_ns),
        ("started_ns < ?", wanted.to_ns),
        ("id < ?", wanted.before_id),
    ]
    terms = [term for term, value in choices if value is not None]
    if wanted.status is None:
        terms.append("status <> 'open'")
    return terms, [value for _, value in choices if value is not None]


class Counts(Struct, frozen=True):
    """How much the database holds."""

    exchanges: int
    open: int


def counts(connection: apsw.Connection) -> Counts:
    """Count rows: closed ones from the daily totals, so that it is quick at a million rows."""
    total = connection.execute("SELECT coalesce(sum(request_count), 0) FROM daily_total").fetchone()
    running = connection.execute("SELECT count(*) FROM exchange WHERE status = 'open'").fetchone()
    return Counts(int(total[0]) if total else 0, int(running[0]) if running else 0)
