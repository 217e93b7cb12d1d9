"""LiveKit Inference's ``/v1/stt``: the agent's socket here, whichever provider listens behind it.

One task takes what the agent says in its order, and ahead of it what becomes of the provider. Before the provider's
first transcript another one may take over, which is given what was said so far again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Iterable

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import sound
from voicegw_sidecar.asks import ListenAsk, RecordingAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.errors import BadRequest, Refused, SidecarError
from voicegw_sidecar.events import Event, Final
from voicegw_sidecar.facades import livekit, livekit_stt
from voicegw_sidecar.facades.livekit_stt import Asked, Audio, Close, Create, Finalize, Transcripts, Update
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.agent_socket import POLICY_VIOLATION, TRY_AGAIN, AgentSide
from voicegw_sidecar.unified.hearers import Hearer, RequestHearer, SocketHearer
from voicegw_sidecar.unified.http import SILENT
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ProviderSocket
from voicegw_sidecar.unified.unheard import Unheard

logger = logging.getLogger(__name__)

KEPT_S = 30
"""Seconds of audio that are kept for another provider until something was heard; of more the end."""
_PIECE_S = 0.5
"""The most audio that is worked on at once: other calls go on in between."""
_LEAST_SPEECH_S = 1.0
"""With the silence around it, the shortest utterance that a transcript is due for: less may be a cough."""
_SAMPLE_BYTES = 2


class _GaveUp(Struct, frozen=True):
    """A provider cannot go on, or stayed silent for too long (None)."""

    hearer: Hearer | None
    error: SidecarError | None


class ListenSocket:
    """Serves one socket of an agent; ``wanted`` is the model that its address names."""

    def __init__(self, desk: Desk, wanted: str | None) -> None:
        self._desk = desk
        self._wanted = wanted
        self._create: Create | None = None
        self._legs: list[Leg] = []
        self._index = 0
        self._hearer: Hearer | None = None
        self._transcripts = Transcripts("", None)
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._unheard = Unheard(livekit_stt.USUAL_RATE_HZ)
        self._is_due = False
        """Somebody has spoken of whom nothing was heard: a transcript is due."""
        self._patience: asyncio.TimerHandle | None = None

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Serve it to its end."""
        self._dialler, self._clock = dialler, clock
        try:
            self._legs = await self._desk.legs(Modality.STT, (self._wanted,), is_stream=True)
            served = self._desk.admit(self._legs[0])
            self._desk.require_key(served)
        except SidecarError as error:
            return refusal_response(self._desk.refusal(error))
        if served.is_stand_in:
            self._legs = [served]
        self._agent: AgentSide[Asked | _GaveUp] = AgentSide(request, self._desk)
        try:
            return await self._agent.serve(livekit_stt.read, self._work)
        finally:
            self._stop_hearer()

    async def _work(self) -> None:
        try:
            while not isinstance(message := await self._next(), Close):
                await self._take(message)
            await self._finish()
        except SidecarError as error:
            for message_out in self._transcripts.rest():
                await self._agent.send(message_out)
            await self._agent.send(livekit.error(error.message, error.status))
            code = POLICY_VIOLATION if isinstance(error, Refused | BadRequest) else TRY_AGAIN
            await self._agent.close(code, error.code)

    async def _next(self) -> Asked | _GaveUp:
        """Return what is next; until it comes the provider's connection is kept."""
        while (message := await self._agent.inbox.take()) is None:
            if self._hearer is not None:
                await self._hearer.keep_alive()
        return message

    async def _take(self, message: Asked | _GaveUp) -> None:
        match message:
            case Create():
                await self._begin(message)
            case Audio(samples=samples):
                if self._create is None:
                    await self._begin(Create(livekit_stt.USUAL_RATE_HZ, None, None, (), {}, livekit.Fallback()))
                await self._hear(samples)
            case Finalize():
                if self._hearer is not None and self._unheard.is_any:
                    await self._hearer.finalize()
                await self._agent.send(livekit_stt.finalized())
            case Update():
                await self._update(message)
            case _GaveUp(hearer=hearer, error=error):
                await self._give_way(hearer, error)
            case _:
                pass

    async def _begin(self, create: Create) -> None:
        """Begin a session; one that there is ends with its last words."""
        await self._hear_out()
        self._create = create
        session_id = secrets.token_hex(6)
        self._transcripts = Transcripts(session_id, create.language)
        self._unheard = Unheard(create.rate_hz)
        await self._agent.send(livekit_stt.created(session_id))
        await self._choose(create)
        await self._try_from(0)

    async def _choose(self, create: Create) -> None:
        names = (create.model or self._wanted, *(other.model for other in create.fallback.models))
        self._legs = await self._desk.legs(Modality.STT, names, is_stream=True)

    async def _update(self, message: Update) -> None:
        """Another model or language needs another connection; other settings hold from the next one on."""
        if self._create is None:
            return
        before = self._create
        create = Create(
            before.rate_hz, message.model or before.model, message.language or before.language,
            before.keyterms if message.keyterms is None else message.keyterms, {**before.options, **message.options},
            before.fallback,
        )  # fmt: skip
        if (create.model, create.language) == (before.model, before.language):
            self._create = create
            return
        await self._hear_out()
        self._create = create
        self._transcripts.language = create.language
        await self._choose(create)
        await self._try_from(0)

    async def _try_from(self, index: int) -> None:
        """Let the first leg from ``index`` on that can listen do so; raises the last error where none can."""
        for number in range(index, len(self._legs)):
            has_others = number + 1 < len(self._legs)
            leg = self._legs[number]
            if not number:  # a spent budget is refused, whoever else might be asked
                leg = self._desk.admit(leg)
            patience_ms = leg.patience_ms if has_others else None
            try:
                if number:
                    leg = self._desk.admit(leg)
                if leg.is_stand_in:
                    self._legs[number:], has_others, patience_ms = [leg], False, None
                self._hearer, self._index = await self._made(leg), number
                async with asyncio.timeout(None if patience_ms is None else patience_ms / 1000):
                    await self._hearer.open()
                self._unheard.begin(self._kept_bytes, self._hearer.pause_s)
                for samples in self._kept:
                    await self._hearer.audio(samples)
                self._wait_for_output()
                return
            except (SidecarError, TimeoutError) as error:
                reason = error.code if isinstance(error, SidecarError) else SILENT
                self._stop_hearer(SILENT if isinstance(error, TimeoutError) else None)
                if not has_others:
                    raise (self._desk.blamed(error, leg) if isinstance(error, SidecarError) else error) from None
                logger.warning("provider gave way", extra={"provider": leg.name, "reason": reason})

    async def _made(self, leg: Leg) -> Hearer:
        assert self._create is not None
        create, drivers = self._create, drivers_of(leg.provider.id, is_declared=leg.is_declared)
        language = create.language or leg.variant
        listen = drivers.listen(leg.model)
        if listen is not None:
            options = livekit.options_for(leg, create.options, create.fallback)
            driver = listen(ListenAsk(leg.model, create.rate_hz, language, create.keyterms, options))
            if driver.rate_hz != create.rate_hz:
                await asyncio.to_thread(sound.load)
            socket = ProviderSocket(self._desk.socket(leg, driver.address), self._dialler, self._clock)
            return SocketHearer(socket, driver, create.rate_hz, self, self._clock)
        recording = drivers.recording(leg.model)
        if recording is None:
            raise BadRequest(f"model: {leg.name} does not listen; expected a speech-to-text model")
        wanted = RecordingAsk(leg.model, b"", "", "", language)
        return RequestHearer(leg, recording, wanted, create.rate_hz, self._desk, self._dialler, self, self._clock)

    async def _hear(self, samples: bytes) -> None:
        assert self._create is not None
        piece_bytes = round(_PIECE_S * self._create.rate_hz) * _SAMPLE_BYTES
        for start in range(0, len(samples), piece_bytes):
            if start:
                await asyncio.sleep(0)
            piece = samples[start : start + piece_bytes]
            ended = self._unheard.feed(piece)
            least_bytes = _LEAST_SPEECH_S * self._create.rate_hz * _SAMPLE_BYTES
            self._is_due = self._is_due or any(len(one.samples) >= least_bytes for one in ended)
            self._keep_for_others(piece)
            if self._hearer is not None:
                await self._hearer.audio(piece)

    def _keep_for_others(self, samples: bytes) -> None:
        """Keep what was said until something is heard of it."""
        assert self._create is not None
        if self._transcripts.has_output or self._index + 1 >= len(self._legs):
            self._forget_kept()
            return
        self._kept.append(samples)
        self._kept_bytes += len(samples)
        while self._kept_bytes > KEPT_S * self._create.rate_hz * _SAMPLE_BYTES:
            self._kept_bytes -= len(self._kept.popleft())
        self._wait_for_output()

    def _wait_for_output(self) -> None:
        """Once someone has spoken, a transcript is due: wait for it as long as the provider may take."""
        patience_ms = self._legs[self._index].patience_ms
        has_others = self._index + 1 < len(self._legs)
        if self._is_due and has_others and patience_ms is not None and self._patience is None:
            loop, gave_up = asyncio.get_running_loop(), _GaveUp(self._hearer, None)
            self._patience = loop.call_later(patience_ms / 1000, self._agent.inbox.note, gave_up)

    def _forget_kept(self) -> None:
        self._kept.clear()
        self._kept_bytes, self._is_due = 0, False

    async def heard(self, events: Iterable[Event]) -> None:
        """See `hearers.Listener.heard`."""
        events = list(events)
        for event in events:
            if isinstance(event, Final):
                self._unheard.heard(event)
        for message in self._transcripts.take(events):
            await self._agent.send(message)

    async def failed(self, error: SidecarError) -> None:
        """See `hearers.Listener.failed`: what follows is done by the task that works, not by the one that failed."""
        self._agent.inbox.note(_GaveUp(self._hearer, error))

    async def _give_way(self, hearer: Hearer | None, error: SidecarError | None) -> None:
        """Let the next provider listen, from the beginning, unless another one does than the one that gave up.

        Raises the error where nobody is left, or something was heard: the agent is told, and dials again.
        """
        if hearer is not self._hearer or hearer is None:
            return
        index = self._index
        is_settled = self._transcripts.has_output or index + 1 >= len(self._legs)
        if is_settled and error is not None:
            raise self._desk.blamed(error, self._legs[index])
        if is_settled:
            return
        reason = SILENT if error is None else error.code
        logger.warning("provider gave way", extra={"provider": self._legs[index].name, "reason": reason})
        self._stop_hearer(SILENT if error is None else None)
        await self._try_from(index + 1)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None

    def _stop_hearer(self, reason: str | None = None) -> None:
        self._stop_waiting()
        if self._hearer is not None:
            self._hearer.stop(reason)
        self._hearer = None

    async def _hear_out(self) -> None:
        """Let the provider hear out what was said; raises `SidecarError` where its words are lost."""
        self._stop_waiting()
        while self._hearer is not None:
            try:
                await self._hearer.finish(is_unheard=self._unheard.is_any)
                self._hearer = None
            except SidecarError as error:
                if not self._unheard.is_any:
                    break
                await self._give_way(self._hearer, error)
        self._stop_hearer()
        for message in self._transcripts.rest():
            await self._agent.send(message)
        self._forget_kept()

    async def _finish(self) -> None:
        await self._hear_out()
        await self._agent.send(livekit_stt.closed())
