"""What runs beside the calls: the roll-up, the end of sessions in which nothing happens, and the removal of rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from voicegw_sidecar import tasks
from voicegw_sidecar.alerts import Alerts
from voicegw_sidecar.attribution import Attribution
from voicegw_sidecar.operating.purge import keep_purging
from voicegw_sidecar.operating.retention import keep_removing
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.tracing import Traces

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
"""How often sessions are looked through, and texts that were kept long enough are let go of."""
_LAG_S = 0.25
"""How often the event loop's lateness is measured."""
_BEGIN_ANEW_S = 5.0
_LAST_S = 8.0
"""How long the end of the sessions may take, and that of the last roll-up: the next start does what is left."""


class Workers:
    """Starts them, and at the end closes what is open."""

    def __init__(self, runtime: Runtime, attribution: Attribution, traces: Traces) -> None:
        self._runtime = runtime
        self._traces = traces
        self._attribution = attribution
        alerts = Alerts(runtime)
        works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "roll-up": self._roll_up,
            "sessions": self._look,
            "loop lag": self._measure_lag,
            "alerts": alerts.run,
            "traces": traces.run,
            "purge": lambda: keep_purging(runtime),
            "retention": lambda: keep_removing(runtime),
        }
        self._tasks = [tasks.spawn(_kept_alive(name, work), name=name) for name, work in works.items()]

    async def close(self) -> None:
        """Stop them, close every session, and roll up once more; the rows of all calls are queued by now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not await self._in_time(self._end_sessions(), "end of sessions"):
            logger.warning("sessions are still open at the end; the next start closes them")
        if not await self._in_time(self._runtime.rollup.refresh(), "last roll-up"):
            logger.warning("latencies were not rolled up at the end; the next start does it")
        await self._traces.close()

    async def _end_sessions(self) -> None:
        sessions = self._runtime.sessions
        await asyncio.gather(*(sessions.close(session) for session in sessions.all_open()))
        await asyncio.gather(*sessions.all_closing())

    async def _in_time(self, work: Coroutine[Any, Any, None], name: str) -> bool:
        """Do the last of something; False where it takes too long, or where the sidecar is to end at once."""
        task = tasks.spawn(work, name=name)
        hurry = tasks.spawn(self._runtime.stop_now.wait(), name="second signal")
        await asyncio.wait((task, hurry), timeout=_LAST_S, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if task.done():
            return True
        task.cancel()
        await asyncio.wait((task, hurry))
        return False

    async def _roll_up(self) -> None:
        runtime, last_ns = self._runtime, None
        while True:
            interval_s = runtime.catalog.config.workers.rollup_interval_seconds  # a reload may shorten it
            now_ns = runtime.clock.monotonic_ns()
            if last_ns is None or now_ns - last_ns >= interval_s * NS_PER_S:
                last_ns = now_ns
                await runtime.rollup.refresh()
            await asyncio.sleep(_LOOK_S)

    async def _measure_lag(self) -> None:
        loop, lagged = asyncio.get_running_loop(), self._runtime.metrics.lagged
        while True:
            begun_s = loop.time()
            await asyncio.sleep(_LAG_S)
            lagged(loop.time() - begun_s - _LAG_S)

    async def _look(self) -> None:
        while True:
            try:
                self._attribution.sweep()  # first of all: what was said is not kept, whatever else goes wrong
                idle_s = self._runtime.catalog.config.sessions.idle_seconds
                for session in self._runtime.sessions.idle(idle_s):
                    _ = self._runtime.sessions.close(session)
            except Exception as error:  # one fault does not keep all sessions open, and all texts, from then on
                logger.error("sessions could not be looked through", extra={"error": type(error).__name__})
            await asyncio.sleep(_LOOK_S)


async def _kept_alive(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin a work anew whenever it fails: what goes wrong once, on a full disk, is not left undone for good."""
    while True:
        try:
            await work()
        except Exception as error:
            logger.error("a worker failed and begins anew", extra={"worker": name, "error": type(error).__name__})
        await asyncio.sleep(_BEGIN_ANEW_S)
