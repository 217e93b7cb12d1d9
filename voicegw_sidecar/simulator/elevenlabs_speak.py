"""ElevenLabs: speech from text over WebSockets, as one stream or as many contexts at once.

Wire reference: https://elevenlabs.io/docs/api-reference (read 2026-11-21) and the elevenlabs SDK 2.78. Text is
spoken as it comes, whatever is said about buffering. A context that is closed is spoken to its end; a second
close cuts it off. Dialogues have snake_case names, everything else camelCase ones.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct, field

from voicegw_sidecar.simulator.elevenlabs import DEFAULT_FORMAT, Format, Line
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import elevenlabs_error, provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Socket

_CONTEXT_LIMIT = 5  # concurrent contexts of a connection, as ElevenLabs has it
_INPUT_LIMIT = 256
_POLICY_VIOLATION = 1008


class Message(Struct):
    """A message of the client."""

    text: str | None = None
    inputs: list[Line] | None = None
    context_id: str | None = None
    context_id_camel: str | None = field(default=None, name="contextId")
    flush: bool | None = None
    close_context: bool | None = None
    close_socket: bool | None = None

    @property
    def words(self) -> str:
        """All it wants spoken."""
        return (self.text or "") + "".join(line.text for line in self.inputs or ())


async def stream(visit: Visit) -> web.StreamResponse:
    """``GET …/stream-input`` with an upgrade: one voice, ended by an empty text or ``close_socket``."""
    return await _serve(visit, many=False)


async def contexts(visit: Visit) -> web.StreamResponse:
    """``GET …/multi-stream-input`` with an upgrade."""
    return await _serve(visit, many=True)


async def _serve(visit: Visit, *, many: bool) -> web.StreamResponse:
    query = visit.request.query
    spoken = Format(query.get("output_format", DEFAULT_FORMAT))
    if not spoken.is_known:
        return await refuse_request(visit, 400, "output_format is not valid.")
    visit.entry.model = query.get("model_id")
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        speaker = _Speaker(visit, socket, crew, spoken, many=many)
        try:
            if await speaker.run():
                await socket.close()
        finally:
            for entry in speaker.entries:
                if entry.ended_ns is None:
                    visit.mark("hung_up_ns", entry)
    return socket.response


class _Speaker:
    """One connection's voices."""

    def __init__(self, visit: Visit, socket: Socket, crew: Crew, spoken: Format, *, many: bool) -> None:
        self._visit = visit
        self._socket = socket
        self._crew = crew
        self._spoken = spoken
        self._many = many
        self._voices: dict[str, _Voice] = {}
        self.entries: list[Entry] = []

    async def run(self) -> bool:
        """Take messages until the client asks to close (True) or leaves."""
        while (frame := await self._socket.receive()) is not None:
            try:
                message = msgspec.json.decode(frame, type=Message)
            except msgspec.MsgspecError as error:
                return await self._refuse(400, f"Invalid message: {error}")
            if message.close_socket or (not self._many and message.text == ""):
                for voice in self._voices.values():
                    voice.close()
                await asyncio.gather(*(voice.task for voice in self._voices.values()))
                return True
            if problem := self._take(message):
                return await self._refuse(429, problem)
        return False

    def _take(self, message: Message) -> str | None:
        """Give a message to its voice; returns why there can be no such voice."""
        key = (message.context_id or message.context_id_camel or "default") if self._many else "0"
        self._voices = {name: voice for name, voice in self._voices.items() if not voice.task.done()}
        voice = self._voices.get(key)
        if message.close_context:
            if voice is not None:
                voice.close()
            return None
        if voice is None and message.words.strip():
            if len(self._voices) >= _CONTEXT_LIMIT:
                return "Too many contexts."
            entry = self._visit.work(key)
            self.entries.append(entry)
            voice = self._voices[key] = _Voice(self._visit, self._socket, self._crew, self._spoken, entry, self._many)
        if voice is not None:
            voice.take(message.words)
        self._visit.entry.characters = sum(entry.characters or 0 for entry in self.entries)
        return None

    async def _refuse(self, status: int, message: str) -> bool:
        error = elevenlabs_error(self._visit, status, message)
        await self._socket.send({"message": message, "error": error["code"], "code": _POLICY_VIOLATION})
        await self._socket.close(_POLICY_VIOLATION, message)
        return False


class _Voice:
    """One context's voice: speaks its texts one after the other."""

    def __init__(
        self, visit: Visit, socket: Socket, crew: Crew, spoken: Format, entry: Entry, is_one_of_many: bool
    ) -> None:
        self._visit = visit
        self._socket = socket
        self._script = visit.script.tts
        self._spoken = spoken
        self._is_dialogue = "/text-to-dialogue/" in visit.request.path
        self._is_one_of_many = is_one_of_many
        self._inputs: asyncio.Queue[str | None] = asyncio.Queue(_INPUT_LIMIT)
        self._text = ""
        self._said_s = 0.0
        self._is_closing = False
        self.entry = entry
        self.task = crew.start(self._run(), name=f"simulator elevenlabs context {entry.key}")

    def take(self, text: str) -> None:
        """Queue a text; beyond the queue's limit it is dropped, as the context is stuck anyway."""
        if not text or self._is_closing:
            return
        self._text += text
        if text.strip():
            self._visit.mark("first_text_ns", self.entry)
        self.entry.characters = len(self._text.strip())
        if not self._inputs.full():
            self._inputs.put_nowait(text)

    def close(self) -> None:
        """Speak to the end of what was sent; asked a second time, stop at once."""
        if self._is_closing or self._inputs.full():
            self.task.cancel()
            self._visit.mark("ended_ns", self.entry)
        else:
            self._is_closing = True
            self._inputs.put_nowait(None)

    async def _run(self) -> None:
        while (text := await self._inputs.get()) is not None:
            if text.strip():
                await self._say(text.strip())
        self._visit.mark("ended_ns", self.entry)
        name = "is_final" if self._is_dialogue else "isFinal"
        await self._send({name: True} if self._is_dialogue else {"audio": None, name: True})

    async def _say(self, text: str) -> None:
        script, is_first = self._script, True
        left_s = len(text) * script.s_per_char
        if self.entry.first_output_ns is None:
            await self._visit.wait(script.first_audio_ms)
        while left_s > 1e-6:
            length_s = min(left_s, script.chunk_ms / 1000)
            data = base64.b64encode(self._spoken.sound(self._said_s, length_s)).decode()
            self._visit.mark("first_output_ns", self.entry)
            await self._send({"audio": data, **(self._alignment(text) if is_first else {})})
            is_first = False
            self._said_s += length_s
            left_s -= length_s
            self.entry.audio_out_s = round(self._said_s, 6)
            await self._visit.wait(script.chunk_ms / script.pace)

    def _alignment(self, text: str) -> dict[str, Any]:
        """Return where in this message's sound each character is, where the client wants it."""
        if self._visit.request.query.get("sync_alignment") != "true":
            return {}
        step_ms = round(self._script.s_per_char * 1000)
        starts = [index * step_ms for index in range(len(text))]
        durations = [step_ms] * len(text)
        if self._is_dialogue:
            snake = {"chars": list(text), "char_start_times_ms": starts, "char_durations_ms": durations}
            return {"alignment": snake}
        camel = {"chars": list(text), "charStartTimesMs": starts, "charDurationsMs": durations}
        return {"alignment": camel, "normalizedAlignment": camel}

    async def _send(self, message: dict[str, Any]) -> None:
        if self._is_one_of_many:
            message["context_id" if self._is_dialogue else "contextId"] = self.entry.key
        await self._socket.send(message)
