"""How many calls of tools run at once, and what becomes of the others.

Each runs on a thread, where it waits for the sidecar. The SDK reads stdin and writes stdout on threads as well, within
anyio's own limit: calls have a limit of their own, so that messages are read, answered and cancelled however many wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.mcp.tool import Answer

RUNNING_MOST, WAITING_MOST = 16, 64
"""Beyond these a call is refused."""
THREADS_MOST = 64
"""With those of calls that were cancelled or out of time, which end when the sidecar answers or is given up."""
LIMIT_S = 90.0
"""For one call, of several requests of `control_client`, waiting for its turn included."""


class Busy(SidecarError):
    """The call was not begun."""


class OutOfTime(SidecarError):
    """The call was begun, and took too long."""


class Calls:
    """The calls of one server."""

    def __init__(self) -> None:
        import anyio

        self._running = anyio.CapacityLimiter(RUNNING_MOST)
        self._threads = threading.BoundedSemaphore(THREADS_MOST)

    async def run(self, work: Callable[[], Answer], limit_s: float = LIMIT_S) -> Answer:
        """Run it on a thread once there is a place; raises `Busy`, `OutOfTime`, and what it raises itself."""
        import anyio
        import anyio.to_thread

        if self._running.statistics().tasks_waiting >= WAITING_MOST:
            raise Busy(
                f"{RUNNING_MOST} calls are running and {WAITING_MOST} are waiting, which is the limit; nothing was "
                "done, call again later"
            )
        beginning = threading.Lock()  # taken once: by the thread that begins, or by who waits for it no longer

        def begun() -> Answer:
            if not beginning.acquire(blocking=False):
                raise Busy("nobody waits for it any more")
            return self._counted(work)

        try:
            with anyio.fail_after(limit_s):
                return await anyio.to_thread.run_sync(begun, abandon_on_cancel=True, limiter=self._running)
        except TimeoutError:
            if beginning.acquire(blocking=False):
                raise Busy(f"there was no place for {limit_s:g} s; nothing was done, call again later") from None
            raise OutOfTime(f"there was no answer of the sidecar within {limit_s:g} s") from None

    def _counted(self, work: Callable[[], Answer]) -> Answer:
        if not self._threads.acquire(blocking=False):
            raise Busy("too many calls that were given up still wait for the sidecar; nothing was done")
        try:
            return work()
        finally:
            self._threads.release()
