"""``/v1/stt`` where things do not go their usual way: sessions that change, last words, providers that break."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import buzz
from tests.unified.conftest import Setup, StartUnified
from tests.unified.sockets import client, create_stt
from tests.unified.test_stt_socket import CLOSE, FAILOVER, SPEECH, finals
from voicegw_sidecar.drivers.deepgram_listen import DeepgramListenDriver
from voicegw_sidecar.simulator import Failure, FailureKind, Listening
from voicegw_sidecar.unified import agent_socket, hearers, listen

UNENDED = buzz(after_s=0.0)
"""Words without a pause behind them: no provider has ended the utterance yet."""


async def test_second_session_ends_the_first_with_its_words(unified: Setup) -> None:
    async with client(unified, "stt", "deepgram/nova-3") as agent:
        await agent.say(create_stt())
        await agent.listen_to(UNENDED, is_paced=True)
        await agent.say(create_stt(language="de"))
        messages = await agent.hear("final_transcript")
        await agent.listen_to(SPEECH, is_paced=True)
        assert finals(messages + await agent.hear("final_transcript")) == list(UTTERANCES)
        sockets = unified.simulator.ledger.entries("deepgram.listen", key="")
        assert [entry.ended_ns is None for entry in sockets] == [False, True]
    assert "language=de" in sockets[1].request_line


async def test_audio_before_a_session_is_heard_and_its_socket_closed(unified: Setup) -> None:
    async with client(unified, "stt", "deepgram/nova-3") as agent:
        await agent.listen_to(UNENDED, is_paced=True)
        await agent.say(create_stt())
        assert finals(await agent.hear("final_transcript")) == [UTTERANCES[0]]
    async with asyncio.timeout(5.0):
        while any(entry.ended_ns is None for entry in unified.simulator.ledger.entries("deepgram.listen", key="")):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("model", ["deepgram/nova-3", "openai/gpt-4o-mini-transcribe", "openai/whisper-1"])
async def test_language_that_changes_in_the_middle_of_an_utterance_loses_no_word(unified: Setup, model: str) -> None:
    async with client(unified, "stt", model) as agent:
        await agent.say(create_stt(language="en"))
        await agent.listen_to(UNENDED, is_paced=True)
        await agent.say({"type": "session.update", "settings": {"language": "de"}})
        await agent.say(*CLOSE)
        messages = await agent.hear("session.closed")
    assert finals(messages)[:1] == [UTTERANCES[0]]


@pytest.mark.parametrize("model", ["deepgram/nova-3", "openai/whisper-1"])
async def test_last_words_that_do_not_come_are_an_error(
    start_unified: StartUnified, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(hearers, "FINISH_S", 0.3)
    slow = Listening(final_ms=5000.0, utterances=UTTERANCES, interim_every_ms=60_000.0)
    script = quick(listen=slow, transcription=slow)
    async with start_unified(script=script) as unified, client(unified, "stt", model) as agent:
        await agent.say(create_stt())
        await agent.listen_to(UNENDED, is_paced=True)
        await agent.say(*CLOSE)
        [*_, error] = await agent.hear("error", "session.closed")
    assert "no last transcript" in error["message"]


async def test_provider_that_refuses_the_last_words_gives_way(start_unified: StartUnified) -> None:
    async with start_unified((FAILOVER % "elevenlabs").replace("deepgram", "groq")) as unified:
        unified.simulator.fail_next("groq.transcriptions", Failure(FailureKind.STATUS, status=500))
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.listen_to(UNENDED, is_paced=True)
            await agent.say(*CLOSE)
            assert finals(await agent.hear("session.closed")) == [UTTERANCES[0]]
        assert {(row.provider, row.status) for row in await unified.sidecar.rows(2)} == {
            ("groq", "upstream_error"), ("elevenlabs", "ok")}  # fmt: skip


async def test_refused_last_words_are_an_error_where_nobody_else_is(unified: Setup) -> None:
    unified.simulator.fail_next("groq.transcriptions", Failure(FailureKind.STATUS, status=500))
    async with client(unified, "stt", "groq/whisper-large-v3") as agent:
        await agent.say(create_stt())
        await agent.listen_to(UNENDED, is_paced=True)
        await agent.say(*CLOSE)
        [*_, last] = await agent.hear("session.closed", "error")
    assert (last["type"], "groq" in last.get("message", "")) == ("error", True)


async def test_agent_that_leaves_while_another_provider_is_dialled_leaves_nothing(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER % "assemblyai") as unified:
        unified.simulator.fail_next("deepgram.listen", Failure(FailureKind.CLOSE))
        unified.simulator.fail_next("assemblyai.live", Failure(FailureKind.HANG))
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.hear("session.created")
            await agent.listen_to(UNENDED)
        async with asyncio.timeout(5.0):
            while unified.sidecar.running.runtime.budgets.open_holds:
                await asyncio.sleep(0.02)
        assert not [row for row in await unified.sidecar.rows(0) if row.status == "open"]


async def test_slow_local_server_loses_no_utterance(start_unified: StartUnified) -> None:
    slow = Listening(final_ms=300.0, utterances=tuple(f"Utterance {number}." for number in range(12)))
    async with start_unified(script=quick(transcription=slow)) as unified:
        async with client(unified, "stt", "whisper/large-v3") as agent:
            await agent.say(create_stt())
            await agent.listen_to((buzz(after_s=0.0)[:16_000] + bytes(22_400)) * 12)
            await agent.say(*CLOSE)
            messages = await agent.hear("session.closed", within_s=15.0)
    assert finals(messages) == list(slow.utterances)


async def test_speech_that_outruns_its_provider_is_said_at_the_limit(
    start_unified: StartUnified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearers, "WAITING_LIMIT_S", 2.0)
    stuck = Listening(final_ms=60_000.0, utterances=UTTERANCES)
    async with start_unified(script=quick(transcription=stuck)) as unified:
        async with client(unified, "stt", "whisper/large-v3") as agent:
            await agent.say(create_stt())
            await agent.listen_to((buzz(after_s=0.0)[:16_000] + bytes(22_400)) * 6)
            [*_, error] = await agent.hear("error")
    assert "slower than the speech" in error["message"]


async def test_cough_is_no_reason_to_give_way(start_unified: StartUnified, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "_LEAST_SPEECH_S", 60.0)
    deaf = Listening(final_ms=1500.0, utterances=UTTERANCES, interim_every_ms=60_000.0)
    async with start_unified(FAILOVER % "openai/whisper-1", script=quick(listen=deaf)) as unified:
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.listen_to(SPEECH, is_paced=True)
            assert finals(await agent.hear("final_transcript")) == [UTTERANCES[0]]
        assert {row.provider for row in await unified.sidecar.rows(at_least=1)} == {"deepgram"}


async def test_each_of_several_providers_is_waited_for(start_unified: StartUnified) -> None:
    deaf = Listening(final_ms=60_000.0, utterances=UTTERANCES, interim_every_ms=60_000.0)
    script = quick(listen=deaf, turns=deaf)
    async with start_unified(FAILOVER % "assemblyai, openai/whisper-1", script=script) as unified:
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.listen_to(SPEECH, is_paced=True)
            assert finals(await agent.hear("final_transcript", within_s=10.0)) == [UTTERANCES[0]]
        asked = {entry.endpoint for entry in unified.simulator.ledger.entries()}
    assert {"deepgram.listen", "assemblyai.live", "openai.transcriptions"} <= asked


async def test_new_connection_is_not_given_up_for_the_silence_of_the_one_before(start_unified: StartUnified) -> None:
    slow = Listening(final_ms=1500.0, utterances=UTTERANCES, interim_every_ms=60_000.0)
    async with start_unified(FAILOVER % "openai/whisper-1", script=quick(listen=slow)) as unified:
        async with client(unified, "stt") as agent:
            await agent.say(create_stt())
            await agent.listen_to(SPEECH, is_paced=True)
            await agent.say({"type": "session.update", "settings": {"language": "de"}})
            await agent.hear("final_transcript")
            await asyncio.sleep(0.5)
            assert {entry.provider for entry in unified.simulator.ledger.entries()} == {"deepgram"}


@pytest.mark.parametrize("model", ["whisper/large-v3", "deepgram/nova-3"])
async def test_named_session_lasts_as_long_as_the_agents_socket(start_unified: StartUnified, model: str) -> None:
    async with start_unified(top="sessions: {idle_seconds: 1}\n") as unified:
        sessions = unified.sidecar.running.runtime.sessions
        async with client(unified, "stt", model, prefix="/p/acme/s/call-1") as agent:
            await agent.say(create_stt())
            await agent.listen_to(SPEECH, is_paced=True)
            await agent.hear("final_transcript")
            await asyncio.sleep(2.5)
            assert sessions.find("acme", "call-1") is not None
        async with asyncio.timeout(5.0):
            while sessions.find("acme", "call-1") is not None:
                await asyncio.sleep(0.05)


async def test_connection_is_kept_though_the_agent_says_something(
    start_unified: StartUnified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_socket, "TICK_S", 0.05)
    monkeypatch.setattr(DeepgramListenDriver, "keepalive_s", 0.2)
    nervous = Listening(utterances=UTTERANCES, idle_close_s=0.6)
    async with start_unified(script=quick(listen=nervous)) as unified:
        async with client(unified, "stt", "deepgram/nova-3") as agent:
            await agent.say(create_stt())
            await agent.hear("session.created")
            for _ in range(60):
                await agent.say({"type": "of.tomorrow"})
                await asyncio.sleep(0.02)
            await agent.listen_to(SPEECH, is_paced=True)
            await agent.hear("final_transcript")
        assert len(unified.simulator.ledger.entries("deepgram.listen", key="")) == 1


async def test_fallback_models_stay_when_the_model_changes(start_unified: StartUnified) -> None:
    async with start_unified(down=("deepgram",)) as unified, client(unified, "stt", "groq") as agent:
        fallback = {"models": [{"model": "openai/whisper-1", "extra": {}}]}
        await agent.say(create_stt("groq/whisper-large-v3") | {"fallback": fallback})
        await agent.say({"type": "session.update", "settings": {"model": "deepgram/nova-3"}})
        await agent.listen_to(SPEECH, is_paced=True)
        assert finals(await agent.hear("final_transcript", "error")) == [UTTERANCES[0]]
