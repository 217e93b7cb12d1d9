"""Cartesia: text-to-speech over a WebSocket with many contexts at once.

Wire reference: https://docs.cartesia.ai/api-reference/tts/websocket and its page on contexts (read
2026-11-21), and the cartesia SDK 4.2. Each context has its own task: none waits for another.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import cartesia_error_frame, provider_headers
from voicegw_sidecar.simulator.speech import sound
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Socket
from voicegw_sidecar.terms import NS_PER_MS
from voicegw_sidecar.wire.pcm import PcmFormat, pcm_format

_CONTEXT_LIMIT = 64
_INPUT_LIMIT = 256


class OutputFormat(Struct):
    """The sound that is asked for."""

    container: str
    encoding: str
    sample_rate: int


class Generation(Struct, rename={"is_continued": "continue"}):
    """A message of the client: text for a context, or the wish to cancel it."""

    context_id: str
    transcript: str = ""
    model_id: str | None = None
    output_format: OutputFormat | None = None
    is_continued: bool | None = None
    flush: bool | None = None
    cancel: bool | None = None
    add_timestamps: bool | None = None


async def tts(visit: Visit) -> web.StreamResponse:
    """``GET /tts/websocket`` with an upgrade."""
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        contexts: dict[str, _Context] = {}
        every: list[Entry] = []
        try:
            while (frame := await socket.receive()) is not None:
                await _take(visit, socket, crew, frame, contexts, every)
        finally:
            for entry in every:
                if entry.ended_ns is None:
                    visit.mark("hung_up_ns", entry)
    return socket.response


async def _take(
    visit: Visit, socket: Socket, crew: Crew, frame: str | bytes, contexts: dict[str, _Context], every: list[Entry]
) -> None:
    """Give a message to its context, opening or cancelling it."""
    try:
        message = msgspec.json.decode(frame, type=Generation)
    except msgspec.MsgspecError as error:
        await socket.send(cartesia_error_frame(visit, 400, f"Invalid message: {error}", None))
        return
    for name in [name for name, context in contexts.items() if context.task.done()]:
        del contexts[name]
    context = contexts.get(message.context_id)
    if message.cancel:
        if context is not None:
            context.task.cancel()
            visit.mark("ended_ns", context.entry)
        return
    if context is None:
        problem = _problem(message, len(contexts))
        if problem is not None:
            await socket.send(cartesia_error_frame(visit, *problem, message.context_id))
            return
        context = contexts[message.context_id] = _Context(visit, socket, crew, message)
        every.append(context.entry)
        visit.entry.model = message.model_id
    context.take(message)
    visit.entry.characters = sum(entry.characters or 0 for entry in every)


def _problem(message: Generation, running: int) -> tuple[int, str] | None:
    """Return status and text of why no context can be opened for this message, or None."""
    if message.model_id is None:
        return 400, "model_id is required."
    wanted = message.output_format
    if wanted is None or pcm_format(wanted.encoding, wanted.sample_rate) is None:
        return 400, "output_format is not valid."
    if running >= _CONTEXT_LIMIT:
        return 429, "Too many contexts."
    return None


class _Context:
    """One utterance, spoken as its text arrives."""

    def __init__(self, visit: Visit, socket: Socket, crew: Crew, first: Generation) -> None:
        assert first.output_format is not None
        pcm = pcm_format(first.output_format.encoding, first.output_format.sample_rate)
        assert pcm is not None
        self._visit = visit
        self._socket = socket
        self._script = visit.script.tts
        self._pcm: PcmFormat = pcm
        self._id = first.context_id
        self._inputs: asyncio.Queue[Generation] = asyncio.Queue(_INPUT_LIMIT)
        self._text = ""
        self._spoken_s = 0.0
        self._flush_id = 0
        self.entry = visit.work(first.context_id)
        self.entry.model = first.model_id
        self.task = crew.start(self._run(), name=f"simulator cartesia context {first.context_id}")

    def take(self, message: Generation) -> None:
        """Note the text and queue it; beyond the queue's limit it is dropped, as the context is stuck anyway."""
        self._text += message.transcript
        if message.transcript.strip():
            self._visit.mark("first_text_ns", self.entry)
        self.entry.characters = len(self._text.strip())
        if not self._inputs.full():
            self._inputs.put_nowait(message)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._script.context_expiry_ms / 1000):
                    message = await self._inputs.get()
            except TimeoutError:
                break
            if text := message.transcript.strip():
                await self._say(text, with_timestamps=bool(message.add_timestamps))
            if message.flush:
                self._flush_id += 1
                await self._send("flush_done", flush_done=True, flush_id=self._flush_id)
            if not message.is_continued:
                break
        self._visit.mark("ended_ns", self.entry)
        await self._send("done", done=True)

    async def _say(self, text: str, *, with_timestamps: bool) -> None:
        script, start_s = self._script, self._spoken_s
        left_s = len(text) * script.s_per_char
        began_ns = self._visit.clock.monotonic_ns()
        if self.entry.first_output_ns is None:
            await self._visit.wait(script.first_audio_ms)
        while left_s > 1e-6:
            length_s = min(left_s, script.chunk_ms / 1000)
            data = base64.b64encode(sound(self._pcm, self._spoken_s, length_s)).decode()
            now_ns = self._visit.clock.monotonic_ns()
            self._visit.mark("first_output_ns", self.entry)
            await self._send("chunk", data=data, step_time=round((now_ns - began_ns) / NS_PER_MS, 3))
            if with_timestamps and self._spoken_s == start_s:
                await self._send("timestamps", word_timestamps=_timestamps(text, start_s, script.s_per_char))
            began_ns = now_ns
            self._spoken_s += length_s
            left_s -= length_s
            self.entry.audio_out_s = round(self._spoken_s, 6)
            await self._visit.wait(script.chunk_ms / script.pace)

    async def _send(self, kind: str, *, done: bool = False, **more: object) -> None:
        message: dict[str, Any] = {"type": kind, **more, "done": done}
        await self._socket.send(message | {"status_code": 206, "context_id": self._id})


def _timestamps(text: str, start_s: float, s_per_char: float) -> dict[str, list[Any]]:
    """Return where in the sound each word is."""
    words, starts, ends = text.split(), [], []
    at_s = start_s
    for word in words:
        starts.append(round(at_s, 3))
        ends.append(round(at_s + len(word) * s_per_char, 3))
        at_s += (len(word) + 1) * s_per_char
    return {"words": words, "start": starts, "end": ends}
