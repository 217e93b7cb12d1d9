"""One HTTP request of a unified endpoint: asked of one provider after the other until one has something to say.

With one provider only, everything goes on as it comes. Where others could take over, nothing does before the first
output; from then on it is that provider's answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest, Refused, SidecarError, TooLarge, UpstreamSilent
from voicegw_sidecar.facades.translation import Answer, Attempt, Translation, refused
from voicegw_sidecar.relay.exchange import abort, is_reset, refusal_response
from voicegw_sidecar.relay.headers import to_answer, to_send
from voicegw_sidecar.relay.tap import Tap
from voicegw_sidecar.relay.upstream import Dialler, headers_of
from voicegw_sidecar.terms import NS_PER_S, Modality
from voicegw_sidecar.unified.plan import Connection, Desk
from voicegw_sidecar.wire.frames import End, Frame, Kind, ResponseHead, Side

logger = logging.getLogger(__name__)

T = TypeVar("T")

BODY_LIMIT_BYTES = 32 * 1024 * 1024
"""Above the largest upload that speech-to-text providers take at once."""
_REFUSAL_LIMIT_BYTES = 1024 * 1024
_READ_AT_ONCE_BYTES = 256 * 1024
SILENT = "failover_silent"
"""The code of a row whose provider was given up because it stayed silent for too long."""


class Asked(Protocol):
    """What a caller asks for, read from its request."""

    @property
    def modality(self) -> Modality:
        """What kind of work it is."""
        ...

    @property
    def wanted(self) -> str | None:
        """The model that it names."""
        ...

    def attempt(self, leg: Leg, id_: str, now_s: int, *, includes_usage: bool) -> Attempt:
        """Put it to a provider."""
        ...


Read = Callable[[bytes, str], Asked]
"""Reads a body of a content type; raises `BadRequest`."""


class GivenUp(Exception):
    """A provider had nothing to say, and another one is there to be asked."""


class UnifiedRequest:
    """Serves one request; `run` returns the answer that the server library is to finish."""

    def __init__(self, desk: Desk, read: Read) -> None:
        self._desk = desk
        self._read = read

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it; whatever happens, each provider's observer is told once how it ended."""
        desk = self._desk
        try:
            body = await body_of(request)
            asked = await read_body(self._read, body, request.headers.get("Content-Type", ""))
            legs = await desk.legs(asked.modality, (asked.wanted,))
            served = desk.admit(legs[0])
        except SidecarError as error:
            return refusal_response(desk.refusal(error))
        if served.is_stand_in:
            legs = [served]
        last: SidecarError = BadRequest("no provider is left to be asked")
        for leg in legs:
            try:
                attempt = asked.attempt(leg, desk.exchange_prefix, clock.wall_ns() // NS_PER_S,
                                        includes_usage=desk.includes_usage(leg))  # fmt: skip
                connection = desk.request(leg, attempt.request)
            except (BadRequest, Refused) as error:
                last = error
                continue
            exchange = Exchange(request, connection, attempt, desk, dialler, clock, has_others=leg is not legs[-1])
            try:
                return await exchange.run()
            except GivenUp:
                logger.warning("provider gave way", extra={"provider": leg.name, "reason": exchange.reason})
        return refusal_response(desk.refusal(last))


