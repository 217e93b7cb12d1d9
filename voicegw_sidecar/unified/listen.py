"""LiveKit Inference's ``/v1/stt``: the agent's socket here, whichever provider listens behind it.

Before its first transcript another provider may take over, which is given what was said so far again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Iterable

from aiohttp import web

from voicegw_sidecar import sound, tasks
from voicegw_sidecar.asks import ListenAsk, RecordingAsk
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.segments import Segmenter
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.errors import BadRequest, Refused, SidecarError
from voicegw_sidecar.events import Event, Final
from voicegw_sidecar.facades import livekit, livekit_stt
from voicegw_sidecar.facades.livekit_stt import Audio, Close, Create, Finalize, Transcripts, Update
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.agent_socket import AgentSide
from voicegw_sidecar.unified.hearers import Hearer, RequestHearer, SocketHearer
from voicegw_sidecar.unified.http import SILENT
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.unified.provider_socket import ProviderSocket

logger = logging.getLogger(__name__)

_TICK_S = 1.0
KEPT_S = 30
"""Seconds of audio that are kept for another provider until something was heard; of more the end."""
_SAMPLE_BYTES = 2
_POLICY_VIOLATION, _TRY_AGAIN = 1008, 1011


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
        self._watcher: Segmenter | None = None
        self._is_unheard = False
        """Something was said of which no final transcript has come."""
        self._patience: asyncio.TimerHandle | None = None
        self._lock = asyncio.Lock()  # who opens, stops or feeds the hearer does so alone
        self._is_lost = asyncio.Event()

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
        self._agent = agent = AgentSide(request, self._desk)
        answer = await agent.open()
        keeper = tasks.spawn(self._keep(), name="unified stt keeper")
        try:
            await self._serve()
        finally:
            keeper.cancel()
            if self._patience is not None:
                self._patience.cancel()
            if self._hearer is not None:
                self._hearer.stop()
            await asyncio.gather(keeper, return_exceptions=True)
        return answer

    async def _serve(self) -> None:
        async for kind, data in self._agent.messages():
            if self._is_lost.is_set():
                break
            try:
                message = livekit_stt.read(kind, data)
                if isinstance(message, Close):
                    await self._finish()
                    break
                await self._take(message)
            except SidecarError as error:
                await self._agent.send(livekit.error(error.message, error.status))
                code = _POLICY_VIOLATION if isinstance(error, Refused | BadRequest) else _TRY_AGAIN
                await self._agent.close(code, error.code)
                return
        await self._agent.close()

    async def _take(self, message: livekit_stt.Asked) -> None:
        match message:
            case Create():
                await self._begin(message)
            case Audio(samples=samples):
                if self._create is None:
                    await self._begin(Create(livekit_stt.USUAL_RATE_HZ, None, None, (), {}, livekit.Fallback()))
                await self._hear(samples)
            case Finalize():
                async with self._lock:
                    # clients ask at every pause; a provider asked about silence transcribes it, and bills it
                    if self._hearer is not None and self._is_unheard:
                        await self._hearer.finalize()
                await self._agent.send(livekit_stt.finalized())
            case Update():
                await self._update(message)
            case _:
                pass

    async def _begin(self, create: Create) -> None:
        self._create = create
        session_id = secrets.token_hex(6)
        self._transcripts = Transcripts(session_id, create.language)
        self._watcher = Segmenter(create.rate_hz)
        await self._agent.send(livekit_stt.created(session_id))
        if create.model or create.fallback.models:
            names = (create.model or self._wanted, *(other.model for other in create.fallback.models))
            self._legs = await self._desk.legs(Modality.STT, names, is_stream=True)
        async with self._lock:
            await self._try_from(0)

    async def _update(self, message: Update) -> None:
        """Another model or language needs another connection; other settings hold from the next one on."""
        if self._create is None:
            return
        before = self._create
        self._create = Create(
            before.rate_hz, message.model or before.model, message.language or before.language,
            before.keyterms if message.keyterms is None else message.keyterms, {**before.options, **message.options},
            before.fallback,
        )  # fmt: skip
        if (self._create.model, self._create.language) == (before.model, before.language):
            return
        if self._create.model != before.model:
            self._legs = await self._desk.legs(Modality.STT, (self._create.model,), is_stream=True)
        async with self._lock:
            if self._hearer is not None:
                self._hearer.stop()
            await self._try_from(0)

    async def _try_from(self, index: int) -> None:
        """Let the first leg from ``index`` on that can listen do so; raises the last error where none can."""
        for number in range(index, len(self._legs)):
            has_others = number + 1 < len(self._legs)
            leg = self._legs[number]
            patience_ms = leg.patience_ms if has_others else None
            try:
                leg = self._legs[number] = self._desk.admit(leg)
                hearer = await self._made(leg)
                async with asyncio.timeout(None if patience_ms is None else patience_ms / 1000):
                    await hearer.open()
                self._hearer, self._index = hearer, number
                for samples in self._kept:
                    await hearer.audio(samples)
                return
            except (SidecarError, TimeoutError) as error:
                if not has_others:
                    raise
                reason = error.code if isinstance(error, SidecarError) else SILENT
                logger.warning("provider gave way", extra={"provider": leg.name, "reason": reason})

    async def _made(self, leg: Leg) -> Hearer:
        assert self._create is not None
        create, drivers = self._create, drivers_of(leg.provider.id, is_declared=leg.is_declared)
        language = create.language or leg.variant
        listen = drivers.listen(leg.model)
        if listen is not None:
            ask = ListenAsk(leg.model, create.rate_hz, language, create.keyterms, create.options)
            driver = listen(ask)
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
        assert self._watcher is not None
        has_ended = any(self._watcher.feed(samples))
        self._is_unheard = self._is_unheard or has_ended or self._watcher.is_speaking
        async with self._lock:
            self._keep_for_others(samples, has_ended=has_ended)
            if self._hearer is not None:
                await self._hearer.audio(samples)

    def _keep_for_others(self, samples: bytes, *, has_ended: bool) -> None:
        """Keep what was said until something is heard of it; once someone has spoken, that is due."""
        assert self._create is not None
        if self._transcripts.has_output or self._index + 1 >= len(self._legs):
            self._kept.clear()
            self._kept_bytes = 0
            return
        self._kept.append(samples)
        self._kept_bytes += len(samples)
        while self._kept_bytes > KEPT_S * self._create.rate_hz * _SAMPLE_BYTES:
            self._kept_bytes -= len(self._kept.popleft())
        patience_ms = self._legs[self._index].patience_ms
        if has_ended and patience_ms is not None and self._patience is None:
            delay_s = patience_ms / 1000
            self._patience = asyncio.get_running_loop().call_later(delay_s, self._lose_patience, self._index)

    def _lose_patience(self, index: int) -> None:
        self._patience = None
        if not self._transcripts.has_output:
            _ = tasks.spawn(self._give_way(index, SILENT, SILENT), name="unified stt failover")

    async def heard(self, events: Iterable[Event]) -> None:
        """See `hearers.Listener.heard`."""
        events = list(events)
        if any(isinstance(event, Final) for event in events):
            self._is_unheard = False
            if self._create is not None:  # what was said until now is no reason to wait for more
                self._watcher = Segmenter(self._create.rate_hz)
        for message in self._transcripts.take(events):
            await self._agent.send(message)

    async def failed(self, error: SidecarError) -> None:
        """See `hearers.Listener.failed`."""
        if not self._transcripts.has_output and self._index + 1 < len(self._legs):
            # not from here: this is called by what is about to be stopped
            _ = tasks.spawn(self._give_way(self._index, error.code, None), name="unified stt failover")
            return
        await self._lost(error)

    async def _give_way(self, index: int, code: str, reason: str | None) -> None:
        """Let the provider after the one at ``index`` listen, from the beginning, unless one does."""
        async with self._lock:
            is_late = index != self._index or index + 1 >= len(self._legs)
            if is_late or self._transcripts.has_output or self._is_lost.is_set():
                return
            logger.warning("provider gave way", extra={"provider": self._legs[index].name, "reason": code})
            if self._patience is not None:
                self._patience.cancel()
            self._patience = None
            if self._hearer is not None:
                self._hearer.stop(reason)
            self._hearer = None
            try:
                await self._try_from(index + 1)
            except SidecarError as error:
                await self._lost(error)

    async def _lost(self, error: SidecarError) -> None:
        """Nobody listens any more: the agent is told, and dials again."""
        self._is_lost.set()
        for message in self._transcripts.rest():
            await self._agent.send(message)
        await self._agent.send(livekit.error(error.message, error.status))
        await self._agent.close(_TRY_AGAIN, error.code)

    async def _finish(self) -> None:
        async with self._lock:
            if self._hearer is not None:
                await self._hearer.finish(is_unheard=self._is_unheard)
                self._hearer = None
        for message in self._transcripts.rest():
            await self._agent.send(message)
        await self._agent.send(livekit_stt.closed())

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            async with self._lock:
                if self._hearer is not None:
                    await self._hearer.keep_alive()
