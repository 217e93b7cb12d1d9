"""The OpenAI SDK."""

from __future__ import annotations

import asyncio

from openai import AsyncOpenAI, OpenAI

from tests.clients.case import TIMEOUT_S, Case
from tests.simulator.test_openai import ASKED

PASTE = 'AsyncOpenAI(base_url="{base}/v1")'


def client(base: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=f"{base}/v1", timeout=TIMEOUT_S)


async def chat(base: str) -> object:
    async with client(base) as openai:
        completion = await openai.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
    return completion.choices[0].message.content


async def chat_streamed(base: str) -> object:
    async with client(base) as openai:
        stream = await openai.chat.completions.create(model="gpt-4.1-mini", messages=ASKED, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def chat_sync(base: str) -> object:
    def call() -> object:
        with OpenAI(api_key="k", base_url=f"{base}/v1", timeout=TIMEOUT_S) as openai:
            return openai.chat.completions.create(model="gpt-4.1-mini", messages=ASKED).choices[0].message.content

    return await asyncio.to_thread(call)


CASES = (
    Case("openai SDK", "chat", "openai", "openai.chat", PASTE, chat),
    Case("openai SDK", "chat, streamed", "openai", "openai.chat", PASTE, chat_streamed),
    Case("openai SDK", "chat, sync client", "openai", "openai.chat", PASTE, chat_sync),
)
