"""The end of a sidecar that was told to stop: open conversations go on, new ones are refused, and then it goes.

It ends as soon as no conversation is under way, at the configured limit, or at once when it is told a second time.
"""

from __future__ import annotations

import asyncio
import logging

from voicegw_sidecar import tasks
from voicegw_sidecar.relay import Relay
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.terms import NS_PER_S

logger = logging.getLogger(__name__)

PAUSE_NS = 5 * NS_PER_S
"""How long after its last call a session counts as under way while its agent keeps a connection for the next one."""
GONE_NS = NS_PER_S
"""The same where no agent has a connection any more: one may open another for every call."""
_LOOK_S = 0.05


async def drain(runtime: Runtime, relay: Relay, limit_s: float) -> None:
    """Take no new sessions, and wait for those under way: up to the limit, or until the second signal."""
    runtime.is_draining = True
    logger.info(
        "draining",
        extra={"running": relay.running, "sessions": len(runtime.sessions.all_open()), "limit_s": limit_s},
    )
    waits = [
        tasks.spawn(_until_over(runtime, relay), name="drain"),
        tasks.spawn(runtime.stop_now.wait(), name="second signal"),
    ]
    await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if relay.running:
        why = "told a second time" if runtime.stop_now.is_set() else "the limit is reached"
        logger.warning("what still runs is cut off", extra={"running": relay.running, "reason": why})


async def _until_over(runtime: Runtime, relay: Relay) -> None:
    while True:
        await relay.until_idle()
        if not is_under_way(runtime, relay):
            return
        await asyncio.sleep(_LOOK_S)


def is_under_way(runtime: Runtime, relay: Relay) -> bool:
    """Say whether a conversation is between two calls: nothing of it runs, and its next call may come.

    A socket that hears the person runs all the time, so this is about agents that only make requests. That nothing
    comes for longer is a pause of theirs or their end, and which of the two nobody can tell.
    """
    patience_ns = PAUSE_NS if relay.has_agents else GONE_NS
    now_ns = runtime.clock.monotonic_ns()
    return any(now_ns - one.active_ns < patience_ns for one in runtime.sessions.all_open())
