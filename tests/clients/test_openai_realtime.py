"""OpenAI realtime, speech to speech and transcription, by the real SDK and LiveKit's plugin through the sidecar."""

from __future__ import annotations

import asyncio
import base64
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import voice_prices
from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt
from livekit.agents.utils import http_context
from livekit.plugins import openai as livekit_openai
from openai import AsyncOpenAI, OpenAI

from tests.clients.conftest import Bench
from tests.simulator.conftest import ANSWER, UTTERANCES, eventually, quick
from voicegw_sidecar.simulator import Entry, Failure, FailureKind, Speaking, Thinking
from voicegw_sidecar.simulator.speech import silence, sound
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.wire.pcm import PcmFormat

# the LiveKit plugins leave some of their sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # the SDK opens its sockets in a way that its WebSocket library deprecates
    pytest.mark.filterwarnings("ignore:connect:DeprecationWarning"),
]
MODEL, TRANSCRIBER = "gpt-realtime", "gpt-4o-mini-transcribe"
ONCE = APIConnectOptions(max_retry=0, timeout=5)
PCM = PcmFormat("pcm_s16le", 24_000)
VOICE = silence(PCM, 0.2) + sound(PCM, 0.0, 0.6) + silence(PCM, 1.0)
FRAMES = [VOICE[start : start + 2400] for start in range(0, len(VOICE), 2400)]
SESSION: Any = {
    "type": "realtime",
    "instructions": "Be brief.",
    "audio": {
        "input": {
            "transcription": {"model": TRANSCRIBER},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
        }
    },
}


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


def encoded(frame: bytes) -> str:
    return base64.b64encode(frame).decode()


def client_of(bench: Bench) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="sk-agent", base_url=f"{bench.bases['openai']}/v1")


def nano(used: voice_prices.Usage, model: str) -> int:
    return round(voice_prices.calc_price(used, model, provider_id="openai").total_price * 10**9)


def check_answer(row: ExchangeRow, entry: Entry, status: str = "ok") -> None:
    """A response's row is whole, and its usage and cost are those of the simulator's ledger."""
    used = row.usage
    assert (row.project, row.provider, row.model, row.modality, row.status) == ("acme", "openai", MODEL, "s2s", status)
    assert (used.input_tokens, used.input_audio_tokens, used.cached_input_tokens, used.cached_input_audio_tokens) == (
        entry.input_tokens, entry.input_audio_tokens, entry.cached_tokens, entry.cached_audio_tokens)  # fmt: skip
    assert (used.output_tokens, used.output_audio_tokens) == (entry.output_tokens, entry.output_audio_tokens)
    assert used.audio_out_s == pytest.approx(entry.audio_out_s, abs=1e-3)
    billed = voice_prices.Usage(
        input_tokens=entry.input_tokens,
        input_audio_tokens=entry.input_audio_tokens,
        cache_read_tokens=entry.cached_tokens,
        cache_audio_read_tokens=entry.cached_audio_tokens,
        output_tokens=entry.output_tokens,
        output_audio_tokens=entry.output_audio_tokens,
    )
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (nano(billed, MODEL), "catalogue", False)


def check_transcript(row: ExchangeRow, entry: Entry, model: str = TRANSCRIBER) -> None:
    assert (row.model, row.modality, row.status) == (model, "stt", "ok")
    assert (row.usage.input_tokens, row.usage.output_tokens) == (entry.input_tokens, entry.output_tokens)
    if entry.input_tokens is None:
        assert row.usage.audio_s == entry.audio_in_s
        billed = voice_prices.Usage(audio_input_seconds=entry.audio_in_s)
    else:
        billed = voice_prices.Usage(
            input_tokens=entry.input_tokens,
            input_audio_tokens=entry.input_audio_tokens,
            output_tokens=entry.output_tokens,
        )
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (nano(billed, model), "catalogue", False)


async def spoken_rows(bench: Bench, count: int) -> dict[str, ExchangeRow]:
    return {str(row.modality): row for row in await bench.sidecar.rows(count)}


