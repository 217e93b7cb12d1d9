"""What is older than rows are kept: exchanges and sessions, a few at a time, in the order of their ids."""

from __future__ import annotations

import apsw
from msgspec import Struct


class Expired(Struct, frozen=True):
    """Ids that are to be removed, and the last one that was looked at; None once there are no more."""

    ids: list[str]
    last: str | None


def expired_exchanges(connection: apsw.Connection, after_id: str, before_id: str, limit: int) -> Expired:
    """Find closed exchanges whose id lies between the two; those of a session that is still open stay with it."""
    query = (
        "SELECT e.id, EXISTS (SELECT 1 FROM session AS s WHERE s.project = e.project AND s.ended_ns IS NULL AND "
        "s.id = coalesce((SELECT m.session_id FROM membership AS m WHERE m.exchange_id = e.id ORDER BY m.id DESC "
        "LIMIT 1), e.session_id)) FROM exchange AS e WHERE e.id > ? AND e.id < ? AND e.status <> 'open' "
        "ORDER BY e.id LIMIT ?"
    )
    rows = [(str(id_), bool(is_needed)) for id_, is_needed in connection.execute(query, (after_id, before_id, limit))]
    return Expired([id_ for id_, is_needed in rows if not is_needed], rows[-1][0] if rows else None)


def expired_turns(
    connection: apsw.Connection, after_uid: str, before_uid: str, before_ns: int, limit: int
) -> list[tuple[str, int]]:
    """Find turns of expired sessions from one session on: its uid and the turn's index, in order."""
    query = (
        'SELECT t.session_uid, t."index" FROM session AS s JOIN turn AS t ON t.session_uid = s.uid '
        'WHERE s.uid >= ? AND s.uid < ? AND s.ended_ns < ? ORDER BY s.uid, t."index" LIMIT ?'
    )
    rows = connection.execute(query, (after_uid, before_uid, before_ns, limit))
    return [(str(uid), int(str(index))) for uid, index in rows]


def expired_sessions(
    connection: apsw.Connection, after_uid: str, before_uid: str, before_ns: int, limit: int
) -> Expired:
    """Find sessions that began between the two and ended before a wall-clock time."""
    query = "SELECT uid FROM session WHERE uid > ? AND uid < ? AND ended_ns < ? ORDER BY uid LIMIT ?"
    uids = [str(uid) for (uid,) in connection.execute(query, (after_uid, before_uid, before_ns, limit))]
    return Expired(uids, uids[-1] if uids else None)
