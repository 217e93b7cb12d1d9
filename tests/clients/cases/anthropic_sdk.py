"""The Anthropic SDK."""

from __future__ import annotations

import asyncio
from typing import Any

from anthropic import Anthropic, AsyncAnthropic

from tests.clients.case import TIMEOUT_S, Case

PASTE = 'AsyncAnthropic(base_url="{base}")'
ASKED: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Where is my order?"}],
}


def client(base: str) -> AsyncAnthropic:
    return AsyncAnthropic(api_key="k", base_url=base, timeout=TIMEOUT_S)


async def message(base: str) -> object:
    async with client(base) as anthropic:
        answer = await anthropic.messages.create(**ASKED)
    return answer.content[0].text


async def streamed(base: str) -> object:
    async with client(base) as anthropic, anthropic.messages.stream(**ASKED) as stream:
        return "".join([text async for text in stream.text_stream])


async def message_sync(base: str) -> object:
    def call() -> object:
        with Anthropic(api_key="k", base_url=base, timeout=TIMEOUT_S) as anthropic:
            return anthropic.messages.create(**ASKED).content[0].text

    return await asyncio.to_thread(call)


CASES = (
    Case("anthropic SDK", "message", "anthropic", "anthropic.messages", PASTE, message),
    Case("anthropic SDK", "message, streamed", "anthropic", "anthropic.messages", PASTE, streamed),
    Case("anthropic SDK", "message, sync client", "anthropic", "anthropic.messages", PASTE, message_sync),
)
