"""Marks against the simulator's own stamps: within 15 ms in the median, for every kind of exchange."""

from __future__ import annotations

import asyncio
import statistics

import aiohttp
import pytest

from tests.clients.conftest import Bench
from tests.clients.test_cartesia_sdk import FORMAT, VOICE
from tests.simulator.conftest import quick
from tests.simulator.sounds import PCM, frames, spoken
from voicegw_sidecar.simulator import Listening, Speaking, Thinking

ROUNDS = 7
ACCURACY_MS = 15.0


def off_by_ms(seen: list[float | None], truth_ns: list[tuple[int | None, int | None]]) -> float:
    differences = []
    for first_ms, (start_ns, end_ns) in zip(seen, truth_ns, strict=True):
        assert first_ms is not None
        assert start_ns is not None
        assert end_ns is not None
        differences.append(abs(first_ms - (end_ns - start_ns) / 1e6))
    return statistics.median(differences)


async def test_time_to_first_token(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=60.0, token_interval_ms=2.0))
    body = {"model": "gpt-4.1-mini", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    async with aiohttp.ClientSession() as http:
        for _ in range(ROUNDS):
            async with http.post(f"{bench.bases['openai']}/v1/chat/completions", json=body) as response:
                await response.read()
    rows = await bench.sidecar.rows(ROUNDS)
    entries = bench.simulator.ledger.entries("openai.chat")
    truth = [(entry.request_complete_ns, entry.first_output_ns) for entry in entries]
    assert off_by_ms([row.first_ms for row in rows], truth) < ACCURACY_MS
    totals = [(entry.request_complete_ns, entry.ended_ns) for entry in entries]
    assert off_by_ms([row.total_ms for row in rows], totals) < ACCURACY_MS


async def test_time_to_first_audio(bench: Bench) -> None:
    bench.simulator.script = quick(tts=Speaking(first_audio_ms=50.0, pace=100.0))
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{bench.bases['cartesia']}/tts/websocket") as socket:
        for number in range(ROUNDS):
            await socket.send_json({"context_id": f"c{number}", "transcript": "Good day to you.", "model_id": "sonic-3",
                                    "voice": VOICE, "output_format": FORMAT})  # fmt: skip
            while (await socket.receive_json())["type"] != "done":
                pass
    rows = await bench.sidecar.rows(ROUNDS)
    truth = [(entry.first_text_ns, entry.first_output_ns) for entry in bench.simulator.ledger.work("cartesia.tts")]
    assert off_by_ms([row.first_ms for row in rows], truth) < ACCURACY_MS


@pytest.mark.parametrize(
    ("path", "endpoint", "basis", "frame_s"),
    [
        (
            "deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000&endpointing=100",
            "deepgram.listen",
            "provider",
            0.05,
        ),
        (
            "cartesia/stt/turns/websocket?model=ink-2&encoding=pcm_s16le&sample_rate=16000",
            "cartesia.turns",
            "sound_level",
            0.16,
        ),
    ],
)
async def test_lag_of_the_final_transcript_behind_real_speech(
    bench: Bench, path: str, endpoint: str, basis: str, frame_s: float
) -> None:
    bench.simulator.script = quick(
        listen=Listening(final_ms=40.0, hangover_ms=250.0), turns=Listening(final_ms=40.0, hangover_ms=350.0)
    )
    audio = spoken("Where is my order, please?", after_s=0.9)
    provider, _, rest = path.partition("/")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{bench.bases[provider]}/{rest}") as socket:
        reader = asyncio.get_running_loop().create_task(_read_all(socket))
        for _ in range(ROUNDS):
            for frame in frames(audio, frame_s):
                await socket.send_bytes(frame)
                await asyncio.sleep(len(frame) / PCM.bytes_per_s / 4)  # four times real time
        await asyncio.sleep(0.2)
        await socket.close()
        await reader
    rows = [row for row in await bench.sidecar.rows(at_least=ROUNDS) if row.status == "ok"]
    assert len(rows) == ROUNDS
    assert {row.first_ms_basis for row in rows} == {basis}
    truth = [(entry.speech_end_ns, entry.final_ns) for entry in bench.simulator.ledger.work(endpoint)]
    assert off_by_ms([row.first_ms for row in rows], truth) < ACCURACY_MS


async def _read_all(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass
