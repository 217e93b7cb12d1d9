"""Rows older than ``storage.retention_days``, removed a few at a time between the rows of calls that are under way.

A call's last piece waits for its row, so what is removed at once must be little: `BATCH_ROWS` take the writer a third
of a millisecond (docs/performance.md). What was spent stays in the daily totals, and so does the log of changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import apsw

from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.ids import first_id_at
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries.retention import Expired, expired_exchanges, expired_sessions, expired_turns
from voicegw_sidecar.store.retention_records import forget_exchanges, forget_sessions, forget_turns
from voicegw_sidecar.store.session_records import Statement
from voicegw_sidecar.terms import NS_PER_S

logger = logging.getLogger(__name__)

BATCH_ROWS = 50
BETWEEN_S = 0.05
"""Twenty batches a second: a thousand rows, more than a busy sidecar writes."""
PASS_S = 3600.0
_LOOK_S = 1.0
_DAY_NS = 86_400 * NS_PER_S

_Find = Callable[[str], Awaitable[Expired]]
_Forget = Callable[[Sequence[str]], tuple[Statement, ...]]


async def keep_removing(runtime: Runtime) -> None:
    """Look for rows that are too old, at the start, every hour and when the setting changes; until it is cancelled."""
    clock, last_ns, last_days = runtime.clock, None, None
    while True:
        days, now_ns = runtime.catalog.config.storage.retention_days, clock.monotonic_ns()
        if last_ns is None or days != last_days or now_ns - last_ns >= PASS_S * NS_PER_S:
            last_ns, last_days = now_ns, days
            try:
                await remove_expired(runtime, clock.wall_ns() - days * _DAY_NS)
            except (apsw.Error, StoreFailed) as error:
                logger.error("old rows stay until the next look", extra={"error": type(error).__name__})
        await asyncio.sleep(_LOOK_S)


async def remove_expired(runtime: Runtime, before_ns: int) -> None:
    """Remove what ended before a wall-clock time; returns when nothing of it is left."""
    store, before_id = runtime.store, first_id_at(before_ns)

    async def exchanges(after_id: str) -> Expired:
        return await store.read(expired_exchanges, after_id, before_id, BATCH_ROWS)

    async def sessions(after_id: str) -> Expired:
        return await store.read(expired_sessions, after_id, before_id, before_ns, BATCH_ROWS)

    gone = await _remove(runtime, exchanges, forget_exchanges)
    await _remove_turns(runtime, before_id, before_ns)
    ended = await _remove(runtime, sessions, forget_sessions)
    if gone or ended:
        logger.info("old rows removed", extra={"exchanges": gone, "sessions": ended})


async def _remove_turns(runtime: Runtime, before_id: str, before_ns: int) -> None:
    """Remove the turns of old sessions before these, for a session may have thousands."""
    last = ""
    while found := await runtime.store.read(expired_turns, last, before_id, before_ns, BATCH_ROWS):
        await runtime.store.committed(*forget_turns(found))
        last = found[-1][0]
        await asyncio.sleep(BETWEEN_S)


async def _remove(runtime: Runtime, find: _Find, forget: _Forget) -> int:
    """Go through the ids once, in order; returns how many were removed."""
    count, last = 0, ""
    while True:
        found = await find(last)
        if found.last is None:
            return count
        last = found.last
        if found.ids:
            await runtime.store.committed(*forget(found.ids))  # waits behind every row that was queued before
            count += len(found.ids)
        await asyncio.sleep(BETWEEN_S)
