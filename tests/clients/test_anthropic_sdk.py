"""The real Anthropic SDK through the sidecar: same answers, same bytes, truthful rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import voice_prices
from anthropic import Anthropic, APIStatusError, AsyncAnthropic

from tests.clients.conftest import Bench
from tests.simulator.conftest import ANSWER, eventually, quick
from voicegw_sidecar.simulator import Entry, Failure, FailureKind, Thinking
from voicegw_sidecar.store.records import ExchangeRow

MODEL = "claude-haiku-4-5"
ASKED: Any = [{"role": "user", "content": "Where is my order?"}]
WEATHER: Any = [{"role": "user", "content": [{"type": "text", "text": "How is the weather?"}]}]
SYSTEM: Any = [{"type": "text", "text": "You help callers. " * 20, "cache_control": {"type": "ephemeral"}}]
TOOL: Any = {
    "name": "look_up",
    "description": "Look up the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def client_of(bench: Bench) -> AsyncAnthropic:
    return AsyncAnthropic(api_key="sk-agent", base_url=bench.bases["anthropic"])


def check_row(row: ExchangeRow, entry: Entry) -> None:
    """The row is whole, and its usage and cost are those of the simulator's ledger."""
    assert (row.project, row.provider, row.model, row.modality, row.status, row.http_status) == (
        "acme", "anthropic", MODEL, "llm", "ok", 200)  # fmt: skip
    used = row.usage
    assert (used.input_tokens, used.cached_input_tokens, used.cache_write_tokens, used.output_tokens) == (
        entry.input_tokens, entry.cached_tokens, entry.cache_write_tokens, entry.output_tokens)  # fmt: skip
    assert used.reasoning_tokens == entry.reasoning_tokens
    assert row.first_ms is not None
    billed = voice_prices.Usage(
        input_tokens=entry.input_tokens,
        cache_read_tokens=entry.cached_tokens,
        cache_write_tokens=entry.cache_write_tokens,
        output_tokens=entry.output_tokens,
    )
    cost = voice_prices.calc_price(billed, MODEL, provider_id="anthropic").total_price
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (int(cost * 10**9), "catalogue", False)


async def check(bench: Bench) -> None:
    [row] = await bench.sidecar.rows(1)
    check_row(row, bench.simulator.ledger.entries("anthropic.messages")[-1])
    await bench.check_wire()


async def test_json_message(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=5.0, answers=(ANSWER,), cached_tokens=3))
    async with client_of(bench) as client:
        message = await client.messages.create(model=MODEL, max_tokens=99, system=SYSTEM, messages=ASKED)
    assert message.content[0].type == "text"
    assert message.content[0].text == ANSWER
    assert message.usage.cache_creation_input_tokens
    await check(bench)


@pytest.mark.parametrize("thoughts", [0, 3])
async def test_streamed_message(bench: Bench, thoughts: int) -> None:
    bench.simulator.script = quick(
        chat=Thinking(
            first_token_ms=20.0, token_interval_ms=1.0, answers=(ANSWER,), cached_tokens=3, reasoning_tokens=thoughts
        )
    )
    async with client_of(bench) as client:
        stream = await client.messages.create(model=MODEL, max_tokens=99, system=SYSTEM, messages=ASKED, stream=True)
        events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(delta.text for delta in deltas if delta.type == "text_delta") == ANSWER
    assert len([delta for delta in deltas if delta.type == "thinking_delta"]) == thoughts
    await check(bench)


async def test_the_stream_helper(bench: Bench) -> None:
    async with client_of(bench) as client:
        async with client.messages.stream(model=MODEL, max_tokens=99, messages=ASKED) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()
    assert text == ANSWER
    assert message.usage.output_tokens == len(ANSWER.split())
    await check(bench)


