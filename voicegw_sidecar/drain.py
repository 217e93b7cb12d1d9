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

QUIET_NS = 2 * NS_PER_S
"""How long after its last call a session counts as under way although its agent keeps no connection open."""
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
    """Say whether a conversation is between two calls: nothing of it runs, and its next call will come.

    An agent that is gone has no connection left; one that talks keeps its connections for the next call. The agent that
    opens one for every call is given `QUIET_NS`.
    """
    now_ns = runtime.clock.monotonic_ns()
    is_anybody_there = relay.has_agents
    return any(is_anybody_there or now_ns - one.active_ns < QUIET_NS for one in runtime.sessions.all_open())
