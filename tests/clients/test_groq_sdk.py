"""The real Groq SDK and LiveKit's Groq plugin through the sidecar: same answers, same bytes, truthful rows."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import voice_prices
from groq import APIStatusError, AsyncGroq, Groq
from livekit import rtc
from livekit.agents import APIConnectOptions, llm
from livekit.agents.utils import http_context
from livekit.plugins import groq as livekit_groq

from tests.clients.conftest import Bench
from tests.clients.test_openai_sdk import wav
from tests.simulator.conftest import ANSWER, UTTERANCES
from tests.simulator.sounds import PCM, buzz
from voicegw_sidecar.simulator import Entry, Failure, FailureKind
from voicegw_sidecar.store.records import ExchangeRow

# the LiveKit plugin leaves some of its connections to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODEL, WHISPER, ORPHEUS = "llama-3.3-70b-versatile", "whisper-large-v3-turbo", "canopylabs/orpheus-v1-english"
ASKED: Any = [{"role": "user", "content": "Where is my order?"}]
TEXT = "Your order has left the warehouse."
ONCE = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


def client_of(bench: Bench) -> AsyncGroq:
    return AsyncGroq(api_key="gsk-agent", base_url=bench.bases["groq"])


def nano(used: voice_prices.Usage, model: str) -> int:
    return round(voice_prices.calc_price(used, model, provider_id="groq").total_price * 10**9)


def check_chat(row: ExchangeRow, entry: Entry) -> None:
    assert (row.project, row.provider, row.model, row.modality, row.status) == ("acme", "groq", MODEL, "llm", "ok")
    assert (row.usage.input_tokens, row.usage.output_tokens) == (entry.input_tokens, entry.output_tokens)
    billed = voice_prices.Usage(input_tokens=entry.input_tokens, output_tokens=entry.output_tokens)
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (nano(billed, MODEL), "catalogue", False)
    assert row.first_ms is not None


def check_transcription(row: ExchangeRow, length_s: float) -> None:
    """What is shorter than ten seconds is billed as ten."""
    assert (row.modality, row.model, row.status) == ("stt", WHISPER, "ok")
    assert row.usage.audio_s == max(10.0, length_s)
    assert row.cost_nanousd == nano(voice_prices.Usage(audio_input_seconds=Decimal(str(max(10.0, length_s)))), WHISPER)
    assert row.first_ms is not None


def check_speech(row: ExchangeRow, entry: Entry) -> None:
    assert (row.modality, row.model, row.status) == ("tts", ORPHEUS, "ok")
    assert row.usage.characters == entry.characters == len(TEXT)
    assert row.usage.audio_out_s == pytest.approx(entry.audio_out_s, abs=0.02)
    assert row.cost_nanousd == nano(voice_prices.Usage(characters=entry.characters), ORPHEUS)
    assert row.first_ms is not None


def last(bench: Bench, endpoint: str) -> Entry:
    return bench.simulator.ledger.entries(f"groq.{endpoint}")[-1]


@pytest.mark.parametrize("streamed", [True, False])
async def test_completion(bench: Bench, streamed: bool) -> None:
    async with client_of(bench) as client:
        if streamed:
            stream = await client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        else:
            whole = await client.chat.completions.create(model=MODEL, messages=ASKED)
            text = whole.choices[0].message.content or ""
    assert text == ANSWER
    [row] = await bench.sidecar.rows(1)
    check_chat(row, last(bench, "chat"))
    await bench.check_wire()


@pytest.mark.parametrize("length_s", [0.6, 11.0])
async def test_transcription(bench: Bench, length_s: float) -> None:
    async with client_of(bench) as client:
        answer = await client.audio.transcriptions.create(model=WHISPER, file=("a.wav", wav(buzz(length_s)).read()))
    assert answer.text == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    check_transcription(row, length_s + 0.7)
    await bench.check_wire()


async def test_speech(bench: Bench) -> None:
    async with client_of(bench) as client:
        spoken = await client.audio.speech.create(model=ORPHEUS, voice="autumn", input=TEXT, response_format="wav")
        assert len(await spoken.read()) > 1000
    [row] = await bench.sidecar.rows(1)
    check_speech(row, last(bench, "speech"))
    await bench.check_wire()


async def test_the_sync_client(bench: Bench) -> None:
    def synchronous() -> tuple[str, str]:
        with Groq(api_key="k", base_url=bench.bases["groq"]) as client:
            stream = client.chat.completions.create(model=MODEL, messages=ASKED, stream=True)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            heard = client.audio.transcriptions.create(model=WHISPER, file=("a.wav", wav(buzz()).read()))
            client.audio.speech.create(model=ORPHEUS, voice="autumn", input=TEXT, response_format="wav").read()
            return text, heard.text

    assert await asyncio.to_thread(synchronous) == (ANSWER, UTTERANCES[0])
    chat, transcription, speech = await bench.sidecar.rows(3)
    check_chat(chat, last(bench, "chat"))
    check_transcription(transcription, 1.3)
    check_speech(speech, last(bench, "speech"))
    await bench.check_wire()


async def test_livekit_llm(bench: Bench) -> None:
    model = livekit_groq.LLM(model=MODEL, api_key="k", base_url=f"{bench.bases['groq']}/openai/v1")
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    async with model.chat(chat_ctx=chat, conn_options=ONCE) as stream:
        text = "".join([(chunk.delta.content or "") if chunk.delta else "" async for chunk in stream])
    await model.aclose()
    assert text == ANSWER
    [row] = await bench.sidecar.rows(1)
    check_chat(row, last(bench, "chat"))
    await bench.check_wire()


async def test_livekit_stt_and_tts(bench: Bench) -> None:
    base, audio = f"{bench.bases['groq']}/openai/v1", buzz()
    recogniser = livekit_groq.STT(model=WHISPER, api_key="k", base_url=base)
    frame = rtc.AudioFrame(audio, PCM.rate_hz, 1, len(audio) // 2)
    event = await recogniser.recognize([frame], conn_options=ONCE)
    await recogniser.aclose()
    assert event.alternatives[0].text == UTTERANCES[0]
    voice = livekit_groq.TTS(model=ORPHEUS, api_key="k", base_url=base)
    length_s = 0.0
    async with voice.synthesize(TEXT, conn_options=ONCE) as chunked:
        async for piece in chunked:
            length_s += piece.frame.duration
    await voice.aclose()
    transcription, speech = await bench.sidecar.rows(2)
    check_transcription(transcription, 1.3)
    check_speech(speech, last(bench, "speech"))
    assert length_s == pytest.approx(speech.usage.audio_out_s, abs=0.1)
    await bench.check_wire()


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_the_providers_errors_raise_what_they_raise_directly(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int, attempts: int
) -> None:
    monkeypatch.setattr("groq._base_client.INITIAL_RETRY_DELAY", 0.01)  # as many attempts, in less time

    async def failing(base_url: str) -> tuple[type, str, int]:
        before = len(bench.simulator.ledger.entries("groq.chat"))
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("groq.chat", failure, count=attempts)
        async with AsyncGroq(api_key="k", base_url=base_url) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.chat.completions.create(model=MODEL, messages=ASKED)
        return type(caught.value), caught.value.message, len(bench.simulator.ledger.entries("groq.chat")) - before

    direct = await failing(bench.simulator.base_url("groq"))
    assert await failing(bench.bases["groq"]) == direct
    assert direct[2] == attempts
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()
