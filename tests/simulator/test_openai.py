"""The simulated OpenAI, driven by the real SDK."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.simulator.conftest import ANSWER, UTTERANCES, quick
from tests.simulator.sounds import PCM, buzz
from voicegw_sidecar.simulator import Failure, FailureKind, Script, Simulator, Thinking
from voicegw_sidecar.simulator.openai import Message, prompt_tokens

ASKED: Any = [{"role": "user", "content": "Where is my order?"}]
WEATHER: Any = [{"role": "user", "content": "What is the weather like?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"type": "string"}},
                "required": ["city", "days"],
            },
        },
    }
]


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="k", base_url=f"{simulator.base_url('openai')}/v1", max_retries=0) as running:
        yield running


async def test_json_completion_carries_text_and_usage(simulator: Simulator, client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)

    assert completion.choices[0].message.content == ANSWER
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == prompt_tokens([Message("user", "Where is my order?")])
    assert completion.usage.completion_tokens == len(ANSWER.split())
    [entry] = simulator.ledger.entries()
    assert (entry.endpoint, entry.key, entry.status) == ("openai.chat", "", 200)
    assert entry.request_line == "POST /openai/v1/chat/completions HTTP/1.1"
    assert entry.headers["authorization"] == "Bearer k"
    assert (entry.input_tokens, entry.output_tokens) == (
        completion.usage.prompt_tokens,
        completion.usage.completion_tokens,
    )


async def test_stream_reports_usage_in_a_chunk_without_choices(simulator: Simulator, client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4.1-mini", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    opening, *spoken, finish, usage = chunks
    assert (opening.choices[0].delta.role, opening.choices[0].delta.content) == ("assistant", "")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in spoken) == ANSWER
    assert len(spoken) == len(ANSWER.split())
    assert finish.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.total_tokens == usage.usage.prompt_tokens + usage.usage.completion_tokens
    assert simulator.ledger.entries()[0].usage_reported


async def test_usage_is_null_on_other_chunks_only_when_it_is_asked_for(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as http:
        for options, keys in (({"include_usage": True}, True), (None, False)):
            body = {"model": "m", "messages": ASKED, "stream": True, "stream_options": options}
            address = f"{simulator.base_url('openai')}/v1/chat/completions"
            async with http.post(address, json=body) as response:
                raw = await response.read()
            events = [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: ")]
            assert events.pop() == b"[DONE]"
            chunks = [msgspec.json.decode(event) for event in events]
            assert ("usage" in chunks[0]) is keys
            assert (chunks[-1]["choices"] == []) is keys
            entry = simulator.ledger.entries()[-1]
            assert entry.sent_sha256 == hashlib.sha256(raw).hexdigest()
            assert entry.usage_reported is keys


async def test_stamps_are_in_order(simulator: Simulator, client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
    _ = [chunk async for chunk in stream]

    [entry] = simulator.ledger.entries()
    assert entry.request_complete_ns is not None
    assert entry.first_output_ns is not None
    assert entry.ended_ns is not None
    assert entry.started_ns <= entry.request_complete_ns < entry.first_output_ns < entry.ended_ns
    assert entry.first_output_ns - entry.request_complete_ns >= 20_000_000
    assert entry.hung_up_ns is None


@pytest.mark.parametrize("streamed", [False, True])
async def test_question_about_the_weather_calls_the_tool(client: AsyncOpenAI, streamed: bool) -> None:
    if streamed:
        name, arguments, finish = "", "", None
        async for chunk in await client.chat.completions.create(model="m", messages=WEATHER, tools=TOOLS, stream=True):
            choice = chunk.choices[0]
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                name += call.function.name or ""
                arguments += call.function.arguments or ""
            finish = choice.finish_reason
    else:
        completion = await client.chat.completions.create(model="m", messages=WEATHER, tools=TOOLS)
        finish = completion.choices[0].finish_reason
        [made] = completion.choices[0].message.tool_calls or []
        assert made.type == "function"
        name, arguments = made.function.name, made.function.arguments

    assert (name, finish) == ("look_up", "tool_calls")
    assert msgspec.json.decode(arguments) == {"city": "Paris", "days": 1}


async def test_tool_result_is_answered_with_text(client: AsyncOpenAI) -> None:
    history = [*WEATHER, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    completion = await client.chat.completions.create(model="m", messages=history, tools=TOOLS)
    assert completion.choices[0].message.content == ANSWER


async def test_script_can_be_replaced_while_running(simulator: Simulator, client: AsyncOpenAI) -> None:
    simulator.script = quick(chat=Thinking(first_token_ms=0.0, answers=("No.",), cached_tokens=3, reasoning_tokens=9))
    completion = await client.chat.completions.create(model="m", messages=ASKED)
    assert completion.choices[0].message.content == "No."
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 3
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 9
    assert completion.usage.completion_tokens == 10


async def test_synchronous_sdk_streams_too(simulator: Simulator) -> None:
    import asyncio

    def ask() -> str:
        with OpenAI(api_key="k", base_url=f"{simulator.base_url('openai')}/v1") as client:
            stream = client.chat.completions.create(model="m", messages=ASKED, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(ask) == ANSWER


async def test_models_and_root(client: AsyncOpenAI) -> None:
    assert "gpt-4.1-mini" in [model.id async for model in client.models.list()]
    with pytest.raises(openai.NotFoundError):
        await client.get("/", cast_to=object)


@pytest.mark.parametrize(
    ("form", "content_type"),
    [("pcm", "audio/pcm"), ("wav", "audio/wav"), ("mp3", "audio/mpeg"), ("opus", "audio/opus")],
)
async def test_speech_is_as_long_as_its_text(
    simulator: Simulator, client: AsyncOpenAI, form: Any, content_type: str
) -> None:
    response = await client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input=" Hello there. ", response_format=form
    )
    assert response.response.headers["content-type"] == content_type
    entry = simulator.ledger.entries()[-1]
    assert entry.characters == len("Hello there.")
    assert entry.audio_out_s == pytest.approx(0.24)
    if form == "pcm":
        assert len(response.content) == pytest.approx(0.24 * 48_000, abs=2)
    if form == "wav":
        assert wave.open(io.BytesIO(response.content)).getframerate() == 24_000  # noqa: SIM115


async def test_speech_events_end_with_usage(simulator: Simulator, client: AsyncOpenAI) -> None:
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Hello.", response_format="pcm", stream_format="sse"
    ) as response:
        events = [msgspec.json.decode(line[6:]) async for line in response.iter_lines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * 2 + ["speech.audio.done"]
    assert events[-1]["usage"]["output_tokens"] == simulator.ledger.entries()[-1].output_tokens


async def test_character_billed_voice_refuses_events(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        await client.audio.speech.create(model="tts-1", voice="alloy", input="Hi", stream_format="sse")


def _wav(audio: bytes) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(PCM.rate_hz)
        file.writeframes(audio)
    return made.getvalue()


async def test_transcription_bills_seconds_or_tokens(simulator: Simulator, client: AsyncOpenAI) -> None:
    upload = ("speech.wav", _wav(buzz()), "audio/wav")
    by_time = await client.audio.transcriptions.create(model="whisper-1", file=upload)
    by_token = await client.audio.transcriptions.create(model="gpt-4o-transcribe", file=upload)

    assert by_time.text == UTTERANCES[0]
    assert by_time.usage is not None
    assert by_time.usage.type == "duration"
    assert by_time.usage.seconds == 2
    assert by_token.usage is not None
    assert by_token.usage.type == "tokens"
    assert by_token.usage.input_tokens == 13
    assert simulator.ledger.entries()[0].audio_in_s == pytest.approx(1.3)


async def test_transcription_forms(client: AsyncOpenAI) -> None:
    upload = ("speech.wav", _wav(buzz()), "audio/wav")
    verbose = await client.audio.transcriptions.create(model="whisper-1", file=upload, response_format="verbose_json")
    text = await client.audio.transcriptions.create(model="whisper-1", file=upload, response_format="text")
    assert verbose.duration == pytest.approx(1.3)
    assert text == f"{UTTERANCES[1]}\n"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (402, openai.APIStatusError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_refusals_have_the_shape_of_openai(
    simulator: Simulator, client: AsyncOpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    simulator.fail_next("openai.chat", Failure(FailureKind.STATUS, status=status, retry_after_s=7))
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model="m", messages=ASKED)
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert (await client.chat.completions.create(model="m", messages=ASKED)).choices


async def test_keys_are_checked_when_the_script_says(simulator: Simulator, client: AsyncOpenAI) -> None:
    simulator.script = quick(keys=("k",))
    assert await client.chat.completions.create(model="m", messages=ASKED)
    simulator.script = quick(keys=("other",))
    with pytest.raises(openai.AuthenticationError):
        await client.chat.completions.create(model="m", messages=ASKED)


async def test_body_that_is_not_json_is_refused(simulator: Simulator) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{simulator.base_url('openai')}/v1/chat/completions", data=b"{") as response,
    ):
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_answers_are_compressed_for_clients_that_accept_it() -> None:
    async with (
        Simulator(quick(gzip=True)) as simulator,
        AsyncOpenAI(api_key="k", base_url=f"{simulator.base_url('openai')}/v1") as client,
    ):
        raw = await client.chat.completions.with_raw_response.create(model="m", messages=ASKED)
        assert raw.headers["content-encoding"] == "gzip"
        assert raw.parse().choices[0].message.content == ANSWER
        stream = await client.chat.completions.create(model="m", messages=ASKED, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == ANSWER


def test_default_script_is_a_value() -> None:
    assert Script() == Script()
