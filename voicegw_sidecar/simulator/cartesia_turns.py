"""Cartesia: speech-to-text that finds the turns itself, over a WebSocket.

Wire reference: https://docs.cartesia.ai/use-the-api/stt/turns and the cartesia SDK 4.2 (its types name the
messages ``STTAutoFinalize…``). Where turns start and end is really found in the sound; what is understood is
scripted.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import cartesia_error_frame, provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Outbox, Socket
from voicegw_sidecar.wire.pcm import pcm_format

_WORD_S = 0.35  # how fast the text of a turn grows


async def turns(visit: Visit) -> web.StreamResponse:
    """``GET /stt/turns/websocket`` with an upgrade."""
    query = visit.request.query
    rate = query.get("sample_rate", "")
    pcm = pcm_format(query.get("encoding"), int(rate) if rate.isdigit() else None)
    if pcm is None or "model" not in query:
        return await refuse_request(visit, 400, "model, encoding and sample_rate are required.")
    visit.entry.model = query["model"]
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        stream = _Stream(visit, socket, Ear(pcm, visit.script.turns.hangover_ms / 1000))
        sender = crew.start(stream.outbox.run(), name="simulator cartesia sender")
        try:
            if await stream.run():
                await sender
                await socket.close()
        finally:
            stream.left()
    return socket.response


class _Stream:
    """One connection's turns: positions are seconds of its audio."""

    def __init__(self, visit: Visit, socket: Socket, ear: Ear) -> None:
        self._visit = visit
        self._socket = socket
        self._ear = ear
        self._script = visit.script.turns
        self.outbox = Outbox(visit, socket)
        self._entries: list[Entry] = []
        self._text = ""
        self._update_at_s = 0.0
        self._ended_at_s = 0.0

    async def run(self) -> bool:
        """Listen until the client asks to close (True) or leaves."""
        await self.outbox.put(self._event("connected"))
        while (frame := await self._socket.receive()) is not None:
            if isinstance(frame, bytes):
                await self._hear(frame)
            elif _is_close(frame):
                if (heard := self._ear.stop()) is not None:
                    await self._finish(heard)
                await self.outbox.end()
                return True
            else:
                await self.outbox.put(cartesia_error_frame(self._visit, 400, "Unknown message.", None))
        return False

    def left(self) -> None:
        """The stream is over: what was not finished never will be."""
        for entry in self._entries:
            if entry.ended_ns is None:
                self._visit.mark("hung_up_ns", entry)

    async def _hear(self, frame: bytes) -> None:
        for heard in self._ear.hear(frame, self._visit.clock.monotonic_ns()):
            match heard:
                case SpeechStarted():
                    self._text = self._visit.next_of(self._script.utterances)
                    self._entries.append(self._visit.work(str(len(self._entries))))
                    await self.outbox.put(self._event("turn.start"))
                case SpeechEnded():
                    await self._finish(heard)
        now_s = self._visit.entry.audio_in_s = self._ear.audio_s
        since_s = self._ear.speaking_since_s
        if since_s is not None and now_s - max(since_s, self._update_at_s) >= self._script.interim_every_ms / 1000:
            self._update_at_s = now_s
            words = self._text.split()
            so_far = " ".join(words[: max(1, round((now_s - since_s) / _WORD_S))])
            await self._put_text("turn.update", so_far, 0.0, self._entries[-1])

    async def _finish(self, heard: SpeechEnded) -> None:
        """Send the end of the turn once its latency has passed."""
        entry = self._entries[-1]
        entry.speech_end_ns = heard.end_ns
        entry.audio_in_s = round(self._ear.audio_s - self._ended_at_s, 3)
        self._ended_at_s = self._ear.audio_s
        if self._script.eager_end:
            await self._put_text("turn.eager_end", self._text, 0.0, entry)
        await self._put_text("turn.end", self._text, self._script.final_ms, entry)

    async def _put_text(self, kind: str, text: str, latency_ms: float, entry: Entry) -> None:
        def sent() -> None:
            self._visit.mark("first_output_ns", entry)
            if kind == "turn.end":
                self._visit.mark("final_ns", entry)
                self._visit.mark("ended_ns", entry)

        await self.outbox.put(self._event(kind, transcript=text), latency_ms, sent)

    def _event(self, kind: str, **more: str) -> dict[str, str]:
        return {"type": kind, "request_id": self._visit.request_id, **more}


def _is_close(frame: str) -> bool:
    try:
        return msgspec.json.decode(frame, type=dict[str, Any]).get("type") == "close"
    except msgspec.MsgspecError:
        return False
