"""``POST /v1/audio/transcriptions`` over the wire: one recording, asked of one provider after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable

from aiohttp import web
from multidict import CIMultiDict

from voicegw_sidecar import sound
from voicegw_sidecar.asks import ListenAsk, RecordingAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import ListenFactory, Transcript
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.errors import BadRequest, SidecarError, UpstreamTimeout
from voicegw_sidecar.events import Event, Final
from voicegw_sidecar.facades.transcription import Transcribe
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.sound.decode import decoded
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.hearers import SocketHearer
from voicegw_sidecar.unified.http import SILENT, Exchange, GivenUp, body_of, read_body
from voicegw_sidecar.unified.plan import Connection, Desk
from voicegw_sidecar.unified.provider_socket import ProviderSocket
from voicegw_sidecar.unified.recordings import Transcription

logger = logging.getLogger(__name__)

_STREAM_RATE_HZ = 16_000
_PIECE_BYTES = _STREAM_RATE_HZ * 2 // 10  # a tenth of a second, which every provider takes at once


class UnifiedRecording:
    """Serves one request."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it; whatever happens, each provider's observer is told once how it ended."""
        self._request, self._dialler, self._clock = request, dialler, clock
        desk = self._desk
        try:
            asked = await read_body(Transcribe, await body_of(request), request.headers.get("Content-Type", ""))
            legs = await desk.legs(Modality.STT, (asked.wanted,))
            served = desk.admit(legs[0])
        except SidecarError as error:
            return refusal_response(desk.refusal(error))
        if served.is_stand_in:
            legs = [served]
        last: SidecarError = BadRequest("no provider is left to be asked")
        connection: Connection | None = None
        for number, leg in enumerate(legs):
            has_others = number + 1 < len(legs)
            try:
                if number:  # the first was admitted before
                    leg = desk.admit(leg)
                if leg.is_openai:
                    return await self._pass_on(asked, leg, has_others=has_others)
                transcript, connection = await self._transcribed(asked, leg, has_others=has_others)
                return self._answered(asked, transcript, connection)
            except GivenUp:
                continue  # said where it was seen
            except SidecarError as error:
                last = error
            if has_others:
                logger.warning("provider gave way", extra={"provider": leg.name, "reason": last.code})
        return refusal_response(desk.refusal(last, connection))

    async def _pass_on(self, asked: Transcribe, leg: Leg, *, has_others: bool) -> web.StreamResponse:
        attempt = asked.passed_on(leg)
        connection = self._desk.request(leg, attempt.request)
        exchange = Exchange(
            self._request, connection, attempt, self._desk, self._dialler, self._clock, has_others=has_others
        )
        return await exchange.run()

    async def _transcribed(
        self, asked: Transcribe, leg: Leg, *, has_others: bool
    ) -> tuple[Transcript, Connection | None]:
        drivers = drivers_of(leg.provider.id, is_declared=leg.is_declared)
        ask = asked.ask(leg)
        recording, listen = drivers.recording(leg.model), drivers.listen(leg.model)
        patience_s = leg.patience_ms / 1000 if has_others and leg.patience_ms is not None else None
        if recording is not None:
            work = Transcription(leg, recording(ask), self._desk, self._dialler, self._clock)
            transcript = await _within(patience_s, work.run(), work)
            return transcript, work.connection
        if listen is None:
            raise BadRequest(f"model: {leg.name} does not transcribe; expected a speech-to-text model")
        stream = _Stream(leg, listen, ask, self._desk, self._dialler, self._clock)
        return await _within(patience_s, stream.run(), stream), stream.connection

    def _answered(self, asked: Transcribe, transcript: Transcript, connection: Connection | None) -> web.StreamResponse:
        answer = asked.answer(transcript)
        headers = (*answer.headers, *self._desk.answer_headers(connection))
        return web.Response(status=answer.status, headers=CIMultiDict(headers), body=answer.body)


async def _within(patience_s: float | None, work: Awaitable[Transcript], what: Transcription | _Stream) -> Transcript:
    """Wait for a transcript for so long; the row of what is given up then says why."""
    try:
        async with asyncio.timeout(None) as patience:
            if patience_s is not None:
                loop = asyncio.get_running_loop()
                loop.call_later(patience_s, what.abandon, SILENT)
                patience.reschedule(loop.time() + patience_s + 0.001)
            return await work
    except TimeoutError:
        raise UpstreamTimeout("the provider had no transcript in time") from None


class _Stream:
    """A recording put through a provider that takes streams only: as fast as the provider takes it."""

    def __init__(
        self, leg: Leg, make: ListenFactory, ask: RecordingAsk, desk: Desk, dialler: Dialler, clock: Clock
    ) -> None:
        self._leg = leg
        self._make = make
        self._ask = ask
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._finals: list[Final] = []
        self._error: SidecarError | None = None
        self._socket: ProviderSocket | None = None
        self.connection: Connection | None = None

    def abandon(self, code: str) -> None:
        """Say why it is about to be given up."""
        if self._socket is not None:
            self._socket.abandon(code)

    async def run(self) -> Transcript:
        """Stream it and return what was heard; raises `SidecarError`."""
        await asyncio.to_thread(sound.load)
        samples = await asyncio.to_thread(decoded, self._ask.audio, _STREAM_RATE_HZ)
        driver = self._make(ListenAsk(self._leg.model, _STREAM_RATE_HZ, self._ask.language))
        self.connection = self._desk.socket(self._leg, driver.address)
        self._socket = ProviderSocket(self.connection, self._dialler, self._clock)
        hearer = SocketHearer(self._socket, driver, _STREAM_RATE_HZ, self, self._clock)
        await hearer.open()
        try:
            for start in range(0, len(samples), _PIECE_BYTES):
                await hearer.audio(samples[start : start + _PIECE_BYTES])
            await hearer.finish()
        except asyncio.CancelledError:
            hearer.stop()
            raise
        if self._error is not None:
            raise self._error
        words = tuple(word for final in self._finals for word in final.words)
        language = next((final.language for final in self._finals if final.language), None)
        text = " ".join(final.text.strip() for final in self._finals)
        return Transcript(text, language, len(samples) / (2 * _STREAM_RATE_HZ), words)

    async def heard(self, events: Iterable[Event]) -> None:
        """See `hearers.Listener.heard`."""
        self._finals += [event for event in events if isinstance(event, Final)]

    async def failed(self, error: SidecarError) -> None:
        """See `hearers.Listener.failed`."""
        self._error = error
