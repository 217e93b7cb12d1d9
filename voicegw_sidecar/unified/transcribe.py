"""``POST /v1/audio/transcriptions`` over the wire: one recording, asked of one provider after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from aiohttp import web
from multidict import CIMultiDict

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
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.decoding import Decoding
from voicegw_sidecar.unified.hearers import SocketHearer
from voicegw_sidecar.unified.http import SILENT, Exchange, GivenUp, body_of
from voicegw_sidecar.unified.plan import Connection, Desk
from voicegw_sidecar.unified.provider_request import off_loop
from voicegw_sidecar.unified.provider_socket import ProviderSocket
from voicegw_sidecar.unified.recordings import Transcription
from voicegw_sidecar.wire.wav import wav_seconds

logger = logging.getLogger(__name__)

_STREAM_RATE_HZ = 16_000
_PIECE_BYTES = _STREAM_RATE_HZ * 2 // 10  # a tenth of a second, which every provider takes at once
_THINNEST_BYTES_PER_S = 2000
"""16 kbit/s, the thinnest usual coding of speech: so a file of unknown length lasts no longer than is assumed."""
_LEAST_FINISH_S = 30.0
"""How long a provider may take for what is left of a stream, or as long as the recording itself if that is longer."""
_BYTES_PER_WORD = 64  # of an answer with the times of words, about


class UnifiedRecording:
    """Serves one request."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it; whatever happens, each provider's observer is told once how it ended."""
        self._request, self._dialler, self._clock = request, dialler, clock
        desk = self._desk
        try:
            body = await body_of(request)
            asked = await off_loop(len(body), Transcribe, body, request.headers.get("Content-Type", ""))
            legs = await desk.legs(Modality.STT, (asked.wanted,))
            served = desk.admit(legs[0])
        except SidecarError as error:
            return refusal_response(desk.refusal(error))
        if served.is_stand_in:
            legs = [served]
        last: SidecarError = BadRequest("no provider is left to be asked")
        failed: Connection | None = None
        for number, leg in enumerate(legs):
            has_others, work = number + 1 < len(legs), None
            try:
                if number:  # the first was admitted before
                    leg = desk.admit(leg)
                if leg.is_openai:
                    return await self._pass_on(asked, leg, has_others=has_others)
                work = self._work(asked, leg)
                transcript = await _within(patience_ms(leg, asked) if has_others else None, work)
                return await self._answered(asked, transcript, work.connection)
            except GivenUp:
                continue  # said where it was seen
            except SidecarError as error:
                last, failed = error, None if work is None else work.connection
            if has_others:
                logger.warning("provider gave way", extra={"provider": leg.name, "reason": last.code})
        return refusal_response(desk.refusal(last, failed))

    async def _pass_on(self, asked: Transcribe, leg: Leg, *, has_others: bool) -> web.StreamResponse:
        attempt = await off_loop(asked.size_bytes, asked.passed_on, leg)
        connection = self._desk.request(leg, attempt.request)
        exchange = Exchange(
            self._request, connection, attempt, self._desk, self._dialler, self._clock, has_others=has_others,
            patience_ms=patience_ms(leg, asked),
        )  # fmt: skip
        return await exchange.run()

    def _work(self, asked: Transcribe, leg: Leg) -> Transcription | _Stream:
        """Return what has a provider transcribe it; raises `BadRequest` for what that one cannot be asked."""
        drivers = drivers_of(leg.provider.id, is_declared=leg.is_declared)
        ask = asked.ask(leg)
        recording, listen = drivers.recording(leg.model), drivers.listen(leg.model)
        if recording is not None:
            return Transcription(leg, recording(ask), self._desk, self._dialler, self._clock, len(ask.audio))
        if listen is None:
            raise BadRequest(f"model: {leg.name} does not transcribe; expected a speech-to-text model")
        return _Stream(leg, listen, ask, self._desk, self._dialler, self._clock)

    async def _answered(
        self, asked: Transcribe, transcript: Transcript, connection: Connection | None
    ) -> web.StreamResponse:
        answer = await off_loop(_BYTES_PER_WORD * len(transcript.words), asked.answer, transcript)
        headers = (*answer.headers, *self._desk.answer_headers(connection))
        return web.Response(status=answer.status, headers=CIMultiDict(headers), body=answer.body)


def patience_ms(leg: Leg, asked: Transcribe) -> float | None:
    """Return how long a provider may take for a recording: it answers once it heard all of it."""
    if leg.patience_ms is None:
        return None
    length_s = wav_seconds(asked.audio, len(asked.audio))
    if length_s is None:
        length_s = len(asked.audio) / _THINNEST_BYTES_PER_S
    return leg.patience_ms + length_s * 1000


async def _within(limit_ms: float | None, work: Transcription | _Stream) -> Transcript:
    """Wait for a transcript for so long; the row of what is given up then says why."""
    limit_s = None if limit_ms is None else limit_ms / 1000
    # said before it is cancelled: its row ends by that
    say = None if limit_s is None else asyncio.get_running_loop().call_later(limit_s, work.abandon, SILENT)
    try:
        async with asyncio.timeout(None if limit_s is None else limit_s + 0.001):
            return await work.run()
    except TimeoutError:
        raise UpstreamTimeout("the provider had no transcript in time") from None
    finally:
        if say is not None:
            say.cancel()


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
        """Stream it and return what was heard, all of it; raises `SidecarError`."""
        async with Decoding(self._ask.audio, _STREAM_RATE_HZ) as decoding:
            first = await decoding.piece()  # what is no recording is refused before anybody is dialled
            hearer = await self._opened()
            try:
                length_s = await self._spoken(hearer, first, decoding)
                await hearer.finish(within_s=max(_LEAST_FINISH_S, length_s))
                self._check()
            except (SidecarError, asyncio.CancelledError) as error:
                hearer.stop(error.code if isinstance(error, SidecarError) else None)
                raise
        words = tuple(word for final in self._finals for word in final.words)
        language = next((final.language for final in self._finals if final.language), None)
        text = " ".join(final.text.strip() for final in self._finals)
        return Transcript(text, language, length_s, words)

    async def _opened(self) -> SocketHearer:
        driver = self._make(ListenAsk(self._leg.model, _STREAM_RATE_HZ, self._ask.language))
        self.connection = self._desk.socket(self._leg, driver.address)
        self._socket = ProviderSocket(self.connection, self._dialler, self._clock)
        hearer = SocketHearer(self._socket, driver, _STREAM_RATE_HZ, self, self._clock)
        await hearer.open()
        return hearer

    async def _spoken(self, hearer: SocketHearer, piece: bytes | None, decoding: Decoding) -> float:
        """Have the recording heard, from its first piece on; return its seconds."""
        size_bytes = 0
        while piece is not None:
            for start in range(0, len(piece), _PIECE_BYTES):
                self._check()
                await hearer.audio(piece[start : start + _PIECE_BYTES])
            size_bytes += len(piece)
            piece = await decoding.piece()
        return size_bytes / (2 * _STREAM_RATE_HZ)

    def _check(self) -> None:
        """Raise what the provider failed with: what was heard before is not the whole."""
        if self._error is not None:
            raise self._error

    async def heard(self, events: Iterable[Event]) -> None:
        """See `hearers.Listener.heard`."""
        self._finals += [event for event in events if isinstance(event, Final)]

    async def failed(self, error: SidecarError) -> None:
        """See `hearers.Listener.failed`."""
        self._error = error
