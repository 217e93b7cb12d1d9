"""OpenAI's responses, as JSON, events and on a socket, by the real SDK and LiveKit's plugin through the sidecar."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
import voice_prices
from livekit.agents import APIConnectOptions, llm
from livekit.agents.utils import http_context
from livekit.plugins.openai import responses as livekit_responses
from openai import APIStatusError, AsyncOpenAI, OpenAI

from tests.clients.conftest import Bench
from tests.simulator.conftest import ANSWER, eventually, quick
from voicegw_sidecar.simulator import Entry, Failure, FailureKind, Thinking
from voicegw_sidecar.store.records import ExchangeRow

# the LiveKit plugin leaves some of its sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # the SDK opens its sockets in a way that its WebSocket library deprecates
    pytest.mark.filterwarnings("ignore:connect:DeprecationWarning"),
]
MODEL = "gpt-4.1-mini"
ONCE = APIConnectOptions(max_retry=0, timeout=5)
TOOL: Any = {
    "type": "function",
    "name": "look_up",
    "description": "Look up the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


def client_of(bench: Bench) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="sk-agent", base_url=f"{bench.bases['openai']}/v1")


def check_row(row: ExchangeRow, entry: Entry) -> None:
    """The row is whole, and its usage and cost are those of the simulator's ledger."""
    assert (row.project, row.provider, row.model, row.modality, row.status) == ("acme", "openai", MODEL, "llm", "ok")
    used = row.usage
    assert (used.input_tokens, used.cached_input_tokens, used.output_tokens, used.reasoning_tokens) == (
        entry.input_tokens, entry.cached_tokens, entry.output_tokens, entry.reasoning_tokens)  # fmt: skip
    assert row.first_ms is not None
    billed = voice_prices.Usage(
        input_tokens=entry.input_tokens, cache_read_tokens=entry.cached_tokens, output_tokens=entry.output_tokens
    )
    cost = voice_prices.calc_price(billed, MODEL, provider_id="openai").total_price
    assert (row.cost_nanousd, row.cost_source, row.estimated) == (int(cost * 10**9), "catalogue", False)


async def check(bench: Bench) -> None:
    [row] = await bench.sidecar.rows(1)
    check_row(row, bench.simulator.ledger.entries("openai.responses")[-1])
    await bench.check_wire()


async def test_json_response(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=5.0, answers=(ANSWER,), cached_tokens=3))
    async with client_of(bench) as client:
        response = await client.responses.create(model=MODEL, input="Where is my order?", instructions="Be brief.")
    assert response.output_text == ANSWER
    await check(bench)


@pytest.mark.parametrize("thoughts", [0, 3])
async def test_streamed_response(bench: Bench, thoughts: int) -> None:
    bench.simulator.script = quick(
        chat=Thinking(first_token_ms=20.0, token_interval_ms=1.0, answers=(ANSWER,), reasoning_tokens=thoughts)
    )
    async with client_of(bench) as client:
        stream = await client.responses.create(
            model=MODEL, input=[{"role": "user", "content": "Where is my order?"}], stream=True
        )
        events = [event async for event in stream]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER
    assert len([event for event in events if event.type == "response.reasoning_summary_text.delta"]) == thoughts
    await check(bench)


async def test_the_stream_helper_with_a_tool_call(bench: Bench) -> None:
    async with client_of(bench) as client:
        async with client.responses.stream(model=MODEL, input="How is the weather?", tools=[TOOL]) as stream:
            response = await stream.get_final_response()
    [call] = response.output
    assert (call.type, call.name, call.arguments) == ("function_call", "look_up", '{"city":"Paris"}')
    await check(bench)


async def test_the_sync_client_creates_and_streams(bench: Bench) -> None:
    def synchronous() -> tuple[str, str]:
        with OpenAI(api_key="k", base_url=f"{bench.bases['openai']}/v1") as client:
            whole = client.responses.create(model=MODEL, input="Where is my order?").output_text
            with client.responses.stream(model=MODEL, input="Where is my order?") as stream:
                return whole, stream.get_final_response().output_text

    assert await asyncio.to_thread(synchronous) == (ANSWER, ANSWER)
    rows = await bench.sidecar.rows(2)
    for row, entry in zip(rows, bench.simulator.ledger.entries("openai.responses"), strict=True):
        check_row(row, entry)
    await bench.check_wire()


async def test_a_stream_that_the_agent_abandons_is_estimated(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=5.0, token_interval_ms=40.0, answers=(ANSWER,)))
    async with client_of(bench) as client:
        stream = await client.responses.create(model=MODEL, input="Where is my order?", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated, row.cost_source) == ("cancelled", True, "catalogue")
    assert row.cost_nanousd
    [entry] = bench.simulator.ledger.entries("openai.responses")
    await eventually(lambda: entry.hung_up_ns is not None)


@pytest.mark.parametrize("is_async", [True, False])
async def test_each_response_of_a_socket_is_its_own_row(bench: Bench, is_async: bool) -> None:
    asked: Any = {"model": MODEL, "input": "Where is my order?"}
    texts: list[str] = []

    def synchronous() -> None:
        with (
            OpenAI(api_key="k", base_url=f"{bench.bases['openai']}/v1") as client,
            client.responses.connect() as socket,
        ):
            last = None
            for _ in range(2):
                socket.response.create(**asked, **({"previous_response_id": last} if last else {}))
                for event in socket:
                    if event.type == "response.completed":
                        last = event.response.id
                        texts.append(event.response.output_text)
                        break

    async def asynchronous() -> None:
        async with client_of(bench) as client, client.responses.connect() as socket:
            last = None
            for _ in range(2):
                await socket.response.create(**asked, **({"previous_response_id": last} if last else {}))
                async for event in socket:
                    if event.type == "response.completed":
                        last = event.response.id
                        texts.append(event.response.output_text)
                        break

    await (asynchronous() if is_async else asyncio.to_thread(synchronous))
    assert texts == [ANSWER, ANSWER]
    rows = await bench.sidecar.rows(2)
    entries = bench.simulator.ledger.work("openai.responses_socket")
    assert (entries[1].input_tokens or 0) > (entries[0].input_tokens or 0)
    for row, entry in zip(rows, entries, strict=True):
        check_row(row, entry)
    await bench.check_wire()


