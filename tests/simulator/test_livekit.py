"""The simulated providers, driven by LiveKit's own plugins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError, llm, stt
from livekit.agents.utils import http_context
from livekit.plugins import cartesia, deepgram, openai

from tests.livekit_tts import spoken_s
from tests.simulator.conftest import ANSWER, UTTERANCES, eventually
from tests.simulator.sounds import PCM, frames, spoken
from voicegw_sidecar.simulator import Failure, FailureKind, Simulator

ONCE = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield


def _audio_frames(audio: bytes) -> Iterable[rtc.AudioFrame]:
    for data in frames(audio):
        yield rtc.AudioFrame(data, PCM.rate_hz, 1, len(data) // 2)


async def test_llm_streams_text_and_usage(simulator: Simulator) -> None:
    model = openai.LLM(model="gpt-4.1-mini", api_key="k", base_url=f"{simulator.base_url('openai')}/v1")
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
    assert used.completion_tokens == len(ANSWER.split())
    assert simulator.ledger.entries("openai.chat")[0].usage_reported


async def test_llm_calls_the_tool(simulator: Simulator) -> None:
    @llm.function_tool
    async def look_up(city: str) -> str:
        """Return the weather."""
        return "sunny"

    model = openai.LLM(model="gpt-4.1-mini", api_key="k", base_url=f"{simulator.base_url('openai')}/v1")
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="How is the weather?")
    async with model.chat(chat_ctx=chat, tools=[look_up], conn_options=ONCE) as stream:
        calls = [call async for chunk in stream if chunk.delta for call in chunk.delta.tool_calls]
    await model.aclose()
    assert [(call.name, call.arguments) for call in calls] == [("look_up", '{"city":"Paris"}')]


@pytest.mark.parametrize("vendor", ["deepgram", "cartesia"])
async def test_stt_finds_the_end_of_real_speech(simulator: Simulator, vendor: str) -> None:
    base = simulator.base_url(vendor)
    recogniser: stt.STT
    if vendor == "deepgram":
        recogniser = deepgram.STT(model="nova-3", api_key="k", base_url=f"{base}/v1/listen")
    else:
        recogniser = cartesia.STT(model="ink-2", api_key="k", base_url=base)
    seen = []
    async with recogniser.stream(conn_options=ONCE) as stream:
        for frame in _audio_frames(spoken("Where is my order", after_s=1.0)):
            stream.push_frame(frame)
        async for event in stream:
            seen.append(event.type)
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                assert event.alternatives[0].text == UTTERANCES[0]
            if event.type == stt.SpeechEventType.END_OF_SPEECH:
                break
    await recogniser.aclose()

    kinds = stt.SpeechEventType
    assert seen[0] == kinds.START_OF_SPEECH
    assert {kinds.INTERIM_TRANSCRIPT, kinds.FINAL_TRANSCRIPT} <= set(seen)
    [utterance] = simulator.ledger.work("deepgram.listen" if vendor == "deepgram" else "cartesia.turns")
    assert utterance.speech_end_ns is not None
    assert utterance.final_ns is not None
    assert utterance.speech_end_ns < utterance.final_ns


@pytest.mark.parametrize("vendor", ["deepgram", "cartesia", "openai"])
async def test_tts_speaks_the_text(simulator: Simulator, vendor: str) -> None:
    text = "Your order has left the warehouse. It arrives on Friday."
    length_s = await spoken_s(vendor, simulator.base_url(vendor), text)

    endpoint = {"deepgram": "deepgram.speak", "cartesia": "cartesia.tts", "openai": "openai.speech"}[vendor]
    entry = simulator.ledger.entries(endpoint)[-1]
    await eventually(lambda: entry.ended_ns is not None)
    assert entry.characters == len(text)
    assert length_s == pytest.approx(entry.audio_out_s, abs=0.1)


async def test_stt_handshake_refusal_keeps_its_status(simulator: Simulator) -> None:
    simulator.fail_next("deepgram.listen", Failure(FailureKind.STATUS, status=402))
    recogniser = deepgram.STT(model="nova-3", api_key="k", base_url=f"{simulator.base_url('deepgram')}/v1/listen")
    stream = recogniser.stream(conn_options=ONCE)
    with pytest.raises(APIStatusError) as caught:
        _ = [event async for event in stream]
    assert caught.value.status_code == 402
    await stream.aclose()
    await recogniser.aclose()


async def test_tts_reports_a_socket_that_closes(simulator: Simulator) -> None:
    simulator.fail_next("cartesia.tts", Failure(FailureKind.CLOSE, code=1011, after=2))
    voice = cartesia.TTS(api_key="k", base_url=simulator.base_url("cartesia"))
    stream = voice.stream(conn_options=ONCE)
    stream.push_text("A long enough sentence to be cut.")
    stream.end_input()
    with pytest.raises(APIStatusError) as caught:
        _ = [audio async for audio in stream]
    assert caught.value.status_code == 1011
    await stream.aclose()
    await voice.aclose()
