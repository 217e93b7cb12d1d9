"""The real ElevenLabs SDK through the sidecar: speech and transcripts over HTTP and sockets, truthful rows."""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import Iterator
from typing import Any

import pytest
import voice_prices
from elevenlabs import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.realtime import AudioFormat, CommitStrategy, RealtimeEvents
from elevenlabs.types import DialogueInput
from websockets.exceptions import InvalidStatus

from tests.clients.conftest import Bench
from tests.clients.test_openai_sdk import wav
from tests.simulator.conftest import UTTERANCES, eventually
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator import Entry, Failure, FailureKind
from voicegw_sidecar.store.records import ExchangeRow

# the SDK cannot be closed: its sockets are the garbage collector's; and it reads a close code the deprecated way
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning"),
]
VOICE = "hpp4J3VqNfWAUOO0d1Us"
TEXT = "Your order has left the warehouse."
FLASH = "eleven_flash_v2_5"
INPUTS = [DialogueInput(text="Hello!", voice_id=VOICE), DialogueInput(text=" Well, hi.", voice_id="other")]


@pytest.fixture(autouse=True)
def nothing_left_for_the_next_test() -> Iterator[None]:
    yield
    gc.collect()


def client_of(bench: Bench, key: str = "agent") -> AsyncElevenLabs:
    return AsyncElevenLabs(api_key=key, base_url=bench.bases["elevenlabs"])


def check_speech(row: ExchangeRow, entry: Entry, model: str) -> None:
    assert (row.project, row.provider, row.modality, row.status, row.model) == (
        "acme", "elevenlabs", "tts", "ok", model)  # fmt: skip
    assert row.usage.characters == entry.characters
    assert row.usage.audio_out_s == pytest.approx(entry.audio_out_s, abs=0.02)
    assert row.first_ms is not None
    billed = voice_prices.Usage(characters=entry.characters)
    cost = voice_prices.calc_price(billed, model, provider_id="elevenlabs").total_price
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (int(cost * 10**9), "catalogue", False)


@pytest.mark.parametrize("output_format", ["mp3_44100_128", "pcm_16000", "wav_16000", "ulaw_8000", "opus_48000_32"])
async def test_convert(bench: Bench, output_format: Any) -> None:
    speech = client_of(bench).text_to_speech
    pieces = [p async for p in speech.convert(VOICE, text=TEXT, model_id=FLASH, output_format=output_format)]
    assert len(b"".join(pieces)) > 1000
    [row] = await bench.sidecar.rows(1)
    check_speech(row, bench.simulator.ledger.entries("elevenlabs.speech")[0], FLASH)
    await bench.check_wire()


async def test_a_body_that_names_no_model_is_priced_as_the_default_one(bench: Bench) -> None:
    speech = client_of(bench).text_to_speech
    _ = [piece async for piece in speech.stream(VOICE, text=TEXT)]
    [row] = await bench.sidecar.rows(1)
    check_speech(row, bench.simulator.ledger.entries("elevenlabs.speech")[0], "eleven_multilingual_v2")
    await bench.check_wire()


async def test_timestamps(bench: Bench) -> None:
    speech = client_of(bench).text_to_speech
    whole = await speech.convert_with_timestamps(VOICE, text=TEXT, model_id=FLASH, output_format="pcm_16000")
    streamed = speech.stream_with_timestamps(VOICE, text=TEXT, model_id=FLASH, output_format="pcm_16000")
    pieces = [base64.b64decode(chunk.audio_base_64) async for chunk in streamed]
    assert b"".join(pieces) == base64.b64decode(whole.audio_base_64)
    assert len(pieces) > 1
    rows = await bench.sidecar.rows(2)
    for row, entry in zip(rows, bench.simulator.ledger.entries("elevenlabs.speech"), strict=True):
        check_speech(row, entry, FLASH)
    await bench.check_wire()


