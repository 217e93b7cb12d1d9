"""``/v1/tts`` where things do not go their usual way: sessions that change, utterances that fail, agents that leave."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.simulator.conftest import quick
from tests.unified.conftest import Setup, StartUnified
from tests.unified.sockets import audio_s, client, create_stt, create_tts, text
from tests.unified.test_stt_socket import SPEECH
from tests.unified.test_tts_socket import FAILOVER, SECONDS, SENTENCES, SPENT
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.facades.livekit import Fallback, FallbackModel, options_for
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.reload import reload
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Failure, FailureKind, Speaking
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified import agent_socket, utterance

FLUSH = {"type": "session.flush"}
SLOW = Speaking(first_audio_ms=10.0, s_per_char=0.2, pace=1.0)


async def test_rest_of_a_failed_utterance_is_not_spoken(unified: Setup) -> None:
    unified.simulator.fail_next("openai.speech", Failure(FailureKind.STATUS, status=500))
    async with client(unified, "tts", "openai/gpt-4o-mini-tts") as agent:
        await agent.say(create_tts(), text("The first sentence. "))
        [*_, error] = await agent.hear("error")
        assert error["code"] == 500
        await agent.say(text("The rest of it."), FLUSH)
        assert [one["type"] for one in await agent.hear("done")] == ["done"]
        messages = await agent.utterance(*SENTENCES)
        assert [one["type"] for one in messages if one["type"] != "output_audio"] == ["done"]
        assert audio_s(messages) == pytest.approx(SECONDS, abs=0.06)
        rows = await unified.sidecar.rows(1 + len(SENTENCES))
    assert [row.status for row in rows] == ["upstream_error", *["ok"] * len(SENTENCES)]


async def test_more_pieces_than_wait_are_no_deadlock_where_the_first_is_refused(unified: Setup) -> None:
    unified.simulator.fail_next("openai.speech", Failure(FailureKind.STATUS, status=401))
    async with client(unified, "tts", "openai/gpt-4o-mini-tts") as agent:
        await agent.say(create_tts(), *[text("Word. ")] * 300, FLUSH)
        [*_, error] = await agent.hear("error")
        assert error["code"] == 401
        assert (await agent.utterance("Hello."))[-1]["type"] == "done"


@pytest.mark.parametrize("model", ["cartesia/sonic-3", "openai/gpt-4o-mini-tts"])
async def test_agent_that_leaves_while_utterances_wait_stops_the_one_that_is_spoken(
    start_unified: StartUnified, model: str
) -> None:
    async with start_unified(script=quick(tts=SLOW, speech=SLOW)) as unified:
        async with client(unified, "tts", model) as agent:
            await agent.say(create_tts(), text(SENTENCES[0] * 5), FLUSH, text("Another one."), FLUSH)
            await agent.hear("output_audio")
        [row] = await unified.sidecar.rows(1)
    assert row.status == "cancelled"
    assert (row.usage.audio_out_s or 0.0) < 5.0


async def test_session_that_changes_between_utterances_is_in_force(unified: Setup) -> None:
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        usual = audio_s(await agent.utterance(*SENTENCES))
        await agent.say(create_tts(sample_rate="8000"))
        assert audio_s(await agent.utterance(*SENTENCES)) == pytest.approx(usual / 3, abs=0.02)
        await agent.say(create_tts("kokoro/kokoro"))
        await agent.utterance(*SENTENCES)
        rows = await unified.sidecar.rows(at_least=3)
    assert [row.provider for row in rows[:3]] == ["cartesia", "cartesia", "kokoro"]


async def test_session_that_changes_in_the_middle_of_an_utterance_is_refused_and_the_utterance_spoken(
    unified: Setup,
) -> None:
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts(), text(SENTENCES[0]), create_tts("kokoro/kokoro"))
        [*before, error] = await agent.hear("error")
        assert "session.flush" in error["message"]
        await agent.say(*map(text, SENTENCES[1:]), FLUSH)
        assert audio_s(before + await agent.hear("done")) == pytest.approx(SECONDS, abs=0.06)


async def test_utterance_of_blanks_is_done_and_reserves_nothing(unified: Setup) -> None:
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        for _ in range(3):
            messages = await agent.utterance("  ", "\n")
            assert [one["type"] for one in messages] == ["done"]
        assert unified.sidecar.running.runtime.budgets.open_holds == 0
        assert await unified.sidecar.rows(0) == []


async def test_stand_in_serves_no_longer_than_the_budget_is_spent(start_unified: StartUnified) -> None:
    async with start_unified(SPENT % "throttle") as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        budgets = unified.sidecar.running.runtime.budgets
        today = budgets._spend.today(budgets._clock.wall_ns())
        budgets._spend.add("acme", today, 1_000_000_000)
        await agent.utterance(*SENTENCES)
        budgets._spend.add("acme", today, -1_000_000_000)
        await agent.utterance(*SENTENCES)
        rows = await unified.sidecar.rows(at_least=3)
    assert [row.provider for row in rows][-1] == "cartesia"
    assert "kokoro" in {row.provider for row in rows}


@pytest.mark.parametrize("kind", ["stt", "tts"])
async def test_stand_in_that_is_down_is_a_spent_budget(start_unified: StartUnified, kind: str) -> None:
    spent = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {stt: whisper, tts: kokoro}"
    async with start_unified(spent, down=("whisper", "kokoro")) as unified:
        budgets = unified.sidecar.running.runtime.budgets
        budgets._spend.add("acme", budgets._spend.today(budgets._clock.wall_ns()), 1_000_000_000)
        async with client(unified, kind, "deepgram" if kind == "stt" else "cartesia") as agent:
            await agent.say(create_stt() if kind == "stt" else create_tts())
            await agent.hear("session.created")
            if kind == "tts":
                await agent.say(*map(text, SENTENCES), FLUSH)
            else:
                await agent.listen_to(SPEECH)
            [*_, error] = await agent.hear("error")
            assert (error["code"], "cannot be reached" in error["message"]) == (402, True)
            assert (await agent.socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert agent.socket.close_code == 1008


async def test_connection_that_closes_just_when_it_is_needed_is_dialled_again(unified: Setup) -> None:
    unified.simulator.fail_next("cartesia.tts", Failure(FailureKind.CLOSE))
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts(), *map(text, SENTENCES), FLUSH)
        messages = await agent.hear("done", "error")
    assert messages[-1]["type"] == "done"
    assert audio_s(messages) == pytest.approx(SECONDS, abs=0.06)


async def test_provider_that_closes_whenever_it_is_idle_is_dialled_once_again(
    unified: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_socket, "TICK_S", 0.05)
    unified.simulator.fail_next("cartesia.tts", Failure(FailureKind.CLOSE), count=100)
    async with client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        await asyncio.sleep(1.0)
        assert len(unified.simulator.ledger.entries("cartesia.tts", key="")) <= 2


async def test_agent_that_leaves_while_another_provider_is_dialled_leaves_nothing(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER % "elevenlabs") as unified:
        unified.simulator.fail_next("cartesia.tts", Failure(FailureKind.CLOSE), count=3)
        unified.simulator.fail_next("elevenlabs.contexts", Failure(FailureKind.HANG))
        async with client(unified, "tts") as agent:
            await agent.say(create_tts(), *map(text, SENTENCES), FLUSH)
            async with asyncio.timeout(5.0):
                while not unified.simulator.ledger.entries("elevenlabs.contexts"):
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(5.0):
            while unified.sidecar.running.runtime.budgets.open_holds:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("pause_s", [0.0, 0.4])
async def test_pause_of_the_agent_loses_no_text_where_the_provider_ends_by_itself(
    start_unified: StartUnified, pause_s: float
) -> None:
    hasty = Speaking(first_audio_ms=10.0, s_per_char=0.01, pace=100.0, context_expiry_ms=100.0)
    first, second = "This is the first. ", "And the second."
    async with start_unified(script=quick(tts=hasty)) as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        for _ in range(2):
            await agent.say(text(first))
            before = await agent.hear("output_audio")
            await asyncio.sleep(pause_s)
            await agent.say(text(second), FLUSH)
            messages = before + await agent.hear("done")
            assert [one["type"] for one in messages if one["type"] != "output_audio"] == ["done"]
            assert audio_s(messages) == pytest.approx(len(first.strip() + second) * 0.01, abs=0.03)


async def test_done_without_any_sound_gives_way(start_unified: StartUnified) -> None:
    mute = Speaking(first_audio_ms=1.0, s_per_char=0.0)
    async with start_unified(FAILOVER % "openai", script=quick(tts=mute)) as unified, client(unified, "tts") as agent:
        await agent.say(create_tts())
        assert audio_s(await agent.utterance(*SENTENCES)) == pytest.approx(SECONDS, abs=0.06)


async def test_done_without_any_sound_is_an_error_where_nobody_else_is(start_unified: StartUnified) -> None:
    mute = Speaking(first_audio_ms=1.0, s_per_char=0.0)
    async with start_unified(script=quick(tts=mute)) as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        [*_, error] = await agent.utterance(*SENTENCES)
        assert "answered with nothing" in error["message"]
        assert (await agent.utterance("…"))[-1]["type"] == "done", "of no word no sound is due"


async def test_provider_that_took_over_stays(start_unified: StartUnified) -> None:
    mute = Speaking(first_audio_ms=60_000.0)
    async with start_unified(FAILOVER % "openai", script=quick(tts=mute)) as unified:
        async with client(unified, "tts") as agent:
            await agent.say(create_tts())
            for _ in range(3):
                assert (await agent.utterance(*SENTENCES))[-1]["type"] == "done"
            rows = await unified.sidecar.rows(1 + 3 * len(SENTENCES))
    assert [row.provider for row in rows if row.status == "cancelled"] == ["cartesia"]


async def test_handshake_that_is_never_answered_is_waited_for_once(start_unified: StartUnified) -> None:
    async with start_unified("providers: {cartesia: {timeouts: {first_byte_s: 1}}}") as unified:
        unified.simulator.fail_next("cartesia.tts", Failure(FailureKind.HANG), count=9)
        async with client(unified, "tts", "cartesia/sonic-3") as agent:
            await agent.say(create_tts(), *map(text, SENTENCES), FLUSH)
            [*_, error] = await agent.hear("error")
        assert error["code"] == 504
        assert len(unified.simulator.ledger.entries("cartesia.tts")) == 1


async def test_budget_that_was_raised_counts_for_an_open_socket(start_unified: StartUnified) -> None:
    async with start_unified(SPENT % "throttle") as unified, client(unified, "tts", "cartesia/sonic-3") as agent:
        await agent.say(create_tts())
        await agent.hear("session.created")
        for _ in range(2):
            await agent.utterance(*SENTENCES)
        config = unified.sidecar.config
        config.write_text(config.read_text().replace("0.000000001", "100"))
        running = unified.sidecar.running
        await reload(running.runtime, lambda: load_settings(str(config), {}))
        await agent.utterance(*SENTENCES)
        rows = await unified.sidecar.rows(at_least=4)
    providers = [row.provider for row in rows]
    assert (providers[0], providers[-1], "kokoro" in providers) == ("cartesia", "cartesia", True)


async def test_first_text_alone_may_be_too_much(unified: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterance, "LIMIT_CHARS", 100)
    async with client(unified, "tts", "kokoro/kokoro") as agent:
        await agent.say(create_tts(), text("One. " * 30), FLUSH)
        [*_, error] = await agent.hear("error")
    assert "100 characters at most" in error["message"]


async def test_more_text_than_an_utterance_may_have_is_refused(unified: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utterance, "LIMIT_CHARS", 100)
    async with client(unified, "tts", "kokoro/kokoro") as agent:
        await agent.say(create_tts(), text("One. " * 10), text("Two. " * 20))
        [*before, error] = await agent.hear("error")
        assert "100 characters at most" in error["message"]
        await agent.say(FLUSH)
        assert audio_s(before + await agent.hear("done")) > 0.0


async def test_long_text_is_cut_for_a_provider_that_takes_short_ones(unified: Setup) -> None:
    words = "This is one of many sentences that are spoken in one go. " * 8
    async with client(unified, "tts", "groq/canopylabs/orpheus-v1-english") as agent:
        await agent.say(create_tts())
        messages = await agent.utterance(words)
        assert messages[-1]["type"] == "done"
        rows = await unified.sidecar.rows(at_least=3)
    assert sum(row.usage.characters or 0 for row in rows) >= len(words.replace(" ", ""))


def test_options_are_for_the_provider_that_they_were_given_for() -> None:
    fallback = Fallback((FallbackModel("elevenlabs/eleven_flash_v2_5", None, {"stability": 0.4}),))
    own: dict[str, object] = {"max_buffer_delay_ms": 100}
    first = Leg(Modality.TTS, BY_ID["cartesia"], "sonic-3")
    named = Leg(Modality.TTS, BY_ID["elevenlabs"], "eleven_flash_v2_5", is_substitute=True)
    other = Leg(Modality.TTS, BY_ID["deepgram"], "aura-2-thalia-en", is_substitute=True)
    assert [options_for(leg, own, fallback) for leg in (first, named, other)] == [own, {"stability": 0.4}, {}]
