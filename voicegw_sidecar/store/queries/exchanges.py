"""Which exchanges were there: newest first, filtered."""

from __future__ import annotations

import apsw
from msgspec import Struct

from voicegw_sidecar.store.queries.sessions import IN_SESSION, MEMBER_OF
from voicegw_sidecar.store.records import READ_EXCHANGE, ExchangeRow, Value, from_columns
from voicegw_sidecar.terms import Status


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
    columns = READ_EXCHANGE.replace(" session_id,", f" {MEMBER_OF},", 1)
    query = f"SELECT {columns} FROM exchange WHERE {' AND '.join(terms)} ORDER BY id DESC LIMIT :limit"  # noqa: S608
    rows = [from_columns(row) for row in connection.execute(query, {**values, "limit": wanted.limit + 1})]
    has_more = len(rows) > wanted.limit
    rows = rows[: wanted.limit]
    return Listing(rows, rows[-1].id if has_more else None)


def _conditions(wanted: Filter) -> tuple[list[str], dict[str, Value]]:
    # a plus takes a term out of the choice of an index: of an uncommon outcome one project's are fewest
    is_uncommon = wanted.status not in (None, Status.OK.value, Status.OPEN.value)
    plus = "+" if is_uncommon and wanted.project is not None else ""
    choices: list[tuple[str, str, Value]] = [
        ("project = :project", "project", wanted.project),
        (f"{plus}modality = :modality", "modality", wanted.modality),
        (IN_SESSION, "session", wanted.session_id),
        (_with_status(wanted.status), "status", wanted.status),
        ("started_ns >= :from_ns", "from_ns", wanted.from_ns),
        ("started_ns < :to_ns", "to_ns", wanted.to_ns),
        ("id < :before", "before", wanted.before_id),
    ]
    chosen = [choice for choice in choices if choice[2] is not None]
    terms = [term for term, _, _ in chosen]
    if wanted.status is None:
        terms.append("status <> 'open'")
    return terms, {name: value for _, name, value in chosen}


def _with_status(status: str | None) -> str:
    """Name the status so that the index of the uncommon ones is used: it is, where its own condition is repeated.

    No parameter, for its value is not known when the query is planned.
    """
    if status is None:
        return ""
    named = Status(status)
    if named is Status.OK:
        return "status = 'ok'"
    if named is Status.OPEN:  # few: found by their own index, then put in order
        return "id IN (SELECT id FROM exchange WHERE status = 'open')"
    return f"status = '{named.value}' AND status <> 'ok' AND status <> 'open'"


class Counts(Struct, frozen=True):
    """How much the database holds."""

    exchanges: int
    open: int


def counts(connection: apsw.Connection) -> Counts:
    """Count rows: closed ones from the daily totals, so that it is quick at a million rows."""
    total = connection.execute("SELECT coalesce(sum(request_count), 0) FROM daily_total").fetchone()
    running = connection.execute("SELECT count(*) FROM exchange WHERE status = 'open'").fetchone()
    return Counts(int(total[0]) if total else 0, int(running[0]) if running else 0)
