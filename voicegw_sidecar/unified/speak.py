"""LiveKit Inference's ``/v1/tts``: the agent's socket here, whichever provider speaks behind it.

The provider is dialled when the agent opens its session, so that its first word is not late. One utterance is spoken
at a time, by one task that takes what the agent says in its order. Before its first audio another provider may take
over, which is given its texts again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from aiohttp import web

from voicegw_sidecar import tasks
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest, Refused, SidecarError, UpstreamSilent
from voicegw_sidecar.facades import livekit, livekit_tts
from voicegw_sidecar.facades.livekit_tts import Asked, Close, Create, Flush, Text
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.agent_socket import POLICY_VIOLATION, TICK_S, AgentSide
from voicegw_sidecar.unified.http import SILENT
from voicegw_sidecar.unified.open_speaker import OpenSpeaker
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ClosedEarly
from voicegw_sidecar.unified.speakers import Speaker
from voicegw_sidecar.unified.utterance import Manner, Utterance

logger = logging.getLogger(__name__)

STAYS_S = 60.0
"""How long a provider that took over is asked first: the one before it is not waited for at every utterance."""


class SpeakSocket:
    """Serves one socket of an agent; ``wanted`` is the model that its address names."""

    def __init__(self, desk: Desk, wanted: str | None) -> None:
        self._desk = desk
        self._wanted = wanted
        self._create = Create(livekit_tts.USUAL_RATE_HZ, None, None, None, {}, livekit.Fallback())
        self._legs: list[Leg] = []
        self._legs_of: tuple[object, ...] | None = None
        self._first = 0
        self._first_until_s = 0.0
        self._is_throttled = False
        self._utterance: Utterance | None = None

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it to its end."""
        try:
            [first, *_] = await self._choose(self._wanted)
            served = self._desk.admit(first)
            self._desk.require_key(served)
        except SidecarError as error:
            return refusal_response(self._desk.refusal(error))
        self._is_throttled = served.is_stand_in
        self._speaker = OpenSpeaker(self._desk, dialler, clock, self)
        self._agent: AgentSide[Asked] = AgentSide(request, self._desk)
        try:
            return await self._agent.serve(
                livekit_tts.read, self._work, leaves=lambda message: isinstance(message, Close)
            )
        finally:
            self._speaker.drop()

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
        """Return the agent's next message; the provider's connection is kept meanwhile."""
        while (message := await self._agent.inbox.take()) is None:
            await self._speaker.keep(is_idle=self._utterance is None)
        return message

    async def _prepare(self, create: Create) -> None:
        self._create = create
        await self._agent.send(livekit_tts.created(secrets.token_hex(6)))
        legs = await self._choose(create.model or self._wanted)
        if not self._is_throttled:  # else a local server speaks, and the vendor would be dialled for nothing
            await self._speaker.prepare(legs[self._first], self._usual_manner(), create)

    def _usual_manner(self) -> Manner:
        return Manner(self._create.model or self._wanted, self._create.voice, self._create.language)

    async def _choose(self, model: str | None) -> list[Leg]:
        """Have the legs of a model; the fallback models that the session named are for its own."""
        names: tuple[str | None, ...] = (model,)
        if model == (self._create.model or self._wanted):
            fallback = self._create.fallback.models
            names = (model, *(f"{one.model}:{one.voice}" if one.voice else one.model for one in fallback))
        wanted = (*names, self._desk.configuration)
        if wanted != self._legs_of:
            self._legs = await self._desk.legs(Modality.TTS, names)
            self._legs_of, self._first = wanted, 0
        if asyncio.get_running_loop().time() > self._first_until_s:
            self._first = 0
        return self._legs

    async def _say(self, first: Text) -> None:
        """Speak an utterance from its first text on to its end; raises `Refused` for one that may not be."""
        usual = self._usual_manner()
        manner = Manner(first.model or usual.model, first.voice or usual.voice, first.language or usual.language)
        utterance = Utterance(manner, first.text)
        self._utterance = utterance
        try:
            await self._speak(utterance)
            await self._agent.send(livekit_tts.done(utterance.id))
        except Refused:
            raise
        except SidecarError as error:
            await self._agent.send(livekit.error(error.message, error.status))
            if not utterance.is_flushed:
                await self._skip_rest(utterance)
        finally:
            self._utterance = None

    async def _skip_rest(self, utterance: Utterance) -> None:
        """Let the rest of a failed utterance go by: it would be spoken as a torn one. Its flush is answered."""
        while not isinstance(message := await self._next(), Flush):
            if isinstance(message, Create):
                await self._prepare(message)
                return
        await self._agent.send(livekit_tts.done(utterance.id))

    async def _speak(self, utterance: Utterance) -> None:
        """Let the first leg that can speak it; raises the last error where none can."""
        legs = await self._choose(utterance.manner.model)
        numbers = [*range(self._first, len(legs)), *range(self._first)]
        for place, number in enumerate(numbers):
            leg, has_others = legs[number], place + 1 < len(numbers)
            if not place:  # a spent budget is refused, whoever else might be asked
                leg = self._desk.admit(leg)
            try:
                if place:
                    leg = self._desk.admit(leg)
                has_others = has_others and not leg.is_stand_in
                await self._speak_with(leg, utterance, has_others=has_others)
                if place:
                    self._first, self._first_until_s = number, asyncio.get_running_loop().time() + STAYS_S
                return
            except (SidecarError, TimeoutError) as error:
                reason = error.code if isinstance(error, SidecarError) else SILENT
                self._speaker.drop(SILENT if isinstance(error, TimeoutError) else None)
                if isinstance(error, SidecarError) and (utterance.has_audio or not has_others):
                    raise self._desk.blamed(error, leg) from None
            logger.warning("provider gave way", extra={"provider": leg.name, "reason": reason})

    async def _speak_with(self, leg: Leg, utterance: Utterance, *, has_others: bool) -> None:
        """Let one leg speak it; raises `TimeoutError` where others can and it stays silent for too long."""
        patience_s = leg.patience_ms / 1000 if has_others and leg.patience_ms is not None else None
        async with asyncio.timeout(patience_s) as patience:
            utterance.wait_by(patience)
            for is_again in (False, True):
                outcome = utterance.begin()
                speaker, is_kept = await self._speaker.begin(leg, utterance.manner, self._create, has_others=has_others)
                try:
                    await self._fed(speaker, utterance, outcome, patience_s)
                    return
                except ClosedEarly:
                    if is_again or not is_kept or utterance.has_audio:
                        raise
                # its idle connection was being closed just when it was needed
                self._speaker.drop()
                utterance.wait(patience_s)

    async def _fed(
        self, speaker: Speaker, utterance: Utterance, outcome: asyncio.Future[SidecarError | None],
        patience_s: float | None,
    ) -> None:  # fmt: skip
        """Tell a speaker all texts, and wait until they are spoken."""
        utterance.wait(None)  # it owes nothing before it has something to say
        feeder = tasks.spawn(self._feed(utterance, speaker, patience_s), name="unified tts feeder")
        try:
            await asyncio.wait((feeder, outcome), return_when=asyncio.FIRST_COMPLETED)
            if feeder.done():
                feeder.result()
            while not outcome.done():
                await asyncio.wait((outcome,), timeout=TICK_S)
                await speaker.keep_alive()
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
        if (error := outcome.result()) is not None:
            raise error
        if not utterance.has_audio and utterance.has_words:
            raise UpstreamSilent(f"{speaker.leg.provider.id} answered with nothing, not with sound")

    async def _feed(self, utterance: Utterance, speaker: Speaker, patience_s: float | None) -> None:
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

    async def _take_more(self, utterance: Utterance) -> None:
        """Take the agent's next message into an utterance that has begun."""
        try:
            match await self._next():
                case Text(text=text) if text:
                    utterance.add(text)
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

    async def audio(self, samples: bytes | str) -> None:
        """See `Listener.audio`."""
        utterance = self._utterance
        if utterance is None or utterance.is_given_up:
            return
        utterance.heard()
        await self._agent.send(livekit_tts.audio(utterance.id, samples))

    async def ended(self) -> None:
        """See `Listener.ended`."""
        if self._utterance is not None:
            self._utterance.tell(None)

    async def failed(self, error: SidecarError) -> None:
        """See `Listener.failed`."""
        if self._utterance is not None:
            self._utterance.tell(error)