async def test_dialogues(bench: Bench) -> None:
    dialogue = client_of(bench).text_to_dialogue
    _ = [piece async for piece in dialogue.convert(inputs=INPUTS)]
    _ = [piece async for piece in dialogue.stream(inputs=INPUTS, output_format="pcm_24000")]
    await dialogue.convert_with_timestamps(inputs=INPUTS, output_format="pcm_24000")
    _ = [piece async for piece in dialogue.stream_with_timestamps(inputs=INPUTS, output_format="pcm_24000")]
    rows = await bench.sidecar.rows(4)
    for row, entry in zip(rows, bench.simulator.ledger.entries("elevenlabs.speech"), strict=True):
        check_speech(row, entry, "eleven_v3")
        assert row.usage.characters == len("Hello! Well, hi.")
    await bench.check_wire()


async def test_the_sync_client_speaks_over_http_and_socket(bench: Bench) -> None:
    def texts() -> Iterator[str]:
        yield from ("Your order ", "has left ", "the warehouse.")

    def synchronous() -> tuple[bytes, bytes]:
        client = ElevenLabs(api_key="k", base_url=bench.bases["elevenlabs"])
        # the client insists on TLS for this socket alone
        client.text_to_speech._ws_base_url = bench.bases["elevenlabs"].replace("http", "ws")
        options: Any = {"model_id": FLASH, "output_format": "pcm_16000"}
        whole = b"".join(client.text_to_speech.convert(VOICE, text=TEXT, **options))
        return whole, b"".join(client.text_to_speech.convert_realtime(VOICE, text=texts(), **options))

    whole, live = await asyncio.to_thread(synchronous)
    rows = await bench.sidecar.rows(2)
    [spoken] = bench.simulator.ledger.entries("elevenlabs.speech")
    [streamed] = bench.simulator.ledger.work("elevenlabs.stream")
    check_speech(rows[0], spoken, FLASH)
    check_speech(rows[1], streamed, FLASH)
    assert rows[1].usage.characters == len(TEXT)
    assert len(whole) == pytest.approx(rows[0].usage.audio_out_s * 32_000, abs=64)  # type: ignore[operator]
    assert len(live) == pytest.approx(rows[1].usage.audio_out_s * 32_000, abs=64)  # type: ignore[operator]
    await bench.check_wire()


@pytest.mark.parametrize("is_sync", [False, True])
async def test_transcription(bench: Bench, is_sync: bool) -> None:
    audio = buzz()
    if is_sync:
        sync = ElevenLabs(api_key="k", base_url=bench.bases["elevenlabs"])
        answer = await asyncio.to_thread(sync.speech_to_text.convert, model_id="scribe_v2", file=wav(audio))
    else:
        answer = await client_of(bench).speech_to_text.convert(model_id="scribe_v2", file=wav(audio))
    assert answer.text == UTTERANCES[0]  # type: ignore[union-attr]
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.model, row.estimated) == ("stt", "ok", "scribe_v2", False)
    [entry] = bench.simulator.ledger.entries("elevenlabs.transcribe")
    assert row.usage.audio_s == pytest.approx(entry.audio_in_s, abs=1e-6)
    assert row.first_ms is not None
    check_listening_cost([row], "scribe_v2")
    await bench.check_wire()


def check_listening_cost(rows: list[ExchangeRow], model: str) -> None:
    for row in rows:
        billed = voice_prices.Usage(audio_input_seconds=row.usage.audio_s)
        cost = voice_prices.calc_price(billed, model, provider_id="elevenlabs").total_price
        assert row.cost_nanousd == pytest.approx(int(cost * 10**9), abs=1)
        assert row.cost_source == "catalogue"


