"""One HTTP request to a provider as the unified endpoints make it, observed like a relayed one.

The counterpart of `provider_socket`: whoever translates the answer reads it through this, so that the observer is told
each piece once, after it went on, and how it ended exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar, TypeVarTuple

import aiohttp

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.errors import SidecarError, UpstreamSilent
from voicegw_sidecar.events import Event
from voicegw_sidecar.facades.translation import refused
from voicegw_sidecar.relay.exchange import is_reset
from voicegw_sidecar.relay.headers import to_answer, to_send
from voicegw_sidecar.relay.plan import Headers
from voicegw_sidecar.relay.tap import Tap
from voicegw_sidecar.relay.upstream import Dialler, headers_of
from voicegw_sidecar.unified.plan import Connection, ProviderRefused
from voicegw_sidecar.wire.frames import End, Frame, Kind, ResponseHead, Side

REFUSAL_LIMIT_BYTES = 1024 * 1024
_NO_LIMIT_S: float | None = None
_AT_ONCE_BYTES = 256 * 1024

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def off_loop(size_bytes: int, work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do work on so many bytes: of many on a thread, since it takes milliseconds in which no other call would go on."""
    if size_bytes <= _AT_ONCE_BYTES:
        return work(*args)
    return await asyncio.to_thread(work, *args)


class BrokeOff(UpstreamSilent):
    """The provider's answer broke off; ``is_reset`` says how its connection went."""

    def __init__(self, connection: Connection, *, is_reset: bool = False) -> None:
        super().__init__(f"{connection.leg.provider.id} broke off in its answer; call again")
        self.is_reset = is_reset


class RequestToProvider:
    """Sends one request; `send` it, read `pieces`, and `close` it however that went."""

    def __init__(self, connection: Connection, asked: ProviderRequest, dialler: Dialler, clock: Clock) -> None:
        self.connection = connection
        self._asked = asked
        self._dialler = dialler
        self._clock = clock
        self._tap = Tap(connection.observer)
        self._end = End.CANCELLED  # until something else is known: the caller may leave at any await
        self._upstream: aiohttp.ClientResponse | None = None
        self.head = ResponseHead(0)
        self.headers: Headers = ()
        """Those of the answer, without the ones that end at each hop."""

    async def send(self) -> None:
        """Ask, and take the answer's head; raises `SidecarError` where no answer came."""
        asked, connection, now_ns = self._asked, self.connection, self._clock.monotonic_ns()
        self._tap.frame(Frame(Side.AGENT, Kind.BODY, now_ns, asked.body))
        self._tap.ended(Side.AGENT, End.COMPLETE, now_ns)
        try:
            upstream = await self._dialler.request(
                asked.method, connection.url, to_send(connection.headers), asked.body or None, connection.timeouts,
                asyncio.timeout(_NO_LIMIT_S),
            )  # fmt: skip
        except SidecarError as error:
            self._end = End.BROKEN
            self._tap.failed(error, self._clock.monotonic_ns())
            self._tap.closed(End.BROKEN, self._clock.monotonic_ns())
            raise
        self._upstream = upstream
        kind, encoding = upstream.headers.get("Content-Type", ""), upstream.headers.get("Content-Encoding", "")
        self.head = ResponseHead(upstream.status, kind, encoding)
        self.headers = to_answer(headers_of(upstream))
        if not self.is_refusal:
            connection.dialect.answered(self.head)
        self._tap.answered(self.head, self._clock.monotonic_ns())

    @property
    def is_refusal(self) -> bool:
        """True where the provider said no, sent the caller elsewhere, or wants to speak another protocol."""
        return not 200 <= self.head.status < 300

    async def pieces(self) -> AsyncIterator[Frame]:
        """Yield the body as it comes; the observer is told of a piece when the next one is asked for.

        Raises `BrokeOff` where it does not come to its end.
        """
        upstream = self._upstream
        assert upstream is not None
        protocol = None if upstream.connection is None else upstream.connection.protocol
        try:
            while piece := await self._next_piece(upstream):
                frame = Frame(Side.PROVIDER, Kind.BODY, self._clock.monotonic_ns(), piece)
                yield frame
                self._tap.frame(frame)
        except (aiohttp.ClientError, TimeoutError) as error:  # it alone knows how the connection broke
            how = protocol.exception() if protocol is not None else error
            self.broke_off()
            raise BrokeOff(self.connection, is_reset=is_reset(how)) from None

    async def _next_piece(self, upstream: aiohttp.ClientResponse) -> bytes:
        """Read on, for at most the provider's idle limit where it has one."""
        async with asyncio.timeout(self.connection.timeouts.idle_s):
            return await upstream.content.readany()

    def tell(self, frame: Frame) -> None:
        """Let the observer see a piece after which no other is asked for."""
        self._tap.frame(frame)

    def events(self, frame: Frame) -> Iterable[Event]:
        """Return what a piece was decoded to."""
        return self.connection.dialect.decode(frame)

    def last_events(self) -> Iterable[Event]:
        """Return what only the end of the body tells."""
        return self.connection.dialect.ended(Side.PROVIDER, End.COMPLETE)

    async def refusal(self) -> tuple[bytes, ProviderRefused]:
        """Read the body of a refusal; return it, and its words as an error of ours, of status 400 or above."""
        body = b""
        try:
            if self.head.status >= 200:  # else what follows is of another protocol
                async for frame in self.pieces():
                    body += frame.data[: REFUSAL_LIMIT_BYTES - len(body)]
        except BrokeOff:
            pass  # the status says enough
        await self.complete()
        answer = refused(self.connection.leg.provider.id, self.head, self.headers, body)
        return body, ProviderRefused(answer.status if answer.status >= 400 else 502, answer.text)

    async def complete(self) -> None:
        """The answer is whole: tell the observer, and wait briefly until its row is stored."""
        now_ns = self._clock.monotonic_ns()
        self._end = End.COMPLETE
        self._tap.ended(Side.PROVIDER, End.COMPLETE, now_ns)
        self._tap.closed(End.COMPLETE, now_ns)
        await self._tap.settle()

    def broke_off(self) -> None:
        """The answer is not whole: tell the observer, unless it knows how it ended."""
        if self._end is not End.CANCELLED:
            return
        now_ns = self._clock.monotonic_ns()
        self._end = End.BROKEN
        self._tap.ended(Side.PROVIDER, End.BROKEN, now_ns)
        self._tap.closed(End.BROKEN, now_ns)

    async def settle(self) -> None:
        """Wait, briefly, until what has ended is stored."""
        await self._tap.settle()

    def abandon(self, code: str) -> None:
        """Say why the request is about to be given up."""
        self.connection.abandon(code)

    def close(self) -> None:
        """Let go of the connection: a no-op for a whole answer; else the provider is told at once."""
        self._tap.closed(self._end, self._clock.monotonic_ns())
        if self._upstream is not None:
            self._upstream.close()
