"""The queue of what is still to be traced: names of rows only, bounded, emptied beside the calls.

A session is traced when it is closed and written. An exchange without a session is traced by itself, but not before
`LONE_AFTER_S`: until then it may turn out to belong to one. At `LIMIT` the oldest is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import apsw
from msgspec import Struct

from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.queries.sessions import turns_of
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.tracing.export import Exporter, is_installed
from voicegw_sidecar.tracing.spans import Span, lone_span, session_spans

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


class Waiting(Struct):
    """A session or an exchange that is still to be traced, and when; monotonic nanoseconds."""

    what: SessionRow | str
    due_ns: int
    attempts: int = 0


class Traces:
    """Takes what ends, on the event loop; `run` exports it until it is cancelled, `close` what can still be sent."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sessions: deque[Waiting] = deque()
        self._lone: deque[Waiting] = deque()
        """Exchanges without a session, in the order in which they are due."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="traces")
        self._exporter: Exporter | None = None
        self._endpoint: str | None = None
        self._retry_s = RETRY_FIRST_S
        self._is_in_trouble = False

    def session_closed(self, row: SessionRow) -> None:
        """Take a session whose figures are written."""
        self._put(self._sessions, Waiting(row, 0))

    def exchange_ended(self, row: ExchangeRow) -> None:
        """Take an exchange that ended; one of a session comes with it."""
        if row.session_id is None:
            due_ns = self._runtime.clock.monotonic_ns() + round(LONE_AFTER_S * NS_PER_S)
            self._put(self._lone, Waiting(row.id, due_ns))

    async def run(self) -> None:
        """Export what is due, one trace after the other."""
        while True:
            pause_s = _LOOK_S
            try:
                await self._use_endpoint()
                while self._exporter is not None and (waiting := self._due()) is not None:
                    if not await self._export(waiting):
                        pause_s, self._retry_s = self._retry_s, min(self._retry_s * 2, RETRY_LAST_S)
                        break
                    self._retry_s = RETRY_FIRST_S
            except apsw.Error as error:
                logger.error("what is to be traced cannot be read", extra={"error": type(error).__name__})
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Send what the end of the sidecar has closed, for `_LAST_S` at most; lone exchanges wait no longer."""
        try:
            async with asyncio.timeout(_LAST_S):
                while self._exporter is not None and (waiting := self._oldest()) is not None:
                    if not await self._export(waiting):
                        break
        except (TimeoutError, apsw.Error):
            pass
        if left := len(self._sessions) + len(self._lone):
            self._runtime.metrics.traced("dropped", left)
            logger.warning("traces could not be sent before the end", extra={"traces": left})
        if self._exporter is not None:
            self._exporter.close()  # also what still waits for an answer
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _put(self, queue: deque[Waiting], waiting: Waiting) -> None:
        if self._runtime.catalog.config.otlp.endpoint is None:
            return
        if len(self._sessions) + len(self._lone) >= LIMIT:
            (self._lone or self._sessions).popleft()  # a conversation tells more than a call without one
            self._runtime.metrics.traced("dropped")
        queue.append(waiting)

    def _due(self) -> Waiting | None:
        """Take what is due: sessions first, then exchanges that have found none."""
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
        self._exporter, self._endpoint = None, endpoint
        if endpoint is None:
            self._sessions.clear()
            self._lone.clear()
            self._runtime.trace_error = None
        elif not await asyncio.to_thread(is_installed):
            self._runtime.trace_error = NOT_INSTALLED
            logger.warning("traces are not exported", extra={"reason": NOT_INSTALLED})
        else:
            self._runtime.trace_error = None
            node_id = self._runtime.store.node_id
            self._exporter = await asyncio.get_running_loop().run_in_executor(self._thread, Exporter, endpoint, node_id)

    async def _export(self, waiting: Waiting) -> bool:
        """Send one trace; what the collector does not take waits again, for so many attempts."""
        assert self._exporter is not None
        spans = await self._runtime.store.read(_spans, waiting.what)
        if not spans:
            return True
        is_taken = await asyncio.get_running_loop().run_in_executor(self._thread, self._exporter.export, spans)
        if is_taken:
            self._runtime.metrics.traced("exported")
        else:
            waiting.attempts += 1
            if waiting.attempts < ATTEMPTS:
                (self._lone if isinstance(waiting.what, str) else self._sessions).appendleft(waiting)
            else:
                self._runtime.metrics.traced("failed")
        if is_taken == self._is_in_trouble:
            self._is_in_trouble = not is_taken
            logger.log(
                logging.INFO if is_taken else logging.WARNING,
                "traces are taken again" if is_taken else "the collector does not take traces",
            )
        return is_taken


def _spans(connection: apsw.Connection, what: SessionRow | str) -> list[Span]:
    """Read a trace; nothing for an exchange that is gone or belongs to a session after all."""
    if isinstance(what, str):
        # the newest that began before the next id is the one of this id
        [*found] = exchanges(connection, Filter(before_id=f"{what}~", limit=1)).rows
        return [lone_span(row) for row in found if row.id == what and row.session_id is None]
    listing = exchanges(connection, Filter(project=what.project, session_id=what.id, limit=SPANS_OF_A_SESSION))
    return session_spans(what, turns_of(connection, what.uid), listing.rows[::-1])
