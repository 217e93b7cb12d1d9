"""Local servers through the sidecar: Ollama, Whisper, Kokoro and Piper by the clients that agents use with them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, llm
from livekit.agents.utils import http_context
from livekit.plugins import openai as livekit_openai
from openai import APIStatusError, AsyncOpenAI, OpenAI

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
MODEL = "qwen2.5:3b"
TEXT = "Your order has left the warehouse."
ASKED: Any = [{"role": "user", "content": "Where is my order?"}]
ONCE = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


def check_costs_nothing(row: ExchangeRow, provider: str, modality: str) -> None:
    assert (row.project, row.provider, row.modality, row.status) == ("acme", provider, modality, "ok")
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (0, "local", False)
    assert row.first_ms is not None


def check_tokens(row: ExchangeRow, entry: Entry) -> None:
    check_costs_nothing(row, "ollama", "llm")
    assert row.model == MODEL
    assert (row.usage.input_tokens, row.usage.output_tokens) == (entry.input_tokens, entry.output_tokens)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("path", ["chat", "generate"])
async def test_ollama_in_its_own_words(bench: Bench, path: str, streamed: bool) -> None:
    body: dict[str, Any] = {"model": MODEL} | ({} if streamed else {"stream": False})
    body |= {"messages": ASKED} if path == "chat" else {"prompt": "Where is my order?"}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{bench.bases['ollama']}/api/{path}", json=body) as response:
            lines = [msgspec.json.decode(line) for line in (await response.read()).splitlines()]
    texts = [line["message"]["content"] if path == "chat" else line["response"] for line in lines]
    assert "".join(texts) == ANSWER
    assert len(lines) == (len(ANSWER.split()) + 1 if streamed else 1)
    [row] = await bench.sidecar.rows(1)
    check_tokens(row, bench.simulator.ledger.entries(f"ollama.{path}")[0])
    await bench.check_wire()


async def test_ollama_that_the_agent_leaves_is_estimated(bench: Bench) -> None:
    bench.simulator.script = msgspec.structs.replace(
        bench.simulator.script, chat=msgspec.structs.replace(bench.simulator.script.chat, token_interval_ms=60.0)
    )
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{bench.bases['ollama']}/api/chat", json={"model": MODEL, "messages": ASKED}) as response:
            await response.content.readline()
            response.close()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated, row.cost_nanousd) == ("cancelled", True, 0)


async def test_ollama_by_openais_protocol(bench: Bench) -> None:
    def synchronous() -> str:
        with OpenAI(api_key="ollama", base_url=f"{bench.bases['ollama']}/v1") as client:
            return client.chat.completions.create(model=MODEL, messages=ASKED).choices[0].message.content or ""

    assert await asyncio.to_thread(synchronous) == ANSWER
    model = livekit_openai.LLM.with_ollama(model=MODEL, base_url=f"{bench.bases['ollama']}/v1")
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    async with model.chat(chat_ctx=chat, conn_options=ONCE) as stream:
        text = "".join([(chunk.delta.content or "") if chunk.delta else "" async for chunk in stream])
    await model.aclose()
    assert text == ANSWER
    for row, entry in zip(
        await bench.sidecar.rows(2), bench.simulator.ledger.entries("ollama.openai_chat"), strict=True
    ):
        check_tokens(row, entry)
    await bench.check_wire()


async def test_whisper(bench: Bench) -> None:
    base, audio = f"{bench.bases['whisper']}/v1", buzz()
    async with AsyncOpenAI(api_key="k", base_url=base) as client:
        heard = await client.audio.transcriptions.create(model="large-v3", file=wav(audio))
    recogniser = livekit_openai.STT(model="large-v3", api_key="k", base_url=base)
    event = await recogniser.recognize([rtc.AudioFrame(audio, PCM.rate_hz, 1, len(audio) // 2)], conn_options=ONCE)
    await recogniser.aclose()
    assert [heard.text, event.alternatives[0].text] == list(UTTERANCES)
    for row in await bench.sidecar.rows(2):
        check_costs_nothing(row, "whisper", "stt")
        assert (row.model, row.usage.audio_s) == ("large-v3", 1.3)
    await bench.check_wire()


async def test_kokoro_that_knows_no_events(bench: Bench) -> None:
    base = f"{bench.bases['kokoro']}/v1"
    async with AsyncOpenAI(api_key="k", base_url=base) as client:
        spoken = await client.audio.speech.create(
            model="kokoro", voice="af_bella", input=TEXT, response_format="wav", stream_format="sse"
        )
        assert (await spoken.aread())[:4] == b"RIFF"
    voice = livekit_openai.TTS(model="kokoro", voice="af_bella", api_key="k", base_url=base, response_format="pcm")
    length_s = 0.0
    async with voice.synthesize(TEXT, conn_options=ONCE) as chunked:
        async for piece in chunked:
            length_s += piece.frame.duration
    await voice.aclose()
    rows = await bench.sidecar.rows(2)
    for row in rows:
        check_costs_nothing(row, "kokoro", "tts")
        assert (row.model, row.usage.characters) == ("kokoro", len(TEXT))
        assert row.usage.audio_out_s == pytest.approx(len(TEXT) * 0.02, abs=0.01)
    assert length_s == pytest.approx(rows[1].usage.audio_out_s, abs=0.1)
    await bench.check_wire()


@pytest.mark.parametrize("path", ["/", "/synthesize"])
async def test_piper(bench: Bench, path: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{bench.bases['piper']}{path}", json={"text": TEXT}) as response:
            assert (await response.read())[:4] == b"RIFF"
    [row] = await bench.sidecar.rows(1)
    check_costs_nothing(row, "piper", "tts")
    [entry] = bench.simulator.ledger.entries("piper.speech")
    assert row.usage.characters == entry.characters == len(TEXT)
    assert row.usage.audio_out_s == pytest.approx(entry.audio_out_s, abs=0.01)
    await bench.check_wire()


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_a_local_servers_errors_raise_what_they_raise_directly(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int, attempts: int
) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)  # as many attempts, in less time

    async def failing(base_url: str) -> tuple[type, str, int]:
        before = len(bench.simulator.ledger.entries("kokoro.speech"))
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("kokoro.speech", failure, count=attempts)
        async with AsyncOpenAI(api_key="k", base_url=f"{base_url}/v1") as client:
            with pytest.raises(APIStatusError) as caught:
                await client.audio.speech.create(model="kokoro", voice="af_bella", input=TEXT)
        return type(caught.value), caught.value.message, len(bench.simulator.ledger.entries("kokoro.speech")) - before

    direct = await failing(bench.simulator.base_url("kokoro"))
    assert await failing(bench.bases["kokoro"]) == direct
    assert direct[2] == attempts
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()
