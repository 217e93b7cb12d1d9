"""The Deepgram SDK: all four addresses of its environment are required, and sockets take ``ws://``."""

from __future__ import annotations

import asyncio
from typing import Any

from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.speak.v1.types import SpeakV1Text
from deepgram.speak.v2.types import SpeakV2Speak

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.test_deepgram_sdk import environment
from tests.clients.test_openai_sdk import wav
from tests.simulator.sounds import buzz, frames

PASTE = (
    'AsyncDeepgramClient(environment=DeepgramClientEnvironment(base="{base}", production="{ws}", '
    'agent="{base}", agent_rest="{base}"))'
)
LISTEN: dict[str, Any] = {
    "model": "nova-3", "encoding": "linear16", "sample_rate": 16000, "punctuate": "true", "vad_events": "true",
}  # fmt: skip
FLUX: dict[str, Any] = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": 16000}
SPEAK: dict[str, Any] = {"model": "aura-2-thalia-en", "encoding": "linear16", "sample_rate": 24000}
SPEAK_FLUX: dict[str, Any] = {"model": "flux-alexis-en", "encoding": "linear16", "sample_rate": 24000}
TEXT = "Your order has left the warehouse."


def client(base: str) -> AsyncDeepgramClient:
    return AsyncDeepgramClient(api_key="k", environment=environment(base), timeout=TIMEOUT_S)


async def listen(base: str) -> object:
    async with client(base).listen.v1.connect(**LISTEN) as connection:
        for frame in frames(buzz(0.6, 0.2, 1.0)):
            await connection.send_media(frame)
        await connection.send_close_stream()
        messages = [message async for message in connection]
    return [m.channel.alternatives[0].transcript for m in messages if m.type == "Results" and m.is_final]


async def listen_sync(base: str) -> object:
    def call() -> object:
        sync = DeepgramClient(api_key="k", environment=environment(base), timeout=TIMEOUT_S)
        with sync.listen.v1.connect(**LISTEN) as connection:
            for frame in frames(buzz(0.6, 0.2, 1.0)):
                connection.send_media(frame)
            connection.send_close_stream()
            return [m.channel.alternatives[0].transcript for m in connection if m.type == "Results" and m.is_final]

    return await asyncio.to_thread(call)


async def listen_flux(base: str) -> object:
    async with client(base).listen.v2.connect(**FLUX) as connection:
        for frame in frames(buzz(0.6, 0.2, 1.0)):
            await connection.send_media(frame)
        async for message in connection:
            if getattr(message, "event", "") == "EndOfTurn":
                return message.transcript
    return None


async def recording(base: str) -> object:
    answer = await client(base).listen.v1.media.transcribe_file(request=wav(buzz()).read(), model="nova-3")
    return answer.results.channels[0].alternatives[0].transcript


async def speech(base: str) -> object:
    pieces = client(base).speak.v1.audio.generate(text=TEXT, **SPEAK)
    return len(b"".join([piece async for piece in pieces]))


async def speak(base: str) -> object:
    async with client(base).speak.v1.connect(**SPEAK) as connection:
        await connection.send_text(SpeakV1Text(type="Speak", text=TEXT))
        await connection.send_flush()
        size_bytes = 0
        async for message in connection:
            if isinstance(message, bytes):
                size_bytes += len(message)
            elif message.type == "Flushed":
                return size_bytes
    return None


async def speak_flux(base: str) -> object:
    async with client(base).speak.v2.connect(**SPEAK_FLUX) as connection:
        await connection.send_speak(SpeakV2Speak(type="Speak", text=TEXT))
        await connection.send_flush()
        size_bytes = 0
        async for message in connection:
            if isinstance(message, bytes):
                size_bytes += len(message)
            elif message.type == "Flushed":
                return size_bytes
    return None


def case(call: str, endpoint: str, run: Any, **more: Any) -> Case:
    return Case("deepgram SDK", call, "deepgram", endpoint, PASTE, run, **more)


CASES = (
    case("listen", "deepgram.listen", listen, is_socket=True),
    case("listen, sync client", "deepgram.listen", listen_sync, is_socket=True),
    case("listen v2 (Flux)", "deepgram.flux", listen_flux, is_socket=True, leaves_early=True, break_after=2),
    case("recording", "deepgram.prerecorded", recording),
    case("speech", "deepgram.speech", speech),
    case("speak", "deepgram.speak", speak, is_socket=True, break_after=2),
    case("speak v2 (Flux)", "deepgram.flux_speak", speak_flux, is_socket=True, break_after=3,
         is_unpriced="Deepgram publishes none"),
)  # fmt: skip
