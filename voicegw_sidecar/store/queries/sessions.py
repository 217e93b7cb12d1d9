"""Which sessions there were, which exchanges belong to one, and its turns."""

from __future__ import annotations

from collections.abc import Iterable

import apsw
from msgspec import Struct

from voicegw_sidecar.meter.timed import Timed, Turn
from voicegw_sidecar.store.records import Value
from voicegw_sidecar.store.session_records import SESSION_COLUMNS, TURN_COLUMNS, SessionRow
from voicegw_sidecar.terms import FAILED, Modality, SessionOrigin, SessionOutcome, Status

_COLUMNS = ", ".join(SESSION_COLUMNS)
_UNCOUNTED = (Status.OPEN, Status.REFUSED, Status.IDLE)

# Of the sessions that an exchange was put into, the one found last counts: the newest membership, else its row's own.
MEMBER_OF = (
    "coalesce((SELECT m.session_id FROM membership AS m WHERE m.exchange_id = exchange.id "
    "ORDER BY m.id DESC LIMIT 1), exchange.session_id)"
)
IN_SESSION = (
    "exchange.id IN (SELECT id FROM exchange WHERE session_id = :session UNION ALL "  # noqa: S608 - constants
    f"SELECT exchange_id FROM membership WHERE session_id = :session) AND {MEMBER_OF} = :session"
)


class Member(Struct, frozen=True):
    """One exchange of a session: its times, what it was, and what it cost."""

    timed: Timed
    provider: str
    model: str | None
    cost_nanousd: int | None

    @property
    def is_counted(self) -> bool:
        """Counted as requests are: closed, and neither refused nor the silent rest of a stream."""
        return self.timed.status not in _UNCOUNTED


class SessionListing(Struct, frozen=True):
    """Sessions, newest first, and the uid to continue before; None at the end."""

    rows: list[SessionRow]
    next: str | None


_OUTCOMES = {
    SessionOutcome.OPEN: "ended_ns IS NULL",
    SessionOutcome.OK: "ended_ns IS NOT NULL AND failures = 0",
    SessionOutcome.ERRORS: "ended_ns IS NOT NULL AND failures > 0",
}
_OVERRUN = {True: "budget_overrun = 1", False: "budget_overrun = 0"}


class Among(Struct, frozen=True):
    """Which sessions to list; None means any."""

    outcome: SessionOutcome | None = None
    is_overrun: bool | None = None


ANY = Among()


def sessions(
    connection: apsw.Connection,
    project: str | None,
    before: str | None,
    limit: int,
    id_: str | None = None,
    among: Among = ANY,
) -> SessionListing:
    """List sessions, newest first; with ``id_`` those that agents gave this name, one of each project at most."""
    choices = (("project = ?", project), ("uid < ?", before), ("id = ?", id_))
    terms = [term for term, value in choices if value is not None]
    terms += [_OUTCOMES[among.outcome]] if among.outcome is not None else []
    terms += [_OVERRUN[among.is_overrun]] if among.is_overrun is not None else []
    where = f"WHERE {' AND '.join(terms)} " if terms else ""
    values = [value for _, value in choices if value is not None]
    query = f"SELECT {_COLUMNS} FROM session {where}ORDER BY uid DESC LIMIT ?"  # noqa: S608 - constants
    rows = [_session(row) for row in connection.execute(query, (*values, limit + 1))]
    has_more = len(rows) > limit
    rows = rows[:limit]
    return SessionListing(rows, rows[-1].uid if has_more else None)


def open_sessions(connection: apsw.Connection, node_id: str) -> list[tuple[SessionRow, int]]:
    """Return the sessions that this sidecar left open, and when each was last active, in wall-clock nanoseconds."""
    query = f"SELECT {_COLUMNS} FROM session WHERE node_id = ? AND ended_ns IS NULL ORDER BY uid"  # noqa: S608
    found = [_session(row) for row in connection.execute(query, (node_id,))]
    return [(row, last_active_ns(members(connection, row.project, row.id), row.started_ns)) for row in found]


def closed_sessions(connection: apsw.Connection, limit: int) -> list[tuple[str, str]]:
    """Return project and id of the latest closed sessions, oldest first."""
    query = "SELECT project, id FROM session WHERE ended_ns IS NOT NULL ORDER BY uid DESC LIMIT ?"
    return [(str(project), str(id_)) for project, id_ in connection.execute(query, (limit,))][::-1]


