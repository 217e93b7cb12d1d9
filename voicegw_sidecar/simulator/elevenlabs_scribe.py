"""ElevenLabs Scribe: live speech-to-text over a WebSocket, committed by the client or by the silence it hears.

Wire reference: https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime (read
2026-11-21) and the elevenlabs SDK 2.78. Where speech starts and ends is really found in the sound; what is
understood is scripted. Each commit comes twice where timestamps or the language were asked for.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.elevenlabs import Format, timed_words
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Outbox, Socket
from voicegw_sidecar.wire.pcm import pcm_format

_WORD_S = 0.35  # how fast the text of an utterance grows
_ENCODINGS = {"pcm": "pcm_s16le", "ulaw": "mulaw"}


class Chunk(Struct):
    """A message of the client: audio, and whether to commit what was heard."""

    message_type: str
    audio_base_64: str = ""
    commit: bool = False


async def scribe(visit: Visit) -> web.StreamResponse:
    """``GET /v1/speech-to-text/realtime`` with an upgrade."""
    query = visit.request.query
    audio = Format(query.get("audio_format", "pcm_16000"))
    pcm = pcm_format(_ENCODINGS.get(audio.codec), audio.rate_hz)
    if pcm is None or "model_id" not in query:
        return await refuse_request(visit, 400, "model_id and a known audio_format are required.")
    visit.entry.model = query["model_id"]
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        stream = _Stream(visit, socket, Ear(pcm, visit.script.listen.hangover_ms / 1000))
        _ = crew.start(stream.outbox.run(), name="simulator elevenlabs sender")  # runs until the client leaves
        try:
            await stream.run()
        finally:
            stream.left()
    return socket.response


class _Stream:
    """One connection's utterances: positions are seconds of its audio."""

    def __init__(self, visit: Visit, socket: Socket, ear: Ear) -> None:
        self._visit = visit
        self._socket = socket
        self._ear = ear
        self._script = visit.script.listen
        query = visit.request.query
        self._commits_itself = query.get("commit_strategy") == "vad"
        self._says_it_twice = "true" in (query.get("include_timestamps"), query.get("include_language_detection"))
        self.outbox = Outbox(visit, socket)
        self._entries: list[Entry] = []
        self._text = ""
        self._heard: SpeechEnded | None = None
        self._update_at_s = 0.0
        self._committed_at_s = 0.0

    async def run(self) -> None:
        """Listen until the client leaves."""
        query = self._visit.request.query
        config = {"sample_rate": Format(query.get("audio_format", "pcm_16000")).rate_hz, **query}
        await self.outbox.put(
            {"message_type": "session_started", "session_id": self._visit.request_id, "config": config}
        )
        while (frame := await self._socket.receive()) is not None:
            try:
                chunk = msgspec.json.decode(frame, type=Chunk)
                audio = base64.b64decode(chunk.audio_base_64, validate=True)
            except (msgspec.MsgspecError, binascii.Error) as error:
                await self.outbox.put({"message_type": "input_error", "error": f"Invalid message: {error}"})
                continue
            await self._hear(audio)
            if chunk.commit:
                await self._commit(self._ear.stop() or self._heard)

    def left(self) -> None:
        """The stream is over: what was not committed never will be."""
        for entry in self._entries:
            if entry.ended_ns is None:
                self._visit.mark("hung_up_ns", entry)

    async def _hear(self, audio: bytes) -> None:
        for heard in self._ear.hear(audio, self._visit.clock.monotonic_ns()):
            match heard:
                case SpeechStarted() if not self._text:
                    self._text = self._visit.next_of(self._script.utterances)
                    self._entries.append(self._visit.work(str(len(self._entries))))
                case SpeechEnded():
                    self._heard = heard
                    if self._commits_itself:
                        await self._commit(heard)
                case _:
                    pass
        now_s = self._visit.entry.audio_in_s = self._ear.audio_s
        since_s = self._ear.speaking_since_s
        if since_s is not None and now_s - max(since_s, self._update_at_s) >= self._script.interim_every_ms / 1000:
            self._update_at_s = now_s
            words = self._text.split()[: max(1, round((now_s - since_s) / _WORD_S))]
            await self._put("partial_transcript", " ".join(words), 0.0)

    async def _commit(self, heard: SpeechEnded | None) -> None:
        """Send what was understood since the last commit, which may be nothing."""
        text, self._text, self._heard = self._text, "", None
        entry = self._entries[-1] if text else None
        if entry is not None and heard is not None:
            entry.speech_end_ns = heard.end_ns
            entry.audio_in_s = round(self._ear.audio_s - self._committed_at_s, 6)
        self._committed_at_s = self._ear.audio_s
        await self._put("committed_transcript", text, self._script.final_ms, entry)
        if self._says_it_twice:
            words = timed_words(text, heard.start_s, heard.end_s) if heard else []
            await self._put("committed_transcript_with_timestamps", text, 0.0, None, language_code="en", words=words)

    async def _put(self, kind: str, text: str, latency_ms: float, entry: Entry | None = None, **more: object) -> None:
        def sent() -> None:
            if entry is not None:
                self._visit.mark("first_output_ns", entry)
                self._visit.mark("final_ns", entry)
                self._visit.mark("ended_ns", entry)

        await self.outbox.put({"message_type": kind, "text": text, **more}, latency_ms, sent)
