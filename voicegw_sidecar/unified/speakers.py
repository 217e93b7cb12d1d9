"""Speakers: one provider that speaks utterance after utterance, over its socket or request by request.

Both give 16-bit little-endian mono samples at the rate that is wanted, whatever the provider's is.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from abc import ABC, abstractmethod
from collections import deque
from typing import Protocol

from voicegw_sidecar import tasks
from voicegw_sidecar.asks import SpeechAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import Drivers, SpeakDriver, SpeechFactory, SpeechRequest
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.pieces import pieces
from voicegw_sidecar.errors import SidecarError, UpstreamSilent
from voicegw_sidecar.events import AudioOut, Event, Failed, Finished
from voicegw_sidecar.facades.samples import Samples, require_sound
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.sound.resample import Resampler
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_request import RequestToProvider
from voicegw_sidecar.unified.provider_socket import ClosedEarly, ProviderSocket
from voicegw_sidecar.wire.frames import End

logger = logging.getLogger(__name__)

TEXTS_LIMIT = 256
"""Sentences of one utterance that wait to be asked for; beyond, whoever brings them waits."""


class Listener(Protocol):
    """Is given what a speaker says. What it takes time for holds the speaker up, and nobody else."""

    async def audio(self, samples: bytes | str) -> None:
        """A piece of the current utterance; text is base64."""
        ...

    async def ended(self) -> None:
        """The current utterance is spoken."""
        ...

    async def failed(self, error: SidecarError) -> None:
        """The current utterance cannot be spoken to its end."""
        ...


class Speaker(ABC):
    """One provider, asked for one utterance after the other."""

    def __init__(self, leg: Leg, listener: Listener) -> None:
        self.leg = leg
        self._listener = listener

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """True while it can be asked."""

    @abstractmethod
    async def open(self) -> None:
        """Get ready; raises `SidecarError`."""

    @property
    @abstractmethod
    def is_due(self) -> bool:
        """True once it was told something of the current utterance that it speaks without waiting for more."""

    @abstractmethod
    def begin(self) -> None:
        """A new utterance begins: its part of the budget is reserved."""

    @abstractmethod
    async def speak(self, text: str) -> None:
        """Take more text of the current utterance."""

    @abstractmethod
    async def flush(self) -> None:
        """The current utterance has no more text."""

    @abstractmethod
    async def keep_alive(self) -> None:
        """Called every second: does what keeps an idle connection open."""

    @abstractmethod
    def stop(self, reason: str | None = None) -> None:
        """Stop at once, for good; ``reason`` is the code of a row that ends by it."""


class SocketSpeaker(Speaker):
    """Speaks over one socket of its own."""

    def __init__(
        self, socket: ProviderSocket, driver: SpeakDriver, rate_hz: int, listener: Listener, clock: Clock
    ) -> None:
        super().__init__(socket.connection.leg, listener)
        self._socket = socket
        self._driver = driver
        self._rate_hz = rate_hz
        self._clock = clock
        self._resampler = Resampler(driver.rate_hz, rate_hz)
        self._reader: asyncio.Task[None] | None = None
        self._is_speaking = False
        self._is_flushed = False
        self._ended = 0

    @property
    def is_open(self) -> bool:
        """See `Speaker.is_open`."""
        return self._socket.is_open

    @property
    def is_due(self) -> bool:
        """See `Speaker.is_due`."""
        return self._driver.is_due

    async def open(self) -> None:
        """See `Speaker.open`."""
        await self._socket.dial(self._driver.opening())
        self._reader = tasks.spawn(self._read(), name="provider speaks")

    def begin(self) -> None:
        """See `Speaker.begin`."""
        self._socket.connection.expect()
        self._is_speaking, self._is_flushed, self._ended = True, False, 0
        self._resampler = Resampler(self._driver.rate_hz, self._rate_hz)

    async def speak(self, text: str) -> None:
        """See `Speaker.speak`."""
        await self._socket.send(self._driver.speak(text))
        await self._fail_if_closed()

    async def flush(self) -> None:
        """See `Speaker.flush`."""
        messages = self._driver.flush()
        self._is_flushed = True
        await self._socket.send(messages)
        await self._fail_if_closed()
        await self._end_if_over()

    async def keep_alive(self) -> None:
        """See `Speaker.keep_alive`."""
        limit_s = self._driver.keepalive_s
        if limit_s is not None and self._clock.monotonic_ns() - self._socket.last_sent_ns > limit_s * 1e9:
            await self._socket.send(self._driver.keepalive())

    def stop(self, reason: str | None = None) -> None:
        """See `Speaker.stop`."""
        last_words = self._driver.cancel() if self._is_speaking else self._driver.finish()
        if reason is not None:
            self._socket.abandon(reason)
        is_idle = not self._is_speaking
        self._is_speaking = False
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()
        self._socket.close_soon(last_words, End.COMPLETE if is_idle else End.CANCELLED)

    async def _read(self) -> None:
        try:
            await self._read_on()
        except Exception as error:  # a defect of ours: whoever waits for the utterance must not wait for ever
            logger.error("a provider's message could not be taken", extra={"error": type(error).__name__})
            self._is_speaking = False
            await self._listener.failed(UpstreamSilent(f"{self.leg.provider.id} sent what could not be taken"))

    async def _read_on(self) -> None:
        while (received := await self._socket.receive()) is not None:
            frame, events = received
            for event in events:
                await self._take(event)
            self._socket.tell(frame)
        await self._fail_if_closed()

    async def _fail_if_closed(self) -> None:
        """Say that the connection ended in the middle of an utterance, whoever sees it first."""
        if self._is_speaking and not self._socket.is_open:
            self._is_speaking = False
            await self._listener.failed(ClosedEarly(self._socket.connection))

    async def _take(self, event: Event) -> None:
        match event:
            case AudioOut(audio=audio) if audio and self._is_speaking:
                try:
                    ready = self._converted(audio)
                except ValueError:
                    self._is_speaking = False
                    await self._listener.failed(UpstreamSilent(f"{self.leg.provider.id} sent audio that is no base64"))
                    return
                if ready:
                    await self._listener.audio(ready)
            case Finished():
                self._ended += 1
                if self._is_speaking and not self._is_flushed and self._ended >= self._driver.ends > 0:
                    self._driver.ended()
                await self._end_if_over()
            case Failed(code=code, message=message) if self._is_speaking:
                self._is_speaking = False
                await self._listener.failed(UpstreamSilent(f"{self.leg.provider.id}: {message or code}"))
            case _:
                pass

    def _converted(self, audio: bytes | str) -> bytes | str:
        if self._driver.rate_hz == self._rate_hz:
            return audio
        return self._resampler.feed(base64.b64decode(audio) if isinstance(audio, str) else audio)

    async def _end_if_over(self) -> None:
        if not (self._is_speaking and self._is_flushed and self._ended >= self._driver.ends):
            return
        self._is_speaking = False
        if self._driver.rate_hz != self._rate_hz and (rest := self._resampler.rest()):
            await self._listener.audio(rest)
        await self._listener.ended()


class RequestSpeaker(Speaker):
    """Speaks sentence by sentence, each by a request of its own, in their order."""

    def __init__(
        self, leg: Leg, drivers: Drivers, ask: SpeechAsk, desk: Desk, dialler: Dialler, listener: Listener,
        clock: Clock,
    ) -> None:  # fmt: skip
        super().__init__(leg, listener)
        assert drivers.speech is not None
        self._make: SpeechFactory = drivers.speech
        self._limit_chars = drivers.speech_limit_chars(leg.model)
        self._ask = ask
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._texts: deque[str] = deque()
        self._has_more = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_flushed = self._is_due = False
        self._worker: asyncio.Task[None] | None = None
        self._reason: str | None = None

    @property
    def is_open(self) -> bool:
        """See `Speaker.is_open`."""
        return self._worker is not None and not self._worker.done()

    @property
    def is_due(self) -> bool:
        """See `Speaker.is_due`: each text is asked for as it comes."""
        return self._is_due

    async def open(self) -> None:
        """Nothing is dialled before there is something to say: connections are pooled."""
        self._worker = tasks.spawn(self._work(), name="provider speaks")

    def begin(self) -> None:
        """See `Speaker.begin`; each request reserves for itself."""
        self._is_flushed = self._is_due = False

    async def speak(self, text: str) -> None:
        """See `Speaker.speak`."""
        for piece in pieces(text, self._limit_chars):
            await self._has_room.wait()
            self._is_due = True
            self._texts.append(piece)
            if len(self._texts) >= TEXTS_LIMIT:
                self._has_room.clear()
            self._has_more.set()

    async def flush(self) -> None:
        """See `Speaker.flush`."""
        self._is_flushed = True
        self._has_more.set()

    async def keep_alive(self) -> None:
        """Nothing is open that would have to be kept so."""

    def stop(self, reason: str | None = None) -> None:
        """See `Speaker.stop`."""
        self._reason = reason
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()

    async def _work(self) -> None:
        while True:
            await self._has_more.wait()
            self._has_more.clear()
            while self._texts:
                text = self._texts.popleft()
                self._has_room.set()
                if not await self._say(text):
                    return
            if self._is_flushed:
                self._is_flushed = False
                await self._listener.ended()

    async def _say(self, text: str) -> bool:
        """Have one sentence spoken; False where it cannot be."""
        try:
            ask = SpeechAsk(
                self._ask.model, self._ask.voice, text, self._ask.sound, self._ask.language, self._ask.speed,
                self._ask.instructions,
            )  # fmt: skip
            wanted = self._make(ask)
            await self._ask_for(wanted)
        except SidecarError as error:
            await self._listener.failed(error)
            return False
        return True

    async def _ask_for(self, wanted: SpeechRequest) -> None:
        """Ask, and give the listener what comes; raises `SidecarError`."""
        connection = self._desk.request(self.leg, wanted.request)
        request = RequestToProvider(connection, wanted.request, self._dialler, self._clock)
        provider_id = self.leg.provider.id
        samples = Samples(wanted.gives, self._ask.sound.rate_hz or 0, provider_id)
        try:
            await request.send()
            if request.is_refusal:
                _, error = await request.refusal()
                raise error
            require_sound(provider_id, request.head)
            async for frame in request.pieces():
                request.events(frame)
                if ready := samples.feed(frame.data):
                    await self._listener.audio(ready)
            rest = samples.rest()
            await request.complete()
            if rest:
                await self._listener.audio(rest)
        except UpstreamSilent:  # not all of it, or no sound
            request.broke_off()
            raise
        except asyncio.CancelledError:
            if self._reason is not None:
                request.abandon(self._reason)
            raise
        finally:
            request.close()
