"""The Cartesia SDK; without ``websocket_base_url`` its speech socket insists on TLS."""

from __future__ import annotations

import asyncio
from typing import Any

from cartesia import AsyncCartesia, Cartesia

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.test_openai_sdk import wav
from tests.simulator.sounds import buzz, frames
from tests.simulator.test_cartesia import FORMAT, VOICE

PASTE = 'AsyncCartesia(base_url="{base}", websocket_base_url="{ws}")'
PASTE_HTTP = 'AsyncCartesia(base_url="{base}")'
TEXT = "Your order has left the warehouse."
SPEECH: dict[str, Any] = {"model_id": "sonic-3", "transcript": TEXT, "voice": VOICE, "output_format": FORMAT}
LISTEN: dict[str, Any] = {"encoding": "pcm_s16le", "sample_rate": 16_000}


def client(base: str) -> AsyncCartesia:
    return AsyncCartesia(api_key="k", base_url=base, websocket_base_url=base.replace("http", "ws"), timeout=TIMEOUT_S)


async def speech(base: str) -> object:
    async with client(base) as cartesia:
        return len(await (await cartesia.tts.generate(**SPEECH)).read())


async def speech_sync(base: str) -> object:
    def call() -> object:
        with Cartesia(api_key="k", base_url=base, timeout=TIMEOUT_S) as cartesia:
            return len(cartesia.tts.generate(**SPEECH).read())

    return await asyncio.to_thread(call)


async def speech_events(base: str) -> object:
    async with client(base) as cartesia:
        stream = await cartesia.tts.generate_sse(**SPEECH)
        return sum([len(event.audio or b"") async for event in stream if event.type == "chunk"])


async def speech_socket(base: str) -> object:
    async with client(base) as cartesia, cartesia.tts.websocket_connect() as connection:
        options: dict[str, Any] = {"model_id": "sonic-3", "voice": VOICE, "output_format": FORMAT}
        context = connection.context(context_id="one", **options)
        await context.send(transcript=TEXT, **options)
        await context.no_more_inputs()
        return sum([len(event.audio or b"") async for event in context.receive() if event.type == "chunk"])


async def speech_socket_sync(base: str) -> object:
    def call() -> object:
        socket = base.replace("http", "ws")
        with (
            Cartesia(api_key="k", base_url=base, websocket_base_url=socket, timeout=TIMEOUT_S) as cartesia,
            cartesia.tts.websocket_connect() as connection,
        ):
            options: dict[str, Any] = {"model_id": "sonic-3", "voice": VOICE, "output_format": FORMAT}
            context = connection.context(context_id="one", **options)
            context.send(transcript=TEXT, **options)
            context.no_more_inputs()
            return sum(len(event.audio or b"") for event in context.receive() if event.type == "chunk")

    return await asyncio.to_thread(call)


async def recording(base: str) -> object:
    async with client(base) as cartesia:
        return (await cartesia.stt.transcribe(file=("a.wav", wav(buzz()).read()), model="ink-whisper")).text


async def turns(base: str) -> object:
    async with (
        client(base) as cartesia,
        cartesia.stt.auto_finalize.websocket(model="ink-2", **LISTEN) as connection,
    ):
        for frame in frames(buzz(0.6, 0.2, 1.0), 0.16):
            await connection.send_raw(frame)
        await connection.send({"type": "close"})
        return [event.transcript async for event in connection if event.type == "turn.end"]


async def segments(base: str) -> object:
    async with (
        client(base) as cartesia,
        cartesia.stt.manual_finalize.websocket(model="ink-whisper", **LISTEN) as connection,
    ):
        for frame in frames(buzz(), 0.16):
            await connection.send_raw(frame)
        await connection.send("close")
        return [event.text async for event in connection if event.type == "transcript" and event.is_final]


def case(call: str, endpoint: str, run: Any, **more: Any) -> Case:
    return Case("cartesia SDK", call, "cartesia", endpoint, more.pop("paste", PASTE_HTTP), run, **more)


CASES = (
    case("speech", "cartesia.bytes", speech),
    case("speech, sync client", "cartesia.bytes", speech_sync),
    case("speech, events", "cartesia.sse", speech_events),
    case("speech, socket", "cartesia.tts", speech_socket, is_socket=True, paste=PASTE),
    case("speech, socket, sync client", "cartesia.tts", speech_socket_sync, is_socket=True, paste=PASTE),
    case("recording", "cartesia.batch", recording),
    case("turns", "cartesia.turns", turns, is_socket=True, break_after=2),
    case("segments", "cartesia.manual", segments, is_socket=True),
)
