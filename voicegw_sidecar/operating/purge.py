"""What a deleted project's calls left, removed in small pieces between the rows of calls that are under way.

Which purge is due is a row of its own, written with the deletion: a restart goes on where it was. What began before the
deletion is removed altogether, what was still running then included, and nothing else: a project of the same id that is
made meanwhile shares nothing with it.
"""

from __future__ import annotations

import asyncio
import logging

import apsw

from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.operator_records import PurgeRow, end_purge, purge_statements
from voicegw_sidecar.store.queries.operators import Left, purges, what_is_left

logger = logging.getLogger(__name__)

_BETWEEN_S, _LOOK_S, _RUNNING_S = 0.02, 0.25, 1.0


async def keep_purging(runtime: Runtime) -> None:
    """Carry out every purge that is due, those of earlier runs first; until it is cancelled."""
    found = await runtime.store.read(purges)
    runtime.purges += [row for row in found if row not in runtime.purges]  # some may have become due meanwhile
    while True:
        pause_s = _LOOK_S
        for row in list(runtime.purges):
            try:
                pause_s = min(pause_s, await _step(runtime, row))
            except (apsw.Error, StoreFailed) as error:
                logger.error("purge waits for the database", extra={"error": type(error).__name__})
        await asyncio.sleep(pause_s)


async def _step(runtime: Runtime, row: PurgeRow) -> float:
    """Remove some of what is left; returns how long to wait, in seconds."""
    left = await runtime.store.read(what_is_left, row)
    if left is Left.NOTHING:
        await runtime.store.committed(end_purge(row))
        runtime.purges.remove(row)
        logger.info("project purged", extra={"project": row.project})
        return _LOOK_S
    if left is Left.RUNNING:
        return _RUNNING_S
    await runtime.store.committed(*purge_statements(row))
    return _BETWEEN_S
