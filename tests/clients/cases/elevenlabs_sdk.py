"""The ElevenLabs SDK; its speech socket insists on TLS unless a private field is set."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

from elevenlabs import AsyncElevenLabs, AudioFormat, CommitStrategy, ElevenLabs, RealtimeEvents

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.test_openai_sdk import wav
from tests.simulator.sounds import PCM, buzz, frames

PASTE = 'AsyncElevenLabs(base_url="{base}")'
PASTE_SOCKET = 'client = ElevenLabs(base_url="{base}"); client.text_to_speech._ws_base_url = "{ws}"'
VOICE, TEXT = "21m00Tcm4TlvDq8ikWAM", "Your order has left the warehouse."
SPEECH: dict[str, Any] = {"model_id": "eleven_flash_v2_5", "output_format": "pcm_16000"}


def client(base: str) -> AsyncElevenLabs:
    return AsyncElevenLabs(api_key="k", base_url=base, timeout=TIMEOUT_S)


async def speech(base: str) -> object:
    pieces = client(base).text_to_speech.convert(VOICE, text=TEXT, **SPEECH)
    return len(b"".join([piece async for piece in pieces]))


async def streamed(base: str) -> object:
    pieces = client(base).text_to_speech.stream(VOICE, text=TEXT, **SPEECH)
    return len(b"".join([piece async for piece in pieces]))


async def timestamps(base: str) -> object:
    chunks = client(base).text_to_speech.stream_with_timestamps(VOICE, text=TEXT, **SPEECH)
    return sum([len(base64.b64decode(chunk.audio_base_64)) async for chunk in chunks])


async def speech_sync(base: str) -> object:
    def call() -> object:
        sync = ElevenLabs(api_key="k", base_url=base, timeout=TIMEOUT_S)
        return len(b"".join(sync.text_to_speech.convert(VOICE, text=TEXT, **SPEECH)))

    return await asyncio.to_thread(call)


async def speech_socket(base: str) -> object:
    def texts() -> Iterator[str]:
        yield from ("Your order ", "has left ", "the warehouse.")

    def call() -> object:
        sync = ElevenLabs(api_key="k", base_url=base, timeout=TIMEOUT_S)
        sync.text_to_speech._ws_base_url = base.replace("http", "ws")
        return len(b"".join(sync.text_to_speech.convert_realtime(VOICE, text=texts(), **SPEECH)))

    return await asyncio.to_thread(call)


async def recording(base: str) -> object:
    answer: Any = await client(base).speech_to_text.convert(model_id="scribe_v2", file=wav(buzz()))
    return answer.text


class ReportedError(Exception):
    """What the error handler of a live session was told; the SDK raises nothing there."""


async def live(base: str) -> object:
    connection = await client(base).speech_to_text.realtime.connect(
        {
            "model_id": "scribe_v2_realtime",
            "audio_format": AudioFormat.PCM_16000,
            "sample_rate": PCM.rate_hz,
            "commit_strategy": CommitStrategy.MANUAL,
        }
    )
    told: asyncio.Queue[Any] = asyncio.Queue()
    for event in (RealtimeEvents.COMMITTED_TRANSCRIPT, RealtimeEvents.ERROR, RealtimeEvents.CLOSE):
        connection.on(event, lambda *data, event=event: told.put_nowait((event, data)))  # type: ignore[misc]
    for frame in frames(buzz()):
        await connection.send({"audio_base_64": base64.b64encode(frame).decode()})
    await connection.commit()
    event, data = await told.get()
    await connection.close()
    if event is not RealtimeEvents.COMMITTED_TRANSCRIPT:
        raise ReportedError(event, data)
    return data[0]["text"]


def case(call: str, endpoint: str, run: Any, **more: Any) -> Case:
    return Case("elevenlabs SDK", call, "elevenlabs", endpoint, more.pop("paste", PASTE), run, **more)


CASES = (
    case("speech", "elevenlabs.speech", speech),
    case("speech, streamed", "elevenlabs.speech", streamed),
    case("speech with timestamps", "elevenlabs.speech", timestamps),
    case("speech, sync client", "elevenlabs.speech", speech_sync),
    case("speech, socket", "elevenlabs.stream", speech_socket, is_socket=True, paste=PASTE_SOCKET),
    case("recording", "elevenlabs.transcribe", recording),
    case("live", "elevenlabs.scribe", live, is_socket=True, break_after=2),
)
