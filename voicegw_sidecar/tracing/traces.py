"""The queue of what is still to be traced: names of rows only, bounded, emptied beside the calls.

A session is traced when it is closed and written. An exchange by itself is traced as well, but not before
`LONE_AFTER_S`: one without a session may turn out to belong to one, and then comes with it; one that ended after its
session was closed joins that session's trace. At `LIMIT` the oldest is dropped and counted.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import apsw
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.queries.sessions import sessions, turns_of
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.tracing.export import Exporter, is_installed
from voicegw_sidecar.tracing.spans import Span, late_span, lone_span, session_spans

logger = logging.getLogger(__name__)

LIMIT = 5000
LONE_AFTER_S = 60.0
SPANS_OF_A_SESSION = 2000
"""Exchanges of one session that are traced at most, the newest of them."""
ATTEMPTS = 5
RETRY_FIRST_S, RETRY_LAST_S = 1.0, 60.0
NOT_INSTALLED = "otlp.endpoint needs the extra: pip install 'voicegw-sidecar[otlp]'"
_LOOK_S = 0.5
_LAST_S = 2.0
"""How long the end of the sidecar waits for what is still to be sent."""

T = TypeVar("T")


class Lone(Struct, frozen=True):
    """An exchange that is traced by itself; ``is_late`` where its session was closed before it ended."""

    id: str
    is_late: bool


class Waiting(Struct):
    """What is still to be traced, and from when on; monotonic nanoseconds."""

    what: SessionRow | Lone
    due_ns: int
    attempts: int = 0


class _Result(enum.Enum):
    DONE = "done"
    NOT_TAKEN = "not taken"
    NOT_WRITTEN = "not written"
    """Its row still waits for the disk."""


class Traces:
    """Takes what ends, on the event loop; `run` exports it until it is cancelled, `close` what can still be sent."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sessions: deque[Waiting] = deque()
        self._lone: deque[Waiting] = deque()
        """In the order in which they are due."""
        self._exporter: Exporter | None = None
        self._endpoint: str | None = None
        self._retry_s = RETRY_FIRST_S
        self._is_in_trouble = False

    def session_closed(self, row: SessionRow) -> None:
        """Take a session whose figures are written."""
        self._put(self._sessions, Waiting(row, 0))

    def exchange_ended(self, row: ExchangeRow) -> None:
        """Take an exchange that ended; one of an open session comes with that."""
        is_late = row.session_id is not None and self._runtime.sessions.find(row.project, row.session_id) is None
        if row.session_id is None or is_late:
            due_ns = self._runtime.clock.monotonic_ns() + round(LONE_AFTER_S * NS_PER_S)
            self._put(self._lone, Waiting(Lone(row.id, is_late), due_ns))

    async def run(self) -> None:
        """Export what is due, one trace after the other."""
        while True:
            pause_s = _LOOK_S
            await self._use_endpoint()
            while self._exporter is not None and (waiting := self._due()) is not None:
                result = await self._export(waiting)
                if result is _Result.NOT_WRITTEN and isinstance(waiting.what, Lone):
                    continue  # it is due again later, and holds up no other
                if result is not _Result.DONE:
                    pause_s, self._retry_s = self._retry_s, min(self._retry_s * 2, RETRY_LAST_S)
                    break
                self._retry_s = RETRY_FIRST_S
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Send what the end of the sidecar has closed, for `_LAST_S` at most and not in a hurry; count what is left."""
        last = tasks.spawn(self._send_rest(), name="last traces")
        hurry = tasks.spawn(self._runtime.stop_now.wait(), name="second signal")
        await asyncio.wait((last, hurry), timeout=_LAST_S, return_when=asyncio.FIRST_COMPLETED)
        last.cancel()
        hurry.cancel()
        await asyncio.wait((last, hurry))
        if left := len(self._sessions) + len(self._lone):
            self._runtime.metrics.traced("dropped", left)
            logger.warning("traces could not be sent before the end", extra={"traces": left})
        if self._exporter is not None:
            self._exporter.close()

    async def _send_rest(self) -> None:
        for _ in range(len(self._sessions) + len(self._lone)):
            waiting = self._oldest()
            if self._exporter is None or waiting is None or await self._export(waiting) is _Result.NOT_TAKEN:
                return

    def _put(self, queue: deque[Waiting], waiting: Waiting) -> None:
        if self._runtime.catalog.config.otlp.endpoint is None:
            return
        if len(self._sessions) + len(self._lone) >= LIMIT:
            (self._lone or self._sessions).popleft()  # a conversation tells more than a call without one
            self._runtime.metrics.traced("dropped")
        queue.append(waiting)

    def _due(self) -> Waiting | None:
        """Take what is due: sessions first, then exchanges by themselves."""
        if not self._sessions and self._lone and self._lone[0].due_ns > self._runtime.clock.monotonic_ns():
            return None
        return self._oldest()

    def _oldest(self) -> Waiting | None:
        queue = self._sessions or self._lone
        return queue.popleft() if queue else None

    async def _use_endpoint(self) -> None:
        endpoint = self._runtime.catalog.config.otlp.endpoint
        if endpoint == self._endpoint:
            return
        if self._exporter is not None:
            self._exporter.close()
        self._exporter, self._endpoint, self._runtime.trace_error = None, endpoint, None
        if endpoint is None:
            self._sessions.clear()
            self._lone.clear()
        elif not await asyncio.to_thread(is_installed):
            self._runtime.trace_error = NOT_INSTALLED
            logger.warning("traces are not exported", extra={"reason": NOT_INSTALLED})
        else:
            node_id = self._runtime.store.node_id
            self._exporter = await _on_a_thread(lambda: Exporter(endpoint, node_id))

    async def _export(self, waiting: Waiting) -> _Result:
        """Send one trace; what is not sent waits again, for so many attempts, and is then counted as failed."""
        result = _Result.NOT_TAKEN
        try:
            result = await self._try(waiting.what)
        finally:  # also where the end of the sidecar comes in between
            if result is not _Result.DONE:
                self._put_back(waiting, is_written=result is _Result.NOT_TAKEN)
        return result

    async def _try(self, what: SessionRow | Lone) -> _Result:
        assert self._exporter is not None
        try:
            spans = await self._runtime.store.read(_spans, what)
        except apsw.Error as error:
            logger.error("what is to be traced cannot be read", extra={"error": type(error).__name__})
            return _Result.NOT_WRITTEN
        if spans is None:
            return _Result.NOT_WRITTEN
        if not spans:
            return _Result.DONE
        exporter = self._exporter
        is_taken = await _on_a_thread(lambda: exporter.export(spans))
        self._note(is_taken=is_taken)
        return _Result.DONE if is_taken else _Result.NOT_TAKEN

    def _note(self, *, is_taken: bool) -> None:
        """Count what is taken, and tell the log once that nothing is, and once that it is again."""
        if is_taken:
            self._runtime.metrics.traced("exported")
        if is_taken and self._is_in_trouble:
            logger.info("traces are taken again")
        elif not is_taken and not self._is_in_trouble:
            logger.warning("the collector does not take traces")
        self._is_in_trouble = not is_taken

    def _put_back(self, waiting: Waiting, *, is_written: bool) -> None:
        waiting.attempts += 1
        if waiting.attempts >= ATTEMPTS:
            self._runtime.metrics.traced("failed")
        elif is_written or not isinstance(waiting.what, Lone):
            (self._lone if isinstance(waiting.what, Lone) else self._sessions).appendleft(waiting)
        else:
            waiting.due_ns = self._runtime.clock.monotonic_ns() + round(LONE_AFTER_S * NS_PER_S)
            self._lone.append(waiting)


async def _on_a_thread(work: Callable[[], T]) -> T:
    """Run what may take ten seconds on a thread that no end of the process waits for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def told(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # with no error it is what the work returned

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(told, result, error)
        except RuntimeError:
            logger.debug("the sidecar ended before a trace was sent")

    threading.Thread(target=run, name="traces", daemon=True).start()
    return await future


def _spans(connection: apsw.Connection, what: SessionRow | Lone) -> list[Span] | None:
    """Read a trace; None while its row is not written, nothing for an exchange that comes with a session after all."""
    if isinstance(what, SessionRow):
        listing = exchanges(connection, Filter(project=what.project, session_id=what.id, limit=SPANS_OF_A_SESSION))
        return session_spans(what, turns_of(connection, what.uid), listing.rows[::-1])
    # the newest that began before the next id is the one of this id
    found = [row for row in exchanges(connection, Filter(before_id=f"{what.id}~", limit=1)).rows if row.id == what.id]
    if not found:
        return None
    [row] = found
    if row.session_id is None:
        return [lone_span(row)]
    if not what.is_late:
        return []
    [*session] = sessions(connection, row.project, None, 1, row.session_id).rows
    return [late_span(row, session[0].uid) if session else lone_span(row)]
