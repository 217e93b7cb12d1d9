"""A recording transcribed by one provider: one request, or several where the work takes its time."""

from __future__ import annotations

import asyncio

import aiohttp

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingDriver, Transcript
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import SidecarError, UpstreamSilent, UpstreamTimeout
from voicegw_sidecar.facades.translation import refused
from voicegw_sidecar.relay.headers import to_send
from voicegw_sidecar.relay.tap import Tap
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.unified.plan import Connection, Desk, ProviderRefused
from voicegw_sidecar.unified.provider_socket import broke_off
from voicegw_sidecar.wire.frames import End, Frame, Kind, ResponseHead, Side

ANSWER_LIMIT_BYTES = 32 * 1024 * 1024
_ASK_AGAIN_S = 0.5
_ASK_FOR_S = 600.0
"""How long work that takes its time is asked about; then it is given up."""


class Transcription:
    """One recording on its way; ``connection`` is that of its last request."""

    def __init__(self, leg: Leg, driver: RecordingDriver, desk: Desk, dialler: Dialler, clock: Clock) -> None:
        self._leg = leg
        self._driver = driver
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self.connection: Connection | None = None
        self._abandoned: str | None = None

    def abandon(self, code: str) -> None:
        """Say why it is about to be given up."""
        self._abandoned = code

    async def run(self) -> Transcript:
        """Ask until there is a transcript; raises `SidecarError`."""
        request = self._driver.request()
        give_up_ns = self._clock.monotonic_ns() + round(_ASK_FOR_S * NS_PER_S)
        while True:
            found = self._driver.answered(await self._ask(request))
            if isinstance(found, Transcript):
                return found
            if found is None:
                raise UpstreamSilent(f"{self._leg.provider.id} answered with something else than a transcript")
            if found == request:
                if self._clock.monotonic_ns() > give_up_ns:
                    raise UpstreamTimeout(f"{self._leg.provider.id} had no transcript after {_ASK_FOR_S:.0f} s")
                await asyncio.sleep(_ASK_AGAIN_S)
            request = found

    async def _ask(self, asked: ProviderRequest) -> bytes:
        connection = self._desk.request(self._leg, asked)
        if self.connection is None or connection.exchange_id is not None:
            self.connection = connection
        exchange = _Ask(connection, asked, self._dialler, self._clock)
        try:
            return await exchange.run()
        except asyncio.CancelledError:
            if self._abandoned is not None:
                connection.abandon(self._abandoned)
            raise
        finally:
            exchange.close()


class _Ask:
    """One request and its whole answer."""

    def __init__(self, connection: Connection, asked: ProviderRequest, dialler: Dialler, clock: Clock) -> None:
        self._connection = connection
        self._asked = asked
        self._dialler = dialler
        self._clock = clock
        self._tap = Tap(connection.observer)
        self._end = End.CANCELLED

    def close(self) -> None:
        """Tell the observer how it ended."""
        self._tap.closed(self._end, self._clock.monotonic_ns())

    async def run(self) -> bytes:
        """Return the body of an answer of status 2xx; raises `SidecarError`."""
        asked, connection, now_ns = self._asked, self._connection, self._clock.monotonic_ns()
        self._tap.frame(Frame(Side.AGENT, Kind.BODY, now_ns, asked.body))
        self._tap.ended(Side.AGENT, End.COMPLETE, now_ns)
        try:
            upstream = await self._dialler.request(
                asked.method, connection.url, to_send(connection.headers), asked.body or None, connection.timeouts,
                asyncio.timeout(None),
            )  # fmt: skip
        except SidecarError as error:
            self._end = End.BROKEN
            self._tap.failed(error, self._clock.monotonic_ns())
            raise
        kind, encoding = upstream.headers.get("Content-Type", ""), upstream.headers.get("Content-Encoding", "")
        head = ResponseHead(upstream.status, kind, encoding)
        self._tap.answered(head, self._clock.monotonic_ns())
        try:
            body = await self._body(upstream)
        finally:
            upstream.close()
        self._end = End.COMPLETE
        now_ns = self._clock.monotonic_ns()
        self._tap.ended(Side.PROVIDER, End.COMPLETE, now_ns)
        self._tap.closed(End.COMPLETE, now_ns)
        await self._tap.settle()
        if head.status >= 300:
            answer = refused(connection.leg.provider.id, head, (), body)
            raise ProviderRefused(answer.status if answer.status >= 400 else 502, answer.text)
        return body

    async def _body(self, upstream: aiohttp.ClientResponse) -> bytes:
        pieces, size_bytes = list[bytes](), 0
        try:
            while piece := await upstream.content.readany():
                self._tap.frame(Frame(Side.PROVIDER, Kind.BODY, self._clock.monotonic_ns(), piece))
                size_bytes += len(piece)
                if size_bytes > ANSWER_LIMIT_BYTES:
                    raise UpstreamSilent(f"{self._connection.leg.provider.id} answered with more than 32 MiB")
                pieces.append(piece)
        except aiohttp.ClientError:
            self._end = End.BROKEN
            raise broke_off(self._connection) from None
        return b"".join(pieces)
