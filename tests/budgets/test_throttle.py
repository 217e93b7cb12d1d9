"""Throttled projects: served by the local stand-in where it speaks the call's protocol, else refused with its name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from openai import AsyncOpenAI

from tests.budgets.conftest import CALL_USD, CHAT, Budgeted, StartBudgeted
from tests.sidecar import raw_server, read_request
from tests.simulator.sounds import buzz
from voicegw_sidecar.wire import multipart

STAND_INS = "throttle_to: {stt: whisper/large-v3, llm: 'ollama/qwen2.5:3b', tts: kokoro}"
COMPLETION = b'{"choices":[{"message":{"content":"local"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'


class Heard(msgspec.Struct):
    """What a local server was asked."""

    head: bytes
    body: bytes


@asynccontextmanager
async def local_server(
    answer: bytes, content_type: bytes = b"application/json"
) -> AsyncIterator[tuple[str, list[Heard]]]:
    heard: list[Heard] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            heard.append(Heard(head, body))
            lines = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
            writer.write(lines % (content_type, len(answer)) + answer)

    async with raw_server(script) as url:
        yield url, heard


async def spend(bench: Budgeted) -> None:
    assert (await bench.chat())[0] == 200


async def test_a_chat_goes_to_the_local_model_with_its_name_and_without_the_agents_key(
    start_budgeted: StartBudgeted,
) -> None:
    async with (
        local_server(COMPLETION) as (url, heard),
        start_budgeted("throttle", CALL_USD, project=STAND_INS, ollama=url) as bench,
    ):
        await spend(bench)
        async with AsyncOpenAI(api_key="sk-agents-own", base_url=bench.url("/openai/v1"), max_retries=0) as client:
            raw = await client.chat.completions.with_raw_response.create(**CHAT, temperature=0.5)
        assert raw.parse().choices[0].message.content == "local"
        assert raw.headers["X-VoiceGW-Throttled"] == "ollama/qwen2.5:3b"
        [asked] = heard
        assert asked.head.startswith(b"POST /v1/chat/completions HTTP/1.1")
        assert b"sk-agents-own" not in asked.head
        sent = msgspec.json.decode(asked.body)
        assert sent == {**CHAT, "model": "qwen2.5:3b", "temperature": 0.5}
        row = (await bench.sidecar.rows(2))[-1]
        assert (row.provider, row.model, row.status, row.cost_nanousd, row.cost_source) == (
            "ollama", "qwen2.5:3b", "ok", 0, "local")  # fmt: skip
        assert raw.headers["X-VoiceGW-Exchange"] == row.id
        assert len(bench.simulator.ledger.entries("openai.chat")) == 1


async def test_speech_and_transcriptions_go_to_theirs(start_budgeted: StartBudgeted) -> None:
    async with (
        local_server(b"\0" * 4800, b"audio/pcm") as (kokoro, spoken),
        local_server(b'{"text":"hello"}') as (whisper, heard),
        start_budgeted("throttle", CALL_USD, project=STAND_INS, kokoro=kokoro, whisper=whisper) as bench,
    ):
        await spend(bench)
        async with AsyncOpenAI(api_key="k", base_url=bench.url("/openai/v1"), max_retries=0) as client:
            audio = await client.audio.speech.create(
                model="tts-1", voice="alloy", input="Hello.", response_format="pcm"
            )
            assert len(audio.content) == 4800
            upload = ("a.wav", buzz(), "audio/wav")
            heard_text = await client.audio.transcriptions.create(model="whisper-1", file=upload)
        assert heard_text.text == "hello"
        assert msgspec.json.decode(spoken[0].body)["voice"] == "alloy"
        mark = heard[0].head.split(b"boundary=")[1].split(b"\r\n")[0]
        fields = {part.name: part.data for part in multipart.parts(heard[0].body, mark)}
        assert fields["model"] == b"large-v3"
        assert fields["file"] == buzz()
        rows = (await bench.sidecar.rows(3))[1:]
        assert [(row.provider, row.modality, row.cost_nanousd) for row in rows] == [
            ("kokoro", "tts", 0), ("whisper", "stt", 0)]  # fmt: skip


async def test_what_no_stand_in_speaks_is_refused_with_its_name(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("throttle", CALL_USD, project=STAND_INS) as bench:
        await spend(bench)
        listen = bench.url("/deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await bench.sidecar.http.ws_connect(listen)
        assert caught.value.status == 402
        assert caught.value.headers is not None
        assert caught.value.headers["X-VoiceGW-Error"] == "budget_throttled"
        assert caught.value.headers["X-VoiceGW-Throttle-To"] == "whisper/large-v3"
        row = (await bench.sidecar.rows(2))[-1]
        assert (row.provider, row.status, row.error) == ("deepgram", "refused", "budget_throttled")


async def test_without_a_stand_in_the_refusal_names_none(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("throttle", CALL_USD) as bench:
        await spend(bench)
        status, answer = await bench.chat()
        assert (status, answer.headers["X-VoiceGW-Error"]) == (402, "budget_throttled")
        assert "X-VoiceGW-Throttle-To" not in answer.headers


async def test_a_stand_in_that_cannot_be_dialled_makes_it_throttled(start_budgeted: StartBudgeted) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with start_budgeted("throttle", CALL_USD, project=STAND_INS, ollama=nowhere) as bench:
            await spend(bench)
            status, answer = await bench.chat()
            assert (status, answer.headers["X-VoiceGW-Error"]) == (402, "budget_throttled")
            assert answer.headers["X-VoiceGW-Throttle-To"] == "ollama/qwen2.5:3b"
            assert (await answer.json())["error"]["code"] == "insufficient_quota"
            row = (await bench.sidecar.rows(2))[-1]
            assert (row.status, row.error, row.http_status) == ("refused", "budget_throttled", 402)


async def test_a_server_declared_in_yaml_can_stand_in(start_budgeted: StartBudgeted) -> None:
    async with local_server(COMPLETION) as (url, heard):
        project = (
            "throttle_to: {llm: my_vllm/qwen}, "
            f"providers: {{my_vllm: {{dialect: openai, base_url: '{url}', api_key: vllm-key}}}}"
        )
        async with start_budgeted("throttle", CALL_USD, project=project) as bench:
            await spend(bench)
            status, answer = await bench.chat()
            assert (status, answer.headers["X-VoiceGW-Throttled"]) == (200, "my_vllm/qwen")
            assert b"Authorization: Bearer vllm-key" in heard[0].head
