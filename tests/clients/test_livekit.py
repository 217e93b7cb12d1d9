"""LiveKit's own plugins through the sidecar, unmodified but for their base URL."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError, llm, stt
from livekit.agents.utils import http_context
from livekit.plugins import cartesia, deepgram, openai

from tests.clients.conftest import Bench
from tests.livekit_tts import spoken_s
from tests.simulator.conftest import ANSWER, UTTERANCES
from tests.simulator.sounds import PCM, buzz, frames, spoken
from voicegw_sidecar.simulator import Failure, FailureKind

# the plugins leave some of their sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ONCE = APIConnectOptions(max_retry=0, timeout=5)
TEXT = "Your order has left the warehouse. It arrives on Friday."


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


async def test_llm(bench: Bench) -> None:
    model = openai.LLM(model="gpt-4.1-mini", api_key="k", base_url=f"{bench.bases['openai']}/v1")
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    text, used = "", None
    async with model.chat(chat_ctx=chat, conn_options=ONCE) as stream:
        async for chunk in stream:
            text += (chunk.delta.content or "") if chunk.delta else ""
            used = chunk.usage or used
    await model.aclose()
    assert text == ANSWER
    assert used is not None
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.usage.input_tokens, row.usage.output_tokens) == (
        "ok", used.prompt_tokens, used.completion_tokens)  # fmt: skip
    await bench.check_wire()


@pytest.mark.parametrize("vendor", ["deepgram", "cartesia"])
async def test_streaming_stt(bench: Bench, vendor: str) -> None:
    base = bench.bases[vendor]
    recogniser: stt.STT
    if vendor == "deepgram":
        recogniser = deepgram.STT(model="nova-3", api_key="k", base_url=f"{base}/v1/listen")
    else:
        recogniser = cartesia.STT(model="ink-2", api_key="k", base_url=base)
    finals = []
    async with recogniser.stream(conn_options=ONCE) as stream:
        for data in frames(spoken("Where is my order", after_s=1.0)):
            stream.push_frame(rtc.AudioFrame(data, PCM.rate_hz, 1, len(data) // 2))
        async for event in stream:
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                finals.append(event.alternatives[0].text)
            if event.type == stt.SpeechEventType.END_OF_SPEECH:
                break
    await recogniser.aclose()
    assert finals == [UTTERANCES[0]]
    rows = await bench.sidecar.rows(at_least=1)
    assert rows[0].status == "ok"
    assert rows[0].first_ms is not None
    assert rows[0].first_ms_basis == ("provider" if vendor == "deepgram" else "sound_level")
    assert rows[0].cost_nanousd
    await bench.check_wire(agent_left=True)


async def test_batch_stt(bench: Bench) -> None:
    recogniser = openai.STT(model="whisper-1", api_key="k", base_url=f"{bench.bases['openai']}/v1")
    audio = buzz()
    frame = rtc.AudioFrame(audio, PCM.rate_hz, 1, len(audio) // 2)
    event = await recogniser.recognize([frame], conn_options=ONCE)
    await recogniser.aclose()
    assert event.alternatives[0].text == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.model) == ("stt", "ok", "whisper-1")
    assert row.cost_nanousd
    await bench.check_wire()


@pytest.mark.parametrize("vendor", ["deepgram", "cartesia", "openai"])
async def test_tts(bench: Bench, vendor: str) -> None:
    length_s = await spoken_s(vendor, bench.bases[vendor], TEXT)
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.usage.characters) == ("tts", "ok", len(TEXT))
    assert row.usage.audio_out_s == pytest.approx(length_s, abs=0.1)
    assert row.first_ms is not None
    assert row.cost_nanousd
    await bench.check_wire()


async def test_a_refused_handshake_keeps_its_status(bench: Bench) -> None:
    bench.simulator.fail_next("deepgram.listen", Failure(FailureKind.STATUS, status=402))
    recogniser = deepgram.STT(model="nova-3", api_key="k", base_url=f"{bench.bases['deepgram']}/v1/listen")
    stream = recogniser.stream(conn_options=ONCE)
    with pytest.raises(APIStatusError) as caught:
        async for _ in stream:
            pass
    assert caught.value.status_code == 402
    await stream.aclose()
    await recogniser.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status) == ("upstream_error", 402)
