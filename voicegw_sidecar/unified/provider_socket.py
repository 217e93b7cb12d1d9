"""A provider's socket as the unified endpoints use it: messages out, voice events in, observed like a relayed one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import aiohttp
from aiohttp import WSMsgType

from voicegw_sidecar import tasks
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import Message, Messages
from voicegw_sidecar.errors import SidecarError, UpstreamSilent
from voicegw_sidecar.events import Event
from voicegw_sidecar.facades.translation import refused
from voicegw_sidecar.relay.tap import Tap
from voicegw_sidecar.relay.upstream import Dialler, RefusedHandshake
from voicegw_sidecar.unified.plan import Connection, ProviderRefused
from voicegw_sidecar.wire.frames import End, Frame, Kind, ResponseHead, Side

_KINDS = {WSMsgType.TEXT: Kind.TEXT, WSMsgType.BINARY: Kind.BINARY}
_TYPES = {Kind.TEXT: WSMsgType.TEXT, Kind.BINARY: WSMsgType.BINARY}
_CLOSE_S = 2.0
"""How long the provider may take to answer a close."""
SEND_S = 10.0
"""How long it may take no more of what it is sent; then its connection is given up."""


class ClosedEarly(UpstreamSilent):
    """The provider closed before it was through."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(f"{connection.leg.provider.id} closed the connection before it was through")


class ProviderSocket:
    """One connection to a provider; `dial` it once, and `close` it however that went."""

    def __init__(self, connection: Connection, dialler: Dialler, clock: Clock) -> None:
        self.connection = connection
        self._dialler = dialler
        self._clock = clock
        self._tap = Tap(connection.observer)
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._handshake: aiohttp.ClientResponse | None = None
        self._is_closed = False
        self.has_broken = False
        """True once the connection ended in another way than by an orderly close."""
        self.last_sent_ns = 0
        """Monotonic; when something last went to the provider."""

    @property
    def is_open(self) -> bool:
        """True between a dial that succeeded and the end of the connection."""
        return self._socket is not None and not self._is_closed

    async def dial(self, opening: Messages) -> None:
        """Connect and send what comes first; raises `SidecarError`, `ProviderRefused` where the provider said no."""
        connection = self.connection
        try:
            self._socket, self._handshake = await self._dialler.websocket(
                connection.url, connection.headers, (), connection.timeouts
            )
        except asyncio.CancelledError:
            self._cut()
            raise
        except RefusedHandshake as error:
            raise self._refused(error) from None
        except SidecarError as error:
            now_ns = self._clock.monotonic_ns()
            self._is_closed = True
            self._tap.failed(error, now_ns)
            self._tap.closed(End.BROKEN, now_ns)
            raise
        self._tap.answered(ResponseHead(101), self._clock.monotonic_ns())
        self.last_sent_ns = self._clock.monotonic_ns()
        await self.send(opening)

    async def send(self, messages: Iterable[Message]) -> None:
        """Send messages; one that finds the connection gone is dropped: `receive` tells that it is."""
        socket = self._socket
        if socket is None or self._is_closed:
            return
        loop = asyncio.get_running_loop()
        for message in messages:
            at_ns = self._clock.monotonic_ns()
            given_up = loop.call_later(SEND_S, self._give_up)  # cheaper than a time limit of its own for each frame
            try:
                await socket.send_frame(message.data, _TYPES[message.kind])
            except (ConnectionError, aiohttp.ClientError):
                pass
            finally:
                given_up.cancel()
            if not self.is_open:
                return
            self.last_sent_ns = at_ns
            frame = Frame(Side.AGENT, message.kind, at_ns, message.data)
            self.connection.dialect.decode(frame)
            self._tap.frame(frame)

    async def receive(self) -> tuple[Frame, list[Event]] | None:
        """Wait for the provider's next message and decode it; None once the connection has ended.

        `tell` is to be called with the frame once its events have gone on.
        """
        assert self._socket is not None
        while True:
            message = await self._socket.receive()
            kind = _KINDS.get(message.type)
            if kind is not None:
                frame = Frame(Side.PROVIDER, kind, self._clock.monotonic_ns(), message.data)
                return frame, list(self.connection.dialect.decode(frame))
            if message.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # what comes next tells that it is gone
                    await self._socket.pong(message.data)
                continue
            if message.type is WSMsgType.PONG:
                continue
            is_orderly = message.type is WSMsgType.CLOSE and message.data in (None, 1000, 1001, 1005)
            self._over(Side.PROVIDER, End.COMPLETE if is_orderly else End.BROKEN)
            return None

    def tell(self, frame: Frame) -> None:
        """Let the observer see a frame that `receive` gave."""
        self._tap.frame(frame)

    def abandon(self, code: str) -> None:
        """Say why the connection is about to be closed by the sidecar."""
        self.connection.abandon(code)

    async def settle(self) -> None:
        """Wait, briefly, until what has ended is stored."""
        await self._tap.settle()

    async def close(self, last_words: Messages = (), end: End = End.COMPLETE) -> None:
        """Close, after some last words; what still runs ends as ``end`` says."""
        if self._socket is None or self._is_closed:
            self._cut()
            return
        await self.send(last_words)
        self._over(Side.AGENT, end)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close()
        except TimeoutError:
            self._abort()
        except (ConnectionError, aiohttp.ClientError):
            pass
        self._cut()

    def close_soon(self, last_words: Messages = (), end: End = End.CANCELLED) -> None:
        """Close without waiting for it."""
        _ = tasks.spawn(self.close(last_words, end), name="close provider socket")

    def _over(self, side: Side, end: End) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.has_broken = end is End.BROKEN
        now_ns = self._clock.monotonic_ns()
        self.connection.dialect.ended(side, end)
        self._tap.ended(side, end, now_ns)
        self._tap.closed(end, now_ns)

    def _cut(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._tap.closed(End.CANCELLED, self._clock.monotonic_ns())
        if self._handshake is not None:
            self._handshake.close()

    def _give_up(self) -> None:
        """The provider reads no more of what it is sent."""
        self._over(Side.PROVIDER, End.BROKEN)
        self._abort()

    def _abort(self) -> None:
        """Let go of the connection and of what has not been taken of it: a close would wait for that."""
        connection = None if self._handshake is None else self._handshake.connection
        if connection is not None and isinstance(connection.transport, asyncio.Transport):
            connection.transport.abort()
        self._cut()

    def _refused(self, error: RefusedHandshake) -> SidecarError:
        headers = {name.lower(): value for name, value in error.headers}
        head = ResponseHead(error.status, headers.get("content-type", ""), headers.get("content-encoding", ""))
        now_ns = self._clock.monotonic_ns()
        self._is_closed = True
        self._tap.answered(head, now_ns)
        self._tap.frame(Frame(Side.PROVIDER, Kind.BODY, now_ns, error.body))
        self._tap.closed(End.BROKEN, now_ns)
        answer = refused(self.connection.leg.provider.id, head, (), error.body)
        return ProviderRefused(answer.status, answer.text)
