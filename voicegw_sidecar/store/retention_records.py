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


def forget_sessions(uids: Sequence[str]) -> tuple[Statement, ...]:
    """Remove sessions that are closed, and their turns."""
    these = (_listed(uids),)
    return (
        (f"DELETE FROM turn WHERE session_uid IN {_THESE}", these),  # noqa: S608
        (f"DELETE FROM session WHERE uid IN {_THESE} AND ended_ns IS NOT NULL", these),  # noqa: S608
    )


def _listed(ids: Sequence[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()