def last_active_ns(found: Iterable[Member], started_ns: int) -> int:
    """Return when the last exchange of a session ended, or the session began."""
    ends = [member.timed.ended_ns or member.timed.started_ns for member in found]
    return max([started_ns, *ends])


def members(connection: apsw.Connection, project: str, session_id: str) -> list[Member]:
    """Return every exchange of a session, by when it began."""
    query = (
        "SELECT id, modality, status, started_ns, ended_ns, asked_ns, first_ns, content_ns, speech_began_ns, "  # noqa: S608
        f"speech_ended_ns, audio_out_s, provider, model, cost_nanousd FROM exchange "
        f"WHERE project = :project AND {IN_SESSION} ORDER BY id"
    )
    return [_member(row) for row in connection.execute(query, {"project": project, "session": session_id})]


class SoFar(Struct, frozen=True):
    """What an open session comes to as it stands, as far as one glance tells: no turns."""

    exchanges: int
    nanousd: int | None
    unpriced: int
    failures: int


def so_far(connection: apsw.Connection, project: str, session_id: str) -> SoFar:
    """Sum up an open session without telling its turns, which takes much longer."""
    found = members(connection, project, session_id)
    closed = [member for member in found if member.timed.status is not Status.OPEN]
    costs = [member.cost_nanousd for member in closed if member.cost_nanousd is not None]
    return SoFar(
        exchanges=sum(member.is_counted for member in found),
        nanousd=sum(costs) if costs or not closed else None,
        unpriced=len(closed) - len(costs),
        failures=sum(member.timed.status in FAILED for member in found),
    )


def _member(row: tuple[Value, ...]) -> Member:
    id_, modality, status, started_ns, *times, audio_out_s, provider, model, cost_nanousd = row
    ended_ns, asked_ns, first_ns, content_ns, speech_began_ns, speech_ended_ns = map(_int, times)
    timed = Timed(
        modality=None if modality is None else Modality(str(modality)),
        status=Status(str(status)),
        started_ns=_int(started_ns) or 0,
        ended_ns=ended_ns,
        asked_ns=asked_ns,
        first_ns=first_ns,
        content_ns=content_ns,
        speech_began_ns=speech_began_ns,
        speech_ended_ns=speech_ended_ns,
        audio_out_s=_float(audio_out_s),
        id=str(id_),
    )
    return Member(timed, str(provider), None if model is None else str(model), _int(cost_nanousd))


def turns_of(connection: apsw.Connection, uid: str) -> list[Turn]:
    """Return the turns of a closed session."""
    columns = ", ".join(f'"{name}"' for name in TURN_COLUMNS)
    query = f'SELECT {columns} FROM turn WHERE session_uid = ? ORDER BY "index"'  # noqa: S608 - constants
    return [_turn(row) for row in connection.execute(query, (uid,))]


def _turn(row: tuple[Value, ...]) -> Turn:
    found = dict(zip(TURN_COLUMNS, row, strict=True))
    flags = {name: bool(found.pop(name)) for name in ("interrupted", "has_filler")}
    counts = {name: _int(found.pop(name)) or 0 for name in ("index", "llm_calls", "abandoned")}
    return Turn(**counts, **flags, **{name: _int(value) for name, value in found.items()})  # type: ignore[arg-type]


def _session(row: tuple[Value, ...]) -> SessionRow:
    found = dict(zip(SESSION_COLUMNS, row, strict=True))
    overrun = found["budget_overrun"]
    return SessionRow(
        uid=str(found["uid"]),
        project=str(found["project"]),
        id=str(found["id"]),
        origin=SessionOrigin(str(found["origin"])),
        started_ns=_int(found["started_ns"]) or 0,
        budget_ms=_int(found["budget_ms"]) or 0,
        predicted_ms=_float(found["predicted_ms"]),
        budget_overrun=None if overrun is None else bool(overrun),
        route=str(found["route"]),
        ended_ns=_int(found["ended_ns"]),
        budget_ms_used=_float(found["budget_ms_used"]),
        cost_nanousd=_int(found["cost_nanousd"]),
        unpriced=_int(found["unpriced"]),
        exchanges=_int(found["exchanges"]),
        turns=_int(found["turns"]),
        interruptions=_int(found["interruptions"]),
        user_talk_s=_float(found["user_talk_s"]),
        agent_talk_s=_float(found["agent_talk_s"]),
        failures=_int(found["failures"]),
    )


def _int(value: Value) -> int | None:
    return None if value is None else int(value)


def _float(value: Value) -> float | None:
    return None if value is None else float(value)
