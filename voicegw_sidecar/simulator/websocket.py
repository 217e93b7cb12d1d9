"""The simulator's end of a WebSocket: counted, hashed, and broken where the script says.

Knows no provider's messages. `Outbox` sends in order what is due later, so that a slow answer never
stops the listening.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import WSMsgType, web

from voicegw_sidecar.simulator.ledger import FrameDigest
from voicegw_sidecar.simulator.script import FailureKind
from voicegw_sidecar.simulator.visit import Visit, forever
from voicegw_sidecar.terms import NS_PER_S

_MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
_CLOSE_TIMEOUT_S = 1.0
_OUTBOX_LIMIT = 1000


class Socket:
    """One accepted WebSocket."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._received = FrameDigest()
        self._sent = FrameDigest()
        self.response = web.WebSocketResponse(
            compress=False, timeout=_CLOSE_TIMEOUT_S, max_msg_size=_MESSAGE_LIMIT_BYTES
        )

    async def accept(self, headers: dict[str, str]) -> None:
        """Answer the upgrade with the provider's own headers."""
        self.response.headers.update(headers)
        await self.response.prepare(self._visit.request)
        self._visit.entry.status = 101
        self._visit.on_accept(self.response)
        await self._break_if_due()

    async def receive(self) -> str | bytes | None:
        """Return the next frame; None when the client closed or left."""
        message = await self.response.receive()
        entry = self._visit.entry
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            if message.type is WSMsgType.CLOSE:
                entry.close_code = message.data
            return None
        frame: str | bytes = message.data
        self._received.add(frame)
        entry.frames_received += 1
        entry.received_sha256 = self._received.hexdigest()
        return frame

    async def send(self, message: object) -> None:
        """Send bytes as a binary frame and anything else as JSON text."""
        if self.response.closed:
            raise ConnectionResetError("the WebSocket is closed")
        if isinstance(message, bytes):
            await self.response.send_bytes(message)
            self._sent.add(message)
        else:
            text = msgspec.json.encode(message).decode()
            await self.response.send_str(text)
            self._sent.add(text)
        self._visit.entry.frames_sent += 1
        self._visit.entry.sent_sha256 = self._sent.hexdigest()
        await self._break_if_due()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in the protocol's way and note what the client answered."""
        self._visit.mark("ended_ns")
        await self.response.close(code=code, message=reason.encode()[:123])
        self._visit.entry.close_code = self.response.close_code

    async def _break_if_due(self) -> None:
        failure = self._visit.failure
        if failure is None or self._visit.entry.frames_sent < failure.after:
            return
        match failure.kind:
            case FailureKind.CLOSE:
                await self.close(failure.code, failure.reason)
                raise ConnectionResetError("closed as scripted")
            case FailureKind.RESET:
                self._visit.reset()
            case FailureKind.TRUNCATE:
                self._visit.hang_up()
            case FailureKind.HANG:
                pass
            case _:
                return
        await forever()


class Outbox:
    """Messages with a due time, sent one after the other; ``None`` is the end."""

    def __init__(self, visit: Visit, socket: Socket) -> None:
        self._visit = visit
        self._socket = socket
        self._queue: asyncio.Queue[tuple[int, object, Callable[[], None] | None] | None] = asyncio.Queue(_OUTBOX_LIMIT)

    async def put(self, message: object, latency_ms: float = 0.0, on_send: Callable[[], None] | None = None) -> None:
        """Send a message once its latency has passed; ``on_send`` is called just before. Waits while full."""
        due_ns = self._visit.clock.monotonic_ns() + round(self._visit.delay_s(latency_ms) * NS_PER_S)
        await self._queue.put((due_ns, message, on_send))

    async def end(self) -> None:
        """Let `run` return after what was put so far."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Send what is put until `end`."""
        while (item := await self._queue.get()) is not None:
            due_ns, message, on_send = item
            await asyncio.sleep(max(0, due_ns - self._visit.clock.monotonic_ns()) / NS_PER_S)
            if on_send is not None:
                on_send()
            await self._socket.send(message)
