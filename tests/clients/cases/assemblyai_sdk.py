"""The AssemblyAI SDK: streaming takes ``ws://`` in ``api_host``, recordings a base URL in its settings."""

from __future__ import annotations

import asyncio
from typing import Any

import assemblyai as aai
from assemblyai.streaming.v3 import AsyncStreamingClient, StreamingEvents

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.test_assemblyai_sdk import options_of, wanted
from tests.simulator.sounds import buzz, frames

PASTE = 'AsyncStreamingClient(StreamingClientOptions(api_host="{ws}"))'
PASTE_RECORDING = 'aai.settings.base_url = "{base}"'


class Reported(Exception):
    """An error that the SDK tells its handlers instead of raising it."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.status_code = getattr(error, "code", None)


async def stream(base: str) -> object:
    """A second of speech; returns the first turn that ended."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    client = AsyncStreamingClient(options_of(base))
    client.on(StreamingEvents.Turn, lambda _, turn: told.put_nowait(turn) if turn.end_of_turn else None)
    client.on(StreamingEvents.Error, lambda _, error: told.put_nowait(Reported(error)))
    try:
        await client.connect(wanted())
        for frame in frames(buzz(0.6, 0.2, 1.0)):
            await client.stream(frame)
        found = await asyncio.wait_for(told.get(), 4 * TIMEOUT_S)
    finally:
        await client.disconnect(terminate=True)
    if isinstance(found, Reported):
        raise found
    return found.transcript


async def recording(base: str) -> object:
    def call() -> object:
        settings = aai.Settings(api_key="k", base_url=base, polling_interval=0.05, http_timeout=TIMEOUT_S)
        client = aai.Client(settings=settings)
        try:
            config = aai.TranscriptionConfig(speech_models=["universal-2"])
            return aai.Transcriber(client=client).transcribe("https://example.com/a.wav", config=config).text
        finally:
            client.http_client.close()

    return await asyncio.to_thread(call)


CASES = (
    Case("assemblyai SDK", "stream", "assemblyai", "assemblyai.live", PASTE, stream, is_socket=True, leaves_early=True),
    Case("assemblyai SDK", "recording", "assemblyai", "assemblyai.transcript", PASTE_RECORDING, recording),
)
