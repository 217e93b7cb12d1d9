"""Deepgram: text-to-speech over a WebSocket, Aura and Flux.

Wire reference: https://developers.deepgram.com/reference/text-to-speech/speak-streaming and its pages on
Flush, Clear and Close, https://developers.deepgram.com/reference/text-to-speech/speak-flux (read 2026-11-21), and the
deepgram SDK 7.17.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.speech import sound
from voicegw_sidecar.simulator.visit import Crew, Visit, uuid_like
from voicegw_sidecar.simulator.websocket import Socket
from voicegw_sidecar.wire.pcm import PcmFormat, pcm_format

_QUEUE_LIMIT = 1000
_SENTENCE_ENDS = (".", "!", "?")


async def speak(visit: Visit) -> web.StreamResponse:
    """``GET /v1/speak`` with an upgrade."""
    return await _serve(visit, _Voice)


async def speak_flux(visit: Visit) -> web.StreamResponse:
    """``GET /v2/speak`` with an upgrade."""
    return await _serve(visit, _FluxVoice)


async def _serve(visit: Visit, kind: type[_Voice]) -> web.StreamResponse:
    query = visit.request.query
    rate = query.get("sample_rate", "24000")
    pcm = pcm_format(query.get("encoding", "linear16"), int(rate) if rate.isdigit() else None)
    if pcm is None:
        return await refuse_request(visit, 400, "Unsupported audio format.")
    visit.entry.model = query.get("model", "aura-asteria-en")
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        voice = kind(visit, socket, pcm)
        try:
            await voice.greet()
            await voice.run(crew)
        finally:
            voice.left()
    return socket.response


class _Voice:
    """One connection's speech: text waits for the end of its sentence or for Flush, then is spoken in order.

    A segment, an entry of the ledger, is the text between two flushes.
    """

    def __init__(self, visit: Visit, socket: Socket, pcm: PcmFormat) -> None:
        self._visit = visit
        self._socket = socket
        self._pcm = pcm
        self._script = visit.script.speak
        self._queue: asyncio.Queue[tuple[str, str, Entry | None]] = asyncio.Queue(_QUEUE_LIMIT)
        self._pending = ""
        self._segment: Entry | None = None
        self._segment_text = ""
        self._entries: list[Entry] = []
        self._flushes = 0
        self._spoken_s = 0.0

    async def greet(self) -> None:
        """Say who speaks."""
        await self._socket.send(
            {
                "type": "Metadata",
                "request_id": self._visit.request_id,
                "model_name": self._visit.entry.model,
                "model_version": "2024-11-19.0",
                "model_uuid": uuid_like(0),
            }
        )

    async def run(self, crew: Crew) -> None:
        """Obey until the client leaves, or asks to close and what it wrote is spoken."""
        speaker = crew.start(self._speak(), name="simulator deepgram speaker")
        while (frame := await self._socket.receive()) is not None:
            message = _decoded(frame)
            match message.get("type"):
                case "Speak":
                    await self._take(str(message.get("text", "")))
                case "Flush":
                    await self._flush()
                case "Clear" | "Interrupt":
                    speaker.cancel()
                    await asyncio.wait([speaker])
                    await self._clear()
                    speaker = crew.start(self._speak(), name="simulator deepgram speaker")
                case "Close":
                    if self._pending.strip():
                        await self._queue.put(("say", self._pending, self._segment))
                    await self._queue.put(("end", "", None))
                case _:
                    await self._warn("DATA-0000", "The text message could not be read.")

    def left(self) -> None:
        """The connection is over: what was not finished never will be."""
        for entry in self._entries:
            if entry.ended_ns is None:
                self._visit.mark("hung_up_ns", entry)

    async def _take(self, text: str) -> None:
        if self._segment is None:
            if not text.strip():
                return
            self._segment = self._visit.work(str(len(self._entries)))
            self._visit.mark("first_text_ns", self._segment)
            self._entries.append(self._segment)
            self._segment_text = ""
        self._segment_text += text
        self._segment.characters = len(self._segment_text.strip())
        self._visit.entry.characters = sum(entry.characters or 0 for entry in self._entries)
        self._pending += text
        if self._pending.rstrip().endswith(_SENTENCE_ENDS):
            await self._queue.put(("say", self._pending, self._segment))
            self._pending = ""

    async def _flush(self) -> None:
        if self._pending.strip():
            await self._queue.put(("say", self._pending, self._segment))
        await self._queue.put(("flush", "", self._segment))
        self._pending, self._segment = "", None

    async def _clear(self) -> None:
        """Forget what was not spoken yet."""
        while not self._queue.empty():
            self._queue.get_nowait()
        for entry in self._entries:
            self._visit.mark("ended_ns", entry)
        self._pending, self._segment = "", None
        await self._socket.send({"type": "Cleared", "sequence_id": self._flushes})

    async def _warn(self, code: str, description: str) -> None:
        await self._socket.send({"type": "Warning", "code": code, "description": description})

    async def _speak(self) -> None:
        while True:
            kind, text, entry = await self._queue.get()
            match kind:
                case "say":
                    assert entry is not None
                    await self._say(text, entry)
                case "flush":
                    if entry is not None:
                        self._visit.mark("ended_ns", entry)
                    await self._flushed(entry)
                    self._flushes += 1
                case _:
                    for open_entry in self._entries:
                        self._visit.mark("ended_ns", open_entry)
                    await self._socket.close()
                    return

    async def _flushed(self, entry: Entry | None) -> None:
        await self._socket.send({"type": "Flushed", "sequence_id": self._flushes})

    async def _begun(self, entry: Entry) -> None:
        """Aura announces nothing."""

    async def _say(self, text: str, entry: Entry) -> None:
        script = self._script
        await self._begun(entry)
        left_s = len(text.strip()) * script.s_per_char
        if entry.first_output_ns is None:
            await self._visit.wait(script.first_audio_ms)
        while left_s > 1e-6:
            length_s = min(left_s, script.chunk_ms / 1000)
            self._visit.mark("first_output_ns", entry)
            await self._socket.send(sound(self._pcm, self._spoken_s, length_s))
            self._spoken_s += length_s
            left_s -= length_s
            entry.audio_out_s = round((entry.audio_out_s or 0.0) + length_s, 6)
            self._visit.entry.audio_out_s = round(self._spoken_s, 6)
            await self._visit.wait(script.chunk_ms / script.pace)


class _FluxVoice(_Voice):
    """Flux: a turn begins with ``SpeechStarted`` and ends with ``SpeechMetadata``, then ``Flushed``."""

    async def greet(self) -> None:
        """Say who speaks."""
        model = {"model_name": self._visit.entry.model, "model_version": "2026-07-01.0", "model_uuids": [uuid_like(0)]}
        await self._socket.send({"type": "Connected", "request_id": self._visit.request_id, **model})

    async def _begun(self, entry: Entry) -> None:
        if entry.first_output_ns is None and entry.audio_out_s is None:
            entry.audio_out_s = 0.0
            await self._socket.send({"type": "SpeechStarted", "speech_id": _speech_id(entry)})

    async def _flushed(self, entry: Entry | None) -> None:
        if entry is None:
            await self._warn("NO_ACTIVE_SPEECH", "There is no active turn.")
            return
        await self._socket.send({"type": "SpeechMetadata", **_turn(entry)})
        await self._socket.send({"type": "Flushed", "speech_id": _speech_id(entry)})

    async def _clear(self) -> None:
        active = next((entry for entry in self._entries if entry.ended_ns is None), None)
        while not self._queue.empty():
            self._queue.get_nowait()
        self._pending, self._segment = "", None
        if active is None:
            await self._warn("NO_AUDIO_GENERATED", "There is nothing to interrupt.")
            return
        self._visit.mark("ended_ns", active)
        played_ms = round(self._spoken_s * 1000)
        await self._socket.send({"type": "SpeechInterrupted", "audio_played_ms": played_ms, "metadata": _turn(active)})


def _speech_id(entry: Entry) -> str:
    return f"dg_sp_{entry.number:012x}"


def _turn(entry: Entry) -> dict[str, Any]:
    """Return billing and timing of a turn."""
    return {
        "speech_id": _speech_id(entry),
        "audio_duration_ms": round((entry.audio_out_s or 0.0) * 1000),
        "input_character_count": entry.characters,
        "billable_character_count": entry.characters,
        "controls_applied": {"pronunciations_applied": 0, "breaks_applied": 0, "pronunciation_warnings": 0},
    }


def _decoded(frame: str | bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(frame, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
