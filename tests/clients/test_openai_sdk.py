"""The real OpenAI SDK through the sidecar: same answers, same bytes, and a row with the right usage and price."""

from __future__ import annotations

import asyncio
import io
import wave
from decimal import Decimal
from typing import Any

import pytest
import voice_prices
from openai import APIStatusError, AsyncOpenAI, OpenAI

from tests.clients.conftest import Bench
from tests.simulator.conftest import ANSWER, UTTERANCES, eventually
from tests.simulator.sounds import PCM, buzz
from tests.simulator.test_openai import ASKED, TOOLS, WEATHER
from voicegw_sidecar.simulator import Failure, FailureKind


def nano(usage: voice_prices.Usage, model: str) -> int:
    return int(voice_prices.calc_price(usage, model, provider_id="openai").total_price * 10**9)


def client_of(bench: Bench) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="sk-agent", base_url=f"{bench.bases['openai']}/v1")


async def test_json_completion(bench: Bench) -> None:
    async with client_of(bench) as client:
        completion = await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
    assert completion.choices[0].message.content == ANSWER
    assert completion.usage is not None
    [row] = await bench.sidecar.rows(1)
    assert (row.project, row.provider, row.model, row.modality, row.status, row.http_status) == (
        "acme", "openai", "gpt-4.1-mini", "llm", "ok", 200)  # fmt: skip
    assert row.usage.input_tokens == completion.usage.prompt_tokens
    assert row.usage.output_tokens == completion.usage.completion_tokens
    used = voice_prices.Usage(
        input_tokens=completion.usage.prompt_tokens, output_tokens=completion.usage.completion_tokens
    )
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (nano(used, "gpt-4.1-mini"), "catalogue", False)
    await bench.check_wire()


@pytest.mark.parametrize("asks", [True, False])
async def test_streamed_completion(bench: Bench, asks: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if asks else {}
    async with client_of(bench) as client:
        stream = await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED, stream=True, **options)
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert any(chunk.usage for chunk in chunks) is asks
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.entries("openai.chat")
    assert (row.usage.input_tokens, row.usage.output_tokens) == (entry.input_tokens, entry.output_tokens)
    assert (row.status, row.estimated) == ("ok", False)
    await bench.check_wire()


async def test_streamed_tool_call(bench: Bench) -> None:
    async with client_of(bench) as client:
        stream = await client.chat.completions.create(model="gpt-4.1-mini", messages=WEATHER, tools=TOOLS, stream=True)
        chunks = [chunk async for chunk in stream]
    calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices and c.choices[0].delta.tool_calls]
    assert calls
    [row] = await bench.sidecar.rows(1)
    assert row.first_ms is not None
    await bench.check_wire()


async def test_the_streaming_helper_and_the_sync_client(bench: Bench) -> None:
    def synchronous() -> str:
        with OpenAI(api_key="k", base_url=f"{bench.bases['openai']}/v1") as client:
            with client.chat.completions.stream(model="gpt-4.1-mini", messages=ASKED) as stream:
                return stream.get_final_completion().choices[0].message.content or ""

    assert await asyncio.to_thread(synchronous) == ANSWER
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated) == ("ok", False)
    await bench.check_wire()


async def test_a_stream_that_the_agent_abandons_is_estimated(bench: Bench) -> None:
    async with client_of(bench) as client:
        stream = await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated, row.cost_source) == ("cancelled", True, "catalogue")
    assert row.cost_nanousd is not None
    assert row.usage.output_tokens is not None
    [entry] = bench.simulator.ledger.entries("openai.chat")
    await eventually(lambda: entry.hung_up_ns is not None)


@pytest.mark.parametrize("audio_format", ["pcm", "wav", "mp3"])
async def test_speech(bench: Bench, audio_format: Any) -> None:
    async with client_of(bench) as client:
        spoken = await client.audio.speech.create(
            model="tts-1", voice="alloy", input="  Hello there. ", response_format=audio_format
        )
        audio = await spoken.aread()
    assert len(audio) > 1000
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.usage.characters) == ("tts", "ok", len("Hello there."))
    assert row.cost_nanousd == nano(voice_prices.Usage(characters=12), "tts-1")
    if audio_format == "mp3":
        assert row.usage.audio_out_s is None
    else:
        [entry] = bench.simulator.ledger.entries("openai.speech")
        assert row.usage.audio_out_s == pytest.approx(entry.audio_out_s, abs=0.02)
    await bench.check_wire()


async def test_speech_as_events_reports_its_tokens(bench: Bench) -> None:
    async with client_of(bench) as client:
        async with client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice="alloy", input="Hello there.", stream_format="sse", response_format="pcm"
        ) as response:
            body = b"".join([piece async for piece in response.iter_bytes()])
    assert b"speech.audio.done" in body
    [row] = await bench.sidecar.rows(1)
    assert row.usage.input_tokens is not None
    assert row.usage.output_audio_tokens is not None
    assert (row.cost_source, row.estimated) == ("catalogue", False)
    await bench.check_wire()


def wav(audio: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(PCM.rate_hz)
        writer.writeframes(audio)
    file.seek(0)
    file.name = "speech.wav"
    return file


@pytest.mark.parametrize(
    ("model", "answer_format"),
    [("whisper-1", "json"), ("whisper-1", "verbose_json"), ("whisper-1", "text"), ("gpt-4o-transcribe", "json")],
)
async def test_transcription(bench: Bench, model: str, answer_format: Any) -> None:
    audio = buzz()
    async with client_of(bench) as client:
        answer = await client.audio.transcriptions.create(model=model, file=wav(audio), response_format=answer_format)
    text = answer if isinstance(answer, str) else answer.text
    assert text.strip() == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.model) == ("stt", "ok", model)
    assert row.first_ms is not None
    assert row.usage.audio_s == pytest.approx(len(audio) / PCM.bytes_per_s, abs=1.0)
    assert row.cost_nanousd is not None
    if model == "whisper-1":
        assert row.cost_nanousd == nano(voice_prices.Usage(audio_input_seconds=Decimal(str(row.usage.audio_s))), model)
    await bench.check_wire()


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_the_providers_errors_raise_what_they_raise_directly(bench: Bench, status: int, attempts: int) -> None:
    async def failing(base_url: str) -> tuple[type, str]:
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("openai.chat", failure, count=attempts)
        async with AsyncOpenAI(api_key="k", base_url=base_url) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
        return type(caught.value), caught.value.message

    direct = await failing(f"{bench.simulator.base_url('openai')}/v1")
    relayed = await failing(f"{bench.bases['openai']}/v1")
    assert relayed == direct
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()