@pytest.mark.parametrize("is_socket", [True, False])
async def test_livekit_llm(bench: Bench, is_socket: bool) -> None:
    base = f"{bench.bases['openai']}/v1"
    model = livekit_responses.LLM(
        model=MODEL, api_key="k", base_url=f"{base}/responses" if is_socket else base, use_websocket=is_socket
    )
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    endpoint = "openai.responses_socket" if is_socket else "openai.responses"
    for count in (1, 2):
        text, used = "", None
        async with model.chat(chat_ctx=chat, conn_options=ONCE) as stream:
            async for chunk in stream:
                text += (chunk.delta.content or "") if chunk.delta else ""
                used = chunk.usage or used
        assert text == ANSWER
        assert used is not None
        rows = await bench.sidecar.rows(count)
        ledger = bench.simulator.ledger
        entries = ledger.work(endpoint) if is_socket else ledger.entries(endpoint)
        check_row(rows[-1], entries[-1])
        assert (used.prompt_tokens, used.completion_tokens) == (entries[-1].input_tokens, entries[-1].output_tokens)
        chat.add_message(role="assistant", content=text)
        chat.add_message(role="user", content="Thank you.")
    await model.aclose()
    await bench.check_wire()


@pytest.mark.parametrize("is_socket", [True, False])
async def test_livekit_tool_call(bench: Bench, is_socket: bool) -> None:
    @llm.function_tool
    async def look_up(city: str) -> str:
        """Return the weather."""
        return "sunny"

    base = f"{bench.bases['openai']}/v1"
    model = livekit_responses.LLM(
        model=MODEL, api_key="k", base_url=f"{base}/responses" if is_socket else base, use_websocket=is_socket
    )
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="How is the weather?")
    async with model.chat(chat_ctx=chat, tools=[look_up], conn_options=ONCE) as stream:
        calls = [call async for chunk in stream if chunk.delta for call in chunk.delta.tool_calls]
    await model.aclose()
    assert [(call.name, call.arguments) for call in calls] == [("look_up", '{"city":"Paris"}')]
    [row] = await bench.sidecar.rows(1)
    assert row.first_ms is not None
    await bench.check_wire()


async def test_a_response_that_livekit_leaves_with_its_socket_is_estimated(bench: Bench) -> None:
    bench.simulator.script = quick(chat=Thinking(first_token_ms=5.0, token_interval_ms=60.0, answers=(ANSWER,)))
    model = livekit_responses.LLM(model=MODEL, api_key="k", base_url=f"{bench.bases['openai']}/v1/responses")
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    async with model.chat(chat_ctx=chat, conn_options=ONCE) as stream:
        async for chunk in stream:
            if chunk.delta and chunk.delta.content:
                break
    await model.aclose()  # an interruption alone leaves the socket open, and the response runs on to its end
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.estimated, row.cost_source) == ("cancelled", True, "catalogue")
    assert row.usage.output_tokens


@pytest.mark.parametrize(("status", "attempts"), [(401, 1), (402, 1), (429, 3), (500, 3)])
async def test_the_providers_errors_raise_what_they_raise_directly(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int, attempts: int
) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)  # as many attempts, in less time

    async def failing(base_url: str) -> tuple[type, str, int]:
        before = len(bench.simulator.ledger.entries("openai.responses"))
        failure = Failure(FailureKind.STATUS, status=status, retry_after_s=0 if status == 429 else None)
        bench.simulator.fail_next("openai.responses", failure, count=attempts)
        async with AsyncOpenAI(api_key="k", base_url=base_url) as client:
            with pytest.raises(APIStatusError) as caught:
                await client.responses.create(model=MODEL, input="Hello")
        after = len(bench.simulator.ledger.entries("openai.responses"))
        return type(caught.value), caught.value.message, after - before

    direct = await failing(f"{bench.simulator.base_url('openai')}/v1")
    relayed = await failing(f"{bench.bases['openai']}/v1")
    assert relayed == direct
    assert relayed[2] == attempts
    rows = await bench.sidecar.rows(attempts)
    assert {(row.status, row.http_status, row.cost_nanousd) for row in rows} == {("upstream_error", status, 0)}
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_socket_raises_what_it_raises_directly(bench: Bench, status: int) -> None:
    async def failing(base_url: str) -> tuple[type, str, int]:
        before = len(bench.simulator.ledger.entries("openai.responses_socket"))
        bench.simulator.fail_next("openai.responses_socket", Failure(FailureKind.STATUS, status=status))
        async with AsyncOpenAI(api_key="k", base_url=base_url) as client:
            with pytest.raises(Exception, match=str(status)) as caught:
                async with client.responses.connect():
                    pass
        after = len(bench.simulator.ledger.entries("openai.responses_socket"))
        return type(caught.value), str(caught.value), after - before

    direct = await failing(f"{bench.simulator.base_url('openai')}/v1")
    assert await failing(f"{bench.bases['openai']}/v1") == direct
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.modality, row.cost_nanousd) == ("upstream_error", status, "llm", 0)
