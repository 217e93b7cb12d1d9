"""How a scripted agent speaks: a Cartesia context or a Deepgram segment for each answer.

The socket is kept from answer to answer. After a barge-in nothing is sent and nothing is read any more, as
the LiveKit plugins do; the next answer closes it and opens another.
"""

from __future__ import annotations

import asyncio
import base64
from abc import ABC, abstractmethod
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp import WSMsgType

from voicegw_sidecar.wire.pcm import PcmFormat

_PCM = PcmFormat("pcm_s16le", 24_000)
_CLOSE_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)  # type: ignore[attr-defined,unused-ignore]


class AgentVoice(Protocol):
    """What a conversation needs of a voice. ``audio_s`` and ``complete`` are those of the latest answer."""

    audio_s: float
    complete: bool
    heard: asyncio.Event

    async def start(self) -> None:
        """Begin an answer, on a socket that is in order."""
        ...

    async def say(self, sentence: str) -> None:
        """Send a sentence to be spoken."""
        ...

    async def end(self) -> None:
        """Say that the answer's text is complete."""
        ...

    async def listen(self, finished: asyncio.Event) -> None:
        """Receive the answer's audio; ``finished`` is set at its end, however it ends."""
        ...

    def abandon(self) -> None:
        """The caller interrupts: leave the socket as it is."""
        ...

    async def close(self) -> None:
        """Close the socket."""
        ...


class _SocketVoice(ABC):
    """What both voices share: one socket, and the count of what came back."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self._http = http
        self._base = base
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._abandoned = False
        self.audio_s = 0.0
        self.complete = False
        self.heard = asyncio.Event()

    @abstractmethod
    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        """Open the socket."""

    async def _send(self, message: dict[str, object]) -> None:
        assert self._socket is not None
        await self._socket.send_str(msgspec.json.encode(message).decode())

    def _count(self, audio: bytes) -> None:
        self.audio_s += _PCM.seconds(len(audio))
        self.heard.set()

    @abstractmethod
    def _is_end(self, message: aiohttp.WSMessage) -> bool:
        """Say whether a message ends the utterance; audio in it is counted."""

    async def start(self) -> None:
        self.audio_s, self.complete = 0.0, False
        self.heard.clear()
        if self._abandoned:
            await self.close()
        if self._socket is None or self._socket.closed:
            self._socket = await self._dial()

    async def listen(self, finished: asyncio.Event) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    return
                if self._is_end(message):
                    self.complete = True
                    return
        finally:
            self.heard.set()
            finished.set()

    def abandon(self) -> None:
        self._abandoned = True

    async def close(self) -> None:
        if self._socket is not None and not self._socket.closed:
            await self._socket.close()
        self._socket, self._abandoned = None, False


class CartesiaVoice(_SocketVoice):
    """One context for each answer, one message for each sentence."""

    def __init__(self, http: aiohttp.ClientSession, base: str, name: str) -> None:
        super().__init__(http, base)
        self._name = name
        self._answers = 0

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        return await self._http.ws_connect(
            f"{self._base}/cartesia/tts/websocket?cartesia_version=2025-04-16",
            headers={"X-API-Key": "simulated"},
            timeout=_CLOSE_TIMEOUT,
        )

    async def start(self) -> None:
        await super().start()
        self._answers += 1

    async def say(self, sentence: str) -> None:
        await self._generate(f"{sentence} ", is_continued=True)

    async def end(self) -> None:
        await self._generate(" ", is_continued=False)

    def _is_end(self, message: aiohttp.WSMessage) -> bool:
        event = msgspec.json.decode(message.data, type=dict[str, Any])
        if event.get("type") == "chunk":
            self._count(base64.b64decode(event["data"]))
        if event.get("type") == "error":
            raise ConnectionResetError("the text-to-speech provider reported an error")
        return bool(event.get("done"))

    async def _generate(self, transcript: str, *, is_continued: bool) -> None:
        await self._send(
            {
                "model_id": "sonic-3",
                "voice": {"mode": "id", "id": "f786b574-daa5-4673-aa0c-cbe3e8534c02"},
                "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": _PCM.rate_hz},
                "language": "en",
                "max_buffer_delay_ms": 0,
                "context_id": f"{self._name}-{self._answers}",
                "transcript": transcript,
                "continue": is_continued,
            }
        )


class DeepgramVoice(_SocketVoice):
    """One flush for each answer, one message for each word."""

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        return await self._http.ws_connect(
            f"{self._base}/deepgram/v1/speak?encoding=linear16&model=aura-2-andromeda-en&sample_rate={_PCM.rate_hz}",
            headers={"Authorization": "Token simulated"},
            timeout=_CLOSE_TIMEOUT,
        )

    async def say(self, sentence: str) -> None:
        for word in sentence.split():
            await self._send({"type": "Speak", "text": f"{word} "})

    async def end(self) -> None:
        await self._send({"type": "Flush"})

    def _is_end(self, message: aiohttp.WSMessage) -> bool:
        if message.type == WSMsgType.BINARY:
            self._count(message.data)
            return False
        return bool(msgspec.json.decode(message.data, type=dict[str, Any]).get("type") == "Flushed")
