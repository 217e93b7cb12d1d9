"""Deepgram's Flux, recordings and HTTP speech by the real SDK and LiveKit's plugin: same bytes, truthful rows."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import voice_prices
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.speak.v2.types import SpeakV2Speak
from livekit import rtc
from livekit.agents import APIConnectOptions, stt
from livekit.agents.utils import http_context
from livekit.plugins import deepgram as livekit_deepgram

from tests.clients.conftest import Bench
from tests.clients.test_deepgram_sdk import client_of, environment
from tests.clients.test_openai_sdk import wav
from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator import Failure, FailureKind, Listening
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import Status

# the LiveKit plugin leaves some of its sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:websockets.*is deprecated:DeprecationWarning"),
]
FLUX, VOICE, AURA = "flux-general-en", "flux-alexis-en", "aura-2-thalia-en"
TEXT = "Your order has left the warehouse."
ONCE = APIConnectOptions(max_retry=0, timeout=5)
LISTEN = {"model": FLUX, "encoding": "linear16", "sample_rate": 16000}
SPEAK = {"model": VOICE, "encoding": "linear16", "sample_rate": 24000}


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


def nano(used: voice_prices.Usage, model: str) -> int:
    return round(voice_prices.calc_price(used, model, provider_id="deepgram").total_price * 10**9)


def seconds_cost(audio_s: float, model: str) -> int:
    return nano(voice_prices.Usage(audio_input_seconds=Decimal(str(audio_s))), model)


def check_turns(rows: list[ExchangeRow], audio_s: float) -> None:
    """Two turns and the rest of the stream: the seconds sum to all that was sent."""
    assert [row.status for row in rows] == [Status.OK, Status.OK, Status.IDLE]
    assert {(row.project, row.model, row.modality) for row in rows} == {("acme", FLUX, "stt")}
    assert [row.first_ms_basis for row in rows] == ["provider", "provider", None]
    assert sum(row.usage.audio_s or 0.0 for row in rows) == pytest.approx(audio_s, abs=1e-5)
    assert [row.cost_nanousd for row in rows] == [seconds_cost(row.usage.audio_s or 0.0, FLUX) for row in rows]


@pytest.mark.parametrize("is_async", [True, False])
async def test_each_turn_of_flux_is_a_row(bench: Bench, is_async: bool) -> None:
    bench.simulator.script = quick(listen=Listening(final_ms=10.0, utterances=UTTERANCES, eager_end=True))
    pieces = [buzz(0.6, 0.2, 0.8), buzz(0.5, 0.2, 0.8), buzz(0.0, 0.2, 0.5)]

    async def asynchronous() -> list[str]:
        async with client_of(bench).listen.v2.connect(**LISTEN) as connection:
            texts = []
            for piece in pieces[:2]:
                for frame in frames(piece):
                    await connection.send_media(frame)
                async for message in connection:
                    if getattr(message, "event", "") == "EndOfTurn":
                        texts.append(message.transcript)
                        break
            await connection.send_media(pieces[2])
            await connection.send_close_stream()
            return texts + [m.transcript async for m in connection if getattr(m, "event", "") == "EndOfTurn"]

    def synchronous() -> list[str]:
        client = DeepgramClient(api_key="k", environment=environment(bench.bases["deepgram"]))
        with client.listen.v2.connect(**LISTEN) as connection:
            texts = []
            for piece in pieces[:2]:
                for frame in frames(piece):
                    connection.send_media(frame)
                for message in connection:
                    if getattr(message, "event", "") == "EndOfTurn":
                        texts.append(message.transcript)
                        break
            connection.send_media(pieces[2])
            connection.send_close_stream()
            return texts + [m.transcript for m in connection if getattr(m, "event", "") == "EndOfTurn"]

    texts = await (asynchronous() if is_async else asyncio.to_thread(synchronous))
    assert texts == list(UTTERANCES)
    check_turns(await bench.sidecar.rows(3), sum(map(len, pieces)) / PCM.bytes_per_s)
    await bench.check_wire()


async def test_livekit_listens_with_flux(bench: Bench) -> None:
    recogniser = livekit_deepgram.STTv2(model=FLUX, api_key="k", base_url=f"{bench.bases['deepgram']}/v2/listen")
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
    assert (row.status, row.model, row.first_ms_basis) == ("ok", FLUX, "provider")
    assert row.cost_nanousd == seconds_cost(row.usage.audio_s or 0.0, FLUX)
    await bench.check_wire(agent_left=True)


@pytest.mark.parametrize("is_async", [True, False])
async def test_each_turn_that_flux_speaks_is_a_row(bench: Bench, is_async: bool) -> None:
    texts, sizes = ["Hello there. ", "How are you today?"], []

    async def asynchronous() -> None:
        async with client_of(bench).speak.v2.connect(**SPEAK) as connection:
            for text in texts:
                await connection.send_speak(SpeakV2Speak(text=text))
                await connection.send_flush()
                size = 0
                async for message in connection:
                    size += len(message) if isinstance(message, bytes) else 0
                    if getattr(message, "type", "") == "Flushed":
                        break
                sizes.append(size)
            await connection.send_close()

    def synchronous() -> None:
        client = DeepgramClient(api_key="k", environment=environment(bench.bases["deepgram"]))
        with client.speak.v2.connect(**SPEAK) as connection:
            for text in texts:
                connection.send_speak(SpeakV2Speak(text=text))
                connection.send_flush()
                size = 0
                for message in connection:
                    size += len(message) if isinstance(message, bytes) else 0
                    if getattr(message, "type", "") == "Flushed":
                        break
                sizes.append(size)
            connection.send_close()

    await (asynchronous() if is_async else asyncio.to_thread(synchronous))
    rows = await bench.sidecar.rows(2)
    for row, text, size in zip(rows, texts, sizes, strict=True):
        assert (row.modality, row.model, row.status) == ("tts", VOICE, "ok")
        assert row.usage.characters == len(text.strip())
        assert row.usage.audio_out_s == pytest.approx(size / 48_000)
        assert (row.cost_nanousd, row.cost_source) == (None, "none")  # nobody publishes a price that was found
        assert row.first_ms is not None
    await bench.check_wire()


async def test_turn_that_is_interrupted_ends_where_flux_says_so(bench: Bench) -> None:
    async with client_of(bench).speak.v2.connect(**SPEAK) as connection:
        await connection.send_speak(SpeakV2Speak(text="A long story. " * 20))
        await connection.send_flush()
        async for message in connection:
            if isinstance(message, bytes):
                await connection.send_interrupt()
                break
        async for message in connection:
            if getattr(message, "type", "") == "SpeechInterrupted":
                break
        await connection.send_close()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.usage.characters) == ("cancelled", len("A long story. " * 20) - 1)
    await bench.check_wire()


@pytest.mark.parametrize("kind", ["aura", "flux"])
async def test_livekit_speaks_over_a_socket(bench: Bench, kind: str) -> None:
    base = bench.bases["deepgram"]
    voice: livekit_deepgram.TTS | livekit_deepgram.TTSv2
    if kind == "aura":
        voice = livekit_deepgram.TTS(api_key="k", base_url=f"{base}/v1/speak")
    else:
        voice = livekit_deepgram.TTSv2(api_key="k", base_url=f"{base}/v2/speak")
    length_s = 0.0
    async with voice.stream(conn_options=ONCE) as stream:
        stream.push_text(TEXT)
        stream.end_input()
        async for audio in stream:
            length_s += audio.frame.duration
    await voice.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.usage.characters) == ("tts", "ok", len(TEXT))
    assert row.usage.audio_out_s == pytest.approx(length_s, abs=0.1)
    assert row.first_ms is not None
    await bench.check_wire()


@pytest.mark.parametrize(
    ("options", "model", "count"),
    [
        ({"model": "nova-3"}, "nova-3-batch", 1),
        ({"model": "nova-2-general"}, "nova-2-batch", 1),
        ({"model": "nova-3", "language": "multi"}, "nova-3-multilingual-batch", 1),
        ({"model": "nova-3", "multichannel": True}, "nova-3-batch", 1),
    ],
)
async def test_recording(bench: Bench, options: dict[str, object], model: str, count: int) -> None:
    answer = await client_of(bench).listen.v1.media.transcribe_file(request=wav(buzz()).read(), **options)
    assert answer.results.channels[0].alternatives[0].transcript == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.entries("deepgram.prerecorded")
    assert (row.modality, row.model, row.status) == ("stt", options["model"], "ok")
    assert row.usage.audio_s == entry.audio_in_s == pytest.approx(1.3 * count)
    assert (row.cost_nanousd, row.cost_source) == (seconds_cost(entry.audio_in_s or 0.0, model), "catalogue")
    assert row.first_ms is not None
    await bench.check_wire()


async def test_recording_at_an_address_by_the_sync_client(bench: Bench) -> None:
    def synchronous() -> str:
        client = DeepgramClient(api_key="k", environment=environment(bench.bases["deepgram"]))
        answer = client.listen.v1.media.transcribe_url(url="https://example.com/a.wav", model="nova-3")
        return answer.results.channels[0].alternatives[0].transcript

    assert await asyncio.to_thread(synchronous) == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.usage.audio_s) == ("ok", 12.5)
    assert row.cost_nanousd == seconds_cost(12.5, "nova-3-batch")
    await bench.check_wire()


async def test_livekit_recognises_a_recording(bench: Bench) -> None:
    recogniser = livekit_deepgram.STT(model="nova-3", api_key="k", base_url=f"{bench.bases['deepgram']}/v1/listen")
    audio = buzz()
    event = await recogniser.recognize([rtc.AudioFrame(audio, PCM.rate_hz, 1, len(audio) // 2)], conn_options=ONCE)
    await recogniser.aclose()
    assert event.alternatives[0].text == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.cost_nanousd) == ("ok", seconds_cost(1.3, "nova-3-batch"))
    await bench.check_wire()


@pytest.mark.parametrize(
    ("options", "is_timed"),
    [
        ({"encoding": "linear16", "container": "wav"}, True),
        ({"encoding": "linear16", "container": "none", "sample_rate": 16000}, True),
        ({"encoding": "mulaw", "container": "wav"}, True),
        ({"encoding": "mp3"}, False),
        ({}, False),
    ],
)
async def test_speech_over_http(bench: Bench, options: dict[str, object], is_timed: bool) -> None:
    speech = client_of(bench).speak.v1.audio.generate(text=f" {TEXT} ", model=AURA, **options)
    size = sum([len(piece) async for piece in speech])
    assert size > 1000
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.entries("deepgram.speech")
    assert (row.modality, row.model, row.status, row.usage.characters) == ("tts", AURA, "ok", len(TEXT))
    assert row.cost_nanousd == nano(voice_prices.Usage(characters=len(TEXT)), "aura-2")
    assert row.first_ms is not None
    if is_timed and options["encoding"] == "linear16":
        assert row.usage.audio_out_s == pytest.approx(entry.audio_out_s, abs=0.01)
    elif not is_timed:
        assert row.usage.audio_out_s is None
    await bench.check_wire()


async def test_speech_over_http_by_the_sync_client_and_livekit(bench: Bench) -> None:
    def synchronous() -> int:
        client = DeepgramClient(api_key="k", environment=environment(bench.bases["deepgram"]))
        aura = sum(len(piece) for piece in client.speak.v1.audio.generate(text=TEXT, model=AURA, encoding="linear16"))
        flux = client.speak.v2.audio.generate(text=TEXT, model=VOICE, encoding="linear16", container="wav")
        return aura + sum(len(piece) for piece in flux)

    assert await asyncio.to_thread(synchronous) > 2000
    voice = livekit_deepgram.TTS(api_key="k", base_url=f"{bench.bases['deepgram']}/v1/speak")
    length_s = 0.0
    async with voice.synthesize(TEXT, conn_options=ONCE) as chunked:
        async for piece in chunked:
            length_s += piece.frame.duration
    await voice.aclose()
    rows = await bench.sidecar.rows(3)
    assert [(row.status, row.usage.characters) for row in rows] == [("ok", len(TEXT))] * 3
    assert rows[2].usage.audio_out_s == pytest.approx(length_s, abs=0.1)
    assert [row.cost_nanousd is None for row in rows] == [False, True, False]
    await bench.check_wire()


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_errors_of_a_recording_raise_what_they_raise_directly(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int, attempts: int
) -> None:
    monkeypatch.setattr("deepgram.core.http_client.INITIAL_RETRY_DELAY_SECONDS", 0.01)  # as many attempts, in less time

    async def failing(base: str) -> tuple[int | None, object, int]:
        before = len(bench.simulator.ledger.entries("deepgram.prerecorded"))
        failure = Failure(
            FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None, body='{"err_code":"X"}'
        )
        bench.simulator.fail_next("deepgram.prerecorded", failure, count=attempts)
        client = AsyncDeepgramClient(api_key="k", environment=environment(base))
        with pytest.raises(ApiError) as caught:
            await client.listen.v1.media.transcribe_file(request=b"sound", model="nova-3")
        after = len(bench.simulator.ledger.entries("deepgram.prerecorded"))
        return caught.value.status_code, caught.value.body, after - before

    direct = await failing(bench.simulator.base_url("deepgram"))
    assert await failing(bench.bases["deepgram"]) == direct
    assert direct[2] == attempts
    rows = await bench.sidecar.rows(attempts, within_s=20.0)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
@pytest.mark.parametrize("endpoint", ["flux", "flux_speak"])
async def test_a_refused_flux_socket_raises_what_it_raises_directly(bench: Bench, endpoint: str, status: int) -> None:
    async def failing(base: str) -> tuple[int | None, object]:
        bench.simulator.fail_next(f"deepgram.{endpoint}", Failure(FailureKind.STATUS, status=status))
        client = AsyncDeepgramClient(api_key="k", environment=environment(base))
        connecting = client.listen.v2.connect(**LISTEN) if endpoint == "flux" else client.speak.v2.connect(**SPEAK)
        with pytest.raises(ApiError) as caught:
            async with connecting:
                pass
        return caught.value.status_code, caught.value.body

    assert await failing(bench.bases["deepgram"]) == await failing(bench.simulator.base_url("deepgram"))
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.cost_nanousd) == ("upstream_error", status, 0)
