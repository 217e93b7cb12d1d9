"""LiveKit Inference's ``/v1/tts``: the agent's socket here, whichever provider speaks behind it.

The provider is dialled when the agent opens its session, so that its first word is not late. One utterance is spoken
at a time, by one task that takes what the agent says in its order. Before its first audio another provider may take
over, which is given its texts again.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from voicegw_sidecar.facades.livekit_tts import Asked, Close, Create, Flush, Text
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.agent_socket import POLICY_VIOLATION, AgentSide
from voicegw_sidecar.unified.http import SILENT
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ClosedEarly, ProviderSocket
from voicegw_sidecar.unified.speakers import RequestSpeaker, SocketSpeaker, Speaker

logger = logging.getLogger(__name__)

UTTERANCE_LIMIT_CHARS = 100_000
"""The longest utterance, which is kept as long as it is spoken; more of it is refused."""
_TICK_S = 1.0


class _Manner(Struct, frozen=True):
    """How an utterance is to be spoken; None leaves it to the provider's usual."""

    model: str | None
    voice: str | None
    language: str | None


class _Utterance:
    """One utterance that is being spoken."""

    def __init__(self, manner: _Manner, first: str) -> None:
        self.id = secrets.token_hex(6)
        self.manner = manner
        self.texts = [first]
        self.size_chars = len(first)
        self.is_flushed = False
        self.has_audio = False
        self.outcome: asyncio.Future[SidecarError | None] = asyncio.get_running_loop().create_future()
        """Of the provider that speaks it now: None for spoken, or what went wrong."""
        self.patience: asyncio.Timeout | None = None

    def tell(self, outcome: SidecarError | None) -> None:
        """Say how it went, once."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def wait(self, patience_s: float | None) -> None:
        """Wait for the first audio no longer than so long from now on; None: as long as it takes."""
        if self.patience is not None:
            due_s = None if patience_s is None else asyncio.get_running_loop().time() + patience_s
            with contextlib.suppress(RuntimeError):  # it has just run out
                self.patience.reschedule(due_s)


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
        self._speaker_is_for: tuple[Leg, _Manner, Create] | None = None
        self._may_redial = False
        self._utterance: _Utterance | None = None

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it to its end."""
        self._dialler, self._clock = dialler, clock
        try:
            [first, *_] = await self._choose(self._wanted)
            self._desk.require_key(self._desk.admit(first))
        except SidecarError as error:
            return refusal_response(self._desk.refusal(error))
        self._agent: AgentSide[Asked] = AgentSide(request, self._desk)
        try:
            return await self._agent.serve(
                livekit_tts.read, self._work, leaves=lambda message: isinstance(message, Close)
            )
        finally:
            self._drop_speaker()

    async def _work(self) -> None:
        while True:
            try:
                match await self._next():
                    case Create() as create:
                        await self._prepare(create)
                    case Text(text=text) as first if text.strip():
                        await self._say(first)
                    case Flush():
                        await self._agent.send(livekit_tts.done(secrets.token_hex(6)))  # an utterance without a word
                    case _:
                        pass
            except Refused as error:
                await self._agent.send(livekit.error(error.message, error.status))
                await self._agent.close(POLICY_VIOLATION, f"{error.code}: {error.message}")
                return
            except SidecarError as error:
                await self._agent.send(livekit.error(error.message, error.status))

    async def _next(self) -> Asked:
        """Return the agent's next message; until it comes the provider's connection is kept."""
        while (message := await self._agent.inbox.take(_TICK_S)) is None:
            await self._keep_open()
        return message

    async def _prepare(self, create: Create) -> None:
        self._create = create
        await self._agent.send(livekit_tts.created(secrets.token_hex(6)))
        await self._choose(create.model or self._wanted)
        await self._prewarm()

    async def _prewarm(self) -> None:
        """Dial before the first word; what goes wrong is told when there is a word."""
        self._may_redial = False
        try:
            leg = self._desk.admit(self._legs[0])
            async with asyncio.timeout(_patience_s(leg, has_others=len(self._legs) > 1)):
                await self._get_ready(leg, self._usual_manner(), begins=False)
        except (SidecarError, TimeoutError):
            self._drop_speaker(SILENT)
            self._first = min(1, len(self._legs) - 1)  # the next utterance need not find out again

    def _usual_manner(self) -> _Manner:
        return _Manner(self._create.model or self._wanted, self._create.voice, self._create.language)

    async def _choose(self, model: str | None) -> list[Leg]:
        """Have the legs of a model; the fallback models that the session named are for its own."""
        names: tuple[str | None, ...] = (model,)
        if model == (self._create.model or self._wanted):
            fallback = self._create.fallback.models
            names = (model, *(f"{one.model}:{one.voice}" if one.voice else one.model for one in fallback))
        if names != self._legs_of:
            self._legs = await self._desk.legs(Modality.TTS, names)
            self._legs_of, self._first = names, 0
        return self._legs

    async def _say(self, first: Text) -> None:
        """Speak an utterance from its first text on to its end; raises `SidecarError` once it is over."""
        usual = self._usual_manner()
        manner = _Manner(first.model or usual.model, first.voice or usual.voice, first.language or usual.language)
        self._utterance = utterance = _Utterance(manner, first.text)
        try:
            await self._speak(utterance)
            await self._agent.send(livekit_tts.done(utterance.id))
        except Refused:
            raise
        except SidecarError as error:
            await self._agent.send(livekit.error(error.message, error.status))
            if not utterance.is_flushed:
                await self._skip_rest()
        finally:
            self._utterance = None
            self._may_redial = True

    async def _skip_rest(self) -> None:
        """Let the rest of a failed utterance go by: it would be spoken as a torn one."""
        while not isinstance(message := await self._next(), Flush):
            if isinstance(message, Create):
                await self._prepare(message)
                return

    async def _speak(self, utterance: _Utterance) -> None:
        """Let the first leg that can speak it; raises the last error where none can."""
        legs = await self._choose(utterance.manner.model)
        number, self._first = min(self._first, len(legs) - 1), 0
        while True:
            leg, has_others = legs[number], number + 1 < len(legs)
            try:
                leg = self._desk.admit(leg)
                has_others = has_others and not leg.is_stand_in
                await self._speak_with(leg, utterance, _patience_s(leg, has_others=has_others))
                return
            except (SidecarError, TimeoutError) as error:
                reason = error.code if isinstance(error, SidecarError) else SILENT
                self._drop_speaker(SILENT if isinstance(error, TimeoutError) else None)
                if utterance.has_audio or not has_others:
                    raise (self._desk.blamed(error, leg) if isinstance(error, SidecarError) else error) from None
            logger.warning("provider gave way", extra={"provider": leg.name, "reason": reason})
            number += 1

    async def _speak_with(self, leg: Leg, utterance: _Utterance, patience_s: float | None) -> None:
        """Let one leg speak it; raises `TimeoutError` where it stays silent for too long."""
        async with asyncio.timeout(patience_s) as patience:
            utterance.patience = patience
            is_kept = await self._get_ready(leg, utterance.manner, begins=True)
            try:
                await self._fed(utterance, patience_s)
            except ClosedEarly:
                if not is_kept or utterance.has_audio:
                    raise
                # its idle connection was being closed just when it was needed
                self._drop_speaker()
                utterance.wait(patience_s)
                await self._get_ready(leg, utterance.manner, begins=True)
                await self._fed(utterance, patience_s)

    async def _fed(self, utterance: _Utterance, patience_s: float | None) -> None:
        """Tell the speaker all texts, and wait until they are spoken."""
        assert self._speaker is not None
        speaker, utterance.outcome = self._speaker, asyncio.get_running_loop().create_future()
        utterance.wait(None)  # it owes nothing before it has something to say
        feeder = tasks.spawn(self._feed(utterance, speaker, patience_s), name="unified tts feeder")
        try:
            await asyncio.wait((feeder, utterance.outcome), return_when=asyncio.FIRST_COMPLETED)
            if feeder.done():
                feeder.result()
            while not utterance.outcome.done():
                await asyncio.wait((utterance.outcome,), timeout=_TICK_S)
                await speaker.keep_alive()
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        if (error := utterance.outcome.result()) is not None:
            raise error

    async def _feed(self, utterance: _Utterance, speaker: Speaker, patience_s: float | None) -> None:
        told, is_due = 0, False
        while True:
            for text in utterance.texts[told:]:
                told += 1
                await speaker.speak(text)
                if speaker.is_due and not is_due and not utterance.has_audio:
                    is_due = True
                    utterance.wait(patience_s)
            if utterance.is_flushed:
                break
            await self._take_more(utterance)
        await speaker.flush()
        if not is_due and not utterance.has_audio:
            utterance.wait(patience_s)

    async def _take_more(self, utterance: _Utterance) -> None:
        """Take the agent's next message into an utterance that has begun."""
        try:
            match await self._next():
                case Text(text=text) if text:
                    utterance.size_chars += len(text)
                    if utterance.size_chars > UTTERANCE_LIMIT_CHARS:
                        limit = f"an utterance has {UTTERANCE_LIMIT_CHARS} characters at most; send session.flush"
                        raise BadRequest(f"transcript: found more of one utterance than is taken: {limit}")
                    utterance.texts.append(text)
                case Flush():
                    utterance.is_flushed = True
                case Create():
                    raise BadRequest(
                        "session.create: found one in the middle of an utterance; send session.flush first"
                    )
                case _:
                    pass
        except BadRequest as error:
            await self._agent.send(livekit.error(error.message, error.status))

    async def _get_ready(self, leg: Leg, manner: _Manner, *, begins: bool) -> bool:
        """Have a speaker open for a leg and manner; True where the one that is open fits.

        ``begins``: for an utterance, which has begun even if the connection is not had.
        """
        wanted, speaker = (leg, manner, self._create), self._speaker
        is_kept = speaker is not None and speaker.is_open and self._speaker_is_for == wanted
        if not is_kept or speaker is None:
            self._drop_speaker()
            self._speaker = speaker = await self._made(leg, manner)
            self._speaker_is_for = wanted
        if begins:
            speaker.begin()
        if not is_kept:
            await speaker.open()
        return is_kept

    async def _made(self, leg: Leg, manner: _Manner) -> Speaker:
        drivers = drivers_of(leg.provider.id, is_declared=leg.is_declared)
        wanted = manner.voice or leg.variant if not leg.is_substitute else leg.variant or manner.voice
        voice = fitting_voice(leg.provider.id, drivers.voices, wanted, is_substitute=leg.is_substitute)
        rate_hz = self._create.rate_hz
        if drivers.speak is not None:
            driver = drivers.speak(SpeakAsk(leg.model, voice, rate_hz, manner.language, self._options(leg)))
            if driver.rate_hz != rate_hz:
                await asyncio.to_thread(sound.load)
            socket = ProviderSocket(self._desk.socket(leg, driver.address), self._dialler, self._clock)
            return SocketSpeaker(socket, driver, rate_hz, self, self._clock)
        if drivers.speech is None:
            raise BadRequest(f"model: {leg.provider.id} does not speak; expected a text-to-speech provider")
        wanted_sound = Sound(Container.PCM, rate_hz)
        speech = SpeechAsk(leg.model, voice, "", wanted_sound, manner.language)
        if drivers.speech(replace(speech, text="a")).gives != wanted_sound:
            await asyncio.to_thread(sound.load)
        return RequestSpeaker(leg, drivers, speech, self._desk, self._dialler, self, self._clock)

    def _options(self, leg: Leg) -> dict[str, object]:
        """Return the options that were given for a leg: no provider is told another one's."""
        return livekit.options_for(leg, self._create.options, self._create.fallback)

    def _drop_speaker(self, reason: str | None = None) -> None:
        if self._speaker is not None:
            self._speaker.stop(reason)
        self._speaker = None

    async def audio(self, samples: bytes | str) -> None:
        """See `Listener.audio`."""
        utterance = self._utterance
        if utterance is None:
            return
        if not utterance.has_audio:
            utterance.has_audio = True
            utterance.wait(None)
        await self._agent.send(livekit_tts.audio(utterance.id, samples))

    async def ended(self) -> None:
        """See `Listener.ended`."""
        if self._utterance is not None:
            self._utterance.tell(None)

    async def failed(self, error: SidecarError) -> None:
        """See `Listener.failed`."""
        if self._utterance is not None:
            self._utterance.tell(error)

    async def _keep_open(self) -> None:
        """Keep an idle provider's connection; one that closed is dialled again, once, before it is needed."""
        if self._speaker is not None and self._speaker.is_open:
            await self._speaker.keep_alive()
        elif self._speaker is not None and self._utterance is None and self._may_redial:
            self._drop_speaker()
            await self._prewarm()


def _patience_s(leg: Leg, *, has_others: bool) -> float | None:
    """How long a leg may take; None for as long as it takes, where nobody comes after it."""
    return None if leg.patience_ms is None or not has_others else leg.patience_ms / 1000
