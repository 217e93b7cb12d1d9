"""What removes rows that are too old. Daily totals, the log of changes and what operators made are not among them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from voicegw_sidecar.store.session_records import Statement

_THESE = "(SELECT value FROM json_each(?))"


def forget_exchanges(ids: Sequence[str]) -> tuple[Statement, ...]:
    """Remove exchanges and what says where they belong; what they cost stays in their day's totals."""
    these = (_listed(ids),)
    return (
        (f"DELETE FROM membership WHERE exchange_id IN {_THESE}", these),  # noqa: S608 - constants
        (f"DELETE FROM counted_job WHERE exchange_id IN {_THESE}", these),  # noqa: S608
        (f"DELETE FROM exchange WHERE id IN {_THESE} AND status <> 'open'", these),  # noqa: S608
    )


def forget_turns(turns: Sequence[tuple[str, int]]) -> tuple[Statement, ...]:
    """Remove turns, by their session and index."""
    these = msgspec.json.encode(turns).decode()
    pairs = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
    return ((f'DELETE FROM turn WHERE (session_uid, "index") IN ({pairs})', (these,)),)  # noqa: S608 - constants


def forget_sessions(uids: Sequence[str]) -> tuple[Statement, ...]:
    """Remove sessions that are closed and have no turns any more."""
    these = (_listed(uids),)
    has_turns = "EXISTS (SELECT 1 FROM turn WHERE session_uid = uid)"
    where = f"uid IN {_THESE} AND ended_ns IS NOT NULL AND NOT {has_turns}"
    return ((f"DELETE FROM session WHERE {where}", these),)  # noqa: S608 - constants


def _listed(ids: Sequence[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()
