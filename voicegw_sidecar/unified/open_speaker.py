"""The one speaker of an agent's socket: dialled before it is needed, kept open, exchanged when another is wanted."""

from __future__ import annotations

import asyncio
import contextlib

from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar import sound, tasks
from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.drivers.voices import fitting_voice
from voicegw_sidecar.errors import BadRequest, SidecarError
from voicegw_sidecar.facades import livekit
from voicegw_sidecar.facades.livekit_tts import Create
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ProviderSocket
from voicegw_sidecar.unified.speakers import Listener, RequestSpeaker, SocketSpeaker, Speaker
from voicegw_sidecar.unified.utterance import Manner


class _Wanted(Struct, frozen=True):
    """What a speaker was made of; another one is wanted where any of it differs."""

    leg: Leg
    manner: Manner
    create: Create
    configuration: object


class OpenSpeaker:
    """Holds no more than one speaker, which is open, being opened, or closed and not needed yet."""

    def __init__(self, desk: Desk, dialler: Dialler, clock: Clock, listener: Listener) -> None:
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._listener = listener
        self._speaker: Speaker | None = None
        self._is_for: _Wanted | None = None
        self._opening: asyncio.Task[SidecarError | None] | None = None
        """The dial; what went wrong is its result."""
        self._may_redial = False

    async def prepare(self, leg: Leg, manner: Manner, create: Create) -> None:
        """Begin to dial before the first word; what goes wrong is told when there is a word."""
        self._may_redial = False
        with contextlib.suppress(SidecarError):
            await self._ready(leg, manner, create)

    async def begin(self, leg: Leg, manner: Manner, create: Create, *, has_others: bool) -> tuple[Speaker, bool]:
        """Let an utterance begin with a leg; return its speaker, and whether it was dialled before.

        The utterance has begun even if the connection is not had: then a row says so. Raises `SidecarError`; where
        others can be asked, also what went wrong when it was dialled early.
        """
        self._may_redial = True
        wanted = _Wanted(leg, manner, create, self._desk.configuration)
        if has_others and self._is_for == wanted and (error := self._failure()) is not None:
            raise error
        is_kept = await self._ready(leg, manner, create)
        speaker, opening = self._speaker, self._opening
        assert speaker is not None
        assert opening is not None
        speaker.begin()
        if (error := await opening) is not None:
            raise error
        return speaker, is_kept

    def drop(self, reason: str | None = None) -> None:
        """Let go of the speaker at once; ``reason`` is the code of a row that ends by it."""
        if self._opening is not None:
            self._opening.cancel()
        self._opening = None
        if self._speaker is not None:
            self._speaker.stop(reason)
        self._speaker = None

    async def keep(self, *, is_idle: bool) -> None:
        """Keep the connection; an idle one that closed is dialled again, once, before it is needed."""
        if self._speaker is None or self._opening is None or not self._opening.done():
            return
        if self._speaker.is_open:
            await self._speaker.keep_alive()
        elif is_idle and self._may_redial and self._is_for is not None:
            await self.prepare(self._is_for.leg, self._is_for.manner, self._is_for.create)

    def _failure(self) -> SidecarError | None:
        """Return what went wrong with the dial, if that is known."""
        return self._opening.result() if self._opening is not None and self._opening.done() else None

    async def _ready(self, leg: Leg, manner: Manner, create: Create) -> bool:
        """Have a speaker that is open, or being opened; True where it is the one that was dialled before."""
        wanted, opening = _Wanted(leg, manner, create, self._desk.configuration), self._opening
        current = self._speaker if self._is_for == wanted else None
        if current is not None and opening is not None and (current.is_open or not opening.done()):
            return True
        self.drop()
        self._speaker = speaker = await self._made(leg, manner, create)
        self._is_for = wanted
        self._opening = tasks.spawn(_opened(speaker), name="dial tts provider")
        return False

    async def _made(self, leg: Leg, manner: Manner, create: Create) -> Speaker:
        drivers = drivers_of(leg.provider.id, is_declared=leg.is_declared)
        wanted = manner.voice or leg.variant if not leg.is_substitute else leg.variant or manner.voice
        voice = fitting_voice(leg.provider.id, drivers.voices, wanted, is_substitute=leg.is_substitute)
        rate_hz = create.rate_hz
        if drivers.speak is not None:
            options = livekit.options_for(leg, create.options, create.fallback)
            driver = drivers.speak(SpeakAsk(leg.model, voice, rate_hz, manner.language, options))
            if driver.rate_hz != rate_hz:
                await asyncio.to_thread(sound.load)
            socket = ProviderSocket(self._desk.socket(leg, driver.address), self._dialler, self._clock)
            return SocketSpeaker(socket, driver, rate_hz, self._listener, self._clock)
        if drivers.speech is None:
            raise BadRequest(f"model: {leg.provider.id} does not speak; expected a text-to-speech provider")
        wanted_sound = Sound(Container.PCM, rate_hz)
        speech = SpeechAsk(leg.model, voice, "", wanted_sound, manner.language)
        if drivers.speech(replace(speech, text="a")).gives != wanted_sound:
            await asyncio.to_thread(sound.load)
        return RequestSpeaker(leg, drivers, speech, self._desk, self._dialler, self._listener, self._clock)


async def _opened(speaker: Speaker) -> SidecarError | None:
    """Open a speaker; return what went wrong, since it may be asked for much later."""
    try:
        await speaker.open()
    except SidecarError as error:
        return error
    return None
