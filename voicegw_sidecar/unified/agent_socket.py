"""The agent's side of a unified endpoint's socket: opened, read, written and closed.

It is read to its end whatever is being worked on, so that an agent that leaves is noticed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

import aiohttp
from aiohttp import WSMsgType, web
from msgspec import Struct
from multidict import CIMultiDict

from voicegw_sidecar import tasks
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.facades import livekit
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.wire.frames import Kind

MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024
"""The largest message: over a minute of speech at once."""
INBOX_LIMIT_BYTES = 16 * 1024 * 1024
"""Of messages that wait, with what the smallest takes up beside its text."""
_KEPT_WITH_EACH_BYTES = 256
POLICY_VIOLATION, TRY_AGAIN = 1008, 1011
"""Close codes: what was asked for cannot be had; somebody else failed."""
_KINDS = {WSMsgType.TEXT: Kind.TEXT, WSMsgType.BINARY: Kind.BINARY}
_REASON_LIMIT_BYTES = 123
TICK_S = 1.0
"""How often the provider's connection is seen to."""
_CLOSE_S = 2.0
"""How long the agent may take to answer a close."""

M = TypeVar("M", bound=Struct)


class Inbox(Generic[M]):
    """What an agent said and nobody has taken yet, in its order; a message that could not be read is its error.

    ``note`` puts what happened here ahead of everything the agent said.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[M | BadRequest, int]] = deque()
        self._notes: deque[M] = deque()
        self._size_bytes = 0
        self._is_tick = False
        self._has_some = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """True where no more may wait."""
        return self._size_bytes > INBOX_LIMIT_BYTES

    def put(self, message: M | BadRequest, size_bytes: int) -> None:
        """Add what the agent said."""
        size_bytes += _KEPT_WITH_EACH_BYTES
        self._waiting.append((message, size_bytes))
        self._size_bytes += size_bytes
        self._has_some.set()

    def note(self, message: M) -> None:
        """Add what happened here."""
        self._notes.append(message)
        self._has_some.set()

    def tick(self) -> None:
        """Let whoever waits see to what is to be done from time to time."""
        self._is_tick = True
        self._has_some.set()

    async def take(self) -> M | None:
        """Return what is next, None at a tick; raises the `BadRequest` of an unreadable message."""
        await self._has_some.wait()
        is_tick, self._is_tick = self._is_tick, False
        if is_tick:
            self._settle()
            return None
        if self._notes:
            found: M | BadRequest = self._notes.popleft()
        else:
            found, size_bytes = self._waiting.popleft()
            self._size_bytes -= size_bytes
        self._settle()
        if isinstance(found, BadRequest):
            raise found
        return found

    def _settle(self) -> None:
        if not self._notes and not self._waiting and not self._is_tick:
            self._has_some.clear()


class AgentSide(Generic[M]):
    """One socket of an agent. A write waits for an agent that reads slowly, and for nobody else."""

    def __init__(self, request: web.Request, desk: Desk) -> None:
        self._request = request
        self._desk = desk
        self._socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
            autoclose=False, autoping=True, compress=False, max_msg_size=MESSAGE_LIMIT_BYTES + 1, timeout=2.0,
            decode_text=False,
        )  # fmt: skip
        self._is_closed = False
        self.inbox: Inbox[M] = Inbox()

    async def serve(
        self,
        read: Callable[[Kind, bytes], M],
        work: Callable[[], Coroutine[object, object, None]],
        *,
        leaves: Callable[[M], bool] = lambda message: False,
    ) -> web.StreamResponse:
        """Accept the upgrade and work on what comes, until the work is done or the agent is gone.

        ``leaves`` says of which message the agent is through, whatever is still under way.
        """
        self._socket.headers.extend(CIMultiDict(self._desk.answer_headers(None)))
        await self._socket.prepare(self._request)
        worker = tasks.spawn(work(), name="unified socket")
        reader = tasks.spawn(self._fill(read, leaves), name="unified socket reader")
        ticker = tasks.spawn(self._tick(), name="unified socket ticker")
        try:
            await asyncio.wait((worker, reader), return_when=asyncio.FIRST_COMPLETED)
            if self._is_closed:  # by the work, which waits for the agent's answer
                await asyncio.wait((worker,), timeout=_CLOSE_S)
        finally:
            for task in (worker, reader, ticker):
                task.cancel()
            await asyncio.gather(worker, reader, ticker, return_exceptions=True)
        has_failed = not worker.cancelled() and worker.exception() is not None
        await self.close(*((TRY_AGAIN, "internal error") if has_failed else ()))
        return self._socket

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.inbox.tick()

    async def _fill(self, read: Callable[[Kind, bytes], M], leaves: Callable[[M], bool]) -> None:
        """Take messages in until the agent closes or is gone."""
        while True:
            try:
                message = await self._socket.receive()
            except (ConnectionError, aiohttp.ClientError):  # it cannot be answered a ping any more
                return
            kind = _KINDS.get(message.type)
            if kind is None:
                return
            try:
                found: M | BadRequest = read(kind, message.data)
            except BadRequest as error:
                found = error
            if not isinstance(found, BadRequest) and leaves(found):
                return
            self.inbox.put(found, len(message.data))
            if self.inbox.is_full:
                error_text = "found more waiting than is held here; send audio as it is spoken, and wait for 'done'"
                with contextlib.suppress(TimeoutError):  # it may read nothing either
                    async with asyncio.timeout(_CLOSE_S):
                        await self.send(livekit.error(error_text, BadRequest.status))
                await self.close(POLICY_VIOLATION, "too much is waiting")
                return

    async def send(self, message: bytes) -> None:
        """Send a text message; to an agent that is gone it is dropped."""
        if self._is_closed:
            return
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_frame(message, WSMsgType.TEXT)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait a little for the agent's answer."""
        if self._is_closed:
            return
        self._is_closed = True
        words = reason.encode()[:_REASON_LIMIT_BYTES].decode(errors="ignore").encode()
        with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close(code=code, message=words)
        if self._request.transport is not None:
            self._request.transport.close()
