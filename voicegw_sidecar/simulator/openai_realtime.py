"""OpenAI: realtime sessions, speech to speech and transcription, over a WebSocket.

Wire reference: https://developers.openai.com/api/reference/resources/realtime (shapes as the openai SDK 3.52 decodes
them). Where speech starts and ends is really found in the sound; what is understood and answered is scripted.
"""

from __future__ import annotations

import asyncio
import base64
import math
from typing import Any

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.openai_realtime_answer import Spoken, answer_aloud
from voicegw_sidecar.simulator.refusal import openai_error, provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Socket
from voicegw_sidecar.wire.pcm import PcmFormat

_PCM = PcmFormat("pcm_s16le", 24_000)
_SILENCE_MS = 500
_BILLED_BY_TIME = ("whisper-1", "gpt-realtime-whisper", "gpt-live-transcribe", "gpt-transcribe")
_WITHOUT_TURNS = ("gpt-realtime-whisper", "gpt-live-transcribe")  # they refuse turn detection
_HEARD_TOKENS_PER_S = 10


async def realtime(visit: Visit) -> web.StreamResponse:
    """``GET /v1/realtime`` with an upgrade: ``model`` for a conversation, ``intent`` for a transcription."""
    query = visit.request.query
    is_transcription = query.get("intent") == "transcription"
    if visit.script.refuses_model_of_transcription and is_transcription and "model" in query:
        return await refuse_request(visit, 400, "You must not provide a model parameter for transcription sessions.")
    visit.entry.model = None if is_transcription else query.get("model", "gpt-realtime")
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        session = _Session(visit, socket, crew, is_transcription=is_transcription)
        try:
            await session.run()
        finally:
            for entry in session.entries:
                if entry.ended_ns is None:
                    visit.mark("hung_up_ns", entry)
    return socket.response