async def test_the_sync_client_creates_and_streams(bench: Bench) -> None:
    def synchronous() -> tuple[str, str]:
        with Anthropic(api_key="k", base_url=bench.bases["anthropic"]) as client:
            whole = client.messages.create(model=MODEL, max_tokens=99, messages=ASKED).content[0]
            with client.messages.stream(model=MODEL, max_tokens=99, messages=ASKED) as stream:
                return whole.text if whole.type == "text" else "", stream.get_final_text()

    assert await asyncio.to_thread(synchronous) == (ANSWER, ANSWER)
    rows = await bench.sidecar.rows(2)
    for row, entry in zip(rows, bench.simulator.ledger.entries("anthropic.messages"), strict=True):
        check_row(row, entry)
    await bench.check_wire()


@pytest.mark.parametrize("beta", [False, True])
async def test_streamed_tool_call(bench: Bench, beta: bool) -> None:
    async with client_of(bench) as client:
        asked: Any = {"model": MODEL, "max_tokens": 99, "messages": WEATHER, "tools": [TOOL]}
        if beta:
            stream: Any = client.beta.messages.stream(betas=["computer-use-2025-01-24"], **asked)
        else:
            stream = client.messages.stream(**asked)
        async with stream as events:
            message = await events.get_final_message()
    assert [(block.name, block.input) for block in message.content] == [("look_up", {"city": "Paris"})]
    entry = bench.simulator.ledger.entries("anthropic.messages")[-1]
    assert ("?beta=true" in entry.request_line) is beta
    await check(bench)


async def test_tokens_that_are_only_counted_cost_nothing_that_is_known(bench: Bench) -> None:
    async with client_of(bench) as client:
        with pytest.raises(APIStatusError):  # the simulator has no such address; the sidecar relays it all the same
            await client.messages.count_tokens(model=MODEL, messages=ASKED)
    [row] = await bench.sidecar.rows(1)
    assert (row.modality, row.model) == (None, None)


async def test_a_stream_that_the_agent_abandons_is_estimated(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=5.0, token_interval_ms=40.0, answers=(ANSWER,)))
    async with client_of(bench) as client:
        stream = await client.messages.create(model=MODEL, max_tokens=99, messages=ASKED, stream=True)
        async for event in stream:
            if event.type == "content_block_delta":
                break
        await stream.close()
    [row] = await bench.sidecar.rows(1)
    [entry] = bench.simulator.ledger.entries("anthropic.messages")
    assert (row.status, row.estimated, row.usage.input_tokens) == ("cancelled", True, entry.input_tokens)
    assert row.usage.output_tokens
    assert row.cost_nanousd
    await eventually(lambda: entry.hung_up_ns is not None)


async def test_a_stream_that_the_provider_breaks_is_partial(bench: Bench) -> None:
    bench.simulator.fail_next("anthropic.messages", Failure(FailureKind.TRUNCATE, after=5))
    async with client_of(bench) as client:
        stream = await client.messages.create(model=MODEL, max_tokens=99, messages=ASKED, stream=True)
        with pytest.raises(Exception, match=r".*"):  # whichever its HTTP library has for it
            _ = [event async for event in stream]
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.error, row.estimated) == ("partial", "connection_broken", True)


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (403, 1), (429, 3), (500, 3), (529, 3)])
async def test_the_providers_errors_raise_what_they_raise_directly(bench: Bench, status: int, attempts: int) -> None:
    async def failing(base_url: str, key: str) -> tuple[type, str | None, int]:
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("anthropic.messages", failure, count=attempts, match=key)
        async with AsyncAnthropic(api_key=key, base_url=base_url) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.messages.create(model=MODEL, max_tokens=99, messages=ASKED)
        entries = bench.simulator.ledger.entries("anthropic.messages")
        return type(caught.value), caught.value.type, len([e for e in entries if e.headers["x-api-key"] == key])

    direct, relayed = await asyncio.gather(
        failing(bench.simulator.base_url("anthropic"), "direct"), failing(bench.bases["anthropic"], "relayed")
    )
    assert relayed == direct
    assert relayed[2] == attempts
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.error, row.cost_nanousd) for row in rows} == {
        ("upstream_error", status, relayed[1], 0)
    }
    await bench.check_wire()
