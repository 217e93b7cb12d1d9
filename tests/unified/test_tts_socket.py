"""``/v1/tts``: LiveKit's hard rules, bad input, other providers taking over, and agents that stop listening."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.simulator.conftest import eventually, quick
from tests.unified.conftest import Setup, StartUnified
from tests.unified.sockets import audio_s, client, create_tts, text
from voicegw_sidecar.simulator import Failure, FailureKind, Speaking

SENTENCES = ("Your order has left the warehouse. ", "You will have it on Thursday. ")
SECONDS = 0.02 * len("".join(SENTENCES).strip())
FAILOVER = "routing: {failover: true, rosters: {stt: [deepgram], llm: [groq], tts: [cartesia, %s]}}"
SPENT = "daily_budget: 0.000000001\nbudget_action: %s\nthrottle_to: {tts: kokoro}"
MODELS = ["cartesia/sonic-3", "elevenlabs/eleven_flash_v2_5", "deepgram/aura-2-thalia-en", "openai/gpt-4o-mini-tts",
          "kokoro/kokoro", "piper/en_US-lessac-medium"]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
async def test_every_message_names_its_utterance_and_one_done_ends_it(unified: Setup, model: str) -> None:
    async with client(unified, "tts", model) as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        for _ in range(2):
            messages = await agent.utterance(*SENTENCES)
            assert [one["type"] for one in messages].count("done") == 1
            assert len({one["session_id"] for one in messages}) == 1
            assert messages[0]["session_id"]
            assert audio_s(messages) == pytest.approx(SECONDS, abs=0.06)


async def test_utterance_without_a_word_is_done_at_once(unified: Setup) -> None:
    async with client(unified, "tts") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        assert [one["type"] for one in await agent.utterance()] == ["done"]
        assert [one["type"] for one in await agent.utterance(" ")] == ["done"]
        assert audio_s(await agent.utterance("Hello.")) > 0


async def test_utterances_that_come_at_once_are_spoken_in_their_order(unified: Setup) -> None:
    async with client(unified, "tts") as agent:
        await agent.say(create_tts())
        for words in ("One.", "Two, and more.", "Three."):
            await agent.say(text(words), {"type": "session.flush"})
        seconds = [audio_s(await agent.hear("done")) for _ in range(3)]
    assert seconds == pytest.approx([0.02 * len(words) for words in ("One.", "Two, and more.", "Three.")], abs=0.02)


@pytest.mark.parametrize("rate", ["8000", "16000", "22050", "44100", "48000"])
@pytest.mark.parametrize("model", ["openai/gpt-4o-mini-tts", "cartesia/sonic-3", "deepgram/aura-2-thalia-en"])
async def test_sound_comes_at_the_rate_that_was_asked_for(unified: Setup, model: str, rate: str) -> None:
    async with client(unified, "tts", model) as agent:
        await agent.say({**create_tts(), "sample_rate": rate})
        await agent.hear("session.created")
        messages = await agent.utterance(*SENTENCES)
    assert audio_s(messages) * 24_000 / int(rate) == pytest.approx(SECONDS, abs=0.06)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({**create_tts(), "sample_rate": "12"}, "sample_rate"),
        ({**create_tts(), "encoding": "opus"}, "pcm_s16le"),
        (create_tts("nobody/voice"), "nobody"),
        ({"type": "input_transcript", "transcript": 7}, "transcript"),
        (text("Hello.", voice="no such voice"), "no such voice"),
        (text("Hello.", model="gpt-of-tomorrow"), "gpt-of-tomorrow"),
    ],
)
async def test_bad_message_gets_one_clear_error(unified: Setup, message: dict[str, object], words: str) -> None:
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(message)
        [*_, error] = await agent.hear("error")
    assert words in error["message"]
    assert error["code"] == 400


async def test_binary_where_json_is_due(unified: Setup) -> None:
    async with client(unified, "tts") as agent:
        await agent.socket.send_bytes(b"\0\1")
        [error] = await agent.hear("error")
    assert "JSON" in error["message"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("tts?model=nobody/voice", 400, "bad_request"),
        ("tts?model=gpt-of-tomorrow", 400, "bad_request"),
        ("tts?model=elevenlabs/eleven_flash_v2_5", 401, "missing_key"),
        ("stt?model=elevenlabs/scribe_v2_realtime", 401, "missing_key"),
        ("eot", 404, "not_found"),
        ("bargein", 404, "not_found"),
    ],
)
async def test_refused_before_the_upgrade(start_unified: StartUnified, path: str, status: int, code: str) -> None:
    async with start_unified(without_key=("elevenlabs",)) as unified:
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await unified.sidecar.http.ws_connect(f"{unified.sidecar.url}/p/acme/v1/{path}")
    assert raised.value.status == status
    assert raised.value.headers is not None
    assert raised.value.headers["X-VoiceGW-Error"] == code


@pytest.mark.parametrize(
    "failure",
    [
        Failure(FailureKind.STATUS, status=503),
        Failure(FailureKind.STATUS, status=401),
        Failure(FailureKind.RESET),
        Failure(FailureKind.CLOSE),
        Failure(FailureKind.HANG),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.status}",
)
@pytest.mark.parametrize("other", ["elevenlabs", "openai"])
async def test_failover_is_heard_as_one_answer(start_unified: StartUnified, other: str, failure: Failure) -> None:
    async with start_unified(FAILOVER % other) as unified:
        unified.simulator.fail_next("cartesia.tts", failure, count=3)
        async with client(unified, "tts") as agent:
            await agent.say(create_tts())
            await agent.hear("session.created")
            messages = await agent.utterance(*SENTENCES)
            assert [one["type"] for one in messages if one["type"] != "output_audio"] == ["done"]
            assert audio_s(messages) == pytest.approx(SECONDS, abs=0.06)
            await unified.sidecar.rows(status="ok", at_least=1)
        rows = await unified.sidecar.rows(at_least=1)
    assert {row.provider for row in rows if row.status == "ok"} == {other}
    losers = [row for row in rows if row.provider == "cartesia"]
    assert {row.status for row in losers} <= {"upstream_error"}
    assert bool(losers) is (failure.kind is not FailureKind.HANG), "a socket that never opened was never used"


async def test_provider_that_stays_silent_gives_way_and_its_cost_is_counted(start_unified: StartUnified) -> None:
    mute = Speaking(first_audio_ms=60_000.0)
    async with start_unified(FAILOVER % "openai", script=quick(tts=mute)) as unified:
        async with client(unified, "tts") as agent:
            await agent.say(create_tts())
            messages = await agent.utterance(*SENTENCES)
            assert audio_s(messages) == pytest.approx(SECONDS, abs=0.06)
        rows = sorted(await unified.sidecar.rows(3), key=lambda row: row.started_ns)
    loser = rows[0]
    assert (loser.provider, loser.status, loser.error) == ("cartesia", "cancelled", "failover_silent")
    assert (loser.cost_nanousd or 0) > 0
    assert {(row.provider, row.status) for row in rows[1:]} == {("openai", "ok")}


async def test_nobody_takes_over_once_something_was_heard(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER % "elevenlabs") as unified:
        unified.simulator.fail_next("cartesia.tts", Failure(FailureKind.CLOSE, after=1))
        async with client(unified, "tts") as agent:
            await agent.say(create_tts())
            messages = await agent.utterance(*SENTENCES)
        assert messages[-1]["type"] == "error"
        assert {row.provider for row in await unified.sidecar.rows(1)} == {"cartesia"}


async def test_models_that_the_agent_names_for_the_case_take_over(start_unified: StartUnified) -> None:
    async with start_unified(down=("cartesia",)) as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        fallback = {"models": [{"model": "deepgram/aura-2-thalia-en", "voice": "", "extra": {}}]}
        await agent.say(create_tts("cartesia/sonic-3", fallback=fallback))
        await agent.hear("session.created")
        assert audio_s(await agent.utterance(*SENTENCES)) == pytest.approx(SECONDS, abs=0.06)


async def test_spent_budget_is_spoken_by_the_local_stand_in(start_unified: StartUnified) -> None:
    async with start_unified(SPENT % "throttle") as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        for _ in range(2):
            messages = await agent.utterance(*SENTENCES)
            assert messages[-1]["type"] == "done"
            assert audio_s(messages) == pytest.approx(SECONDS, abs=0.06)
        rows = await unified.sidecar.rows(at_least=3)
    assert [row.provider for row in rows] == ["cartesia", "kokoro", "kokoro"]


async def test_spent_budget_that_blocks_is_told_and_the_socket_closed(start_unified: StartUnified) -> None:
    async with start_unified(SPENT % "block") as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        await agent.utterance(*SENTENCES)
        [error] = await agent.utterance(*SENTENCES)
        assert (error["type"], error["code"]) == ("error", 402)
        assert (await agent.socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert agent.socket.close_code == 1008
        rows = await unified.sidecar.rows(2)
    assert [(row.provider, row.status) for row in rows] == [("cartesia", "ok"), ("cartesia", "refused")]


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("cartesia/sonic-3", "cartesia.tts"),
        ("elevenlabs/eleven_flash_v2_5", "elevenlabs.contexts"),
        ("deepgram/aura-2-thalia-en", "deepgram.speak"),
        ("openai/gpt-4o-mini-tts", "openai.speech"),
    ],
)
async def test_agent_that_closes_stops_the_provider_at_once(
    start_unified: StartUnified, model: str, endpoint: str
) -> None:
    slow = Speaking(first_audio_ms=10.0, s_per_char=0.2, pace=1.0)
    async with start_unified(script=quick(tts=slow, speak=slow, speech=slow)) as unified:
        async with client(unified, "tts", model) as agent:
            await agent.say(create_tts(), text(SENTENCES[0] * 5), {"type": "session.flush"})
            await agent.hear("output_audio")
        [row] = await unified.sidecar.rows(1)
        assert row.status == "cancelled"
        spoken_s = row.usage.audio_out_s or 0.0
        assert spoken_s < 5.0
        entries = unified.simulator.ledger.entries(endpoint)
        await eventually(lambda: all(entry.ended_ns is not None or entry.hung_up_ns for entry in entries))


async def test_agent_that_stops_reading_holds_up_nobody_else(start_unified: StartUnified) -> None:
    fast = Speaking(first_audio_ms=1.0, s_per_char=20.0, pace=10_000.0, chunk_ms=1000.0)
    async with start_unified(script=quick(tts=fast)) as unified:
        async with client(unified, "tts", "cartesia/sonic-3") as silent:
            await silent.say(create_tts(), text(SENTENCES[0] * 20), {"type": "session.flush"})
            await silent.hear("output_audio")  # and nothing more is read
            await asyncio.sleep(0.3)
            unified.simulator.script = quick()
            async with client(unified, "tts", "cartesia/sonic-3") as other:
                await other.say(create_tts())
                assert audio_s(await other.utterance(*SENTENCES)) == pytest.approx(SECONDS, abs=0.06)
            entry = unified.simulator.ledger.entries("cartesia.tts")[-1]
            assert entry is not None


async def test_model_of_one_utterance_is_that_of_no_other(unified: Setup) -> None:
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        for model in ("cartesia/sonic-3", "deepgram/aura-2-thalia-en", "cartesia/sonic-3"):
            await agent.say(text("Hello.", model=model), {"type": "session.flush"})
            await agent.hear("done")
        rows = await unified.sidecar.rows(3)
    assert [row.provider for row in rows] == ["cartesia", "deepgram", "cartesia"]
