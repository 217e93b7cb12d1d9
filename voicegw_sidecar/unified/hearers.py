"""Hearers: one provider that listens to a stream of speech, over its socket or utterance by utterance.

Both take 16-bit little-endian mono samples at the caller's rate, whatever the provider's is.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from msgspec.structs import replace

from voicegw_sidecar import tasks
from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import ListenDriver, RecordingFactory, Transcript
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.segments import PAUSE_S, Segmenter, Utterance, wav_file
from voicegw_sidecar.errors import SidecarError, UpstreamSilent, UpstreamTimeout
from voicegw_sidecar.events import Event, Failed, Final, UtteranceEnded
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.sound.resample import Resampler
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ClosedEarly, ProviderSocket
from voicegw_sidecar.unified.recordings import Transcription
from voicegw_sidecar.wire.frames import End, Kind

logger = logging.getLogger(__name__)

FINISH_S = 30.0
"""How long the last transcript is waited for, once there is no more audio."""
_LAST_WORDS_S = 2.0
"""The same where nothing was said that is not transcribed yet."""
WAITING_LIMIT_S = 120.0
"""Speech that waits to be transcribed, utterance after utterance; beyond, the provider is too slow to go on with."""


class Listener(Protocol):
    """Is told what a hearer heard. What it takes time for holds the hearer up, and nobody else."""

    async def heard(self, events: Iterable[Event]) -> None:
        """Transcripts."""
        ...

    async def failed(self, error: SidecarError) -> None:
        """The provider can listen no longer."""
        ...


class Hearer(ABC):
    """One provider that listens."""

    def __init__(self, leg: Leg, listener: Listener) -> None:
        self.leg = leg
        self._listener = listener

    @property
    def pause_s(self) -> float:
        """The silence after which it gives a final transcript."""
        return PAUSE_S

    @abstractmethod
    async def open(self) -> None:
        """Get ready; raises `SidecarError`."""

    @abstractmethod
    async def audio(self, samples: bytes) -> None:
        """Take more of the stream."""

    @abstractmethod
    async def finalize(self) -> None:
        """Have what was said so far transcribed for good."""

    @abstractmethod
    async def keep_alive(self) -> None:
        """Called every second: does what keeps an idle connection open."""

    @abstractmethod
    async def finish(self, *, is_unheard: bool = True, within_s: float | None = None) -> None:
        """No more audio comes: wait until everything is transcribed; it is over then, however that went.

        ``is_unheard``: something was said of which no final transcript has come, as far as the caller knows. Raises
        `SidecarError` where the rest of it does not come within ``within_s`` seconds (None: `FINISH_S`), or cannot.
        """

    @abstractmethod
    def stop(self, reason: str | None = None) -> None:
        """Stop at once, for good; ``reason`` is the code of a row that ends by it."""


class SocketHearer(Hearer):
    """Listens over a socket of its own."""

    def __init__(
        self, socket: ProviderSocket, driver: ListenDriver, rate_hz: int, listener: Listener, clock: Clock
    ) -> None:
        super().__init__(socket.connection.leg, listener)
        self._socket = socket
        self._driver = driver
        self._clock = clock
        self._resampler = Resampler(rate_hz, driver.rate_hz)
        self._reader: asyncio.Task[None] | None = None
        self._is_finishing = False
        self._error: SidecarError | None = None

    @property
    def pause_s(self) -> float:
        """See `Hearer.pause_s`."""
        return self._driver.pause_s

    async def open(self) -> None:
        """See `Hearer.open`."""
        await self._socket.dial(self._driver.opening())
        self._reader = tasks.spawn(self._read(), name="provider listens")

    async def audio(self, samples: bytes) -> None:
        """See `Hearer.audio`."""
        await self._socket.send(self._driver.audio(self._resampler.feed(samples)))

    async def finalize(self) -> None:
        """See `Hearer.finalize`."""
        await self._socket.send(self._driver.finalize())

    async def keep_alive(self) -> None:
        """See `Hearer.keep_alive`."""
        limit_s = self._driver.keepalive_s
        if limit_s is not None and self._clock.monotonic_ns() - self._socket.last_sent_ns > limit_s * 1e9:
            await self._socket.send(self._driver.keepalive())

    async def finish(self, *, is_unheard: bool = True, within_s: float | None = None) -> None:
        """See `Hearer.finish`."""
        self._is_finishing = True
        within_s = FINISH_S if within_s is None else within_s
        if not is_unheard and self._driver.finish_transcribes:
            self._drop_reader()
            await self._socket.close()
            return
        if rest := self._resampler.rest():
            await self._socket.send(self._driver.audio(rest))
        await self._socket.send(self._driver.finish())
        assert self._reader is not None
        await asyncio.wait((self._reader,), timeout=within_s if is_unheard else _LAST_WORDS_S)
        is_through = self._reader.done()
        self._drop_reader()
        if is_through:
            await self._socket.close()
        else:
            self._socket.close_soon()
        if is_unheard and self._error is not None:
            raise self._error
        if is_unheard and not is_through:
            raise UpstreamTimeout(f"{self.leg.provider.id} had no last transcript after {within_s:.0f} s")

    def stop(self, reason: str | None = None) -> None:
        """See `Hearer.stop`."""
        if reason is not None:
            self._socket.abandon(reason)
        self._drop_reader()
        self._socket.close_soon(self._driver.finish() if not self._is_finishing else (), End.CANCELLED)

    def _drop_reader(self) -> None:
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()

    async def _read(self) -> None:
        try:
            await self._read_on()
        except Exception as error:  # a defect of ours: else nobody would listen, and nobody would know
            logger.error("a provider's message could not be taken", extra={"error": type(error).__name__})
            await self._fail(UpstreamSilent(f"{self.leg.provider.id} sent what could not be taken"))

    async def _read_on(self) -> None:
        while (received := await self._socket.receive()) is not None:
            frame, events = received
            failed = next((event for event in events if isinstance(event, Failed)), None)
            if failed is not None:
                self._socket.tell(frame)
                text = failed.message or failed.code
                await self._fail(UpstreamSilent(f"{self.leg.provider.id}: {text}"))
                return
            if events:
                await self._listener.heard(events)
            self._socket.tell(frame)
            # shown every message: some know by what came before whether anything is left
            if frame.kind is Kind.TEXT and self._driver.is_over(frame.data) and self._is_finishing:
                return
        if not self._is_finishing or self._socket.has_broken:
            await self._fail(ClosedEarly(self._socket.connection))

    async def _fail(self, error: SidecarError) -> None:
        """Tell of an error; whoever waits for the end is told there."""
        if self._is_finishing:
            self._error = error
        else:
            await self._listener.failed(error)


class RequestHearer(Hearer):
    """Cuts the stream into utterances by its loudness and has each transcribed by a request, in their order."""

    def __init__(
        self, leg: Leg, make: RecordingFactory, ask: RecordingAsk, rate_hz: int, desk: Desk, dialler: Dialler,
        listener: Listener, clock: Clock,
    ) -> None:  # fmt: skip
        super().__init__(leg, listener)
        self._make = make
        self._ask = ask
        self._rate_hz = rate_hz
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._segmenter = Segmenter(rate_hz)
        self._waiting: asyncio.Queue[Utterance | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._worker: asyncio.Task[None] | None = None
        self._is_finishing = False
        self._error: SidecarError | None = None
        self._running: Transcription | None = None

    async def open(self) -> None:
        """Nothing is dialled before there is an utterance: connections are pooled."""
        self._desk.listens(1)
        self._worker = tasks.spawn(self._work(), name="provider listens")

    async def audio(self, samples: bytes) -> None:
        """See `Hearer.audio`."""
        for utterance in self._segmenter.feed(samples):
            await self._queue(utterance)

    async def finalize(self) -> None:
        """See `Hearer.finalize`."""
        utterance = self._segmenter.finalize()
        if utterance:
            await self._queue(utterance)

    async def keep_alive(self) -> None:
        """Nothing is open that would have to be kept so."""

    async def finish(self, *, is_unheard: bool = True, within_s: float | None = None) -> None:
        """See `Hearer.finish`."""
        assert self._worker is not None
        self._is_finishing = True
        within_s = FINISH_S if within_s is None else within_s
        await self.finalize()
        self._waiting.put_nowait(None)
        await asyncio.wait((self._worker,), timeout=within_s)  # it knows best what is left to be heard
        is_through = self._worker.done()
        self._worker.cancel()
        self._desk.listens(-1)
        if self._error is not None:
            raise self._error
        if not is_through:
            raise UpstreamTimeout(f"{self.leg.provider.id} had no last transcript after {within_s:.0f} s")

    def stop(self, reason: str | None = None) -> None:
        """See `Hearer.stop`."""
        self._desk.listens(-1)
        if reason is not None and self._running is not None:
            self._running.abandon(reason)
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()

    async def _queue(self, utterance: Utterance) -> None:
        self._waiting_bytes += len(utterance.samples)
        self._waiting.put_nowait(utterance)
        if self._waiting_bytes > WAITING_LIMIT_S * 2 * self._rate_hz:
            await self._fail(
                UpstreamSilent(f"{self.leg.provider.id} is slower than the speech that it is to transcribe")
            )

    async def _fail(self, error: SidecarError) -> None:
        """Tell of an error; whoever waits for the end is told there."""
        if self._is_finishing:
            self._error = error
        else:
            await self._listener.failed(error)

    async def _work(self) -> None:
        while (utterance := await self._waiting.get()) is not None:
            ask = RecordingAsk(
                self._ask.model,
                wav_file(utterance.samples, self._rate_hz),
                "speech.wav",
                "audio/wav",
                self._ask.language,
            )
            try:
                self._running = Transcription(self.leg, self._make(ask), self._desk, self._dialler, self._clock)
                transcript = await self._running.run()
            except SidecarError as error:
                await self._fail(error)
                return
            self._waiting_bytes -= len(utterance.samples)
            self._desk.listens(1)  # its first exchange may have opened the session
            if transcript.text.strip():
                await self._listener.heard((_final(transcript, utterance, self._rate_hz), UtteranceEnded()))


def _final(transcript: Transcript, utterance: Utterance, rate_hz: int) -> Final:
    """Return a transcript with its places in the whole stream."""
    start_s = utterance.start_s
    words = tuple(
        replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s)
        for word in transcript.words
        if word.start_s is not None and word.end_s is not None
    )
    end_s = start_s + len(utterance.samples) / (2 * rate_hz)
    return Final(transcript.text, end_s, start_s, words=words, language=transcript.language)
