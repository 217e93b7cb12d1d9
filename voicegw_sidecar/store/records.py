"""Rows of the exchange table: one Struct, its columns in order, and the statements that write it."""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.terms import CostSource, FirstBasis, Modality, Moments, Status, Usage

USAGE_COLUMNS = Usage.__struct_fields__
MOMENT_COLUMNS = Moments.__struct_fields__


class ExchangeRow(Struct, frozen=True):
    """One row: an exchange with identity and money. Times are wall-clock nanoseconds, UTC."""

    id: str
    project: str
    provider: str
    started_ns: int
    status: Status
    ended_ns: int | None = None
    session_id: str | None = None
    model: str | None = None
    modality: Modality | None = None
    http_status: int | None = None
    first_ms: float | None = None
    first_ms_basis: FirstBasis | None = None
    total_ms: float | None = None
    usage: Usage = Usage()
    estimated: bool = False
    cost_nanousd: int | None = None
    cost_source: CostSource = CostSource.NONE
    error: str | None = None
    price_model: str | None = None
    """The price catalogue's name of the model, where it is not ``model``."""
    late: bool = False
    moments: Moments = Moments()


_COLUMNS = (
    "id", "node_id", "started_ns", "ended_ns", "project", "session_id", "provider", "model", "modality", "status",
    "http_status", "first_ms", "first_ms_basis", "total_ms", *USAGE_COLUMNS, "estimated", "cost_nanousd",
    "cost_source", "error", "price_model", *MOMENT_COLUMNS,
)  # fmt: skip
_UPDATED = tuple(column for column in _COLUMNS if column not in ("id", "node_id", "started_ns", "project", "provider"))

# An exchange is written open and closed under one id; a closed row is never written again.
WRITE_EXCHANGE = (
    f"INSERT INTO exchange ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - constants
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in _UPDATED)} "
    "WHERE exchange.status = 'open'"
)
MARK_LATE = "UPDATE exchange SET late = 1 WHERE id = ?"
COUNT_JOB = "INSERT OR IGNORE INTO counted_job (provider, job_id, exchange_id) VALUES (?, ?, ?)"
ADD_TO_DAY = (
    "INSERT INTO daily_total (project, day, modality, provider, model, request_count, cost_nanousd, unpriced_count) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET request_count = request_count + excluded.request_count, "
    "cost_nanousd = cost_nanousd + excluded.cost_nanousd, unpriced_count = unpriced_count + excluded.unpriced_count"
)
READ_EXCHANGE = (
    "id, project, provider, started_ns, status, ended_ns, session_id, model, modality, http_status, first_ms, "
    f"first_ms_basis, total_ms, {', '.join(USAGE_COLUMNS)}, estimated, cost_nanousd, cost_source, error, price_model, "
    f"late, {', '.join(MOMENT_COLUMNS)}"
)

Value = str | int | float | None


def bindings(row: ExchangeRow, node_id: str) -> tuple[Value, ...]:
    """Return the values of `WRITE_EXCHANGE` in order."""
    usage, moments = row.usage, row.moments
    return (
        row.id, node_id, row.started_ns, row.ended_ns, row.project, row.session_id, row.provider, row.model,
        row.modality, row.status, row.http_status, row.first_ms, row.first_ms_basis, row.total_ms,
        usage.input_tokens, usage.cached_input_tokens, usage.cached_input_audio_tokens, usage.cache_write_tokens,
        usage.output_tokens, usage.reasoning_tokens, usage.input_audio_tokens, usage.output_audio_tokens,
        usage.audio_s, usage.audio_out_s, usage.characters,
        row.estimated, row.cost_nanousd, row.cost_source, row.error, row.price_model,
        moments.asked_ns, moments.first_ns, moments.content_ns, moments.speech_began_ns, moments.speech_ended_ns,
    )  # fmt: skip


def from_columns(values: tuple[Value, ...]) -> ExchangeRow:
    """Build a row from the columns of `READ_EXCHANGE`."""
    head, usage = values[:13], values[13 : 13 + len(USAGE_COLUMNS)]
    estimated, cost_nanousd, cost_source, error, price_model, late, *moments = values[13 + len(USAGE_COLUMNS) :]
    (id_, project, provider, started_ns, status, ended_ns, session_id, model, modality, http_status, first_ms,
     basis, total_ms) = head  # fmt: skip
    return ExchangeRow(
        id=str(id_), project=str(project), provider=str(provider), started_ns=_int(started_ns),
        status=Status(str(status)), ended_ns=None if ended_ns is None else _int(ended_ns),
        session_id=_text(session_id), model=_text(model),
        modality=None if modality is None else Modality(str(modality)),
        http_status=None if http_status is None else _int(http_status),
        first_ms=_float(first_ms), first_ms_basis=None if basis is None else FirstBasis(str(basis)),
        total_ms=_float(total_ms), usage=_usage(usage), estimated=bool(estimated),
        cost_nanousd=None if cost_nanousd is None else _int(cost_nanousd),
        cost_source=CostSource(str(cost_source)), error=_text(error), price_model=_text(price_model), late=bool(late),
        moments=Moments(*(None if value is None else _int(value) for value in moments)),
    )  # fmt: skip


def _usage(values: tuple[Value, ...]) -> Usage:
    seconds = ("audio_s", "audio_out_s")
    known = {
        name: float(value) if name in seconds else _int(value)
        for name, value in zip(USAGE_COLUMNS, values, strict=True)
        if value is not None
    }
    return Usage(**known)  # type: ignore[arg-type]  # each name has the type its column was given


def _int(value: Value) -> int:
    return int(value) if value is not None else 0


def _float(value: Value) -> float | None:
    return None if value is None else float(value)


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