class Exchange:
    """One provider is asked once."""

    def __init__(
        self, request: web.Request, connection: Connection, attempt: Attempt, desk: Desk, dialler: Dialler,
        clock: Clock, *, has_others: bool,
    ) -> None:  # fmt: skip
        self._request = request
        self._connection = connection
        self._attempt = attempt
        self._translation: Translation = attempt.translation
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._has_others = has_others
        self._tap = Tap(connection.observer)
        self._end = End.CANCELLED  # until something else is known: the caller may leave at any await
        self._answer: web.StreamResponse | None = None
        self._held: list[bytes] = []
        self._head_headers: tuple[tuple[str, str], ...] = ()
        self._status = 200
        self.reason = ""

    async def run(self) -> web.StreamResponse:
        """Ask; raises `GivenUp` where another provider is to be asked."""
        patience_ms = self._connection.leg.patience_ms
        try:
            async with asyncio.timeout(None) as patience:
                if self._has_others and patience_ms is not None:
                    patience.reschedule(asyncio.get_running_loop().time() + patience_ms / 1000)
                return await self._ask(patience)
        except TimeoutError:
            self.reason = SILENT
            self._connection.abandon(SILENT)
            raise GivenUp from None
        finally:
            self._tap.closed(self._end, self._clock.monotonic_ns())

    async def _ask(self, patience: asyncio.Timeout) -> web.StreamResponse:
        connection, asked = self._connection, self._attempt.request
        now_ns = self._clock.monotonic_ns()
        self._tap.frame(Frame(Side.AGENT, Kind.BODY, now_ns, asked.body))
        self._tap.ended(Side.AGENT, End.COMPLETE, now_ns)
        try:
            upstream = await self._dialler.request(
                asked.method, connection.url, to_send(connection.headers), asked.body or None, connection.timeouts,
                asyncio.timeout(None),
            )  # fmt: skip
        except SidecarError as error:
            return await self._failed(error)
        try:
            if upstream.status >= 400:
                return await self._refused(upstream)
            return await self._translate(upstream, patience)
        finally:
            upstream.close()  # a no-op for a complete answer; else the provider is told at once

    async def _failed(self, error: SidecarError) -> web.StreamResponse:
        """The provider was not reached, or broke off before there was anything to pass on."""
        now_ns = self._clock.monotonic_ns()
        self._end = End.BROKEN
        self._tap.failed(error, now_ns)
        self._tap.closed(End.BROKEN, now_ns)
        await self._tap.settle()
        self._give_way(error.code)
        return refusal_response(self._desk.refusal(error, self._connection))

    async def _refused(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        """The provider said no: its own status and words, in the caller's shape."""
        head = _head(upstream)
        self._tap.answered(head, self._clock.monotonic_ns())
        body = b""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            while len(body) < _REFUSAL_LIMIT_BYTES and (piece := await upstream.content.readany()):
                body += piece
        now_ns = self._clock.monotonic_ns()
        self._tap.frame(Frame(Side.PROVIDER, Kind.BODY, now_ns, body))
        self._end = End.COMPLETE
        self._tap.ended(Side.PROVIDER, End.COMPLETE, now_ns)
        self._tap.closed(End.COMPLETE, now_ns)
        await self._tap.settle()
        self._give_way(f"http_{upstream.status}")
        headers = to_answer(headers_of(upstream))
        if self._attempt.is_openai_shaped:
            kept = tuple(pair for pair in headers if pair[0].lower() != "content-length")
            answer = Answer(upstream.status, kept, body)
        else:
            answer = refused(self._connection.leg.provider.id, head, headers, body)
        return self._whole(answer)

    async def _translate(self, upstream: aiohttp.ClientResponse, patience: asyncio.Timeout) -> web.StreamResponse:
        head = _head(upstream)
        dialect, translation = self._connection.dialect, self._translation
        dialect.answered(head)
        self._tap.answered(head, self._clock.monotonic_ns())
        self._status = upstream.status
        self._head_headers = translation.head(head, to_answer(headers_of(upstream)))
        connection = upstream.connection
        protocol = None if connection is None else connection.protocol  # it alone knows how the connection broke
        try:
            while piece := await self._next_piece(upstream):
                frame = Frame(Side.PROVIDER, Kind.BODY, self._clock.monotonic_ns(), piece)
                events = dialect.decode(frame)
                out = (
                    await asyncio.to_thread(translation.take, piece, events)
                    if translation.is_heavy
                    else translation.take(piece, events)
                )
                if translation.failure is not None and self._answer is None:
                    self._tap.frame(frame)
                    break
                await self._pass_on(out, patience)
                self._tap.frame(frame)
        except SidecarError as error:  # what came cannot be translated
            return await self._broken(error, is_reset=False)
        except (aiohttp.ClientError, TimeoutError, ConnectionResetError) as error:
            if isinstance(error, aiohttp.ClientConnectionResetError) and not isinstance(error, aiohttp.ClientOSError):
                raise asyncio.CancelledError from None  # the caller's side of the connection is gone
            if isinstance(error, TimeoutError) and patience.expired():
                raise
            gone = UpstreamSilent("the provider broke off before its answer was through; call again")
            return await self._broken(gone, is_reset=is_reset(protocol.exception() if protocol is not None else error))
        return await self._complete()

    async def _next_piece(self, upstream: aiohttp.ClientResponse) -> bytes:
        """Read on, for at most the provider's idle limit where it has one."""
        async with asyncio.timeout(self._connection.timeouts.idle_s):
            return await upstream.content.readany()

    async def _pass_on(self, out: bytes, patience: asyncio.Timeout) -> None:
        """Let a piece go, or hold it while another provider could still take over."""
        if self._answer is None and self._has_others and not self._translation.has_output:
            self._held.append(out)
            return
        if self._answer is None:
            patience.reschedule(None)
            await self._begin()
        if out and self._answer is not None:
            await self._answer.write(out)

    async def _begin(self, length_bytes: int | None = None) -> web.StreamResponse:
        headers = (*self._head_headers, *self._desk.answer_headers(self._connection))
        self._answer = answer = web.StreamResponse(status=self._status, headers=CIMultiDict(headers))
        if length_bytes is not None:
            answer.content_length = length_bytes
        await answer.prepare(self._request)
        if self._held:
            await answer.write(b"".join(self._held))
            self._held.clear()
        return answer

    async def _complete(self) -> web.StreamResponse:
        """The answer is whole: its row is stored, then its last piece goes."""
        translation, now_ns = self._translation, self._clock.monotonic_ns()
        events = self._connection.dialect.ended(Side.PROVIDER, End.COMPLETE)
        rest = await asyncio.to_thread(translation.end, events) if translation.is_heavy else translation.end(events)
        self._end = End.COMPLETE
        self._tap.ended(Side.PROVIDER, End.COMPLETE, now_ns)
        self._tap.closed(End.COMPLETE, now_ns)
        await self._tap.settle()
        failure = translation.failure
        if failure is not None and self._answer is None:
            self._give_way(failure.code)
            message = f"{self._connection.leg.provider.id}: {failure.message or failure.code}"
            return refusal_response(self._desk.refusal(UpstreamSilent(message), self._connection))
        if failure is not None:
            rest = translation.broken(failure.message or failure.code, failure.code) or rest
        answer = self._answer
        if answer is None:
            is_whole = not self._held
            answer = await self._begin(len(rest) if is_whole else None)
        if rest:
            await answer.write(rest)
        await answer.write_eof()
        return answer

    async def _broken(self, error: SidecarError, *, is_reset: bool) -> web.StreamResponse:
        """The provider's answer cannot go on: the caller is told, and never takes what came for the whole."""
        if self._answer is None:
            return await self._failed(error)
        self._end = End.BROKEN
        now_ns = self._clock.monotonic_ns()
        self._tap.ended(Side.PROVIDER, End.BROKEN, now_ns)
        self._tap.closed(End.BROKEN, now_ns)
        await self._tap.settle()
        words = self._translation.broken(error.message, error.code)
        if words is None:
            abort(self._request, is_reset=is_reset)
            return self._answer
        await self._answer.write(words)
        await self._answer.write_eof()
        return self._answer

    def _give_way(self, reason: str) -> None:
        if self._has_others:
            self.reason = reason
            raise GivenUp

    def _whole(self, answer: Answer) -> web.Response:
        headers = (*answer.headers, *self._desk.answer_headers(self._connection))
        return web.Response(status=answer.status, headers=CIMultiDict(headers), body=answer.body)


async def read_body(read: Callable[[bytes, str], T], body: bytes, content_type: str) -> T:
    """Read a body: a long one on a thread, since it takes milliseconds in which no other call would go on."""
    if len(body) <= _READ_AT_ONCE_BYTES:
        return read(body, content_type)
    return await asyncio.to_thread(read, body, content_type)


async def body_of(request: web.Request) -> bytes:
    """Read a body of at most `BODY_LIMIT_BYTES`."""
    pieces, size_bytes = list[bytes](), 0
    while piece := await request.content.readany():
        size_bytes += len(piece)
        if size_bytes > BODY_LIMIT_BYTES:
            raise TooLarge(f"found a body over {BODY_LIMIT_BYTES // (1024 * 1024)} MiB; send less at once")
        pieces.append(piece)
    return b"".join(pieces)


def _head(upstream: aiohttp.ClientResponse) -> ResponseHead:
    kind, encoding = upstream.headers.get("Content-Type", ""), upstream.headers.get("Content-Encoding", "")
    return ResponseHead(upstream.status, kind, encoding)
