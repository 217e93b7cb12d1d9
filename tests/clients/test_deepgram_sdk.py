"""The real Deepgram SDK through the sidecar: sockets with the same frames, and truthful rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text

from tests.clients.conftest import Bench
from tests.simulator.conftest import UTTERANCES
from tests.simulator.sounds import PCM, buzz, frames, spoken
from voicegw_sidecar.simulator import Failure, FailureKind
from voicegw_sidecar.terms import Status

# the SDK imports deprecated names of its WebSocket library when it first connects
pytestmark = [pytest.mark.filterwarnings("ignore:websockets.*is deprecated:DeprecationWarning")]


def environment(base: str) -> DeepgramClientEnvironment:
    return DeepgramClientEnvironment(base=base, production=base.replace("http", "ws"), agent=base, agent_rest=base)


def client_of(bench: Bench) -> AsyncDeepgramClient:
    return AsyncDeepgramClient(api_key="dg-agent", environment=environment(bench.bases["deepgram"]))


async def listened(client: AsyncDeepgramClient, *pieces: bytes) -> list[Any]:
    async with client.listen.v1.connect(
        model="nova-3",
        encoding="linear16",
        sample_rate=16000,
        interim_results="true",
        vad_events="true",
        endpointing=25,
        punctuate="true",
    ) as connection:
        for piece in pieces:
            for frame in frames(piece):
                await connection.send_media(frame)
                await asyncio.sleep(0.001)
        await connection.send_close_stream()
        return [message async for message in connection]


async def test_listen_has_a_row_for_each_utterance_and_one_for_the_rest(bench: Bench) -> None:
    audio = [buzz(0.6, 0.2, 0.8), buzz(0.5, 0.2, 0.8), buzz(0.0, 0.5, 0.75)]
    messages = await listened(client_of(bench), *audio)
    finals = [m.channel.alternatives[0].transcript for m in messages if m.type == "Results" and m.is_final]
    assert [text for text in finals if text] == list(UTTERANCES)
    rows = await bench.sidecar.rows(3)
    assert [row.status for row in rows] == [Status.OK, Status.OK, Status.IDLE]
    assert {(row.model, row.modality, row.project, row.cost_source) for row in rows} == {
        ("nova-3", "stt", "acme", "catalogue")
    }
    assert [row.first_ms_basis for row in rows] == ["provider", "provider", None]
    seconds = sum(len(piece) for piece in audio) / PCM.bytes_per_s
    assert sum(row.usage.audio_s or 0.0 for row in rows) == pytest.approx(seconds, abs=1e-3)
    # nova-3 streams at 0.0048 USD a minute: 80 000 nano-dollars a second
    assert sum(row.cost_nanousd or 0 for row in rows) == pytest.approx(seconds * 80_000, abs=200)
    await bench.check_wire()


async def test_listen_finds_the_end_of_real_speech(bench: Bench) -> None:
    await listened(client_of(bench), spoken("Where is my order, please?", after_s=1.0))
    row = (await bench.sidecar.rows(2))[0]
    [utterance] = bench.simulator.ledger.work("deepgram.listen")
    assert utterance.final_ns is not None
    assert utterance.speech_end_ns is not None
    assert row.first_ms == pytest.approx((utterance.final_ns - utterance.speech_end_ns) / 1e6, abs=60)
    assert row.status == "ok"


async def test_the_sync_client_listens(bench: Bench) -> None:
    def synchronous() -> list[str]:
        client = DeepgramClient(api_key="k", environment=environment(bench.bases["deepgram"]))
        with client.listen.v1.connect(
            model="nova-3", encoding="linear16", sample_rate=16000, punctuate="true"
        ) as connection:
            for frame in frames(buzz()):
                connection.send_media(frame)
            connection.send_close_stream()
            return [m.channel.alternatives[0].transcript for m in connection if m.type == "Results" and m.is_final]

    texts = await asyncio.to_thread(synchronous)
    assert UTTERANCES[0] in texts
    rows = await bench.sidecar.rows(at_least=1)
    assert rows[0].status == "ok"
    await bench.check_wire()


async def test_speak_has_a_row_for_each_flush(bench: Bench) -> None:
    texts = ["Hello there. ", "How are you today?"]
    sizes = []
    async with client_of(bench).speak.v1.connect(
        model="aura-2-thalia-en", encoding="linear16", sample_rate="24000"
    ) as connection:
        for text in texts:
            for word in text.split(" "):
                await connection.send_text(SpeakV1Text(type="Speak", text=word + " "))
            await connection.send_flush()
            size = 0
            async for message in connection:
                if isinstance(message, bytes):
                    size += len(message)
                elif message.type == "Flushed":
                    break
            sizes.append(size)
        await connection.send_close()
    rows = await bench.sidecar.rows(2)
    for row, text, size in zip(rows, texts, sizes, strict=True):
        assert (row.modality, row.model, row.status) == ("tts", "aura-2-thalia-en", "ok")
        assert row.usage.characters == len(text.strip())
        assert row.usage.audio_out_s == pytest.approx(size / 48_000)
        assert row.cost_nanousd == len(text.strip()) * 30_000  # aura-2: 0.030 USD per 1000 characters
        assert row.first_ms is not None
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429])
async def test_a_refused_handshake_raises_what_it_raises_directly(bench: Bench, status: int) -> None:
    async def failing(base: str) -> tuple[int | None, object]:
        bench.simulator.fail_next("deepgram.listen", Failure(FailureKind.STATUS, status=status))
        client = AsyncDeepgramClient(api_key="k", environment=environment(base))
        with pytest.raises(ApiError) as caught:
            async with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16000):
                pass
        return caught.value.status_code, caught.value.body

    assert await failing(bench.bases["deepgram"]) == await failing(bench.simulator.base_url("deepgram"))
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.cost_nanousd) == ("upstream_error", status, 0)


async def test_a_socket_that_closes_with_1011_raises_what_it_raises_directly(bench: Bench) -> None:
    async def failing(base: str) -> tuple[str, str]:
        bench.simulator.fail_next("deepgram.listen", Failure(FailureKind.CLOSE, code=1011, after=1))
        client = AsyncDeepgramClient(api_key="k", environment=environment(base))
        async with client.listen.v1.connect(
            model="nova-3", encoding="linear16", sample_rate=16000, interim_results="true"
        ) as connection:
            for frame in frames(buzz(2.0)):
                await connection.send_media(frame)
            try:
                _ = [message async for message in connection]
            except Exception as error:
                return type(error).__name__, str(error)
        return "no error", ""

    assert await failing(bench.bases["deepgram"]) == await failing(bench.simulator.base_url("deepgram"))
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.error) == ("partial", "connection_broken")
