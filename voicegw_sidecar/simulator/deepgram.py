"""Deepgram: live speech-to-text over a WebSocket.

Wire reference: https://developers.deepgram.com/reference/speech-to-text/listen-streaming, its pages on
endpointing, Finalize, KeepAlive and CloseStream (read 2026-11-21), and the deepgram SDK 7.17. Where speech
starts and ends is really found in the sound; what is understood is scripted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit, uuid_like
from voicegw_sidecar.simulator.websocket import Outbox, Socket
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.wire.pcm import PcmFormat, pcm_format

_DEFAULT_ENDPOINTING_MS = 10
_WORD_S = 0.35  # how fast interim transcripts grow
_EMPTY_RESULT_S = 5.0  # silence too is finalised, about this often
_CONFIDENCE = 0.98
_INTERIM_MS = 20.0
_NET_0001 = "Deepgram did not receive audio data or a text message within the timeout window. See NET-0001"
_PUNCTUATION = ".,?!"


class _Options(Struct, frozen=True):
    """What the address asks for. ``endpointing_ms`` is None where it is turned off."""

    pcm: PcmFormat | None
    model: str
    channels: int
    endpointing_ms: int | None
    interim_results: bool
    vad_events: bool
    formatted: bool
    utterance_end_s: float | None


async def listen(visit: Visit) -> web.StreamResponse:
    """``GET /v1/listen`` with an upgrade."""
    try:
        options = _options(visit.request.query)
    except ValueError:
        return await refuse_request(visit, 400, "Bad Request: a query parameter is not valid.")
    visit.entry.model = options.model
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        stream = _Stream(visit, socket, options)
        sender = crew.start(stream.outbox.run(), name="simulator deepgram sender")
        try:
            if await stream.run():
                await sender
                await socket.close()
        finally:
            stream.left()
    return socket.response


def _options(query: Mapping[str, str]) -> _Options:
    def on(name: str) -> bool:
        return query.get(name, "false").lower() == "true"

    endpointing = query.get("endpointing", "true").lower()
    endpointing_ms = {"true": _DEFAULT_ENDPOINTING_MS, "false": None}.get(endpointing, -1)
    rate_hz, channels = int(query.get("sample_rate", "0")), int(query.get("channels", "1"))
    return _Options(
        pcm=pcm_format(query.get("encoding"), rate_hz or None, channels),
        model=query.get("model", "base"),
        channels=channels,
        endpointing_ms=int(endpointing) if endpointing_ms == -1 else endpointing_ms,
        interim_results=on("interim_results"),
        vad_events=on("vad_events"),
        formatted=on("punctuate") or on("smart_format"),
        utterance_end_s=int(query["utterance_end_ms"]) / 1000 if "utterance_end_ms" in query else None,
    )


class _Stream:
    """One live transcription: positions are seconds of its audio."""

    def __init__(self, visit: Visit, socket: Socket, options: _Options) -> None:
        self._visit = visit
        self._socket = socket
        self._options = options
        self._script = visit.script.listen
        self.outbox = Outbox(visit, socket)
        silence_s = (self._script.hangover_ms + (options.endpointing_ms or _DEFAULT_ENDPOINTING_MS)) / 1000
        self._ear = Ear(options.pcm, silence_s)
        self._audio_hash = hashlib.sha256()
        self._entries: list[Entry] = []
        self._text = ""
        self._final_until_s = 0.0
        self._interim_at_s = 0.0
        self._last_word_s: float | None = None

    async def run(self) -> bool:
        """Listen until the client closes the stream (True) or leaves."""
        while True:
            try:
                async with asyncio.timeout(self._script.idle_close_s):
                    frame = await self._socket.receive()
            except TimeoutError:
                await self._socket.close(1011, _NET_0001)
                return False
            if frame is None:
                return False
            if isinstance(frame, bytes):
                await self._hear(frame)
            elif await self._obey(frame):
                return True

    def left(self) -> None:
        """The stream is over: what was not finished never will be."""
        for entry in self._entries:
            if entry.ended_ns is None:
                self._visit.mark("hung_up_ns", entry)

    async def _hear(self, frame: bytes) -> None:
        self._audio_hash.update(frame)
        for heard in self._ear.hear(frame, self._visit.clock.monotonic_ns()):
            match heard:
                case SpeechStarted():
                    await self._started(heard)
                case SpeechEnded():
                    await self._finish(heard, speech_final=self._options.endpointing_ms is not None)
        if self._options.pcm is not None:
            self._visit.entry.audio_in_s = self._ear.audio_s
        await self._keep_up()

    async def _keep_up(self) -> None:
        """Send what is due at this position of the audio."""
        now_s = self._ear.audio_s
        since_s = self._ear.speaking_since_s
        if since_s is not None:
            due_s = max(since_s, self._interim_at_s) + self._script.interim_every_ms / 1000
            if self._options.interim_results and now_s >= due_s:
                self._interim_at_s = now_s
                await self._interim(since_s, now_s)
            return
        gap_s, last_s = self._options.utterance_end_s, self._last_word_s
        if gap_s is not None and last_s is not None and now_s - last_s >= gap_s:
            self._last_word_s = None
            await self.outbox.put({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_s})
        if now_s - self._final_until_s >= _EMPTY_RESULT_S:
            await self.outbox.put(self._result([], now_s, is_final=True))

    async def _started(self, heard: SpeechStarted) -> None:
        self._text = self._visit.next_of(self._script.utterances)
        self._entries.append(self._visit.work(str(len(self._entries))))
        if self._options.vad_events:
            await self.outbox.put({"type": "SpeechStarted", "channel": [0], "timestamp": heard.at_s})

    async def _interim(self, since_s: float, now_s: float) -> None:
        spoken = self._text.split()
        count = min(len(spoken), max(1, round((now_s - since_s) / _WORD_S)))
        entry = self._entries[-1]
        words = self._words(spoken[:count], since_s, now_s)
        await self.outbox.put(
            self._result(words, now_s), _INTERIM_MS, lambda: self._visit.mark("first_output_ns", entry)
        )

    async def _finish(self, heard: SpeechEnded, *, speech_final: bool, from_finalize: bool = False) -> None:
        """Send the final transcript of the utterance that ended, once its latency has passed."""
        entry = self._entries[-1]
        entry.speech_end_ns = heard.end_ns
        entry.audio_in_s = round(self._ear.audio_s - self._final_until_s, 3)
        words = self._words(self._text.split(), heard.start_s, heard.end_s)
        result = self._result(
            words, self._ear.audio_s, is_final=True, speech_final=speech_final, from_finalize=from_finalize
        )

        def sent() -> None:
            self._visit.mark("first_output_ns", entry)
            self._visit.mark("final_ns", entry)
            self._visit.mark("ended_ns", entry)

        await self.outbox.put(result, self._script.final_ms, sent)
        self._last_word_s = heard.end_s

    async def _obey(self, frame: str) -> bool:
        """Do what a text message asks; True when it closes the stream."""
        try:
            kind = msgspec.json.decode(frame, type=dict[str, Any]).get("type")
        except msgspec.MsgspecError:
            kind = None
        match kind:
            case "KeepAlive":
                return False
            case "Finalize":
                if (heard := self._ear.stop()) is not None:
                    await self._finish(heard, speech_final=True, from_finalize=True)
                else:
                    await self.outbox.put(self._result([], self._ear.audio_s, is_final=True, from_finalize=True))
                return False
            case "CloseStream":
                if (heard := self._ear.stop()) is not None:
                    await self._finish(heard, speech_final=True)
                await self.outbox.put(self._metadata())
                await self.outbox.end()
                return True
            case _:
                await self.outbox.put(
                    {
                        "type": "Error",
                        "variant": "SchemaError",
                        "description": "Could not deserialize last text message",
                        "message": frame,
                    }
                )
                return False

    def _words(self, spoken: list[str], start_s: float, end_s: float) -> list[dict[str, Any]]:
        """Return the words spread over a stretch of audio."""
        step_s = (end_s - start_s) / max(1, len(spoken))
        words = []
        for index, word in enumerate(spoken):
            timed: dict[str, Any] = {
                "word": word.strip(_PUNCTUATION).lower(),
                "start": round(start_s + index * step_s, 3),
                "end": round(start_s + (index + 1) * step_s, 3),
                "confidence": _CONFIDENCE,
            }
            if self._options.formatted:
                timed["punctuated_word"] = word
            words.append(timed)
        return words

    def _result(
        self,
        words: list[dict[str, Any]],
        until_s: float,
        *,
        is_final: bool = False,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> dict[str, Any]:
        """Return a Results message about the audio since the last final one."""
        start_s = self._final_until_s
        if is_final:
            self._final_until_s = until_s
        written = "punctuated_word" if self._options.formatted else "word"
        transcript = " ".join(word[written] for word in words)
        alternative = {"transcript": transcript, "confidence": _CONFIDENCE if words else 0.0, "words": words}
        return {
            "type": "Results",
            "channel_index": [0, self._options.channels],
            "duration": round(until_s - start_s, 3),
            "start": round(start_s, 3),
            "is_final": is_final,
            "speech_final": speech_final,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self._visit.request_id,
                "model_info": {"name": self._options.model, "version": "2024-12-20.0", "arch": "nova-3"},
                "model_uuid": uuid_like(0),
            },
            "from_finalize": from_finalize,
        }

    def _metadata(self) -> dict[str, Any]:
        """Return the message that ends a stream and says what is billed."""
        created = datetime.fromtimestamp(self._visit.clock.wall_ns() / NS_PER_S, UTC)
        self._visit.entry.usage_reported = True
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._visit.request_id,
            "sha256": self._audio_hash.hexdigest(),
            "created": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration": round(self._ear.audio_s, 6),
            "channels": self._options.channels,
            "models": [uuid_like(0)],
            "model_info": {uuid_like(0): {"name": self._options.model, "version": "2024-12-20.0", "arch": "nova-3"}},
        }
