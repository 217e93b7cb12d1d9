"""Cartesia's HTTP speech, recordings and commanded recognition by the real SDK and LiveKit's plugin."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import voice_prices
from cartesia import APIStatusError, AsyncCartesia, Cartesia
from livekit import rtc
from livekit.agents import APIConnectOptions, stt
from livekit.agents.utils import http_context
from livekit.plugins import cartesia as livekit_cartesia

from tests.clients.conftest import Bench
from tests.clients.test_cartesia_sdk import client_of
from tests.clients.test_openai_sdk import wav
from tests.simulator.conftest import UTTERANCES
from tests.simulator.sounds import PCM, buzz, frames
from tests.simulator.test_cartesia import FORMAT, VOICE
from voicegw_sidecar.simulator import Failure, FailureKind
from voicegw_sidecar.store.records import ExchangeRow

# the LiveKit plugin leaves some of its sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # the sync client opens its sockets in a way that its WebSocket library deprecates
    pytest.mark.filterwarnings("ignore:connect:DeprecationWarning"),
]
MODEL, WHISPER = "sonic-3", "ink-whisper"
TEXT = "Your order has left the warehouse."
ONCE = APIConnectOptions(max_retry=0, timeout=5)
LISTEN: Any = {"encoding": "pcm_s16le", "sample_rate": 16_000}
WHISPER_NANO_PER_S, INK_2_NANO_PER_S = 50_000, 150_000  # 0.003 and 0.009 USD a minute


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


def sync_client(bench: Bench) -> Cartesia:
    base = bench.bases["cartesia"]
    return Cartesia(api_key="k", base_url=base, websocket_base_url=base.replace("http", "ws"))


def check_speech(row: ExchangeRow, audio_s: float | None) -> None:
    assert (row.project, row.modality, row.model, row.status) == ("acme", "tts", MODEL, "ok")
    assert row.usage.characters == len(TEXT)
    if audio_s is None:
        assert row.usage.audio_out_s is None
    else:
        assert row.usage.audio_out_s == pytest.approx(audio_s, abs=0.01)
    billed = voice_prices.calc_price(voice_prices.Usage(characters=len(TEXT)), MODEL, provider_id="cartesia")
    assert (row.cost_nanousd, row.cost_source) == (int(billed.total_price * 10**9), "catalogue")
    assert row.first_ms is not None


@pytest.mark.parametrize(
    "sound",
    [
        FORMAT,
        {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 16_000},
        {"container": "mp3", "sample_rate": 44_100, "bit_rate": 128_000},
    ],
    ids=lambda sound: sound["container"],
)
async def test_speech_as_one_body(bench: Bench, sound: Any) -> None:
    async with client_of(bench) as client:
        answer = await client.tts.generate(model_id=MODEL, transcript=f" {TEXT} ", voice=VOICE, output_format=sound)
        assert len(await answer.read()) > 1000
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.entries("cartesia.bytes")
    check_speech(row, None if sound["container"] == "mp3" else entry.audio_out_s)
    await bench.check_wire()


async def test_speech_in_events(bench: Bench) -> None:
    async with client_of(bench) as client:
        stream = await client.tts.generate_sse(model_id=MODEL, transcript=TEXT, voice=VOICE, output_format=FORMAT)
        audio = b"".join([event.audio or b"" async for event in stream if event.type == "chunk"])
    [row] = await bench.sidecar.rows(1)
    check_speech(row, len(audio) / PCM.bytes_per_s)
    await bench.check_wire()


async def test_the_sync_client_speaks(bench: Bench) -> None:
    def synchronous() -> tuple[int, int]:
        with sync_client(bench) as client:
            asked: Any = {"model_id": MODEL, "transcript": TEXT, "voice": VOICE, "output_format": FORMAT}
            whole = client.tts.generate(**asked).read()
            events = client.tts.generate_sse(**asked)
            return len(whole), sum(len(event.audio or b"") for event in events if event.type == "chunk")

    sizes = await asyncio.to_thread(synchronous)
    for row, size in zip(await bench.sidecar.rows(2), sizes, strict=True):
        check_speech(row, size / PCM.bytes_per_s)
    await bench.check_wire()


async def test_livekit_speaks_one_text(bench: Bench) -> None:
    voice = livekit_cartesia.TTS(model=MODEL, api_key="k", base_url=bench.bases["cartesia"])
    length_s = 0.0
    async with voice.synthesize(TEXT, conn_options=ONCE) as chunked:
        async for piece in chunked:
            length_s += piece.frame.duration
    await voice.aclose()
    [row] = await bench.sidecar.rows(1)
    check_speech(row, bench.simulator.ledger.entries("cartesia.bytes")[0].audio_out_s)
    assert row.usage.audio_out_s == pytest.approx(length_s, abs=0.1)
    await bench.check_wire()


@pytest.mark.parametrize("is_async", [True, False])
async def test_recording(bench: Bench, is_async: bool) -> None:
    def synchronous() -> str:
        with sync_client(bench) as client:
            return client.stt.transcribe(file=("a.wav", wav(buzz()).read()), model=WHISPER).text

    async def asynchronous() -> str:
        async with client_of(bench) as client:
            return (await client.stt.transcribe(file=("a.wav", wav(buzz()).read()), model=WHISPER)).text

    assert await (asynchronous() if is_async else asyncio.to_thread(synchronous)) == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.model, row.status, row.usage.audio_s) == ("stt", WHISPER, "ok", 1.3)
    assert (row.cost_nanousd, row.cost_source) == (round(1.3 * WHISPER_NANO_PER_S / 2), "supplement")
    assert row.first_ms is not None
    await bench.check_wire()


def check_stream(rows: list[ExchangeRow], model: str, audio_s: float, nano_per_s: int) -> None:
    """What was said, then the rest of the stream: the seconds sum to all that was sent."""
    assert [row.status for row in rows] == ["ok", "idle"]
    assert {(row.modality, row.model) for row in rows} == {("stt", model)}
    assert rows[0].first_ms is not None
    assert rows[0].first_ms_basis == "sound_level"
    assert sum(row.usage.audio_s or 0.0 for row in rows) == pytest.approx(audio_s)
    assert sum(row.cost_nanousd or 0 for row in rows) == pytest.approx(audio_s * nano_per_s, abs=2)


@pytest.mark.parametrize("model", [WHISPER, "ink-2"])
@pytest.mark.parametrize("is_async", [True, False])
async def test_utterance_that_the_agent_finalises(bench: Bench, model: str, is_async: bool) -> None:
    first, rest = buzz(0.6, 0.2, 0.1), buzz(0.0, 0.2, 0.3)

    async def asynchronous() -> str:
        text = ""
        async with (
            client_of(bench) as client,
            client.stt.manual_finalize.websocket(model=model, **LISTEN) as connection,
        ):
            for frame in frames(first):
                await connection.send_raw(frame)
            await connection.send("finalize")
            async for event in connection:
                text += event.text if event.type == "transcript" and event.is_final else ""
                if event.type == "flush_done":
                    break
            await connection.send_raw(rest)
            await connection.send("close")
            _ = [event async for event in connection]
        return text

    def synchronous() -> str:
        text = ""
        with sync_client(bench) as client, client.stt.manual_finalize.websocket(model=model, **LISTEN) as connection:
            for frame in frames(first):
                connection.send_raw(frame)
            connection.send("finalize")
            for event in connection:
                text += event.text if event.type == "transcript" and event.is_final else ""
                if event.type == "flush_done":
                    break
            connection.send_raw(rest)
            connection.send("close")
            _ = list(connection)
        return text

    assert await (asynchronous() if is_async else asyncio.to_thread(synchronous)) == UTTERANCES[0]
    audio_s = (len(first) + len(rest)) / PCM.bytes_per_s
    per_s = WHISPER_NANO_PER_S if model == WHISPER else INK_2_NANO_PER_S
    check_stream(await bench.sidecar.rows(2), model, audio_s, per_s)
    await bench.check_wire()


async def test_the_sync_client_takes_turns(bench: Bench) -> None:
    def synchronous() -> list[str]:
        texts = []
        with sync_client(bench) as client, client.stt.auto_finalize.websocket(model="ink-2", **LISTEN) as connection:
            for frame in frames(buzz(0.6, 0.2, 1.0), 0.16):
                connection.send_raw(frame)
            for event in connection:
                if event.type == "turn.end":
                    texts.append(event.transcript)
                    break
            connection.send_raw(bytes(3200))
            connection.send({"type": "close"})
            _ = list(connection)
        return texts

    assert await asyncio.to_thread(synchronous) == [UTTERANCES[0]]
    check_stream(await bench.sidecar.rows(2), "ink-2", 1.9, INK_2_NANO_PER_S)
    await bench.check_wire()


async def test_livekit_listens_with_whisper(bench: Bench) -> None:
    recogniser = livekit_cartesia.STT(model=WHISPER, api_key="k", base_url=bench.bases["cartesia"])
    finals = []
    async with recogniser.stream(conn_options=ONCE) as stream:
        for data in frames(buzz(0.6, 0.2, 1.0)):
            stream.push_frame(rtc.AudioFrame(data, PCM.rate_hz, 1, len(data) // 2))
        async for event in stream:
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                finals.append(event.alternatives[0].text)
                break
    await recogniser.aclose()
    assert finals == [UTTERANCES[0]]
    row = (await bench.sidecar.rows(at_least=1))[0]
    assert (row.status, row.model, row.first_ms_basis, row.cost_source) == ("ok", WHISPER, "sound_level", "supplement")
    assert row.first_ms is not None
    await bench.check_wire(agent_left=True)


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_the_providers_errors_raise_what_they_raise_directly(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int, attempts: int
) -> None:
    monkeypatch.setattr("cartesia._base_client.INITIAL_RETRY_DELAY", 0.01)  # as many attempts, in less time

    async def failing(base_url: str) -> tuple[type, str, int]:
        before = len(bench.simulator.ledger.entries("cartesia.bytes"))
        failure = Failure(
            FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None, body='{"error_code":"x"}'
        )
        bench.simulator.fail_next("cartesia.bytes", failure, count=attempts)
        async with AsyncCartesia(api_key="k", base_url=base_url) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.tts.generate(model_id=MODEL, transcript=TEXT, voice=VOICE, output_format=FORMAT)
        return type(caught.value), caught.value.message, len(bench.simulator.ledger.entries("cartesia.bytes")) - before

    direct = await failing(bench.simulator.base_url("cartesia"))
    assert await failing(bench.bases["cartesia"]) == direct
    assert direct[2] == attempts
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_socket_raises_what_it_raises_directly(bench: Bench, status: int) -> None:
    async def failing(base: str) -> tuple[type, str]:
        bench.simulator.fail_next("cartesia.manual", Failure(FailureKind.STATUS, status=status))
        async with AsyncCartesia(api_key="k", base_url=base) as client:
            with pytest.raises(Exception, match=str(status)) as caught:
                async with client.stt.manual_finalize.websocket(model=WHISPER, **LISTEN):
                    pass
        return type(caught.value), str(caught.value)

    assert await failing(bench.bases["cartesia"]) == await failing(bench.simulator.base_url("cartesia"))
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.cost_nanousd) == ("upstream_error", status, 0)