def entries_of(bench: Bench) -> tuple[Entry, Entry]:
    """The one response and the one transcribed item."""
    work = bench.simulator.ledger.work("openai.realtime")
    [answer] = [entry for entry in work if entry.key.startswith("resp_")]
    [item] = [entry for entry in work if entry.key.startswith("item_")]
    return answer, item


@pytest.mark.parametrize("is_async", [True, False])
async def test_spoken_question_has_a_row_for_its_answer_and_one_for_its_transcript(
    bench: Bench, is_async: bool
) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=20.0, answers=(ANSWER,), cached_tokens=4))
    wanted = {"response.done", "conversation.item.input_audio_transcription.completed"}
    seen: dict[str, Any] = {}

    async def asynchronous() -> None:
        async with client_of(bench) as client, client.realtime.connect(model=MODEL) as connection:
            await connection.session.update(session=SESSION)
            for frame in FRAMES:
                await connection.input_audio_buffer.append(audio=encoded(frame))
            async for event in connection:
                seen[event.type] = event
                if wanted <= seen.keys():
                    break

    def synchronous() -> None:
        with OpenAI(api_key="k", base_url=f"{bench.bases['openai']}/v1") as client:
            with client.realtime.connect(model=MODEL) as connection:
                connection.session.update(session=SESSION)
                for frame in FRAMES:
                    connection.input_audio_buffer.append(audio=encoded(frame))
                for event in connection:
                    seen[event.type] = event
                    if wanted <= seen.keys():
                        break

    await (asynchronous() if is_async else asyncio.to_thread(synchronous))
    assert seen["response.output_audio_transcript.done"].transcript == ANSWER
    assert seen["conversation.item.input_audio_transcription.completed"].transcript == UTTERANCES[0]
    rows = await spoken_rows(bench, 2)
    answer, item = entries_of(bench)
    check_answer(rows["s2s"], answer)
    check_transcript(rows["stt"], item)
    for row in rows.values():
        assert row.first_ms is not None
        assert row.first_ms_basis == "provider"
    assert answer.first_output_ns is not None
    assert answer.speech_end_ns is not None
    assert rows["s2s"].first_ms == pytest.approx((answer.first_output_ns - answer.speech_end_ns) / 1e6, abs=60)
    await bench.check_wire()


async def test_audio_that_the_agent_commits_is_timed_by_its_sound(bench: Bench) -> None:
    session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    async with client_of(bench) as client, client.realtime.connect(model=MODEL) as connection:
        await connection.session.update(session=session)  # type: ignore[arg-type]
        for frame in FRAMES:
            await connection.input_audio_buffer.append(audio=encoded(frame))
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        async for event in connection:
            if event.type == "response.done":
                break
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.work("openai.realtime")
    check_answer(row, entry)
    assert row.first_ms is not None
    assert row.first_ms_basis == "sound_level"
    await bench.check_wire()


async def test_written_question_has_no_time_from_speech(bench: Bench) -> None:
    item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Where is my order?"}]}
    async with client_of(bench) as client, client.realtime.connect(model=MODEL) as connection:
        await connection.conversation.item.create(item=item)
        await connection.response.create(response={"output_modalities": ["text"]})
        async for event in connection:
            if event.type == "response.done":
                break
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.work("openai.realtime")
    assert (row.status, row.first_ms, row.usage.output_tokens) == ("ok", None, entry.output_tokens)
    assert row.usage.output_audio_tokens == 0
    await bench.check_wire()


async def test_cancelled_answer_is_billed_as_it_was_reported(bench: Bench) -> None:
    bench.simulator.script = quick(speech=Speaking(first_audio_ms=10.0, s_per_char=0.3, pace=10.0))
    async with client_of(bench) as client, client.realtime.connect(model=MODEL) as connection:
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                await connection.response.cancel()
                break
        async for event in connection:
            if event.type == "response.done":
                break
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.work("openai.realtime")
    check_answer(row, entry, "cancelled")
    await bench.check_wire()


async def test_answer_that_the_agent_leaves_is_estimated(bench: Bench) -> None:
    bench.simulator.script = quick(speech=Speaking(first_audio_ms=10.0, s_per_char=0.3, pace=10.0))
    async with client_of(bench) as client, client.realtime.connect(model=MODEL) as connection:
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                break
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated, row.cost_source) == ("cancelled", True, "catalogue")
    assert row.cost_nanousd


