"""One HTTP exchange: request up, answer down, byte for byte, streamed as it comes.

Forward first, then tell the tap. Only the very last piece of a recorded answer is told before it goes, so
that its row is stored when the agent has the whole answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from voicegw_sidecar.errors import SidecarError, TooLarge
from voicegw_sidecar.relay.exchange import RELAYED, RelayedExchange, is_reset
from voicegw_sidecar.relay.headers import to_answer, to_send
from voicegw_sidecar.relay.plan import Part
from voicegw_sidecar.relay.upstream import headers_of, start_waiting
from voicegw_sidecar.wire.frames import End, Frame, Kind, ResponseHead, Side
from voicegw_sidecar.wire.sse import SseFilter


class HttpExchange(RelayedExchange):
    """Relays one request."""

    _edited_ns = 0

    async def _relay(self) -> web.StreamResponse:
        plan = self._plan
        deadline = asyncio.timeout(None)
        try:
            body, headers = await self._request_body(deadline)
            self._meter.delayed(Part.REQUEST, self._decided_ns + self._edited_ns)
            upstream = await self._dialler.request(
                self._request.method, plan.url, headers, body, plan.timeouts, deadline
            )
        except SidecarError as error:
            return await self._failed(error)
        try:
            return await self._answer(upstream)
        finally:
            upstream.close()  # a no-op for a complete answer; else the provider is told at once

    async def _request_body(
        self, deadline: asyncio.Timeout
    ) -> tuple[bytes | AsyncIterator[bytes] | None, tuple[tuple[str, str], ...]]:
        """Hold a body that can be edited, or sent again where a pooled connection is dead; stream a longer one."""
        request, headers = self._request, to_send(self._plan.headers)
        if not request.body_exists:
            self._tap.ended(Side.AGENT, End.COMPLETE, self._clock.monotonic_ns())
            return None, headers
        length = request.content_length
        if length is None and self._plan.edit_body is not None:
            return await self._collected(deadline), headers
        if length is not None and length <= self._plan.hold_limit_bytes:
            return self._edited(b"".join([piece async for piece in self._pieces()])), headers
        if length is not None:
            self._refuse_if_it_must_be_held()
            headers = (*headers, ("Content-Length", str(length)))
        return self._streamed(deadline, self._pieces()), headers

    async def _collected(self, deadline: asyncio.Timeout) -> bytes | AsyncIterator[bytes]:
        """A body of unknown length that may have to be edited: whole where it is short enough to be held."""
        pieces, held, size_bytes = self._pieces(), list[bytes](), 0
        async for piece in pieces:
            held.append(piece)
            size_bytes += len(piece)
            if size_bytes > self._plan.hold_limit_bytes:
                self._refuse_if_it_must_be_held()
                return self._streamed(deadline, pieces, held)
        return self._edited(b"".join(held))

    def _refuse_if_it_must_be_held(self) -> None:
        if self._plan.must_hold:
            limit_mib = self._plan.hold_limit_bytes // (1024 * 1024)
            raise TooLarge(f"found a body over {limit_mib} MiB, which cannot be looked at as this project's rules ask")

    def _edited(self, body: bytes) -> bytes:
        if self._plan.edit_body is None:
            return body
        begun_ns = self._clock.monotonic_ns()
        edited = self._plan.edit_body(body) or body
        self._edited_ns = self._clock.monotonic_ns() - begun_ns
        return edited

    async def _pieces(self) -> AsyncIterator[bytes]:
        """The request body as it arrives, told to the tap."""
        while piece := await self._request.content.readany():
            self._tap.frame(Frame(Side.AGENT, Kind.BODY, self._clock.monotonic_ns(), piece))
            yield piece
        self._tap.ended(Side.AGENT, End.COMPLETE, self._clock.monotonic_ns())

    async def _streamed(
        self, deadline: asyncio.Timeout, pieces: AsyncIterator[bytes], held: Iterable[bytes] = ()
    ) -> AsyncIterator[bytes]:
        for piece in held:
            yield piece
        async for piece in pieces:
            yield piece
        # the wait for the first byte begins when the upload is through
        start_waiting(deadline, self._plan.timeouts.first_byte_s)

    async def _answer(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        answer = self._answer_head(upstream)
        keep = self._filter(upstream)
        if keep is not None:
            answer.content_length = None  # what is left out would make a stated length a lie
        connection = upstream.connection
        protocol = None if connection is None else connection.protocol  # it alone knows how the connection broke
        await answer.prepare(self._request)
        try:
            await self._answer_body(upstream, answer, keep)
        except (aiohttp.ClientError, TimeoutError, ConnectionResetError) as error:
            if isinstance(error, aiohttp.ClientConnectionResetError) and not isinstance(error, aiohttp.ClientOSError):
                raise asyncio.CancelledError from None  # the agent's side of the connection is gone
            if keep is not None and (rest := keep.rest()):
                with contextlib.suppress(ConnectionError):
                    await answer.write(rest)  # what came of the event that was cut is the agent's too
            await self._break_off(is_reset=is_reset(protocol.exception() if protocol is not None else error))
        return answer

    def _answer_head(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        headers = headers_of(upstream)
        answer = web.StreamResponse(
            status=upstream.status,
            reason=upstream.reason,
            headers=CIMultiDict((*to_answer(headers), *self._plan.answer_headers)),
        )
        answer[RELAYED] = frozenset(name.lower() for name, _ in headers)
        head = ResponseHead(
            upstream.status,
            upstream.headers.get("Content-Type", ""),
            upstream.headers.get("Content-Encoding", ""),
        )
        self._tap.answered(head, self._clock.monotonic_ns())
        return answer

    async def _answer_body(
        self, upstream: aiohttp.ClientResponse, answer: web.StreamResponse, keep: SseFilter | None
    ) -> None:
        left, is_first = _body_length(self._request.method, upstream), True
        is_json = upstream.headers.get("Content-Type", "").lower().startswith("application/json")
        while piece := await self._next_piece(upstream):
            frame = Frame(Side.PROVIDER, Kind.BODY, self._clock.monotonic_ns(), piece)
            left = None if left is None else left - len(piece)
            if left == 0 and keep is None and self._plan.is_recorded:
                await self._last_piece(frame, answer, is_json=is_json)
                break
            await answer.write(piece if keep is None else keep.feed(piece))
            if is_first:
                is_first = False
                self._meter.delayed(Part.ANSWER_BEGINS, self._clock.monotonic_ns() - frame.at_ns)
            self._tap.frame(frame)
        else:
            if keep is not None and (rest := keep.rest()):
                await answer.write(rest)
            ended_ns = self._clock.monotonic_ns()
            self._complete()
            await self._settle()
            self._meter.delayed(Part.ANSWER_ENDS, self._clock.monotonic_ns() - ended_ns)
        await answer.write_eof()

    async def _next_piece(self, upstream: aiohttp.ClientResponse) -> bytes:
        """Read on, for at most the provider's idle limit where it has one."""
        if self._plan.timeouts.idle_s is None:
            return await upstream.content.readany()
        async with asyncio.timeout(self._plan.timeouts.idle_s):
            return await upstream.content.readany()

    async def _last_piece(self, frame: Frame, answer: web.StreamResponse, *, is_json: bool) -> None:
        """Store first, then let the last piece go: of audio only its last byte waits."""
        held = frame.data
        if not is_json and len(held) > 1:
            await answer.write(held[:-1])
            held = held[-1:]
        self._tap.frame(frame)
        self._complete()
        await self._settle()
        await answer.write(held)
        self._meter.delayed(Part.ANSWER_ENDS, self._clock.monotonic_ns() - frame.at_ns)

    def _complete(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._end = End.COMPLETE
        self._tap.ended(Side.PROVIDER, End.COMPLETE, now_ns)
        self._tap.closed(End.COMPLETE, now_ns)

    async def _break_off(self, *, is_reset: bool) -> None:
        """The provider's body broke: the agent's must break too, never end as if it were whole."""
        self._end = End.BROKEN
        now_ns = self._clock.monotonic_ns()
        self._tap.ended(Side.PROVIDER, End.BROKEN, now_ns)
        self._tap.closed(End.BROKEN, now_ns)
        await self._settle()
        self._abort(is_reset=is_reset)

    def _filter(self, upstream: aiohttp.ClientResponse) -> SseFilter | None:
        is_readable = upstream.headers.get("Content-Encoding", "identity").lower() == "identity"
        is_events = upstream.headers.get("Content-Type", "").lower().startswith("text/event-stream")
        drops = self._plan.drops_event() if self._plan.drops_event is not None else None
        if drops is None or not is_readable or not is_events:
            return None
        return SseFilter(drops)


def _body_length(method: str, upstream: aiohttp.ClientResponse) -> int | None:
    """Bytes of body that a stated length promises; None where the end shows itself otherwise."""
    if method == "HEAD" or upstream.status in (204, 304):
        return None
    return upstream.content_length
