"""Rows of sessions, turns, memberships and latency observations, and the statements that write them.

An open session may change; a closed one never does: every statement that touches one says ``ended_ns IS NULL``.
"""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.store.records import Value
from voicegw_sidecar.terms import Basis, Modality, SessionOrigin

Statement = tuple[str, tuple[Value, ...]]

TURN_COLUMNS = tuple(name for name in Turn.__struct_fields__ if name != "unplayed_s")
SESSION_COLUMNS = (
    "uid", "project", "id", "origin", "started_ns", "budget_ms", "predicted_ms", "budget_overrun", "route", "ended_ns",
    "budget_ms_used", "cost_nanousd", "unpriced", "exchanges", "turns", "interruptions", "user_talk_s", "agent_talk_s",
    "failures",
)  # fmt: skip


class SessionRow(Struct, frozen=True):
    """One session; the fields from ``ended_ns`` on are None while it is open. Times are wall-clock nanoseconds."""

    uid: str
    project: str
    id: str
    origin: SessionOrigin
    started_ns: int
    budget_ms: int
    predicted_ms: float | None
    budget_overrun: bool | None
    route: str
    """JSON."""
    ended_ns: int | None = None
    budget_ms_used: float | None = None
    cost_nanousd: int | None = None
    unpriced: int | None = None
    exchanges: int | None = None
    turns: int | None = None
    interruptions: int | None = None
    user_talk_s: float | None = None
    agent_talk_s: float | None = None
    failures: int | None = None
    """Exchanges that were refused, failed or broke off."""


class ObservationRow(Struct, frozen=True):
    """Latencies of one provider in a window; ``model`` "" pools its models. Times are ISO 8601, UTC."""

    project: str
    provider: str
    model: str
    modality: Modality
    p50_ms: float
    p95_ms: float
    sample_count: int


def open_session(row: SessionRow, node_id: str) -> Statement:
    """Write a session that began; one of that id that is there already stays as it is."""
    columns = (*SESSION_COLUMNS[:9], "node_id")
    values = (*(_value(getattr(row, name)) for name in SESSION_COLUMNS[:9]), node_id)
    marks = ", ".join("?" * len(columns))
    return f"INSERT OR IGNORE INTO session ({', '.join(columns)}) VALUES ({marks})", values  # noqa: S608 - constants


def close_session(row: SessionRow, turns: list[Turn]) -> tuple[Statement, ...]:
    """Write the figures and turns of a session that ended, unless they are written."""
    names = SESSION_COLUMNS[8:]
    changes = ", ".join(f"{name} = ?" for name in names)
    values = tuple(_value(getattr(row, name)) for name in names)
    is_open = "EXISTS (SELECT 1 FROM session WHERE uid = ? AND ended_ns IS NULL)"
    columns = ", ".join(f'"{name}"' for name in TURN_COLUMNS)
    marks = ", ".join("?" * (len(TURN_COLUMNS) + 1))
    insert = f"INSERT OR IGNORE INTO turn (session_uid, {columns}) SELECT {marks} WHERE {is_open}"
    return (
        *((insert, (row.uid, *(_value(getattr(turn, name)) for name in TURN_COLUMNS), row.uid)) for turn in turns),
        (f"UPDATE session SET {changes} WHERE uid = ? AND ended_ns IS NULL", (*values, row.uid)),  # noqa: S608
    )


def forget_session(project: str, session_id: str) -> Statement:
    """Remove an open session that turned out to be a part of another one."""
    return "DELETE FROM session WHERE project = ? AND id = ? AND ended_ns IS NULL", (project, session_id)


def join_session(
    id_: str, node_id: str, exchange_id: str, project: str, session_id: str, basis: Basis, at_ns: int
) -> Statement:
    """Write that an exchange whose row is there already belongs to a session."""
    return (
        "INSERT INTO membership (id, node_id, exchange_id, project, session_id, basis, at_ns) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (id_, node_id, exchange_id, project, session_id, basis.value, at_ns),
    )


def move_session(
    prefix: str, node_id: str, project: str, gone: str, into: str, basis: Basis, at_ns: int
) -> Statement:  # fmt: skip
    """Write that all exchanges of one session belong to another; ``prefix`` and a number make each row's id."""
    return (
        "INSERT INTO membership (id, node_id, exchange_id, project, session_id, basis, at_ns) "
        "SELECT ? || '-' || printf('%06d', row_number() OVER ()), ?, e.id, e.project, ?, ?, ? FROM exchange AS e "
        "WHERE e.id IN (SELECT id FROM exchange WHERE session_id = ? AND project = ? UNION ALL "
        "SELECT exchange_id FROM membership WHERE session_id = ? AND project = ?) "
        "AND coalesce((SELECT m.session_id FROM membership AS m WHERE m.exchange_id = e.id "
        "ORDER BY m.id DESC LIMIT 1), e.session_id) = ?",
        (prefix, node_id, into, basis.value, at_ns, gone, project, gone, project, gone),
    )


def observe(row: ObservationRow, window_start: str, window_end: str, refreshed_at: str) -> Statement:
    """Write or replace what was observed of one provider."""
    return (
        "INSERT OR REPLACE INTO latency_observations (project_id, provider, model, modality, p50_ms, p95_ms, "
        "sample_count, window_start, window_end, refreshed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.project, row.provider, row.model, row.modality.value, row.p50_ms, row.p95_ms, row.sample_count,
            window_start, window_end, refreshed_at,
        ),
    )  # fmt: skip


FORGET_OBSERVATIONS: Statement = ("DELETE FROM latency_observations", ())


def _value(field: object) -> Value:
    return field if field is None or isinstance(field, str | int | float) else str(field)
