"""LiveKit's ElevenLabs plugins through the sidecar: one shared socket of many contexts, Scribe live and uploaded."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, APIStatusError, stt
from livekit.agents.utils import http_context
from livekit.plugins import elevenlabs

from tests.clients.conftest import Bench
from tests.clients.test_elevenlabs_sdk import FLASH, check_listening_cost, check_speech
from tests.conftest import StartSidecar
from tests.simulator.conftest import UTTERANCES, eventually, quick
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator import Failure, FailureKind, Listening, Simulator, Speaking

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


def voice_of(bench: Bench, model: str = FLASH) -> elevenlabs.TTS:
    base = f"{bench.bases['elevenlabs']}/v1"
    return elevenlabs.TTS(api_key="k", base_url=base, model=model, encoding="pcm_24000")


async def say(voice: elevenlabs.TTS, text: str) -> float:
    length_s = 0.0
    async with voice.stream(conn_options=ONCE) as stream:
        stream.push_text(text)
        stream.end_input()
        async for audio in stream:
            length_s += audio.frame.duration
    return length_s


@pytest.mark.parametrize("model", [FLASH, "eleven_v3"])
async def test_every_utterance_is_a_context_of_one_socket(bench: Bench, model: str) -> None:
    voice = voice_of(bench, model)
    voice.prewarm()
    lengths_s = [await say(voice, TEXT), *await asyncio.gather(say(voice, "Good day."), say(voice, "And good night."))]
    rows = await bench.sidecar.rows(3)
    await voice.aclose()
    entries = bench.simulator.ledger.work("elevenlabs.contexts")
    assert {entry.connection for entry in entries} == {entries[0].connection}
    assert sorted(row.usage.characters or 0 for row in rows) == sorted(entry.characters or 0 for entry in entries)
    by_size = {entry.characters: entry for entry in entries}
    for row in rows:
        check_speech(row, by_size[row.usage.characters], model)
    assert sum(row.usage.audio_out_s or 0.0 for row in rows) == pytest.approx(sum(lengths_s), abs=0.1)
    await bench.check_wire(agent_left=True)


async def test_an_interruption_cancels_its_context_only(bench: Bench) -> None:
    bench.simulator.script = quick(tts=Speaking(first_audio_ms=1.0, s_per_char=0.05, pace=2.0))
    voice = voice_of(bench)
    stream = voice.stream(conn_options=ONCE)
    stream.push_text(TEXT)
    stream.flush()
    assert (await anext(aiter(stream))).frame.duration > 0
    await stream.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated) == ("cancelled", True)
    assert row.first_ms is not None
    assert row.cost_nanousd == (row.usage.characters or 0) * 50_000
    bench.simulator.script = quick()
    await say(voice, "Sorry, go on.")
    rows = await bench.sidecar.rows(2)
    assert [row.status for row in rows] == ["cancelled", "ok"]
    await voice.aclose()


@pytest.mark.parametrize("model", [FLASH, "eleven_v3"])
async def test_chunked_speech(bench: Bench, model: str) -> None:
    voice = voice_of(bench, model)
    length_s = 0.0
    async with voice.synthesize(TEXT, conn_options=ONCE) as chunked:
        async for audio in chunked:
            length_s += audio.frame.duration
    await voice.aclose()
    [row] = await bench.sidecar.rows(1)
    check_speech(row, bench.simulator.ledger.entries("elevenlabs.speech")[0], model)
    assert row.usage.audio_out_s == pytest.approx(length_s, abs=0.1)
    await bench.check_wire()


@pytest.mark.parametrize("server_vad", [False, True])
async def test_live_transcription(bench: Bench, server_vad: bool) -> None:
    bench.simulator.script = quick(listen=Listening(final_ms=20.0, utterances=UTTERANCES))
    recogniser = elevenlabs.STT(
        api_key="k", base_url=f"{bench.bases['elevenlabs']}/v1", model="scribe_v2_realtime",
        server_vad={} if server_vad else None,
    )  # fmt: skip
    finals = []
    stream = recogniser.stream(conn_options=ONCE)
    for data in frames(buzz(0.6, 0.2, 0.6)):
        stream.push_frame(rtc.AudioFrame(data, PCM.rate_hz, 1, len(data) // 2))
    if not server_vad:
        stream.flush()
    async for event in stream:
        if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
            finals.append(event.alternatives[0].text)
            break
    await stream.aclose()
    await recogniser.aclose()
    assert finals == [UTTERANCES[0]]
    rows = await bench.sidecar.rows(at_least=1)
    assert (rows[0].status, rows[0].model, rows[0].first_ms_basis) == ("ok", "scribe_v2_realtime", "provider")
    assert rows[0].first_ms is not None
    heard_s = bench.simulator.ledger.entries("elevenlabs.scribe", key="")[0].audio_in_s
    assert sum(row.usage.audio_s or 0.0 for row in rows) == pytest.approx(heard_s)
    check_listening_cost(rows, "scribe_v2_realtime")
    await bench.check_wire(agent_left=True)


async def test_uploaded_transcription(bench: Bench) -> None:
    recogniser = elevenlabs.STT(api_key="k", base_url=f"{bench.bases['elevenlabs']}/v1", model="scribe_v2")
    audio = buzz()
    frame = rtc.AudioFrame(audio, PCM.rate_hz, 1, len(audio) // 2)
    event = await recogniser.recognize([frame], conn_options=ONCE)
    await recogniser.aclose()
    assert event.alternatives[0].text == UTTERANCES[0]
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.status, row.model) == ("stt", "ok", "scribe_v2")
    assert row.usage.audio_s == pytest.approx(len(audio) / PCM.bytes_per_s)
    check_listening_cost([row], "scribe_v2")
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_handshake_keeps_its_status(bench: Bench, status: int) -> None:
    bench.simulator.fail_next("elevenlabs.contexts", Failure(FailureKind.STATUS, status=status))
    voice = voice_of(bench)
    with pytest.raises(APIStatusError) as caught:
        await say(voice, TEXT)
    assert caught.value.status_code == status
    await voice.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.cost_nanousd) == ("upstream_error", status, 0)


async def test_a_socket_that_breaks_fails_what_it_was_speaking(bench: Bench) -> None:
    bench.simulator.fail_next("elevenlabs.contexts", Failure(FailureKind.CLOSE, code=1011, after=2))
    voice = voice_of(bench)
    with pytest.raises(APIError):
        await say(voice, TEXT)
    await voice.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.error) == ("partial", "connection_broken")
    [entry] = bench.simulator.ledger.work("elevenlabs.contexts")
    await eventually(lambda: entry.first_output_ns is not None)


async def test_a_spent_budget_refuses_the_next_context_of_an_open_socket(start_sidecar: StartSidecar) -> None:
    project = "projects: {acme: {daily_budget: 0.001, budget_action: block}}\n"
    async with (
        Simulator(quick()) as simulator,
        start_sidecar(project, elevenlabs=simulator.base_url("elevenlabs")) as sidecar,
    ):
        base = f"{sidecar.url}/p/acme/elevenlabs/v1"
        voice = elevenlabs.TTS(api_key="k", base_url=base, model=FLASH, encoding="pcm_24000")
        await say(voice, TEXT)  # which costs 0.0028 USD
        await sidecar.rows(1)
        with pytest.raises(APIError) as caught:
            await say(voice, "One sentence too many.")
        await voice.aclose()
        assert "quota_exceeded" in str(caught.value.__cause__)
        rows = await sidecar.rows(2)
        assert [(row.status, row.cost_nanousd) for row in rows] == [("ok", len(TEXT) * 50_000), ("refused", 0)]
        [spoken] = simulator.ledger.work("elevenlabs.contexts")
        assert spoken.characters == len(TEXT)
