"""The real AssemblyAI SDK through the sidecar: live sessions with truthful rows, and recordings that are polled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import assemblyai as aai
import pytest
import voice_prices
from assemblyai.streaming.v3 import (
    AsyncStreamingClient,
    StreamingClient,
    StreamingClientOptions,
    StreamingEvents,
    StreamingParameters,
)

from tests.clients.conftest import Bench
from tests.simulator.conftest import UTTERANCES, eventually, quick
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator import Failure, FailureKind, Listening
from voicegw_sidecar.store.records import ExchangeRow

# the SDK connects, and reads close codes, in ways that its WebSocket library no longer likes
pytestmark = [
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:ConnectionClosed.* is deprecated:DeprecationWarning"),
]
MODEL = "universal-3-5-pro"


def options_of(base: str) -> StreamingClientOptions:
    # a host without a scheme would be reached by TLS
    return StreamingClientOptions(api_host=base.replace("http", "ws"), api_key="agent", connect_timeout=5.0)


def wanted(model: str = MODEL, **more: Any) -> StreamingParameters:
    return StreamingParameters(sample_rate=PCM.rate_hz, speech_model=model, **more)  # type: ignore[arg-type]


def check_session(bench: Bench, rows: list[ExchangeRow], reported_s: int, model: str, priced_as: str) -> None:
    """The utterances are truthful, and all rows together are the session that AssemblyAI bills."""
    assert {(row.project, row.provider, row.modality, row.model) for row in rows} == {
        ("acme", "assemblyai", "stt", model)
    }
    spoken = [row for row in rows if row.status == "ok"]
    assert len(spoken) == len(bench.simulator.ledger.work("assemblyai.live"))
    for row in spoken:
        assert row.first_ms_basis == "provider"
        assert row.first_ms is not None
    assert sum(row.usage.audio_s or 0.0 for row in rows) == pytest.approx(reported_s)
    for row in rows:
        billed = voice_prices.Usage(audio_input_seconds=row.usage.audio_s)
        cost = voice_prices.calc_price(billed, priced_as, provider_id="assemblyai").total_price
        assert row.cost_nanousd == pytest.approx(int(cost * 10**9), abs=1)


@pytest.mark.parametrize("format_turns", [None, True])
async def test_live_session(bench: Bench, format_turns: bool | None) -> None:
    finals: list[str] = []
    reported: list[int] = []

    def ended(_: object, turn: Any) -> None:
        if turn.end_of_turn and (turn.turn_is_formatted or not format_turns):
            finals.append(turn.transcript)

    client = AsyncStreamingClient(options_of(bench.bases["assemblyai"]))
    client.on(StreamingEvents.Turn, ended)
    client.on(StreamingEvents.Termination, lambda _, event: reported.append(event.session_duration_seconds))
    await client.connect(wanted(format_turns=format_turns))
    for number, audio in enumerate((buzz(0.6, 0.2, 0.8), buzz(0.5, 0.2, 0.8)), 1):
        for frame in frames(audio):
            await client.stream(frame)
        await eventually(lambda number=number: len(finals) == number)  # type: ignore[misc]
    await client.disconnect(terminate=True)
    assert finals == list(UTTERANCES)
    rows = await bench.sidecar.rows(3)
    assert [row.status for row in rows] == ["ok", "ok", "idle"]
    check_session(bench, rows, reported[0], MODEL, "universal-3-5-pro-streaming")
    assert {row.cost_source for row in rows} == {"catalogue"}
    await bench.check_wire()


async def test_the_sync_client_and_a_model_of_the_supplement(bench: Bench) -> None:
    finals: list[str] = []
    reported: list[int] = []

    def synchronous() -> None:
        client = StreamingClient(options_of(bench.bases["assemblyai"]))
        client.on(StreamingEvents.Turn, lambda _, turn: finals.append(turn.transcript) if turn.end_of_turn else None)
        client.on(StreamingEvents.Termination, lambda _, event: reported.append(event.session_duration_seconds))
        client.connect(wanted("universal-3-6-pro"))
        client.stream(list(frames(buzz())))
        client.force_endpoint()
        client.disconnect(terminate=True)

    await asyncio.to_thread(synchronous)
    assert finals == [UTTERANCES[0]]
    rows = await bench.sidecar.rows(2)
    check_session(bench, rows, reported[0], "universal-3-6-pro", "universal-3-5-pro-streaming")  # at the same price
    assert {row.cost_source for row in rows} == {"supplement"}
    await bench.check_wire()


async def test_a_session_in_which_nothing_is_said_is_billed_all_the_same(bench: Bench) -> None:
    reported: list[int] = []
    client = AsyncStreamingClient(options_of(bench.bases["assemblyai"]))
    client.on(StreamingEvents.Termination, lambda _, event: reported.append(event.session_duration_seconds))
    await client.connect(wanted())
    await client.disconnect(terminate=True)
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.usage.audio_s, row.first_ms) == ("idle", float(reported[0]), None)
    assert row.cost_nanousd == reported[0] * 125_000  # 0.45 USD an hour
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_handshake_is_reported_as_directly(bench: Bench, status: int) -> None:
    async def failing(base: str) -> tuple[int | None, str]:
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("assemblyai.live", failure)
        errors: list[Any] = []
        client = AsyncStreamingClient(options_of(base))
        client.on(StreamingEvents.Error, lambda _, error: errors.append(error))
        await client.connect(wanted())
        await client.disconnect()
        [error] = errors
        return error.code, str(error)

    assert await failing(bench.bases["assemblyai"]) == await failing(bench.simulator.base_url("assemblyai"))
    [row] = await bench.sidecar.rows(1)  # a refusal is not tried again
    assert (row.modality, row.status, row.http_status, row.cost_nanousd) == ("stt", "upstream_error", status, 0)


async def test_a_session_that_breaks_keeps_what_was_counted(bench: Bench) -> None:
    bench.simulator.fail_next("assemblyai.live", Failure(FailureKind.CLOSE, code=1011, after=4))
    errors: list[Any] = []
    client = AsyncStreamingClient(options_of(bench.bases["assemblyai"]))
    client.on(StreamingEvents.Error, lambda _, error: errors.append(error))
    await client.connect(wanted())
    for frame in frames(buzz(2.0)):
        await client.stream(frame)
    [row] = await bench.sidecar.rows(1)
    await eventually(lambda: bool(errors))
    await client.disconnect()
    assert (row.status, row.error) == ("partial", "connection_broken")
    assert row.usage.audio_s
    assert row.cost_nanousd


def transcribed(base: str, key: str, work: Callable[[aai.Transcriber], aai.Transcript]) -> aai.Transcript:
    settings = aai.Settings(api_key=key, base_url=base, polling_interval=0.02)
    client = aai.Client(settings=settings)
    try:
        return work(aai.Transcriber(client=client))
    finally:
        client.http_client.close()


async def test_recording_is_uploaded_handed_in_and_polled(bench: Bench) -> None:
    bench.simulator.script = quick(transcription=Listening(final_ms=60.0, utterances=UTTERANCES))
    config = aai.TranscriptionConfig(speech_models=["universal-2"])
    base = bench.bases["assemblyai"]
    answer = await asyncio.to_thread(transcribed, base, "k", lambda it: it.transcribe(bytes(64_000), config=config))
    assert (answer.status, answer.text) == (aai.TranscriptStatus.completed, UTTERANCES[0])
    assert answer.audio_duration == 2
    polls = bench.simulator.ledger.entries("assemblyai.poll")
    assert len(polls) > 1
    upload, row = await bench.sidecar.rows(2)
    assert (upload.modality, upload.status) == (None, "ok")
    assert (row.modality, row.status, row.model, row.usage.audio_s) == ("stt", "ok", "universal-2", 2.0)
    assert row.first_ms is not None
    assert row.cost_nanousd == 83_334  # two seconds at 0.041667 USD a thousand
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_errors_of_a_recording_raise_what_they_raise_directly(bench: Bench, status: int) -> None:
    def failing(base: str) -> tuple[type, str]:
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("assemblyai.transcript", failure)
        with pytest.raises(aai.TranscriptError) as caught:
            transcribed(base, "k", lambda transcriber: transcriber.transcribe("https://example.com/a.wav"))
        return type(caught.value), str(caught.value)

    relayed = await asyncio.to_thread(failing, bench.bases["assemblyai"])
    assert relayed == await asyncio.to_thread(failing, bench.simulator.base_url("assemblyai"))
    [row] = await bench.sidecar.rows(1)  # this client never tries again
    assert (row.status, row.http_status, row.cost_nanousd) == ("upstream_error", status, 0)
    await bench.check_wire()
