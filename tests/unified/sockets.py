"""A client of LiveKit Inference's sockets that says and hears every message."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.simulator.sounds import frames
from tests.unified.conftest import Setup

Json = dict[str, Any]
RATE_HZ = 24_000


class Client:
    """One socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[Json] = []

    async def say(self, *messages: Json) -> None:
        """Send messages."""
        for message in messages:
            await self.socket.send_str(msgspec.json.encode(message).decode())

    async def hear(self, *ends: str, within_s: float = 5.0) -> list[Json]:
        """Return the messages up to the first of one of these types."""
        found: list[Json] = []
        async with asyncio.timeout(within_s):
            while not found or found[-1]["type"] not in ends:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, (message.type, message.data, message.extra)
                found.append(msgspec.json.decode(message.data))
        self.heard += found
        return found

    async def utterance(self, *texts: str) -> list[Json]:
        """Have texts spoken as one utterance; return its messages."""
        await self.say(*map(text, texts), {"type": "session.flush"})
        return await self.hear("done", "error")

    async def listen_to(self, sound: bytes, *, is_paced: bool = False) -> None:
        """Send audio in frames of 50 ms."""
        for frame in frames(sound):
            await self.say({"type": "input_audio", "audio": base64.b64encode(frame).decode()})
            if is_paced:
                await asyncio.sleep(0.02)


def text(words: str, **config: str) -> Json:
    """A sentence of an utterance."""
    return {"type": "input_transcript", "transcript": words, "generation_config": config, "extra": {}}


def create_tts(model: str | None = None, **more: object) -> Json:
    """What the client says first."""
    named = {} if model is None else {"model": model}
    return {
        "type": "session.create",
        "sample_rate": str(RATE_HZ),
        "encoding": "pcm_s16le",
        "extra": {},
        **named,
        **more,
    }


def create_stt(model: str | None = None, rate: str = "16000", **settings: object) -> Json:
    """What the client says first."""
    named = {} if model is None else {"model": model}
    return {
        "type": "session.create",
        "settings": {"sample_rate": rate, "encoding": "pcm_s16le", "extra": {}, **settings},
        **named,
    }


def audio_s(messages: list[Json]) -> float:
    """Seconds of the audio in some messages."""
    sizes = [len(base64.b64decode(one["audio"])) for one in messages if one["type"] == "output_audio"]
    return sum(sizes) / (2 * RATE_HZ)


@asynccontextmanager
async def client(unified: Setup, kind: str, model: str = "auto", prefix: str = "/p/acme") -> AsyncIterator[Client]:
    """A socket at ``/v1/tts`` or ``/v1/stt``."""
    url = f"{unified.sidecar.url}{prefix}/v1/{kind}?model={model}"
    async with unified.sidecar.http.ws_connect(url) as socket:
        yield Client(socket)
