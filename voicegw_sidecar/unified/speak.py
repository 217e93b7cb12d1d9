"""LiveKit Inference's ``/v1/tts``: the agent's socket here, whichever provider speaks behind it.

The provider is dialled when the agent opens its session, so that its first word is not late. One utterance is spoken
at a time. Before its first audio another provider may take over, which is given its texts again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar import sound, tasks
from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.drivers.voices import fitting_voice
from voicegw_sidecar.errors import BadRequest, Refused, SidecarError
from voicegw_sidecar.facades import livekit, livekit_tts
from voicegw_sidecar.facades.livekit_tts import Close, Create, Flush, Text
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.agent_socket import AgentSide
from voicegw_sidecar.unified.http import SILENT
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ProviderSocket
from voicegw_sidecar.unified.speakers import RequestSpeaker, SocketSpeaker, Speaker

logger = logging.getLogger(__name__)

_TICK_S = 1.0
POLICY_VIOLATION = 1008


class _Voice(Struct, frozen=True):
    """What an utterance is to be spoken with; None leaves it to the provider's usual one."""

    model: str | None
    voice: str | None
    language: str | None


class _Utterance:
    """One utterance that is being spoken."""

    def __init__(self, voice: _Voice) -> None:
        self.id = secrets.token_hex(6)
        self.voice = voice
        self.texts: list[str] = []
        self.is_flushed = False
        self.has_audio = False
        self.leg_index = 0
        self.over = asyncio.Event()
        self.patience: asyncio.TimerHandle | None = None

    def stop_waiting(self) -> None:
        """Wait no longer for the first audio."""
        if self.patience is not None:
            self.patience.cancel()
        self.patience = None