@pytest.mark.parametrize("model", ["gpt-4o-mini-transcribe", "gpt-realtime-whisper"])
async def test_livekit_transcribes(bench: Bench, model: str) -> None:
    """The plugin adds ``model`` to the address; OpenAI refuses that, so the sidecar leaves it out."""
    bench.simulator.script = quick(refuses_model_of_transcription=True)
    recogniser = livekit_openai.STT(
        model=model, use_realtime=True, api_key="k", base_url=f"{bench.bases['openai']}/v1", vad=None
    )
    finals: list[str] = []
    async with recogniser.stream(conn_options=ONCE) as stream:
        for frame in FRAMES:
            stream.push_frame(rtc.AudioFrame(frame, PCM.rate_hz, 1, len(frame) // 2))
        if model == "gpt-realtime-whisper":
            # without a detector of its own the plugin leaves it to the caller to commit
            await eventually(lambda: bool(_audio_s(bench) >= PCM.seconds(len(VOICE)) - 0.06))
            await stream._ws.send_json({"type": "input_audio_buffer.commit"})  # type: ignore[union-attr]
        async for event in stream:
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                finals.append(event.alternatives[0].text)
                break
    await recogniser.aclose()
    assert finals == [UTTERANCES[0]]
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.work("openai.realtime")
    check_transcript(row, entry, model)
    assert row.first_ms is not None
    assert row.first_ms_basis == ("sound_level" if model == "gpt-realtime-whisper" else "provider")
    assert "model=" not in bench.far.seen()[0].request.line
    await eventually(lambda: bench.far.seen()[0].sent == bench.near.seen()[0].sent)


def _audio_s(bench: Bench) -> float:
    entries = bench.simulator.ledger.entries("openai.realtime", "")
    return (entries[0].audio_in_s or 0.0) if entries else 0.0


async def test_livekit_converses(bench: Bench) -> None:
    model = livekit_openai.realtime.RealtimeModel(
        model=MODEL,
        api_key="k",
        base_url=f"{bench.bases['openai']}/v1/realtime",
        input_audio_transcription={"model": TRANSCRIBER},  # type: ignore[arg-type]
        conn_options=ONCE,
    )
    session = model.session()
    generations: asyncio.Queue[llm.GenerationCreatedEvent] = asyncio.Queue()
    transcripts: list[str] = []
    session.on("generation_created", generations.put_nowait)
    session.on("input_audio_transcription_completed", lambda event: transcripts.append(event.transcript))
    for frame in FRAMES:
        session.push_audio(rtc.AudioFrame(frame, PCM.rate_hz, 1, len(frame) // 2))
    generation = await asyncio.wait_for(generations.get(), 10)
    audio_s = 0.0
    async for message in generation.message_stream:
        async for frame in message.audio_stream:
            audio_s += frame.duration
    await eventually(lambda: bool(transcripts))
    rows = await spoken_rows(bench, 2)
    await session.aclose()
    await model.aclose()
    answer, item = entries_of(bench)
    check_answer(rows["s2s"], answer)
    check_transcript(rows["stt"], item)
    assert rows["s2s"].first_ms is not None
    assert rows["s2s"].usage.audio_out_s == pytest.approx(audio_s, abs=0.1)
    await bench.check_wire(agent_left=True)


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_socket_raises_what_it_raises_directly(bench: Bench, status: int) -> None:
    async def failing(base_url: str) -> tuple[type, str, int]:
        before = len(bench.simulator.ledger.entries("openai.realtime"))
        bench.simulator.fail_next("openai.realtime", Failure(FailureKind.STATUS, status=status))
        async with AsyncOpenAI(api_key="k", base_url=base_url) as client:
            with pytest.raises(Exception, match=str(status)) as caught:
                async with client.realtime.connect(model=MODEL):
                    pass
        after = len(bench.simulator.ledger.entries("openai.realtime"))
        return type(caught.value), str(caught.value), after - before

    direct = await failing(f"{bench.simulator.base_url('openai')}/v1")
    assert await failing(f"{bench.bases['openai']}/v1") == direct
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.modality, row.cost_nanousd) == ("upstream_error", status, "s2s", 0)