@pytest.mark.parametrize("twice", [False, True])
async def test_scribe_transcribes_live(bench: Bench, twice: bool) -> None:
    seen: list[tuple[str, str]] = []
    connection = await client_of(bench).speech_to_text.realtime.connect(
        {
            "model_id": "scribe_v2_realtime",
            "audio_format": AudioFormat.PCM_16000,
            "sample_rate": PCM.rate_hz,
            "commit_strategy": CommitStrategy.MANUAL,
            "include_timestamps": twice,
        }
    )
    for event in (RealtimeEvents.COMMITTED_TRANSCRIPT, RealtimeEvents.COMMITTED_TRANSCRIPT_WITH_TIMESTAMPS):
        connection.on(event, lambda data: seen.append((data["message_type"], data["text"])))
    pieces = [buzz(), buzz(0.4)]
    for number, audio in enumerate(pieces, 1):
        for frame in frames(audio):
            await connection.send({"audio_base_64": base64.b64encode(frame).decode()})
        await connection.commit()
        await eventually(lambda number=number: len(seen) == number * (2 if twice else 1))  # type: ignore[misc]
    await connection.close()
    assert [text for kind, text in seen if kind == "committed_transcript"] == list(UTTERANCES)
    rows = await bench.sidecar.rows(2)
    assert [row.status for row in rows] == ["ok", "ok"]
    assert {row.model for row in rows} == {"scribe_v2_realtime"}
    assert [row.first_ms_basis for row in rows] == (["provider"] if twice else ["sound_level"]) * 2
    assert all(row.first_ms is not None for row in rows)
    truth = [entry.audio_in_s for entry in bench.simulator.ledger.work("elevenlabs.scribe")]
    assert [row.usage.audio_s for row in rows] == pytest.approx(truth)
    assert truth == pytest.approx([len(audio) / PCM.bytes_per_s for audio in pieces])
    check_listening_cost(rows, "scribe_v2_realtime")
    await bench.check_wire(agent_left=True)


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_errors_of_speech_raise_what_they_raise_directly(bench: Bench, status: int) -> None:
    async def failing(base_url: str) -> tuple[int | None, str]:
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("elevenlabs.speech", failure)
        speech = AsyncElevenLabs(api_key="k", base_url=base_url).text_to_speech
        with pytest.raises(ApiError) as caught:
            _ = [piece async for piece in speech.convert(VOICE, text=TEXT)]
        return caught.value.status_code, caught.value.body["detail"]["code"]

    direct = await failing(bench.simulator.base_url("elevenlabs"))
    relayed = await failing(bench.bases["elevenlabs"])
    assert relayed == direct
    [row] = await bench.sidecar.rows(1)  # this client never tries speech again
    assert (row.status, row.http_status, row.error, row.cost_nanousd) == ("upstream_error", status, direct[1], 0)
    await bench.check_wire()


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_errors_of_transcription_raise_what_they_raise_directly(bench: Bench, status: int, attempts: int) -> None:
    async def failing(base_url: str, key: str) -> tuple[type, int | None, int]:
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("elevenlabs.transcribe", failure, count=attempts, match=key)
        client = AsyncElevenLabs(api_key=key, base_url=base_url)
        with pytest.raises(ApiError) as caught:
            await client.speech_to_text.convert(model_id="scribe_v2", file=wav(buzz()))
        entries = bench.simulator.ledger.entries("elevenlabs.transcribe")
        tried = len([entry for entry in entries if entry.headers["xi-api-key"] == key])
        return type(caught.value), caught.value.status_code, tried

    direct, relayed = await asyncio.gather(
        failing(bench.simulator.base_url("elevenlabs"), "direct"), failing(bench.bases["elevenlabs"], "relayed")
    )
    assert relayed == direct == (direct[0], status, attempts)
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_handshake_raises_what_it_raises_directly(bench: Bench, status: int) -> None:
    async def failing(base: str) -> tuple[int, bytes | None]:
        bench.simulator.fail_next("elevenlabs.scribe", Failure(FailureKind.STATUS, status=status, body="{}"))
        options: Any = {"model_id": "scribe_v2_realtime", "audio_format": AudioFormat.PCM_16000, "sample_rate": 16_000}
        with pytest.raises(InvalidStatus) as caught:
            await AsyncElevenLabs(api_key="k", base_url=base).speech_to_text.realtime.connect(options)
        return caught.value.response.status_code, caught.value.response.body

    assert await failing(bench.bases["elevenlabs"]) == await failing(bench.simulator.base_url("elevenlabs"))
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.http_status, row.cost_nanousd) == ("stt", "upstream_error", status, 0)


async def test_a_stream_that_the_agent_abandons_is_cancelled(bench: Bench) -> None:
    bench.simulator.fail_next("elevenlabs.speech", Failure(FailureKind.HANG, after=2))
    stream = client_of(bench).text_to_speech.stream(VOICE, text=TEXT, model_id=FLASH, output_format="pcm_16000")
    assert await anext(stream)
    await stream.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated, row.usage.characters) == ("cancelled", True, len(TEXT))
    assert row.cost_nanousd == len(TEXT) * 50_000
