"""The real Cartesia SDK through the sidecar: contexts on one socket, turns, and truthful rows."""

from __future__ import annotations

import asyncio

import pytest
from cartesia import AsyncCartesia

from tests.clients.conftest import Bench
from tests.simulator.conftest import UTTERANCES
from tests.simulator.sounds import PCM, frames, spoken
from tests.simulator.test_cartesia import FORMAT, VOICE


def client_of(bench: Bench) -> AsyncCartesia:
    base = bench.bases["cartesia"]
    return AsyncCartesia(api_key="sk-agent", base_url=base, websocket_base_url=base.replace("http", "ws"))


async def test_each_context_of_a_socket_is_its_own_row(bench: Bench) -> None:
    texts = {"one": "Hello there. Good day.", "two": "A second utterance at the same time."}
    async with client_of(bench) as client, client.tts.websocket_connect() as connection:

        async def speak(context_id: str, text: str) -> int:
            context = connection.context(context_id=context_id, model_id="sonic-3", voice=VOICE, output_format=FORMAT)
            for sentence in text.split(". "):
                await context.send(transcript=sentence + ". ", voice=VOICE, model_id="sonic-3", output_format=FORMAT)
            await context.no_more_inputs()
            return sum([len(event.audio or b"") async for event in context.receive() if event.type == "chunk"])

        sizes = await asyncio.gather(*(speak(name, text) for name, text in texts.items()))
    rows = await bench.sidecar.rows(2)
    entries = {entry.key: entry for entry in bench.simulator.ledger.work("cartesia.tts")}
    assert sorted(row.usage.characters or 0 for row in rows) == sorted(
        entry.characters or 0 for entry in entries.values()
    )
    assert sum(row.usage.audio_out_s or 0 for row in rows) == pytest.approx(sum(sizes) / PCM.bytes_per_s)
    for row in rows:
        assert (row.modality, row.model, row.status, row.cost_source) == ("tts", "sonic-3", "ok", "catalogue")
        assert row.cost_nanousd == (row.usage.characters or 0) * 50_000  # 0.05 USD per 1000 characters
        assert row.first_ms is not None
    await bench.check_wire()


async def test_turns_find_the_end_of_real_speech_by_its_sound(bench: Bench) -> None:
    audio = spoken("Where is my order, please?", after_s=1.2)
    async with (
        client_of(bench) as client,
        client.stt.auto_finalize.websocket(model="ink-2", encoding="pcm_s16le", sample_rate=16_000) as connection,
    ):
        for frame in frames(audio, 0.16):
            await connection.send_raw(frame)
            await asyncio.sleep(0.005)
        await connection.send({"type": "close"})
        events = [event async for event in connection]
    assert [event.transcript for event in events if event.type == "turn.end"] == [UTTERANCES[0]]
    rows = await bench.sidecar.rows(2)
    [utterance] = bench.simulator.ledger.work("cartesia.turns")
    assert utterance.final_ns is not None
    assert utterance.speech_end_ns is not None
    assert rows[0].first_ms_basis == "sound_level"
    assert rows[0].first_ms == pytest.approx((utterance.final_ns - utterance.speech_end_ns) / 1e6, abs=60)
    await bench.check_wire()
