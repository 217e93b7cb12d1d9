"""``/v1/stt``: transcripts of each provider, bad input, other providers taking over, and a local stand-in."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import buzz
from tests.unified.conftest import Setup, StartUnified
from tests.unified.sockets import client, create_stt
from voicegw_sidecar.simulator import Failure, FailureKind, Listening

FAILOVER = "routing: {failover: true, rosters: {stt: [deepgram, %s], llm: [groq], tts: [cartesia]}}"
CLOSE = ({"type": "session.finalize"}, {"type": "session.close"})
MODELS = ["deepgram/nova-3", "deepgram/flux-general-en", "assemblyai/universal-streaming", "cartesia/ink-2",
          "cartesia/ink-whisper", "elevenlabs/scribe_v2_realtime", "openai/gpt-4o-mini-transcribe", "openai/whisper-1",
          "groq/whisper-large-v3-turbo", "whisper/whisper-1"]  # fmt: skip
SPEECH = buzz(after_s=1.2)


def finals(messages: list[dict[str, str]]) -> list[str]:
    return [one["transcript"] for one in messages if one["type"] == "final_transcript"]


@pytest.mark.parametrize("model", MODELS)
async def test_transcripts_of_every_provider(unified: Setup, model: str) -> None:
    async with client(unified, "stt", model) as agent:
        await agent.say(create_stt())
        await agent.hear("session.created")
        heard: list[str] = []
        for _ in range(2):
            await agent.listen_to(SPEECH, is_paced=True)
            heard += finals(await agent.hear("final_transcript"))
        await agent.say(*CLOSE)
        heard += finals(await agent.hear("session.closed"))
    assert heard == list(UTTERANCES)
    rows = [row for row in await unified.sidecar.rows(at_least=2) if row.status == "ok"]
    assert [row.provider for row in rows] == [model.partition("/")[0]] * 2


@pytest.mark.parametrize("rate", ["8000", "24000", "44100", "48000"])
@pytest.mark.parametrize("model", ["openai/gpt-4o-mini-transcribe", "elevenlabs/scribe_v2_realtime"])
async def test_sound_of_any_rate_is_taken(unified: Setup, model: str, rate: str) -> None:
    factor = int(rate) / 16_000
    sound = b"".join(
        SPEECH[2 * int(at / factor) : 2 * int(at / factor) + 2] for at in range(int(len(SPEECH) / 2 * factor))
    )
    async with client(unified, "stt", model) as agent:
        await agent.say(create_stt(rate=rate))
        await agent.listen_to(sound, is_paced=True)
        assert finals(await agent.hear("final_transcript")) == [UTTERANCES[0]]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (create_stt(rate="12"), "sample_rate"),
        (create_stt(encoding="opus"), "pcm_s16le"),
        (create_stt("nobody/ears"), "nobody"),
        ({"type": "input_audio", "audio": "§"}, "base64"),
        ({"type": "session.create", "settings": 7}, "settings"),
        (create_stt("deepgram/flux-general-en", language="xx-invented"), "language"),
    ],
)
async def test_bad_message_gets_one_clear_error(unified: Setup, message: dict[str, object], words: str) -> None:
    async with client(unified, "stt", "deepgram/nova-3") as agent:
        await agent.say(message)
        [*_, error] = await agent.hear("error")
    assert words in error["message"]
    assert error["code"] == 400


async def test_binary_where_json_is_due(unified: Setup) -> None:
    async with client(unified, "stt") as agent:
        await agent.socket.send_bytes(b"\0\1")
        [*_, error] = await agent.hear("error")
    assert "JSON" in error["message"]


@pytest.mark.parametrize(
    "failure",
    [
        Failure(FailureKind.STATUS, status=503),
        Failure(FailureKind.STATUS, status=401),
        Failure(FailureKind.CLOSE),
        Failure(FailureKind.HANG),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.status}",
)
@pytest.mark.parametrize("other", ["assemblyai", "openai/whisper-1"])
async def test_failover_loses_no_word(start_unified: StartUnified, other: str, failure: Failure) -> None:
    async with start_unified(FAILOVER % other) as unified:
        unified.simulator.fail_next("deepgram.listen", failure)
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.listen_to(SPEECH, is_paced=True)
            assert finals(await agent.hear("final_transcript")) == [UTTERANCES[0]]
            await agent.say(*CLOSE)
            await agent.hear("session.closed")
        rows = await unified.sidecar.rows(at_least=1)
    assert {row.provider for row in rows if row.status == "ok"} == {other.partition("/")[0]}


async def test_provider_that_hears_nothing_gives_way(start_unified: StartUnified) -> None:
    deaf = Listening(final_ms=60_000.0, utterances=UTTERANCES, interim_every_ms=60_000.0)
    async with start_unified(FAILOVER % "openai/whisper-1", script=quick(listen=deaf)) as unified:
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.listen_to(SPEECH, is_paced=True)
            assert finals(await agent.hear("final_transcript")) == [UTTERANCES[0]]


async def test_provider_that_breaks_off_later_is_told_so_that_the_agent_dials_again(unified: Setup) -> None:
    unified.simulator.fail_next("deepgram.listen", Failure(FailureKind.CLOSE, after=3))
    async with client(unified, "stt") as agent:
        await agent.say(create_stt())
        with contextlib.suppress(ConnectionError):
            await agent.listen_to(SPEECH * 3, is_paced=True)
        [*_, error] = await agent.hear("error")
    assert "deepgram" in error["message"]


async def test_spent_budget_is_heard_by_the_local_stand_in(start_unified: StartUnified) -> None:
    spent = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {stt: whisper}"
    async with start_unified(spent) as unified:
        for number in range(2):
            async with client(unified, "stt", "deepgram/nova-3") as agent:
                await agent.say(create_stt())
                await agent.listen_to(SPEECH, is_paced=True)
                assert len(finals(await agent.hear("final_transcript"))) == 1
                await agent.say(*CLOSE)
                await agent.hear("session.closed")
            await unified.sidecar.rows(status="ok", at_least=number + 1)
        rows = [row for row in await unified.sidecar.rows(at_least=2) if row.status == "ok"]
    assert [row.provider for row in rows] == ["deepgram", "whisper"]


async def test_agent_that_leaves_without_a_word_leaves_nothing_behind(unified: Setup) -> None:
    async with client(unified, "stt", "deepgram/nova-3") as agent:
        await agent.say(create_stt())
        await agent.listen_to(SPEECH[:16_000])
    async with asyncio.timeout(5.0):
        while any(entry.ended_ns is None for entry in unified.simulator.ledger.entries("deepgram.listen")):
            await asyncio.sleep(0.02)
