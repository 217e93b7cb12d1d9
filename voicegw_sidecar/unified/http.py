"""One HTTP request of a unified endpoint: asked of one provider after the other until one has something to say.

With one provider only, everything goes on as it comes. Where others could take over, nothing does before the first
output; from then on it is that provider's answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, Protocol

from aiohttp import web
from multidict import CIMultiDict

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest, Refused, SidecarError, TooLarge, UpstreamSilent
from voicegw_sidecar.facades.translation import Answer, Attempt, Translation, refused
from voicegw_sidecar.relay.exchange import abort, refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import NS_PER_S, Modality
from voicegw_sidecar.unified.plan import Connection, Desk
from voicegw_sidecar.unified.provider_request import BrokeOff, RequestToProvider, off_loop

logger = logging.getLogger(__name__)

P = ParamSpec("P")

BODY_LIMIT_BYTES = 32 * 1024 * 1024
"""Above the largest upload that speech-to-text providers take at once."""
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

    @property
    def is_streamed(self) -> bool:
        """True where the answer comes as it is made: only then silence says that the provider is not at work."""
        ...

    def attempt(self, leg: Leg, id_: str, now_s: int, *, includes_usage: bool) -> Attempt:
        """Put it to a provider; done on a thread where the body is long."""
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
            asked = await off_loop(len(body), self._read, body, request.headers.get("Content-Type", ""))
            legs = await desk.legs(asked.modality, (asked.wanted,))
            served = desk.admit(legs[0])
        except SidecarError as error:
            return refusal_response(desk.refusal(error))
        if served.is_stand_in:
            legs = [served]
        last: SidecarError = BadRequest("no provider is left to be asked")
        for number, leg in enumerate(legs):
            try:
                if number:  # the first was admitted before
                    leg = desk.admit(leg)
                made = partial(asked.attempt, includes_usage=desk.includes_usage(leg))
                attempt = await off_loop(len(body), made, leg, desk.exchange_prefix, clock.wall_ns() // NS_PER_S)
                connection = desk.request(leg, attempt.request)
            except (BadRequest, Refused) as error:
                last = error
                continue
            exchange = Exchange(
                request, connection, attempt, desk, dialler, clock, has_others=number + 1 < len(legs),
                patience_ms=leg.patience_ms if asked.is_streamed else None,
            )  # fmt: skip
            try:
                return await exchange.run()
            except GivenUp:
                logger.warning("provider gave way", extra={"provider": leg.name, "reason": exchange.reason})
        return refusal_response(desk.refusal(last))


class Exchange:
    """One provider is asked once.

    Where it ``has_others`` it is given up when nothing came of it for ``patience_ms``; None for as long as its own time
    limits say.
    """

    def __init__(
        self, request: web.Request, connection: Connection, attempt: Attempt, desk: Desk, dialler: Dialler,
        clock: Clock, *, has_others: bool, patience_ms: float | None,
    ) -> None:  # fmt: skip
        self._request = request
        self._connection = connection
        self._attempt = attempt
        self._translation: Translation = attempt.translation
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._has_others = has_others
        self._patience_ms = patience_ms if has_others else None
        self._asking = RequestToProvider(connection, attempt.request, dialler, clock)
        self._answer: web.StreamResponse | None = None
        self._held: list[bytes] = []
        self._headers: tuple[tuple[str, str], ...] = ()
        self.reason = ""
        """Why another provider was asked, if it came to that."""

    async def run(self) -> web.StreamResponse:
        """Ask; raises `GivenUp` where another provider is to be asked."""
        limit_s = None if self._patience_ms is None else self._patience_ms / 1000
        try:
            async with asyncio.timeout(limit_s) as patience:
                return await self._ask(patience)
        except TimeoutError:
            self.reason = SILENT
            self._asking.abandon(SILENT)
            raise GivenUp from None
        finally:
            self._asking.close()

    async def _ask(self, patience: asyncio.Timeout) -> web.StreamResponse:
        asking, translation = self._asking, self._translation
        try:
            await asking.send()
            if asking.is_refusal:
                return await self._refused()
            self._headers = translation.head(asking.head, asking.headers)
            async for frame in asking.pieces():
                out = await self._worked(translation.take, frame.data, asking.events(frame))
                if translation.failure is not None and self._answer is None:
                    asking.tell(frame)
                    break
                await self._pass_on(out, patience)
            patience.reschedule(None)  # there is an answer, whatever it is
            return await self._complete()
        except SidecarError as error:  # it was not reached, broke off, or sent what cannot be translated
            return await self._failed(error)
        except ConnectionResetError:
            raise asyncio.CancelledError from None  # the caller's side of the connection is gone

    async def _worked(self, work: Callable[P, bytes], *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Have a piece translated; what takes milliseconds is done on a thread."""
        try:
            if self._translation.is_heavy:
                return await asyncio.to_thread(work, *args, **kwargs)
            return work(*args, **kwargs)
        except BadRequest as error:  # what the caller asks for was looked at before: this is about what was answered
            raise UpstreamSilent(f"{self._connection.leg.provider.id} answered what cannot be read: {error}") from None

    async def _failed(self, error: SidecarError) -> web.StreamResponse:
        """The provider has no answer, or not all of it: the caller never takes what came for the whole."""
        self._asking.broke_off()
        await self._asking.settle()
        if self._answer is None:
            self._give_way(error.code)
            return refusal_response(self._desk.refusal(error, self._connection))
        words = self._translation.broken(error.message, error.code)
        if words is None:
            abort(self._request, is_reset=isinstance(error, BrokeOff) and error.is_reset)
            return self._answer
        await self._answer.write(words)
        await self._answer.write_eof()
        return self._answer

    async def _refused(self) -> web.StreamResponse:
        """The provider said no: its own status and words, in the caller's shape."""
        asking = self._asking
        body, error = await asking.refusal()
        self._give_way(f"http_{asking.head.status}")
        if asking.head.status < 400:  # a redirect would lead the caller away from here, with what it asks for
            return refusal_response(self._desk.refusal(error, self._connection))
        if self._attempt.is_openai_shaped:
            kept = tuple(pair for pair in asking.headers if pair[0].lower() != "content-length")
            answer = Answer(asking.head.status, kept, body)
        else:
            answer = refused(self._connection.leg.provider.id, asking.head, asking.headers, body)
        headers = (*answer.headers, *self._desk.answer_headers(self._connection))
        return web.Response(status=answer.status, headers=CIMultiDict(headers), body=answer.body)

    async def _pass_on(self, out: bytes, patience: asyncio.Timeout) -> None:
        """Let a piece go, or hold it while another provider could still take over."""
        has_output = self._translation.has_output
        if self._answer is None and has_output:
            patience.reschedule(None)
        if self._answer is None and self._has_others and not has_output:
            self._held.append(out)
        elif out:  # not before there is something: a whole answer that turns out to be none is refused yet
            answer = self._answer or await self._begin()
            await answer.write(out)

    async def _begin(self, length_bytes: int | None = None) -> web.StreamResponse:
        headers = (*self._headers, *self._desk.answer_headers(self._connection))
        self._answer = answer = web.StreamResponse(status=self._asking.head.status, headers=CIMultiDict(headers))
        if length_bytes is not None:
            answer.content_length = length_bytes
        await answer.prepare(self._request)
        if self._held:
            await answer.write(b"".join(self._held))
            self._held.clear()
        return answer

    async def _complete(self) -> web.StreamResponse:
        """The answer is whole: its row is stored, then its last piece goes."""
        translation = self._translation
        rest = await self._worked(translation.end, self._asking.last_events())
        await self._asking.complete()
        failure = translation.failure
        if failure is not None and self._answer is None:
            self._give_way(failure.code)
            message = f"{self._connection.leg.provider.id}: {failure.message or failure.code}"
            return refusal_response(self._desk.refusal(UpstreamSilent(message), self._connection))
        if failure is not None:
            rest = translation.broken(failure.message or failure.code, failure.code) or rest
        answer = self._answer
        if answer is None:
            answer = await self._begin(None if self._held else len(rest))
        if rest:
            await answer.write(rest)
        await answer.write_eof()
        return answer

    def _give_way(self, reason: str) -> None:
        if self._has_others:
            self.reason = reason
            raise GivenUp


async def body_of(request: web.Request) -> bytes:
    """Read a body of at most `BODY_LIMIT_BYTES`."""
    pieces, size_bytes = list[bytes](), 0
    while piece := await request.content.readany():
        size_bytes += len(piece)
        if size_bytes > BODY_LIMIT_BYTES:
            raise TooLarge(f"found a body over {BODY_LIMIT_BYTES // (1024 * 1024)} MiB; send less at once")
        pieces.append(piece)
    return await off_loop(size_bytes, b"".join, pieces)