class _Session:
    """One session: what it agreed on, what it heard, and the answer it gives."""

    def __init__(self, visit: Visit, socket: Socket, crew: Crew, *, is_transcription: bool) -> None:
        self._visit = visit
        self._socket = socket
        self._crew = crew
        self._script = visit.script.transcription
        self._is_transcription = is_transcription
        detection = {"type": "server_vad", "silence_duration_ms": _SILENCE_MS, "create_response": not is_transcription}
        self._agreed: dict[str, Any] = {
            "type": "transcription" if is_transcription else "realtime",
            "id": f"sess_{visit.entry.number:024x}",
            "object": "realtime.session",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": _PCM.rate_hz},
                    "transcription": {"model": "gpt-4o-transcribe"} if is_transcription else None,
                    "turn_detection": detection,
                },
            },
        }
        if not is_transcription:
            self._agreed |= {"model": visit.entry.model, "output_modalities": ["audio"], "tools": []}
            self._agreed["audio"]["output"] = {"format": {"type": "audio/pcm", "rate": _PCM.rate_hz}, "voice": "marin"}
        self._ear: Ear | None = None
        self._buffered_s = 0.0
        self._heard_s = 0.0
        self._text_chars = 0
        self._item = ""
        self._items = 0
        self._utterances = 0
        self._speech_end_ns: int | None = None
        self._answer: asyncio.Task[None] | None = None
        self._spoken: Spoken | None = None
        self.entries: list[Entry] = []

    @property
    def _input(self) -> dict[str, Any]:
        found: dict[str, Any] = self._agreed["audio"]["input"]
        return found

    async def run(self) -> None:
        """Obey until the client leaves."""
        await self._tell("session.created", session=self._agreed)
        while (frame := await self._socket.receive()) is not None:
            try:
                message = msgspec.json.decode(frame, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                await self._tell("error", **openai_error(400, str(error)))
                continue
            await self._obey(message)

    async def _obey(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "session.update":
                _merge(self._agreed, message.get("session") or {})
                if (self._input.get("transcription") or {}).get("model") in _WITHOUT_TURNS:
                    self._input["turn_detection"] = None
                await self._tell("session.updated", session=self._agreed)
            case "input_audio_buffer.append":
                await self._hear(base64.b64decode(message.get("audio", "")))
            case "input_audio_buffer.commit" if self._buffered_s:
                heard = self._ear.stop() if self._ear is not None else None
                self._speech_end_ns = heard.end_ns if heard is not None else None
                await self._commit(self._item or self._new_item())
            case "input_audio_buffer.commit":
                error: Any = openai_error(400, "Error committing input audio buffer: buffer too small.")["error"]
                about = {"code": "input_audio_buffer_commit_empty", "event_id": message.get("event_id")}
                await self._tell("error", error=error | about)
            case "input_audio_buffer.clear":
                self._buffered_s = 0.0
                await self._tell("input_audio_buffer.cleared")
            case "conversation.item.create":
                await self._add(message.get("item") or {})
            case "conversation.item.delete":
                await self._tell("conversation.item.deleted", item_id=message.get("item_id", ""))
            case "conversation.item.truncate":
                place = {name: message.get(name) for name in ("item_id", "content_index", "audio_end_ms")}
                await self._tell("conversation.item.truncated", **place)
            case "response.create" if self._answer is None or self._answer.done():
                await self._respond(message.get("response") or {})
            case "response.cancel" if self._answer is not None and not self._answer.done():
                await self._interrupt("client_cancelled")
            case _:
                refused = openai_error(400, "This event is not possible now.")
                await self._tell("error", event_id=f"event_{self._visit.entry.frames_sent}", **refused)

    async def _hear(self, data: bytes) -> None:
        detection = self._input.get("turn_detection")
        if self._ear is None:
            silence_ms = (detection or {}).get("silence_duration_ms", _SILENCE_MS) + self._script.hangover_ms
            self._ear = Ear(_PCM, silence_ms / 1000)
        self._buffered_s += _PCM.seconds(len(data))
        for heard in self._ear.hear(data, self._visit.clock.monotonic_ns()):
            self._speech_end_ns = heard.end_ns if isinstance(heard, SpeechEnded) else None
            if detection is None:
                continue
            match heard:
                case SpeechStarted():
                    self._item = self._new_item()
                    place = {"item_id": self._item, "audio_start_ms": round(heard.at_s * 1000)}
                    await self._tell("input_audio_buffer.speech_started", **place)
                    if detection.get("interrupt_response") is not False:
                        await self._interrupt("turn_detected")
                case SpeechEnded():
                    end_ms = round(heard.end_s * 1000) + detection.get("silence_duration_ms", _SILENCE_MS)
                    place = {"item_id": self._item, "audio_end_ms": end_ms}
                    await self._tell("input_audio_buffer.speech_stopped", **place)
                    await self._commit(self._item)
                    if not self._is_transcription and detection.get("create_response") is not False:
                        await self._respond({})
        self._visit.entry.audio_in_s = self._ear.audio_s

    def _new_item(self) -> str:
        self._items += 1
        return f"item_{self._visit.entry.number:08x}{self._items:016x}"

    async def _commit(self, item_id: str) -> None:
        """Make an item of what is in the buffer, and have it transcribed."""
        audio_s, self._buffered_s, self._item = self._buffered_s, 0.0, ""
        self._heard_s += audio_s
        await self._tell("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        await self._add({"id": item_id, "type": "message", "role": "user", "content": content})
        transcription = self._input.get("transcription")
        if transcription is not None:
            entry = self._visit.work(item_id)
            entry.model, entry.speech_end_ns = transcription.get("model"), self._speech_end_ns
            entry.audio_in_s = round(audio_s, 6)
            self.entries.append(entry)
            texts = self._script.utterances
            text = texts[self._utterances % len(texts)] if texts else ""
            self._utterances += 1
            _ = self._crew.start(self._transcribe(entry, text), name="simulator openai transcription")

    async def _transcribe(self, entry: Entry, text: str) -> None:
        place = {"item_id": entry.key, "content_index": 0}
        await self._visit.wait(self._script.final_ms)
        for word in text.split():
            self._visit.mark("first_output_ns", entry)
            await self._tell("conversation.item.input_audio_transcription.delta", **place, delta=f"{word} ")
        usage: dict[str, Any] = {"type": "duration", "seconds": entry.audio_in_s}
        if entry.model not in _BILLED_BY_TIME:
            entry.input_tokens = entry.input_audio_tokens = math.ceil((entry.audio_in_s or 0) * _HEARD_TOKENS_PER_S)
            entry.output_tokens = len(text.split())
            usage = {
                "type": "tokens",
                "total_tokens": entry.input_tokens + entry.output_tokens,
                "input_tokens": entry.input_tokens,
                "input_token_details": {"text_tokens": 0, "audio_tokens": entry.input_tokens},
                "output_tokens": entry.output_tokens,
            }
        entry.usage_reported = True
        self._visit.mark("final_ns", entry)
        self._visit.mark("ended_ns", entry)
        kind = "conversation.item.input_audio_transcription.completed"
        await self._tell(kind, **place, transcript=text, usage=usage)

    async def _add(self, item: dict[str, Any]) -> None:
        item = {"id": item.get("id") or self._new_item(), "object": "realtime.item", "status": "completed", **item}
        self._text_chars += sum(len(part.get("text") or "") for part in item.get("content") or [])
        for kind in ("added", "done"):
            await self._tell(f"conversation.item.{kind}", item=item, previous_item_id=None)

    async def _respond(self, wanted: dict[str, Any]) -> None:
        """Begin an answer to what was heard and read since the last one."""
        entry = self._visit.work(f"resp_{self._visit.entry.number:08x}{len(self.entries):016x}")
        entry.model, entry.speech_end_ns = self._agreed["model"], self._speech_end_ns
        self.entries.append(entry)
        self._speech_end_ns = None
        entry.input_audio_tokens = math.ceil(self._heard_s * _HEARD_TOKENS_PER_S)
        text_chars = self._text_chars + len(self._agreed.get("instructions") or "")
        entry.input_tokens = entry.input_audio_tokens + -(-text_chars // 4)
        entry.cached_tokens = min(self._visit.script.chat.cached_tokens, entry.input_tokens)
        entry.cached_audio_tokens = min(entry.cached_tokens // 2, entry.input_audio_tokens)
        tools = wanted.get("tools") or self._agreed.get("tools") or []
        self._spoken = Spoken(
            self._visit,
            entry,
            self._tell,
            item_id=self._new_item(),
            modalities=wanted.get("output_modalities") or self._agreed["output_modalities"],
            output=self._agreed["audio"]["output"],
            tools={tool["name"]: tool for tool in tools if tool.get("name")},
        )
        self._answer = self._crew.start(answer_aloud(self._spoken), name="simulator openai answer")

    async def _interrupt(self, reason: str) -> None:
        if self._answer is None or self._answer.done() or self._spoken is None:
            return
        self._answer.cancel()
        await asyncio.wait([self._answer])
        await self._spoken.done("cancelled", reason)

    async def _tell(self, kind: str, **more: Any) -> None:
        number = self._visit.entry.frames_sent
        await self._socket.send({"type": kind, "event_id": f"event_{number:020d}", **more})


def _merge(known: dict[str, Any], change: dict[str, Any]) -> None:
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict) and name != "turn_detection":
            _merge(known[name], value)
        else:
            known[name] = value
