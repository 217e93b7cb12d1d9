"""LiveKit's Anthropic plugin through the sidecar."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.agents import APIConnectOptions, llm
from livekit.agents.utils import http_context
from livekit.plugins import anthropic

from tests.clients.conftest import Bench
from tests.clients.test_anthropic_sdk import MODEL, check
from tests.simulator.conftest import ANSWER, eventually

# the plugins leave some of their sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ONCE = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


@pytest.mark.parametrize("caching", [False, True])
async def test_livekit_llm(bench: Bench, caching: bool) -> None:
    more: Any = {"caching": "ephemeral"} if caching else {}
    model = anthropic.LLM(model=MODEL, api_key="k", base_url=bench.bases["anthropic"], **more)
    chat = llm.ChatContext.empty()
    chat.add_message(role="system", content="You help callers.")
    chat.add_message(role="user", content="Where is my order?")
    text, used = "", None
    async with model.chat(chat_ctx=chat, conn_options=ONCE) as stream:
        async for chunk in stream:
            text += (chunk.delta.content or "") if chunk.delta else ""
            used = chunk.usage or used
    await model.aclose()
    assert text == ANSWER
    assert used is not None
    entry = bench.simulator.ledger.entries("anthropic.messages")[-1]
    assert bool(entry.cache_write_tokens) is caching
    assert used.prompt_tokens == entry.input_tokens
    assert used.completion_tokens == (entry.output_tokens or 0) + 1  # the plugin adds what message_start says
    await check(bench)


async def test_livekit_tool_call_and_prewarm(bench: Bench) -> None:
    @llm.function_tool
    async def look_up(city: str) -> str:
        """Return the weather."""
        return "sunny"

    model = anthropic.LLM(model=MODEL, api_key="k", base_url=bench.bases["anthropic"])
    model.prewarm()
    await eventually(lambda: bool(bench.simulator.ledger.entries("anthropic.models")))
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="How is the weather?")
    async with model.chat(chat_ctx=chat, tools=[look_up], conn_options=ONCE) as stream:
        calls = [call async for chunk in stream if chunk.delta for call in chunk.delta.tool_calls]
    await model.aclose()
    assert [(call.name, call.arguments) for call in calls] == [("look_up", '{"city":"Paris"}')]
    await check(bench)
