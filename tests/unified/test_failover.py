"""Failover before the first output, and the local stand-in of a spent budget: heard as one answer."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from openai import APIStatusError

from tests.sidecar import Script, raw_server, read_request
from tests.simulator.conftest import ANSWER, eventually, quick
from tests.simulator.test_openai import ASKED
from tests.unified.conftest import Setup, StartUnified
from voicegw_sidecar import legs
from voicegw_sidecar.simulator import Failure, FailureKind, Rule, Thinking

FAILOVER = """
routing:
  failover: true
  rosters: {stt: [deepgram], llm: [groq, anthropic, openai], tts: [cartesia]}
"""
SPENT = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {llm: 'ollama/qwen2.5:3b'}"


def answers(status: bytes, headers: bytes = b"", body: bytes = b"") -> Script:
    """A provider that answers everything alike."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            length = b"Content-Length: %d\r\n" % len(body)
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + headers + length + b"\r\n" + body)
            await writer.drain()

    return script


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


async def test_silence_gives_way_where_the_answer_is_streamed(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER) as unified:
        unified.simulator.fail_next("groq.chat", Failure(FailureKind.HANG))
        text, headers = await answer(unified, streamed=True)
        loser, winner = sorted(await unified.sidecar.rows(2), key=lambda row: row.started_ns)
    assert (text, headers["x-voicegw-model"]) == (ANSWER, "anthropic/claude-haiku-4-5")
    assert (loser.provider, loser.status, loser.error) == ("groq", "cancelled", "failover_silent")
    assert (winner.provider, winner.status) == ("anthropic", "ok")


async def test_whole_answer_is_waited_for(start_unified: StartUnified, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says nothing while it is written: that is no silence."""
    monkeypatch.setattr(legs, "LEAST_PATIENCE_MS", 20.0)
    monkeypatch.setattr(legs, "_PATIENCE_FACTOR", 0.0)
    thinking = Thinking(first_token_ms=20.0, token_interval_ms=30.0, answers=(ANSWER,))
    async with start_unified(FAILOVER, script=quick(chat=thinking)) as unified:
        text, headers = await answer(unified, streamed=False)
        rows = await unified.sidecar.rows(1)
    assert (text, headers["x-voicegw-model"]) == (ANSWER, "groq/llama-3.3-70b-versatile")
    assert [(row.provider, row.status) for row in rows] == [("groq", "ok")]


async def test_whole_answer_is_waited_for_no_longer_than_its_provider_may_take(start_unified: StartUnified) -> None:
    limits = "\nproviders: {groq: {timeouts: {first_byte_s: 0.1}}}"
    async with start_unified(FAILOVER + limits) as unified:
        unified.simulator.fail_next("groq.chat", Failure(FailureKind.HANG))
        text, headers = await answer(unified, streamed=False)
        rows = await unified.sidecar.rows(2)
    assert (text, headers["x-voicegw-model"]) == (ANSWER, "anthropic/claude-haiku-4-5")
    assert sorted((row.provider, row.status, row.error) for row in rows) == [
        ("anthropic", "ok", None), ("groq", "upstream_error", "upstream_timeout")]  # fmt: skip


async def test_vendor_without_a_key_takes_nothing_over(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER, without_key=("anthropic", "openai")) as unified:
        unified.simulator.fail_next("groq.chat", Failure(FailureKind.STATUS, status=429))
        with pytest.raises(APIStatusError) as raised:
            await answer(unified, streamed=True)
        rows = await unified.sidecar.rows(1)
    assert raised.value.status_code == 429  # and not that another has no key
    assert [row.provider for row in rows] == ["groq"]


async def test_key_that_every_vendor_lacks_is_said(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER, without_key=("groq", "anthropic", "openai")) as unified:
        with pytest.raises(APIStatusError) as raised:
            await answer(unified, streamed=True)
    assert raised.value.status_code == 401
    assert "providers.groq.api_key" in raised.value.message


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("status", [b"302 Found", b"101 Switching Protocols"])
async def test_provider_that_sends_the_caller_elsewhere_gives_way(
    start_unified: StartUnified, status: bytes, streamed: bool
) -> None:
    async with raw_server(answers(status, b"Location: http://127.0.0.1:9/x\r\n")) as elsewhere:
        more = f"{FAILOVER}\nproviders: {{groq: {{base_url: '{elsewhere}'}}}}"
        async with start_unified(more) as unified:
            text, headers = await answer(unified, streamed=streamed)
            assert (text, headers["x-voicegw-model"]) == (ANSWER, "anthropic/claude-haiku-4-5")
            with pytest.raises(APIStatusError) as raised:
                await answer(unified, streamed=streamed, model="groq/llama-3.3-70b-versatile")
    assert raised.value.status_code == 502
    assert "location" not in raised.value.response.headers
    assert f"groq: answered with status {status[:3].decode()}" in raised.value.message


async def test_sound_that_cannot_be_read_is_the_provider_s_fault(start_unified: StartUnified) -> None:
    head = b"RIFF\xff\xff\xff\xffWAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 300_000, 600_000, 2, 16)
    sound = head + b"data\xff\xff\xff\xff" + bytes(4000)
    async with raw_server(answers(b"200 OK", b"Content-Type: audio/wav\r\n", sound)) as piper:
        async with start_unified(f"providers: {{piper: {{base_url: '{piper}'}}}}") as unified:
            async with unified.openai() as client:
                with pytest.raises(APIStatusError) as raised:
                    await client.audio.speech.create(
                        model="piper/en_US-lessac-medium", voice="alloy", input="Hello.", response_format="pcm"
                    )
    assert raised.value.status_code == 502
    assert "300000" in raised.value.message


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