class SpeakSocket:
    """Serves one socket of an agent; ``wanted`` is the model that its address names."""

    def __init__(self, desk: Desk, wanted: str | None) -> None:
        self._desk = desk
        self._wanted = wanted
        self._create = Create(livekit_tts.USUAL_RATE_HZ, None, None, None, {}, livekit.Fallback())
        self._legs: list[Leg] = []
        self._legs_of: tuple[str | None, ...] | None = None
        self._first = 0
        self._speaker: Speaker | None = None
        self._speaker_voice: _Voice | None = None
        self._utterance: _Utterance | None = None
        self._lock = asyncio.Lock()  # who opens, stops or asks the speaker does so alone

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it to its end."""
        self._dialler, self._clock = dialler, clock
        try:
            await self._choose(self._wanted)
            self._desk.require_key(self._desk.admit(self._legs[0]))
        except SidecarError as error:
            return refusal_response(self._desk.refusal(error))
        self._agent = agent = AgentSide(request, self._desk)
        answer = await agent.open()
        keeper = tasks.spawn(self._keep(), name="unified tts keeper")
        try:
            await self._serve()
        finally:
            keeper.cancel()
            self._drop_speaker()
            await asyncio.gather(keeper, return_exceptions=True)
        return answer

    async def _serve(self) -> None:
        async for kind, data in self._agent.messages():
            try:
                message = livekit_tts.read(kind, data)
                if isinstance(message, Close):
                    break
                await self._take(message)
            except Refused as error:
                await self._agent.send(livekit.error(error.message, error.status))
                await self._agent.close(POLICY_VIOLATION, f"{error.code}: {error.message}")
                return
            except SidecarError as error:
                await self._agent.send(livekit.error(error.message, error.status))
        await self._agent.close()

    async def _take(self, message: livekit_tts.Asked) -> None:
        match message:
            case Create():
                self._create = message
                await self._agent.send(livekit_tts.created(secrets.token_hex(6)))
                await self._choose(message.model or self._wanted)
                async with self._lock:
                    await self._prewarm()
            case Text(text=text) if text:
                await self._speak(message)
            case Flush():
                await self._flush()
            case _:
                pass

    async def _prewarm(self) -> None:
        """Dial before the first word; what goes wrong is told when there is a word."""
        try:
            async with asyncio.timeout(self._patience_s(0)):
                await self._get_ready(self._usual_voice(), 0)
        except (SidecarError, TimeoutError):
            self._drop_speaker(SILENT)
            self._first = min(1, len(self._legs) - 1)  # the next utterance need not find out again

    def _usual_voice(self) -> _Voice:
        return _Voice(self._create.model or self._wanted, self._create.voice, self._create.language)

    async def _speak(self, message: Text) -> None:
        usual = self._usual_voice()
        voice = _Voice(message.model or usual.model, message.voice or usual.voice, message.language or usual.language)
        utterance = self._utterance
        if utterance is not None and utterance.is_flushed:  # the next one waits its turn
            await utterance.over.wait()
            utterance = None
        if utterance is None or utterance.over.is_set():
            utterance = await self._begin(voice)
        async with self._lock:
            if utterance.over.is_set():
                return
            utterance.texts.append(message.text)
            if self._speaker is not None and message.text.strip():
                self._watch(utterance)
                await self._speaker.speak(message.text)

    async def _begin(self, voice: _Voice) -> _Utterance:
        await self._choose(voice.model)
        utterance = _Utterance(voice)
        async with self._lock:
            served = self._desk.admit(self._legs[0])
            if served.is_stand_in:
                self._legs, self._legs_of = [served], None  # the next utterance may be served by others again
            self._utterance = utterance
            first, self._first = min(self._first, len(self._legs) - 1), 0
            await self._try_from(utterance, first)
        return utterance

    async def _choose(self, model: str | None) -> None:
        """Have the legs of a model; the fallback models that the session named are for its own."""
        names: tuple[str | None, ...] = (model,)
        if model == (self._create.model or self._wanted):
            fallback = self._create.fallback.models
            names = (model, *(f"{one.model}:{one.voice}" if one.voice else one.model for one in fallback))
        if names != self._legs_of:
            self._legs = await self._desk.legs(Modality.TTS, names)
            self._legs_of, self._first = names, 0

    async def _try_from(self, utterance: _Utterance, index: int) -> None:
        """Let the first leg from ``index`` on that can speak begin; raises the last error where none can."""
        for number in range(index, len(self._legs)):
            has_others = number + 1 < len(self._legs)
            try:
                if number:  # the first was admitted when the utterance began
                    self._legs[number] = self._desk.admit(self._legs[number])
                async with asyncio.timeout(self._patience_s(number)):
                    await self._get_ready(utterance.voice, number)
                utterance.leg_index = number
                await self._current().begin()
                break
            except (SidecarError, TimeoutError) as error:
                if not has_others:
                    self._over(utterance)
                    raise
                reason = error.code if isinstance(error, SidecarError) else SILENT
                self._drop_speaker(SILENT)
                logger.warning("provider gave way", extra={"provider": self._legs[number].name, "reason": reason})

    def _patience_s(self, index: int) -> float | None:
        """How long a leg may take; None for as long as it takes, where nobody comes after it."""
        patience_ms = self._legs[index].patience_ms
        return None if patience_ms is None or index + 1 == len(self._legs) else patience_ms / 1000

    def _drop_speaker(self, reason: str | None = None) -> None:
        if self._speaker is not None:
            self._speaker.stop(reason)
        self._speaker = None

    def _current(self) -> Speaker:
        assert self._speaker is not None
        return self._speaker

    async def _get_ready(self, voice: _Voice, index: int) -> None:
        """Have a speaker open for a leg and voice; the one that is open is kept where it fits."""
        leg = self._legs[index]
        speaker = self._speaker
        if speaker is not None and speaker.is_open and speaker.leg == leg and self._speaker_voice == voice:
            return
        self._drop_speaker()
        self._speaker = made = await self._made(leg, voice)
        self._speaker_voice = voice
        await made.open()

    async def _made(self, leg: Leg, voice: _Voice) -> Speaker:
        drivers = drivers_of(leg.provider.id, is_declared=leg.is_declared)
        wanted = voice.voice or leg.variant if not leg.is_substitute else leg.variant or voice.voice
        name = fitting_voice(leg.provider.id, drivers.voices, wanted, is_substitute=leg.is_substitute)
        rate_hz = self._create.rate_hz
        if drivers.speak is not None:
            ask = SpeakAsk(leg.model, name, rate_hz, voice.language, self._create.options)
            driver = drivers.speak(ask)
            if driver.rate_hz != rate_hz:
                await asyncio.to_thread(sound.load)
            socket = ProviderSocket(self._desk.socket(leg, driver.address), self._dialler, self._clock)
            return SocketSpeaker(socket, driver, rate_hz, self, self._clock)
        if drivers.speech is None:
            raise BadRequest(f"model: {leg.provider.id} does not speak; expected a text-to-speech provider")
        wanted_sound = Sound(Container.PCM, rate_hz)
        speech = SpeechAsk(leg.model, name, "", wanted_sound, voice.language)
        if drivers.speech(replace(speech, text="a")).gives != wanted_sound:
            await asyncio.to_thread(sound.load)
        return RequestSpeaker(leg, drivers.speech, speech, self._desk, self._dialler, self, self._clock)

    async def _flush(self) -> None:
        utterance = self._utterance
        if utterance is None or utterance.is_flushed:
            if utterance is not None and not utterance.over.is_set():
                await utterance.over.wait()
            await self._agent.send(livekit_tts.done(secrets.token_hex(6)))  # an utterance without a word
            return
        async with self._lock:
            utterance.is_flushed = True
            if self._speaker is not None and not utterance.over.is_set():
                await self._speaker.flush()

    async def audio(self, samples: bytes | str) -> None:
        """See `Listener.audio`."""
        utterance = self._utterance
        if utterance is None or utterance.over.is_set():
            return
        utterance.has_audio = True
        utterance.stop_waiting()
        await self._agent.send(livekit_tts.audio(utterance.id, samples))

    async def ended(self) -> None:
        """See `Listener.ended`."""
        utterance = self._utterance
        if utterance is not None and not utterance.over.is_set():
            self._over(utterance)
            await self._agent.send(livekit_tts.done(utterance.id))

    async def failed(self, error: SidecarError) -> None:
        """See `Listener.failed`."""
        utterance = self._utterance
        if utterance is None or utterance.over.is_set():
            return
        if not utterance.has_audio and utterance.leg_index + 1 < len(self._legs):
            # not from here: this is called by what is about to be stopped
            _ = tasks.spawn(
                self._give_way(utterance, utterance.leg_index, error.code, None), name="unified tts failover"
            )
            return
        self._over(utterance)
        await self._agent.send(livekit.error(error.message, error.status))

    def _watch(self, utterance: _Utterance) -> None:
        """Begin to wait for the first audio."""
        patience_s = self._patience_s(utterance.leg_index)
        if patience_s is None or utterance.patience is not None or utterance.has_audio:
            return

        index = utterance.leg_index

        def lose_patience() -> None:
            _ = tasks.spawn(self._give_way(utterance, index, SILENT, SILENT), name="unified tts failover")

        utterance.patience = asyncio.get_running_loop().call_later(patience_s, lose_patience)

    async def _give_way(self, utterance: _Utterance, index: int, code: str, reason: str | None) -> None:
        """Let the provider after the one at ``index`` speak the utterance from its beginning, unless one does."""
        async with self._lock:
            is_late = index != utterance.leg_index or index + 1 >= len(self._legs)
            if is_late or utterance.has_audio or utterance.over.is_set():
                return
            logger.warning(
                "provider gave way", extra={"provider": self._legs[utterance.leg_index].name, "reason": code}
            )
            self._drop_speaker(reason)
            utterance.stop_waiting()
            try:
                await self._try_from(utterance, index + 1)
                self._watch(utterance)
                for text in utterance.texts:
                    await self._current().speak(text)
                if utterance.is_flushed:
                    await self._current().flush()
            except SidecarError as error:
                await self._agent.send(livekit.error(error.message, error.status))

    def _over(self, utterance: _Utterance) -> None:
        utterance.stop_waiting()
        utterance.over.set()

    async def _keep(self) -> None:
        """Keep an idle provider's socket open; one that closed is dialled again before it is needed."""
        while True:
            await asyncio.sleep(_TICK_S)
            async with self._lock:
                is_idle = self._utterance is None or self._utterance.over.is_set()
                if self._speaker is not None and self._speaker.is_open:
                    await self._speaker.keep_alive()
                elif self._speaker is not None and is_idle:
                    self._drop_speaker()
                    await self._prewarm()
