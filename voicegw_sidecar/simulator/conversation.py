"""One scripted session of a voice agent: hears, thinks and speaks over the providers' real protocols.

Imitates a LiveKit agent on the wire: one Deepgram socket for the session, one chat request a turn, sentences
to the voice as they come, and a voice socket that is left unread after a barge-in and closed at the next turn.
Knows only an address; judges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import msgspec
from aiohttp import WSMsgType
from msgspec import Struct

from voicegw_sidecar.simulator.agent_voice import AgentVoice, CartesiaVoice, DeepgramVoice
from voicegw_sidecar.simulator.speech import silence, sound
from voicegw_sidecar.simulator.visit import Crew
from voicegw_sidecar.wire.pcm import PcmFormat

FRAME_S = 0.05
_MIC = PcmFormat("linear16", 16_000)
_PATIENCE_S = 10.0
_SENTENCE_ENDS = (".", "!", "?")
_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up_weather",
        "description": "Return the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class BargeIn(Struct, frozen=True):
    """Where the caller interrupts: once the answer has begun to be written, or only once it is heard."""

    while_thinking: bool


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _Fragment(Struct):
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | None = None
    tool_calls: list[_Fragment] | None = None


class _Choice(Struct):
    delta: _Delta


class _Chunk(Struct):
    choices: list[_Choice]


class Conversation:
    """One session: ``hear`` and ``answer`` in turns, inside ``async with``. Raises what the providers cause."""

    def __init__(
        self, http: aiohttp.ClientSession, base: str, project: str, session: str, *, deepgram_voice: bool
    ) -> None:
        self._http = http
        self._base = base
        self._project = project
        self._crew = Crew()
        self._speak_left = 0
        self._finals: asyncio.Queue[str | None] = asyncio.Queue(100)
        self._stt: aiohttp.ClientWebSocketResponse | None = None
        self._voice: AgentVoice = DeepgramVoice(http, base) if deepgram_voice else CartesiaVoice(http, base, session)
        system = f"You answer the phone for {project}. Be brief."
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": system}]

    async def __aenter__(self) -> Conversation:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._crew.__aexit__(None, None, None)
        await self._voice.close()
        if self._stt is not None and not self._stt.closed:
            await self._stt.close()

    async def hang_up(self) -> None:
        """End in the protocols' own way, so that the providers report what they bill."""
        if self._stt is not None and not self._stt.closed:
            await self._stt.send_str('{"type":"CloseStream"}')
            async with asyncio.timeout(_PATIENCE_S):
                while await self._finals.get() is not None:
                    pass

    async def hear(self, speech_s: float) -> str:
        """Let the caller speak for so long and return what the agent understood."""
        if self._stt is None or self._stt.closed:
            await self._connect_stt()
        while not self._finals.empty():
            self._finals.get_nowait()  # what was still understood of an earlier turn
        self._speak_left = round(speech_s / FRAME_S)
        async with asyncio.timeout(speech_s + _PATIENCE_S):
            text = await self._finals.get()
        if text is None:
            raise ConnectionResetError("the speech-to-text connection ended")
        return text

    async def answer(self, text: str, barge_in: BargeIn | None) -> float:
        """Answer what was heard and return the seconds of audio that came back before any barge-in."""
        self._messages.append({"role": "user", "content": text})
        await self._voice.start()
        interrupted = barge_in is not None
        async with Crew() as crew:
            finished = asyncio.Event()
            _ = crew.start(self._voice.listen(finished), name="agent voice")
            said = []
            sentences = self._think()
            try:
                async for sentence in sentences:
                    said.append(sentence)
                    await self._voice.say(sentence)
                    if barge_in is not None and barge_in.while_thinking:
                        break
            finally:
                await sentences.aclose()
            if barge_in is None or not barge_in.while_thinking:
                await self._voice.end()
                async with asyncio.timeout(_PATIENCE_S):
                    await (self._voice.heard if interrupted else finished).wait()
        if interrupted:
            self._voice.abandon()
        elif not self._voice.complete:
            raise ConnectionResetError("the text-to-speech connection ended")
        self._messages.append({"role": "assistant", "content": " ".join(said)})
        return self._voice.audio_s

    async def _connect_stt(self) -> None:
        query = {
            "model": "nova-3", "language": "en-US", "encoding": "linear16", "sample_rate": "16000", "channels": "1",
            "punctuate": "true", "interim_results": "true", "vad_events": "true", "endpointing": "25",
            "no_delay": "true", "tag": self._project,
        }  # fmt: skip
        self._stt = await self._http.ws_connect(
            f"{self._base}/deepgram/v1/listen",
            params=query,
            headers={"Authorization": "Token simulated"},
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        )
        self._finals = asyncio.Queue(100)
        _ = self._crew.start(self._microphone(self._stt), name="agent microphone")
        _ = self._crew.start(self._transcripts(self._stt, self._finals), name="agent transcripts")

    async def _microphone(self, stt: aiohttp.ClientWebSocketResponse) -> None:
        """Send 50 ms frames in real time: the caller's voice, or silence."""
        loop = asyncio.get_running_loop()
        next_s, at_s = loop.time(), 0.0
        quiet = silence(_MIC, FRAME_S)
        while not stt.closed:
            if self._speak_left:
                self._speak_left -= 1
                await stt.send_bytes(sound(_MIC, at_s, FRAME_S))
            else:
                await stt.send_bytes(quiet)
            at_s += FRAME_S
            next_s += FRAME_S
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    async def _transcripts(self, stt: aiohttp.ClientWebSocketResponse, finals: asyncio.Queue[str | None]) -> None:
        parts: list[str] = []
        async for message in stt:
            if message.type != WSMsgType.TEXT:
                break
            result = msgspec.json.decode(message.data)
            if result.get("type") != "Results" or not result["is_final"]:
                continue
            parts.append(result["channel"]["alternatives"][0]["transcript"])
            text = " ".join(filter(None, parts))
            if result["speech_final"] and text and not finals.full():
                finals.put_nowait(text)
                parts = []
        if not finals.full():
            finals.put_nowait(None)

    async def _think(self) -> AsyncGenerator[str, None]:
        """Yield the sentences of the answer, after a tool was called if the model wants one."""
        for _ in range(2):
            pending, calls = "", _ToolCalls()
            async for delta in self._deltas():
                calls.take(delta)
                pending += delta.content or ""
                if pending.rstrip().endswith(_SENTENCE_ENDS):
                    yield pending.strip()
                    pending = ""
            if pending.strip():
                yield pending.strip()
            if not calls.id:
                return
            self._messages += calls.messages()

    async def _deltas(self) -> AsyncGenerator[_Delta, None]:
        body = {
            "model": "gpt-4.1-mini",
            "messages": self._messages,
            "tools": [_TOOL],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with self._http.post(
            f"{self._base}/openai/v1/chat/completions",
            data=msgspec.json.encode(body),
            headers={"Authorization": "Bearer simulated", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_PATIENCE_S),
        ) as response:
            response.raise_for_status()
            async for line in response.content:
                if line.startswith(b"data: {"):
                    for choice in msgspec.json.decode(line[6:], type=_Chunk).choices:
                        yield choice.delta
                elif line.startswith(b"data: [DONE]"):
                    return


class _ToolCalls:
    """A tool call gathered from its fragments."""

    def __init__(self) -> None:
        self.id = ""
        self._name = ""
        self._arguments = ""

    def take(self, delta: _Delta) -> None:
        for fragment in delta.tool_calls or []:
            self.id += fragment.id or ""
            if fragment.function is not None:
                self._name += fragment.function.name or ""
                self._arguments += fragment.function.arguments or ""

    def messages(self) -> list[dict[str, Any]]:
        """Return what the conversation gains: the call, and its result."""
        function = {"name": self._name, "arguments": self._arguments}
        called = [{"id": self.id, "type": "function", "function": function}]
        return [
            {"role": "assistant", "content": None, "tool_calls": called},
            {"role": "tool", "tool_call_id": self.id, "content": "sunny, 21 degrees"},
        ]
