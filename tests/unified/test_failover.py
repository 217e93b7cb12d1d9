"""Failover before the first output, and the local stand-in of a spent budget: heard as one answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai import APIStatusError

from tests.simulator.conftest import ANSWER, eventually, quick
from tests.simulator.test_openai import ASKED
from tests.unified.conftest import Setup, StartUnified
from voicegw_sidecar.simulator import Failure, FailureKind, Rule

FAILOVER = """
routing:
  failover: true
  rosters: {stt: [deepgram], llm: [groq, anthropic, openai], tts: [cartesia]}
"""
SPENT = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {llm: 'ollama/qwen2.5:3b'}"


async def answer(unified: Setup, *, streamed: bool, model: str = "auto") -> tuple[str, dict[str, str]]:
    """Ask once; return the text and the answer's headers."""
    async with unified.openai() as client:
        if not streamed:
            raw = await client.chat.completions.with_raw_response.create(model=model, messages=ASKED)
            return raw.parse().choices[0].message.content or "", dict(raw.headers)
        text = ""
        made: Any = client.chat.completions.with_streaming_response
        async with made.create(model=model, messages=ASKED, stream=True) as raw_stream:
            async for chunk in await raw_stream.parse():
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            return text, dict(raw_stream.headers)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (Failure(FailureKind.STATUS, status=503), "upstream_error", None),
        (Failure(FailureKind.STATUS, status=401), "upstream_error", None),
        (Failure(FailureKind.RESET), "upstream_error", None),
        (Failure(FailureKind.HANG), "cancelled", "failover_silent"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
async def test_provider_that_fails_gives_way_to_the_next(
    start_unified: StartUnified, streamed: bool, failure: Failure, status: str, error: str | None
) -> None:
    async with start_unified(FAILOVER) as unified:
        unified.simulator.fail_next("groq.chat", failure)
        text, headers = await answer(unified, streamed=streamed)
        assert text == ANSWER
        assert headers["x-voicegw-model"] == "anthropic/claude-haiku-4-5"
        loser, winner = sorted(await unified.sidecar.rows(2), key=lambda row: row.started_ns)
    assert (loser.provider, loser.status) == ("groq", status)
    assert error is None or loser.error == error
    assert (winner.provider, winner.status) == ("anthropic", "ok")
    assert headers["x-voicegw-exchange"] == winner.id


async def test_what_a_loser_cost_is_counted(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER) as unified:
        unified.simulator.fail_next("groq.chat", Failure(FailureKind.HANG))
        await answer(unified, streamed=True)
        loser, winner = sorted(await unified.sidecar.rows(2), key=lambda row: row.started_ns)
        costs = await unified.sidecar.get_json("/v1/costs?project=acme")
    assert loser.cost_nanousd is not None
    assert loser.cost_nanousd > 0
    assert loser.estimated
    assert costs["total_usd"] == pytest.approx((loser.cost_nanousd + (winner.cost_nanousd or 0)) / 1e9)


async def test_last_one_s_refusal_is_the_answer(start_unified: StartUnified) -> None:
    everywhere = tuple(
        Rule(endpoint, Failure(FailureKind.STATUS, status=503))
        for endpoint in ("groq.chat", "anthropic.messages", "openai.chat")
    )
    async with start_unified(FAILOVER, script=quick(rules=everywhere)) as unified:
        with pytest.raises(APIStatusError) as raised:
            await answer(unified, streamed=True)
        assert raised.value.status_code == 503
        assert [row.provider for row in await unified.sidecar.rows(3)] == ["groq", "anthropic", "openai"]


async def test_without_failover_the_first_refusal_is_the_answer(unified: Setup) -> None:
    unified.simulator.fail_next("groq.chat", Failure(FailureKind.STATUS, status=503))
    with pytest.raises(APIStatusError):
        await answer(unified, streamed=True)
    assert len(await unified.sidecar.rows(1)) == 1


async def test_named_model_is_not_swapped(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER) as unified:
        unified.simulator.fail_next("groq.chat", Failure(FailureKind.STATUS, status=503))
        with pytest.raises(APIStatusError):
            await answer(unified, streamed=True, model="groq/llama-3.3-70b-versatile")


async def test_caller_that_leaves_while_others_are_tried(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER) as unified:
        unified.simulator.fail_next("groq.chat", Failure(FailureKind.HANG))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await answer(unified, streamed=True)
        await eventually(lambda: unified.simulator.ledger.entries()[0].hung_up_ns is not None)
        [row] = await unified.sidecar.rows(1)
    assert (row.provider, row.status, row.error) == ("groq", "cancelled", None)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("model", ["auto", "anthropic/claude-haiku-4-5", "openai/gpt-4.1-mini"])
async def test_spent_budget_is_served_by_the_local_stand_in(
    start_unified: StartUnified, streamed: bool, model: str
) -> None:
    rosters = "\nrouting: {rosters: {stt: [deepgram], llm: [groq, openai], tts: [cartesia]}}"
    async with start_unified(SPENT + rosters) as unified:
        await answer(unified, streamed=False, model="openai/gpt-4.1-mini")  # a day's first call is always served
        text, headers = await answer(unified, streamed=streamed, model=model)
        assert text == ANSWER
        assert headers["x-voicegw-throttled"] == "ollama/qwen2.5:3b"
        rows = await unified.sidecar.rows(2)
    assert [row.provider for row in rows] == ["openai", "ollama"]
    assert rows[1].cost_nanousd == 0


async def test_stand_in_that_cannot_be_dialled_is_said(start_unified: StartUnified) -> None:
    async with start_unified(SPENT, down=("ollama",)) as unified:
        await answer(unified, streamed=False, model="openai/gpt-4.1-mini")
        with pytest.raises(APIStatusError) as raised:
            await answer(unified, streamed=True, model="openai/gpt-4.1-mini")
        assert raised.value.status_code == 402
        assert raised.value.response.headers["X-VoiceGW-Error"] == "budget_throttled"
        assert raised.value.response.headers["X-VoiceGW-Throttle-To"] == "ollama/qwen2.5:3b"


async def test_provider_that_is_down_gives_way(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER, down=("groq", "anthropic")) as unified:
        _, headers = await answer(unified, streamed=True)
        assert headers["x-voicegw-model"] == "openai/gpt-4.1-mini"
        rows = await unified.sidecar.rows(3)
    assert [(row.provider, row.status, row.cost_nanousd == 0) for row in rows] == [
        ("groq", "upstream_error", True), ("anthropic", "upstream_error", True), ("openai", "ok", False)]  # fmt: skip


async def test_blocked_budget_refuses(start_unified: StartUnified) -> None:
    async with start_unified("daily_budget: 0.000000001\nbudget_action: block") as unified:
        await answer(unified, streamed=False, model="openai/gpt-4.1-mini")
        with pytest.raises(APIStatusError) as raised:
            await answer(unified, streamed=False, model="openai/gpt-4.1-mini")
        assert raised.value.status_code == 402
        assert raised.value.response.headers["X-VoiceGW-Error"] == "budget_exceeded"
        rows = await unified.sidecar.rows(2)
    assert sorted(row.status for row in rows) == ["ok", "refused"]


async def test_spent_budget_is_not_passed_by_way_of_a_free_provider(start_unified: StartUnified) -> None:
    rosters = "routing: {failover: true, rosters: {stt: [deepgram], llm: [ollama, openai], tts: [cartesia]}}"
    spent = f"daily_budget: 0.000000001\nbudget_action: block\n{rosters}"
    async with start_unified(spent, down=("ollama",)) as unified:
        await answer(unified, streamed=False)  # a day's first call is always served
        with pytest.raises(APIStatusError) as raised:
            await answer(unified, streamed=False)
        assert raised.value.response.headers["X-VoiceGW-Error"] == "budget_exceeded"
        assert len(unified.simulator.ledger.entries("openai.chat")) == 1
