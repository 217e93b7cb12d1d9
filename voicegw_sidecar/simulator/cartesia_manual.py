"""Cartesia: speech-to-text that is told when to finish, over a WebSocket.

Wire reference: https://docs.cartesia.ai/api-reference/stt/websocket and the cartesia SDK 4.2 (its types name the
messages ``STTManualFinalize…``). Ink-Whisper also finishes by itself after a silence, which is really found in the
sound; what is understood is scripted.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import cartesia_error_frame, provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Outbox, Socket
from voicegw_sidecar.wire.pcm import pcm_format


async def listen(visit: Visit) -> web.StreamResponse:
    """``GET /stt/websocket`` with an upgrade."""
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
        sender = crew.start(stream.outbox.run(), name="simulator cartesia manual sender")
        try:
            if await stream.run():
                await sender
                await socket.close()
        finally:
            stream.left()
    return socket.response


class _Stream:
    """One connection's utterances."""

    def __init__(self, visit: Visit, socket: Socket, ear: Ear) -> None:
        self._visit = visit
        self._socket = socket
        self._ear = ear
        self._script = visit.script.turns
        self._ends_itself = (visit.entry.model or "").startswith("ink-whisper")
        self.outbox = Outbox(visit, socket)
        self._entries: list[Entry] = []
        self._heard: SpeechEnded | None = None
        self._text = ""
        self._ended_at_s = 0.0

    async def run(self) -> bool:
        """Listen until the client asks to close (True) or leaves."""
        while (frame := await self._socket.receive()) is not None:
            if isinstance(frame, bytes):
                await self._hear(frame)
                continue
            match frame.strip():
                case "finalize":
                    await self._finish()
                    await self.outbox.put(self._message("flush_done"), self._script.final_ms)
                case "close" | "done":
                    await self._finish()
                    await self.outbox.put(self._message("done"), self._script.final_ms)
                    await self.outbox.end()
                    return True
                case _:
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
                case SpeechStarted() if self._heard is None:
                    self._text = self._visit.next_of(self._script.utterances)
                    self._entries.append(self._visit.work(str(len(self._entries))))
                    await self._put(self._text.split()[0], is_final=False)
                case SpeechEnded():
                    self._heard = heard
                    if self._ends_itself:
                        await self._finish()
                case _:
                    pass
        self._visit.entry.audio_in_s = self._ear.audio_s

    async def _finish(self) -> None:
        """Send the utterance's final piece once its latency has passed; nothing where nothing was said."""
        heard, self._heard = self._ear.stop() or self._heard, None
        if heard is None:
            return
        entry = self._entries[-1]
        entry.speech_end_ns = heard.end_ns
        entry.audio_in_s = round(self._ear.audio_s - self._ended_at_s, 3)
        self._ended_at_s = self._ear.audio_s
        await self._put(self._text, is_final=True)

    async def _put(self, text: str, *, is_final: bool) -> None:
        entry = self._entries[-1]

        def sent() -> None:
            self._visit.mark("first_output_ns", entry)
            if is_final:
                self._visit.mark("final_ns", entry)
                self._visit.mark("ended_ns", entry)

        words = [{"word": word, "start": 0.0, "end": 0.1} for word in text.split()]
        duration_s = entry.audio_in_s or 0.0
        message = self._message(
            "transcript", text=text, is_final=is_final, language="en", duration=duration_s, words=words
        )
        await self.outbox.put(message, self._script.final_ms if is_final else 0.0, sent)

    def _message(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "request_id": self._visit.request_id, **more}
