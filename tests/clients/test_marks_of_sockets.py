"""Marks of Anthropic, ElevenLabs and AssemblyAI against the simulator's own stamps: within 15 ms in the median."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import aiohttp
import pytest

from tests.clients.conftest import Bench
from tests.clients.test_marks import ACCURACY_MS, ROUNDS, off_by_ms
from tests.simulator.conftest import eventually, quick
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator import Listening, Speaking, Thinking

MULTI = "v1/text-to-speech/v/multi-stream-input?model_id=eleven_flash_v2_5&output_format=pcm_16000"
SCRIBE = "v1/speech-to-text/realtime?model_id=scribe_v2_realtime&commit_strategy=vad"


async def test_time_to_first_token(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=60.0, token_interval_ms=2.0, reasoning_tokens=2))
    asked = {"model": "claude-haiku-4-5", "max_tokens": 9, "stream": True}
    body = {**asked, "messages": [{"role": "user", "content": "hello"}]}
    async with aiohttp.ClientSession() as http:
        for _ in range(ROUNDS):
            async with http.post(f"{bench.bases['anthropic']}/v1/messages", json=body) as response:
                await response.read()
    rows = await bench.sidecar.rows(ROUNDS)
    entries = bench.simulator.ledger.entries("anthropic.messages")
    truth = [(entry.request_complete_ns, entry.first_output_ns) for entry in entries]
    assert off_by_ms([row.first_ms for row in rows], truth) < ACCURACY_MS


async def test_time_to_first_audio(bench: Bench) -> None:
    bench.simulator.script = quick(tts=Speaking(first_audio_ms=50.0, pace=100.0))
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{bench.bases['elevenlabs']}/{MULTI}") as socket:
        for number in range(ROUNDS):
            context = {"context_id": f"c{number}"}
            for message in ({"text": " "}, {"text": "Good day to you. "}, {"flush": True}, {"close_context": True}):
                await socket.send_json({**message, **context})
            while not (await socket.receive_json()).get("isFinal"):
                pass
    rows = await bench.sidecar.rows(ROUNDS)
    truth = [
        (entry.first_text_ns, entry.first_output_ns) for entry in bench.simulator.ledger.work("elevenlabs.contexts")
    ]
    assert off_by_ms([row.first_ms for row in rows], truth) < ACCURACY_MS


@pytest.mark.parametrize(
    ("address", "endpoint", "basis"),
    [
        (f"elevenlabs/{SCRIBE}", "elevenlabs.scribe", "sound_level"),
        (f"elevenlabs/{SCRIBE}&include_timestamps=true", "elevenlabs.scribe", "provider"),
        ("assemblyai/v3/ws?speech_model=universal-3-6-pro&sample_rate=16000", "assemblyai.live", "provider"),
    ],
)
async def test_lag_of_the_final_transcript(bench: Bench, address: str, endpoint: str, basis: str) -> None:
    ear = Listening(final_ms=40.0, hangover_ms=250.0)
    bench.simulator.script = quick(listen=ear, turns=ear)
    provider, _, path = address.partition("/")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{bench.bases[provider]}/{path}") as socket:
        reader = asyncio.get_running_loop().create_task(_read_all(socket))
        for _ in range(ROUNDS):
            for frame in frames(buzz(0.4, 0.2, 0.9)):
                await (socket.send_bytes(frame) if provider == "assemblyai" else socket.send_json(_chunk(frame)))
                await asyncio.sleep(len(frame) / PCM.bytes_per_s / 4)  # four times real time
        work = bench.simulator.ledger.work
        await eventually(lambda: sum(entry.final_ns is not None for entry in work(endpoint)) == ROUNDS)
        await socket.close()
        await reader
    rows = [row for row in await bench.sidecar.rows(at_least=ROUNDS) if row.status == "ok"]
    assert len(rows) == ROUNDS
    assert {row.first_ms_basis for row in rows} == {basis}
    truth = [(entry.speech_end_ns, entry.final_ns) for entry in bench.simulator.ledger.work(endpoint)]
    assert off_by_ms([row.first_ms for row in rows], truth) < ACCURACY_MS


def _chunk(frame: bytes) -> dict[str, Any]:
    return {"message_type": "input_audio_chunk", "audio_base_64": base64.b64encode(frame).decode(), "commit": False}


async def _read_all(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass
